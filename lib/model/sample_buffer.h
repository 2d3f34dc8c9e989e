#ifndef NARTHEX_LIB_MODEL_SAMPLE_BUFFER_H_
#define NARTHEX_LIB_MODEL_SAMPLE_BUFFER_H_

#include <cstddef>
#include <span>
#include <vector>

#include "lib/model/timestamp.h"

namespace narthex {

// The samples of one series as columns, in time order without duplicates: what chunks decode into
// and what the query engine computes on. Reused from series to series. (Histogram columns join the
// two below.) Thread safety: none.
class SampleBuffer {
 public:
  void Clear() {
    timestamps_.clear();
    values_.clear();
  }
  void Append(Timestamp timestamp, double value) {
    timestamps_.push_back(timestamp);
    values_.push_back(value);
  }
  void Reserve(size_t count) {
    timestamps_.reserve(count);
    values_.reserve(count);
  }
  void Resize(size_t count) {
    timestamps_.resize(count);
    values_.resize(count);
  }
  size_t size() const { return timestamps_.size(); }
  bool empty() const { return timestamps_.empty(); }
  std::span<const Timestamp> timestamps() const { return timestamps_; }
  std::span<const double> values() const { return values_; }
  // For decoders that write in place after Resize().
  Timestamp* mutable_timestamps() { return timestamps_.data(); }
  double* mutable_values() { return values_.data(); }
  size_t memory_bytes() const {
    return timestamps_.capacity() * sizeof(Timestamp) + values_.capacity() * sizeof(double);
  }

 private:
  std::vector<Timestamp> timestamps_;
  std::vector<double> values_;
};

}  // namespace narthex

#endif  // NARTHEX_LIB_MODEL_SAMPLE_BUFFER_H_
