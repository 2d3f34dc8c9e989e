#ifndef NARTHEX_SERVICES_QUERY_PROMQL_MIXED_WINDOWS_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_MIXED_WINDOWS_H_

#include <cstdint>
#include <vector>

#include "services/query/promql/histogram_annotations.h"
#include "services/query/promql/window_functions.h"

// Functions of range vectors over series that have histograms, or whose start timestamps count.
// What they do with series of plain numbers is in functions_rate.cc and functions_over_time.cc.
namespace narthex::promql {

// The samples of one series by kind.
class MixedSeries {
 public:
  explicit MixedSeries(const WindowInput& input);

  bool is_float(size_t sample) const { return samples_.kind(sample) == SampleKind::kFloat; }
  double value(size_t sample) const { return samples_.values()[sample]; }
  const FloatHistogram& histogram(size_t sample) const { return samples_.float_histogram(sample); }
  Timestamp time(size_t sample) const { return samples_.timestamps()[sample]; }
  // 0 when there is none, or none is to be looked at.
  Timestamp start_time(size_t sample) const { return starts_.empty() ? 0 : starts_[sample]; }
  size_t Histograms(const Window& window) const {
    return histograms_before_[window.end] - histograms_before_[window.begin];
  }
  size_t Floats(const Window& window) const { return window.size() - Histograms(window); }
  bool IsMixed(const Window& window) const { return Histograms(window) > 0 && Floats(window) > 0; }
  // Whether a counter was reset between the sample before and this one, which are of one kind.
  bool IsReset(size_t sample) const;
  // By their start timestamps alone.
  bool IsStartReset(size_t sample) const;
  const AnnotationSite& site() const { return site_; }

 private:
  const SampleBuffer& samples_;
  const std::span<const Timestamp> starts_;
  const AnnotationSite site_;
  std::vector<size_t> histograms_before_;  // One more than samples.
  mutable std::vector<int8_t> resets_;     // -1: not looked at yet.
};

// functions_rate_mixed.cc.
void MixedRate(const WindowInput& input, Row* out);
void MixedIncrease(const WindowInput& input, Row* out);
void MixedDelta(const WindowInput& input, Row* out);
void MixedIrate(const WindowInput& input, Row* out);
void MixedIdelta(const WindowInput& input, Row* out);
void MixedChanges(const WindowInput& input, Row* out);
void MixedResets(const WindowInput& input, Row* out);
// functions_extended_mixed.cc: of anchored and smoothed ranges.
void MixedExtendedRate(const WindowInput& input, Row* out);
void MixedExtendedIncrease(const WindowInput& input, Row* out);
void MixedExtendedDelta(const WindowInput& input, Row* out);
// functions_over_time_mixed.cc.
void MixedSumOverTime(const WindowInput& input, Row* out);
void MixedAvgOverTime(const WindowInput& input, Row* out);
void MixedLastOverTime(const WindowInput& input, Row* out);
void MixedFirstOverTime(const WindowInput& input, Row* out);
// Runs `kernel` over the numbers alone, and tells of windows that had histograms, too.
void IgnoreHistograms(WindowKernel kernel, const WindowInput& input, Row* out);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_MIXED_WINDOWS_H_
