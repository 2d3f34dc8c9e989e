#ifndef NARTHEX_LIB_MODEL_SAMPLE_BUFFER_H_
#define NARTHEX_LIB_MODEL_SAMPLE_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "lib/model/histogram.h"
#include "lib/model/timestamp.h"

namespace narthex {

enum class SampleKind : uint8_t { kFloat = 0, kHistogram = 1, kFloatHistogram = 2 };

// The samples of one series as columns, in time order without duplicates: what chunks decode into
// and what the query engine computes on. Reused from series to series. Thread safety: none.
//
// Of a histogram the column of values holds the sum; so a staleness marker is one there, whatever
// kind it is. The columns of histograms and of start timestamps exist only once one was appended:
// the buffer of a series of floats is two arrays.
class SampleBuffer {
 public:
  void Clear() {
    timestamps_.clear();
    values_.clear();
    if (extras_) ClearExtras();
  }
  void Append(Timestamp timestamp, double value) {
    timestamps_.push_back(timestamp);
    values_.push_back(value);
    if (extras_) GrowExtras();
  }
  void AppendHistogram(Timestamp timestamp, Histogram histogram);
  void AppendFloatHistogram(Timestamp timestamp, FloatHistogram histogram);
  // Sets the start timestamp of the sample that was appended last; 0 is none. REQUIRES: !empty().
  void SetStartTimestamp(Timestamp start);
  // Appends a sample of any kind of another buffer, its start timestamp included.
  void AppendFrom(const SampleBuffer& other, size_t index);
  void AppendAll(const SampleBuffer& other) { AppendRange(other, 0, other.size()); }
  // The samples [begin, end) of it.
  void AppendRange(const SampleBuffer& other, size_t begin, size_t end);
  // The histogram that was appended last, unless it is a gauge or a float, says no more whether
  // there was a counter reset before it. REQUIRES: !empty().
  void ForgetResetHint();
  // Leaves floats alone: histograms go, but those that are staleness markers become such floats.
  void DropHistograms();
  void Reserve(size_t count) {
    timestamps_.reserve(count);
    values_.reserve(count);
  }
  // New samples are floats.
  void Resize(size_t count) {
    if (extras_) ResizeExtras(count);
    timestamps_.resize(count);
    values_.resize(count);
  }
  // Keeps of the samples from `base` on those for whose index `keep` is true, which is asked in
  // order.
  template <typename Keep>
  void Filter(size_t base, Keep keep) {
    size_t kept = base;
    for (size_t i = base; i < size(); ++i) {
      if (!keep(i)) continue;
      if (kept != i) Move(i, kept);
      ++kept;
    }
    Truncate(kept);
  }

  size_t size() const { return timestamps_.size(); }
  bool empty() const { return timestamps_.empty(); }
  std::span<const Timestamp> timestamps() const { return timestamps_; }
  std::span<const double> values() const { return values_; }
  // Empty when no sample has one; 0 for a sample without.
  std::span<const Timestamp> start_timestamps() const { return start_timestamps_; }
  bool has_histograms() const { return !kinds_.empty(); }
  SampleKind kind(size_t index) const {
    return kinds_.empty() ? SampleKind::kFloat : kinds_[index];
  }
  // REQUIRES: kind(index) is kHistogram, or kFloatHistogram.
  const Histogram& histogram(size_t index) const { return histograms_[places_[index]]; }
  const FloatHistogram& float_histogram(size_t index) const {
    return float_histograms_[places_[index]];
  }
  // To change what is said of a histogram; its sum must stay.
  FloatHistogram* mutable_float_histogram(size_t index) {
    return &float_histograms_[places_[index]];
  }
  // For decoders that write in place after Resize().
  Timestamp* mutable_timestamps() { return timestamps_.data(); }
  double* mutable_values() { return values_.data(); }
  // What histograms hold outside of their own records is not counted.
  size_t memory_bytes() const {
    return timestamps_.capacity() * sizeof(Timestamp) + values_.capacity() * sizeof(double) +
           start_timestamps_.capacity() * sizeof(Timestamp) + kinds_.capacity() +
           places_.capacity() * sizeof(uint32_t) + histograms_.capacity() * sizeof(Histogram) +
           float_histograms_.capacity() * sizeof(FloatHistogram);
  }

 private:
  void ClearExtras();
  void GrowExtras();                // After a float was appended.
  void ResizeExtras(size_t count);  // Before the columns are.
  void NeedKinds();
  void Move(size_t from, size_t to);  // REQUIRES: to < from.
  // Shortens the columns after such moves: histograms that nothing names any more stay in their
  // lists until Clear().
  void Truncate(size_t count);

  std::vector<Timestamp> timestamps_;
  std::vector<double> values_;
  bool extras_ = false;  // One of the columns below is there.
  std::vector<Timestamp> start_timestamps_;
  std::vector<SampleKind> kinds_;
  // Of a histogram: its place in the list of its kind. They grow with the index.
  std::vector<uint32_t> places_;
  std::vector<Histogram> histograms_;
  std::vector<FloatHistogram> float_histograms_;
};

}  // namespace narthex

#endif  // NARTHEX_LIB_MODEL_SAMPLE_BUFFER_H_
