#include "services/query/promql/histogram_fold.h"

#include <utility>

namespace narthex::promql {

bool HistogramFold::Add(const FloatHistogram& histogram, const AnnotationSite& site) {
  reset_seen_ = reset_seen_ || histogram.reset_hint == CounterResetHint::kReset;
  not_reset_seen_ = not_reset_seen_ || histogram.reset_hint == CounterResetHint::kNotReset;
  ++count_;
  if (!sum_.has_value()) {
    sum_.emplace(histogram);
    return true;
  }
  HistogramOutcome outcome;
  if (!incremental_) {
    HistogramSum next = *sum_;
    outcome = next.Add(histogram);
    if (outcome.incompatible || !mean_ || !next.HasOverflow()) {
      sum_ = std::move(next);
    } else {
      incremental_ = true;
      sum_->Scale(1 / (count_ - 1));
    }
  }
  if (incremental_) {
    sum_->Scale((count_ - 1) / count_);
    outcome = sum_->Add(Divide(histogram, count_));
  }
  bounds_reconciled_ = bounds_reconciled_ || outcome.bounds_reconciled;
  if (outcome.incompatible) WarnOfMixedSchemas(site);
  return !outcome.incompatible;
}

void HistogramFold::Annotate(const AnnotationSite& site) const {
  if (reset_seen_ && not_reset_seen_) WarnOfResetCollision(site, kHistogramAggregation);
  if (bounds_reconciled_) InformOfReconciledBounds(site, kHistogramAggregation);
}

FloatHistogram HistogramFold::Result() const {
  if (!mean_ || incremental_) return sum_->Result();
  HistogramSum mean = *sum_;
  mean.Divide(count_);
  return mean.Result();
}

}  // namespace narthex::promql
