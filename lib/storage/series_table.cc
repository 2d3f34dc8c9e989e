#include "lib/storage/series_table.h"

#include <algorithm>

#include "lib/base/check.h"

namespace narthex::storage {

SeriesNumber SeriesTable::Add(const Labels& labels) {
  MutexLock lock(&mu_);
  if (slots_.empty()) slots_.emplace_back();  // Slot 0 is no series.
  uint32_t index;
  if (free_.empty()) {
    index = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Slot& slot = slots_[index];
  slot.labels = labels;
  slot.used = true;
  ++used_;
  return (static_cast<uint64_t>(slot.generation) << 32) | index;
}

Labels SeriesTable::Find(SeriesNumber number) const {
  MutexLock lock(&mu_);
  const uint32_t index = SeriesSlot(number);
  if (index >= slots_.size()) return {};
  const Slot& slot = slots_[index];
  if (!slot.used || slot.generation != SeriesGeneration(number)) return {};
  return slot.labels;
}

void SeriesTable::Retire(std::span<const SeriesNumber> numbers, uint64_t last_sequence) {
  MutexLock lock(&mu_);
  // Kept in order of sequence, also when two threads retire at once.
  const uint64_t sequence =
      retired_.empty() ? last_sequence : std::max(last_sequence, retired_.back().first);
  for (const SeriesNumber number : numbers) retired_.emplace_back(sequence, number);
}

void SeriesTable::ReleaseThrough(uint64_t sequence) {
  MutexLock lock(&mu_);
  while (!retired_.empty() && retired_.front().first <= sequence) {
    FreeLocked(retired_.front().second);
    retired_.pop_front();
  }
}

void SeriesTable::Release(std::span<const SeriesNumber> numbers) {
  MutexLock lock(&mu_);
  for (const SeriesNumber number : numbers) FreeLocked(number);
}

size_t SeriesTable::size() const {
  MutexLock lock(&mu_);
  return used_;
}

void SeriesTable::FreeLocked(SeriesNumber number) {
  const uint32_t index = SeriesSlot(number);
  NARTHEX_CHECK(index < slots_.size());
  Slot& slot = slots_[index];
  NARTHEX_CHECK(slot.used && slot.generation == SeriesGeneration(number));
  slot.labels = Labels();
  slot.used = false;
  ++slot.generation;
  --used_;
  free_.push_back(index);
}

}  // namespace narthex::storage
