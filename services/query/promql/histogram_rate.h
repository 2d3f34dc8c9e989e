#ifndef NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_RATE_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_RATE_H_

#include <optional>

#include "lib/model/histogram.h"
#include "lib/model/timestamp.h"
#include "services/query/promql/histogram_annotations.h"

namespace narthex::promql {

struct HistogramPoint {
  Timestamp time = 0;
  const FloatHistogram* histogram = nullptr;
};

// The histogram between two neighbours at `time`; a counter that was reset between them counts from
// nothing. Nothing (and a warning) when their buckets have nothing in common.
std::optional<FloatHistogram> InterpolateHistograms(const AnnotationSite& site,
                                                    const HistogramPoint& before,
                                                    const HistogramPoint& after, Timestamp time,
                                                    bool counter);

// Whether the start timestamps of neighbours tell of a counter reset between them: the later one
// began to count after the earlier sample, or at it where that is no sign of an unknown start.
bool IsStartTimestampReset(Timestamp previous_start, Timestamp previous, Timestamp start,
                           Timestamp time);
// Whether a sample claims to count from before its predecessor, but from another start.
bool IsStartTimestampOverlap(Timestamp previous_start, Timestamp previous, Timestamp start);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_RATE_H_
