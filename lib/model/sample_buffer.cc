#include "lib/model/sample_buffer.h"

#include "lib/base/check.h"
#include "lib/model/stale.h"

namespace narthex {

void SampleBuffer::NeedKinds() {
  if (!kinds_.empty()) return;
  extras_ = true;
  kinds_.resize(timestamps_.size(), SampleKind::kFloat);
  places_.resize(timestamps_.size(), 0);
}

void SampleBuffer::AppendHistogram(Timestamp timestamp, Histogram histogram) {
  Append(timestamp, histogram.sum);
  NeedKinds();
  kinds_.back() = SampleKind::kHistogram;
  places_.back() = static_cast<uint32_t>(histograms_.size());
  histograms_.push_back(std::move(histogram));
}

void SampleBuffer::AppendFloatHistogram(Timestamp timestamp, FloatHistogram histogram) {
  Append(timestamp, histogram.sum);
  NeedKinds();
  kinds_.back() = SampleKind::kFloatHistogram;
  places_.back() = static_cast<uint32_t>(float_histograms_.size());
  float_histograms_.push_back(std::move(histogram));
}

void SampleBuffer::SetStartTimestamp(Timestamp start) {
  NARTHEX_DCHECK(!empty());
  if (start_timestamps_.empty()) {
    if (start == 0) return;
    extras_ = true;
    start_timestamps_.resize(timestamps_.size(), 0);
  }
  start_timestamps_.back() = start;
}

void SampleBuffer::AppendFrom(const SampleBuffer& other, size_t index) {
  const Timestamp timestamp = other.timestamps_[index];
  switch (other.kind(index)) {
    case SampleKind::kFloat:
      Append(timestamp, other.values_[index]);
      break;
    case SampleKind::kHistogram:
      AppendHistogram(timestamp, other.histogram(index));
      break;
    case SampleKind::kFloatHistogram:
      AppendFloatHistogram(timestamp, other.float_histogram(index));
      break;
  }
  if (!other.start_timestamps_.empty()) SetStartTimestamp(other.start_timestamps_[index]);
}

void SampleBuffer::AppendRange(const SampleBuffer& other, size_t begin, size_t end) {
  if (!extras_ && !other.extras_) {
    const auto add = [begin, end](const auto& from, auto* to) {
      to->insert(to->end(), from.begin() + static_cast<ptrdiff_t>(begin),
                 from.begin() + static_cast<ptrdiff_t>(end));
    };
    add(other.timestamps_, &timestamps_);
    add(other.values_, &values_);
    return;
  }
  Reserve(size() + end - begin);
  for (size_t i = begin; i < end; ++i) AppendFrom(other, i);
}

void SampleBuffer::ForgetResetHint() {
  NARTHEX_DCHECK(!empty());
  const auto forget = [](CounterResetHint* hint) {
    if (*hint != CounterResetHint::kGauge) *hint = CounterResetHint::kUnknown;
  };
  if (kind(size() - 1) == SampleKind::kHistogram) {
    forget(&histograms_[places_.back()].reset_hint);
  } else if (kind(size() - 1) == SampleKind::kFloatHistogram) {
    forget(&float_histograms_[places_.back()].reset_hint);
  }
}

void SampleBuffer::DropHistograms() {
  if (!has_histograms()) return;
  Filter(0, [&](size_t i) { return kinds_[i] == SampleKind::kFloat || IsStale(values_[i]); });
  kinds_.clear();
  places_.clear();
  histograms_.clear();
  float_histograms_.clear();
}

void SampleBuffer::ClearExtras() {
  extras_ = false;
  start_timestamps_.clear();
  kinds_.clear();
  places_.clear();
  histograms_.clear();
  float_histograms_.clear();
}

void SampleBuffer::GrowExtras() {
  if (!start_timestamps_.empty()) start_timestamps_.push_back(0);
  if (!kinds_.empty()) {
    kinds_.push_back(SampleKind::kFloat);
    places_.push_back(0);
  }
}

void SampleBuffer::ResizeExtras(size_t count) {
  if (!start_timestamps_.empty()) start_timestamps_.resize(count, 0);
  if (kinds_.empty()) return;
  // Places grow with the index: those of the samples that go are the last ones.
  for (size_t i = kinds_.size(); i > count; --i) {
    if (kinds_[i - 1] == SampleKind::kHistogram) histograms_.resize(places_[i - 1]);
    if (kinds_[i - 1] == SampleKind::kFloatHistogram) float_histograms_.resize(places_[i - 1]);
  }
  const bool none = histograms_.empty() && float_histograms_.empty();
  kinds_.resize(none ? 0 : count, SampleKind::kFloat);
  places_.resize(none ? 0 : count, 0);
}

void SampleBuffer::Move(size_t from, size_t to) {
  timestamps_[to] = timestamps_[from];
  values_[to] = values_[from];
  if (!start_timestamps_.empty()) start_timestamps_[to] = start_timestamps_[from];
  if (!kinds_.empty()) {
    kinds_[to] = kinds_[from];
    places_[to] = places_[from];
  }
}

void SampleBuffer::Truncate(size_t count) {
  timestamps_.resize(count);
  values_.resize(count);
  if (!start_timestamps_.empty()) start_timestamps_.resize(count);
  if (kinds_.empty()) return;
  kinds_.resize(count);
  places_.resize(count);
}

}  // namespace narthex
