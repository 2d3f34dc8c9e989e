#include "services/query/promql/window_placement.h"

#include <algorithm>

namespace narthex::promql {
namespace {

// One border of the windows: how many samples are at or before a time that never goes back.
class Border {
 public:
  explicit Border(std::span<const Timestamp> timestamps)
      : times_(timestamps.data()), size_(timestamps.size()) {}

  // Samples mostly come at one pace, so the border goes on by as many as at the step before.
  size_t MoveTo(Timestamp time) {
    const size_t guess = at_ + pace_;
    if (guess <= size_ && (pace_ == 0 || times_[guess - 1] <= time) &&
        (guess == size_ || times_[guess] > time)) {
      return at_ = guess;
    }
    const size_t from = at_;
    // In strides that double, as a border may be far away.
    size_t stride = 1;
    while (at_ + stride <= size_ && times_[at_ + stride - 1] <= time) {
      at_ += stride;
      stride *= 2;
    }
    const Timestamp* const end = times_ + std::min(size_, at_ + stride);
    at_ = static_cast<size_t>(std::upper_bound(times_ + at_, end, time) - times_);
    pace_ = at_ - from;
    return at_;
  }

 private:
  const Timestamp* const times_;
  const size_t size_;
  size_t at_ = 0;
  size_t pace_ = 0;
};

// Adds the neighbours that an anchored or smoothed range looks at.
void Extend(const WindowSpec& spec, std::span<const Timestamp> timestamps, Timestamp last,
            Window* window) {
  const Timestamp oldest = last - spec.range_ms - spec.lookback_ms;
  if (window->begin > 0 && timestamps[window->begin - 1] > oldest) --window->begin;
  const bool exact = window->size() > 0 && timestamps[window->end - 1] == last;
  if (spec.smoothed && !exact && window->end < timestamps.size() &&
      timestamps[window->end] <= last + spec.lookback_ms) {
    ++window->end;
  }
}

}  // namespace

size_t PlaceWindows(const WindowSpec& spec, std::span<const Timestamp> timestamps,
                    std::vector<Window>* windows) {
  windows->resize(spec.grid.count);
  Border begin(timestamps);
  Border end(timestamps);
  size_t used = 0;
  Window* window = windows->data();
  for (size_t i = 0; i < spec.grid.count; ++i, ++window) {
    const Timestamp last = spec.End(i);
    window->begin = begin.MoveTo(last - spec.range_ms);
    window->end = end.MoveTo(last);
    if (spec.extended()) Extend(spec, timestamps, last, window);
    used += window->size();
  }
  return used;
}

}  // namespace narthex::promql
