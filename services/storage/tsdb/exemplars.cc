#include "services/storage/tsdb/exemplars.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "lib/base/utf8.h"

namespace narthex::tsdb {
namespace {

// Characters, as upstream counts them.
size_t Characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xc0) != 0x80; }));
}

bool LabelsFit(std::span<const LabelView> labels) {
  size_t characters = 0;
  for (const LabelView& label : labels) {
    if (label.name.empty() || !IsValidUtf8(label.name) || !IsValidUtf8(label.value)) return false;
    characters += Characters(label.name) + Characters(label.value);
  }
  return characters <= ExemplarStore::kLabelCharactersMax;
}

// Below 0, 0 or above 0, as the labels come before, are the same as, or come after the others.
int CompareLabels(std::span<const LabelView> views, const Labels& labels) {
  size_t at = 0;
  for (const LabelView label : labels) {
    if (at == views.size()) return -1;
    if (const int order = views[at].name.compare(label.name); order != 0) return order;
    if (const int order = views[at].value.compare(label.value); order != 0) return order;
    ++at;
  }
  return at < views.size() ? 1 : 0;
}

size_t TextBytes(const Labels& labels) {
  size_t bytes = 0;
  for (const LabelView label : labels) bytes += label.name.size() + label.value.size();
  return bytes;
}

}  // namespace

void ExemplarStore::Resize(size_t exemplars_max) {
  MutexLock lock(&mu_);
  while (size_ > exemplars_max) DropOldestLocked();
  // In order from the oldest, in a ring of the new size.
  std::vector<Entry> old = std::move(ring_);
  const size_t first = first_;
  const size_t size = size_;
  ring_.clear();
  series_.clear();
  first_ = size_ = text_bytes_ = 0;
  exemplars_max_ = exemplars_max;
  for (size_t i = 0; i < size; ++i) {
    Entry& entry = old[(first + i) % old.size()];
    AddLocked(entry.slot, std::move(entry.exemplar));
  }
}

size_t ExemplarStore::exemplars_max() const {
  MutexLock lock(&mu_);
  return exemplars_max_;
}

ExemplarStore::Outcome ExemplarStore::CheckLocked(Slot slot, Timestamp timestamp, double value,
                                                  std::span<const LabelView> labels) const {
  if (exemplars_max_ == 0) return Outcome::kOff;
  if (!LabelsFit(labels)) return Outcome::kInvalid;
  const auto found = series_.find(slot);
  if (found == series_.end()) return Outcome::kStored;
  const Exemplar& newest = ring_[found->second.newest].exemplar;
  if (timestamp != newest.timestamp) {
    return timestamp < newest.timestamp ? Outcome::kOutOfOrder : Outcome::kStored;
  }
  // Those of one time have an order too, so that what is sent again is not stored again.
  if (std::bit_cast<uint64_t>(value) != std::bit_cast<uint64_t>(newest.value)) {
    return value < newest.value ? Outcome::kOutOfOrder : Outcome::kStored;
  }
  const int order = CompareLabels(labels, newest.labels);
  if (order == 0) return Outcome::kRepeated;
  return order < 0 ? Outcome::kOutOfOrder : Outcome::kStored;
}

ExemplarStore::Outcome ExemplarStore::Check(Slot slot, Timestamp timestamp, double value,
                                            std::span<const LabelView> labels) const {
  ReaderMutexLock lock(&mu_);
  return CheckLocked(slot, timestamp, value, labels);
}

ExemplarStore::Outcome ExemplarStore::Add(Slot slot, Timestamp timestamp, double value,
                                          std::span<const LabelView> labels) {
  MutexLock lock(&mu_);
  const Outcome outcome = CheckLocked(slot, timestamp, value, labels);
  switch (outcome) {
    case Outcome::kStored:
      AddLocked(slot, {Labels::FromSorted(labels), timestamp, value});
      counters_.appended.fetch_add(1, std::memory_order_relaxed);
      break;
    case Outcome::kRepeated:
      counters_.repeated.fetch_add(1, std::memory_order_relaxed);
      break;
    case Outcome::kOutOfOrder:
      counters_.out_of_order.fetch_add(1, std::memory_order_relaxed);
      break;
    case Outcome::kInvalid:
      counters_.invalid.fetch_add(1, std::memory_order_relaxed);
      break;
    case Outcome::kOff:
      break;
  }
  return outcome;
}

void ExemplarStore::DropOldestLocked() {
  Entry& entry = ring_[first_];
  const auto found = series_.find(entry.slot);
  if (entry.next == kNone) {
    series_.erase(found);
  } else {
    found->second.oldest = entry.next;
  }
  text_bytes_ -= TextBytes(entry.exemplar.labels);
  entry = Entry();
  first_ = (first_ + 1) % ring_.size();
  --size_;
}

void ExemplarStore::AddLocked(Slot slot, Exemplar exemplar) {
  if (exemplars_max_ == 0) return;
  if (size_ == exemplars_max_) DropOldestLocked();
  if (ring_.size() < exemplars_max_ && first_ + size_ == ring_.size()) ring_.emplace_back();
  const auto at = static_cast<uint32_t>((first_ + size_) % ring_.size());
  ++size_;
  text_bytes_ += TextBytes(exemplar.labels);
  ring_[at] = {std::move(exemplar), slot, kNone};
  const auto [series, added] = series_.try_emplace(slot);
  if (added) {
    series->second.oldest = at;
  } else {
    ring_[series->second.newest].next = at;
  }
  series->second.newest = at;
}

std::vector<Exemplar> ExemplarStore::Select(Slot slot, Timestamp min_time,
                                            Timestamp max_time) const {
  std::vector<Exemplar> exemplars;
  ReaderMutexLock lock(&mu_);
  const auto found = series_.find(slot);
  if (found == series_.end()) return exemplars;
  for (uint32_t at = found->second.oldest; at != kNone; at = ring_[at].next) {
    const Exemplar& exemplar = ring_[at].exemplar;
    if (exemplar.timestamp >= min_time && exemplar.timestamp <= max_time) {
      exemplars.push_back(exemplar);
    }
  }
  return exemplars;
}

bool ExemplarStore::Has(Slot slot) const {
  ReaderMutexLock lock(&mu_);
  return series_.contains(slot);
}

void ExemplarStore::Visit(const std::function<void(Slot, const Exemplar&)>& visit) const {
  ReaderMutexLock lock(&mu_);
  for (size_t i = 0; i < size_; ++i) {
    const Entry& entry = ring_[(first_ + i) % ring_.size()];
    visit(entry.slot, entry.exemplar);
  }
}

size_t ExemplarStore::size() const {
  ReaderMutexLock lock(&mu_);
  return size_;
}

size_t ExemplarStore::series() const {
  ReaderMutexLock lock(&mu_);
  return series_.size();
}

Timestamp ExemplarStore::oldest_time() const {
  ReaderMutexLock lock(&mu_);
  return size_ == 0 ? kMaxTimestamp : ring_[first_].exemplar.timestamp;
}

size_t ExemplarStore::memory_bytes() const {
  ReaderMutexLock lock(&mu_);
  return ring_.capacity() * sizeof(Entry) + text_bytes_ +
         series_.capacity() * (sizeof(std::pair<Slot, Ends>) + 1);
}

}  // namespace narthex::tsdb
