#ifndef NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_FOLD_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_FOLD_H_

#include <optional>

#include "services/query/promql/histogram_annotations.h"
#include "services/query/promql/histogram_math.h"

namespace narthex::promql {

// The sum or the mean of histograms that come one by one, and what is to be said of them. A mean
// sums up as long as nothing overflows and goes on with the running mean then, as that of numbers.
class HistogramFold {
 public:
  explicit HistogramFold(bool mean) : mean_(mean) {}

  // False, and a warning, when it has nothing in common with those before.
  bool Add(const FloatHistogram& histogram, const AnnotationSite& site);
  bool empty() const { return !sum_.has_value(); }
  // Says what was met on the way.
  void Annotate(const AnnotationSite& site) const;
  // REQUIRES: !empty().
  FloatHistogram Result() const;

 private:
  const bool mean_;
  std::optional<HistogramSum> sum_;
  double count_ = 0;
  bool incremental_ = false;
  bool reset_seen_ = false;
  bool not_reset_seen_ = false;
  bool bounds_reconciled_ = false;
};

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_HISTOGRAM_FOLD_H_
