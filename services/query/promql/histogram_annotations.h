#ifndef NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_ANNOTATIONS_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_ANNOTATIONS_H_

#include <string_view>

#include "lib/base/strings.h"
#include "services/query/promql/annotations.h"
#include "services/query/promql/histogram_math.h"

// The texts of what evaluation says about histograms, which are upstream's.
namespace narthex::promql {

// Where an annotation belongs: a metric and a place in the query.
struct AnnotationSite {
  Annotations* annotations = nullptr;
  std::string_view metric_name;
  PositionRange position;
};

// Which operation an outcome is of, as the texts call it.
inline constexpr std::string_view kHistogramAddition = "addition";
inline constexpr std::string_view kHistogramSubtraction = "subtraction";
inline constexpr std::string_view kHistogramAggregation = "aggregation";

inline void WarnOfMixedRange(const AnnotationSite& site) {
  site.annotations->Warn(StrCat("encountered a mix of histograms and floats for metric name ",
                                Quote(site.metric_name)),
                         site.position);
}

inline void WarnOfNoCounter(const AnnotationSite& site) {
  site.annotations->Warn(
      StrCat("this native histogram metric is not a counter: ", Quote(site.metric_name)),
      site.position);
}

inline void WarnOfNoGauge(const AnnotationSite& site) {
  site.annotations->Warn(
      StrCat("this native histogram metric is not a gauge: ", Quote(site.metric_name)),
      site.position);
}

inline void WarnOfMixedSchemas(const AnnotationSite& site) {
  site.annotations->Warn(StrCat("vector contains a mix of histograms with exponential and custom "
                                "buckets schemas for metric name ",
                                Quote(site.metric_name)),
                         site.position);
}

inline void WarnOfResetCollision(const AnnotationSite& site, std::string_view operation) {
  site.annotations->Warn(StrCat("conflicting counter resets during histogram ", operation),
                         site.position);
}

inline void WarnOfStartTimeOverlap(const AnnotationSite& site) {
  site.annotations->Warn(
      StrCat("sample has start time that overlaps with previous sample timestamp for metric ",
             Quote(site.metric_name)),
      site.position);
}

inline void InformOfReconciledBounds(const AnnotationSite& site, std::string_view operation) {
  site.annotations->Inform(StrCat("mismatched custom buckets were reconciled during ", operation),
                           site.position);
}

inline void InformOfIgnoredInRange(const AnnotationSite& site) {
  site.annotations->Inform(
      StrCat("ignored histograms in a range containing both floats and histograms for metric name ",
             Quote(site.metric_name)),
      site.position);
}

// Says what an addition or subtraction within a range met with; false when it did nothing.
inline bool NoteOutcome(const AnnotationSite& site, const HistogramOutcome& outcome,
                        std::string_view operation) {
  if (outcome.incompatible) WarnOfMixedSchemas(site);
  if (outcome.bounds_reconciled) InformOfReconciledBounds(site, operation);
  return !outcome.incompatible;
}

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_ANNOTATIONS_H_
