#include "services/storage/remote/series_cache.h"

#include <atomic>
#include <random>

#include "lib/base/check.h"

namespace narthex::storage_remote {
namespace {

constexpr int kReferenceShift = 24;
constexpr uint64_t kReferenceEnd = uint64_t{1} << 40;
constexpr uint64_t kPeriodMask = 0xff;
constexpr uint64_t kCheckMask = 0xffff00;
constexpr int64_t kPeriodMs = 60 * 60 * 1000;
constexpr size_t kPlacesMin = 1024;

uint64_t PeriodOf(Timestamp now) { return static_cast<uint64_t>(now / kPeriodMs) & kPeriodMask; }
uint64_t CheckOf(const Hash128& key) { return key.high << 8 & kCheckMask; }

// A value that readers renew beside each other.
std::atomic_ref<uint64_t> Shared(const uint64_t& value) {
  return std::atomic_ref<uint64_t>(const_cast<uint64_t&>(value));
}

uint64_t RandomSeed() {
  std::random_device device;
  return static_cast<uint64_t>(device()) << 32 | device();
}

// Places stay at most seven eighths full, so that a miss ends soon.
size_t RoomOf(size_t places) { return places - places / 8; }

}  // namespace

SeriesCache::SeriesCache(size_t entries_max)
    : entries_max_(entries_max), seed_(RandomSeed()), entries_(kPlacesMin) {}

// The place of the key, or the free one where it would be.
size_t SeriesCache::FindPlace(std::span<const Entry> entries, const Hash128& key) {
  const size_t mask = entries.size() - 1;
  const uint64_t check = CheckOf(key);
  for (size_t place = key.low & mask;; place = (place + 1) & mask) {
    const uint64_t value = Shared(entries[place].value).load(std::memory_order_relaxed);
    if (value == 0 || (entries[place].low == key.low && (value & kCheckMask) == check)) {
      return place;
    }
  }
}

void SeriesCache::Find(std::span<const Hash128> keys, Timestamp now,
                       std::span<storage::SeriesRef> references) const {
  NARTHEX_CHECK(keys.size() == references.size());
  const uint64_t period = PeriodOf(now);
  constexpr size_t kAhead = 12;
  ReaderMutexLock lock(&mu_);
  const size_t mask = entries_.size() - 1;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (i + kAhead < keys.size()) __builtin_prefetch(&entries_[keys[i + kAhead].low & mask], 1);
    const uint64_t& value = entries_[FindPlace(entries_, keys[i])].value;
    const uint64_t found = Shared(value).load(std::memory_order_relaxed);
    references[i] = found >> kReferenceShift;
    if (references[i] != 0 && (found & kPeriodMask) != period) {
      Shared(value).store((found & ~kPeriodMask) | period, std::memory_order_relaxed);
    }
  }
}

void SeriesCache::Insert(std::span<const Hash128> keys,
                         std::span<const storage::SeriesRef> references, Timestamp now) {
  NARTHEX_CHECK(keys.size() == references.size());
  const uint64_t period = PeriodOf(now);
  WriterMutexLock lock(&mu_);
  MakeRoomLocked(keys.size(), period);
  for (size_t i = 0; i < keys.size(); ++i) {
    if (references[i] >= kReferenceEnd) continue;
    Entry& entry = entries_[FindPlace(entries_, keys[i])];
    if (entry.value == 0) {
      if (references[i] == 0 || used_ >= RoomOf(entries_.size())) continue;
      ++used_;
    }
    // A forgotten key keeps its place, without a reference, until the table is made anew: what lies
    // behind it must still be found. Its check may be 0, so the period must not be.
    entry.low = keys[i].low;
    entry.value = references[i] << kReferenceShift | CheckOf(keys[i]) | period;
    if (entry.value == 0) entry.value = 1;
  }
}

void SeriesCache::MakeRoomLocked(size_t more, uint64_t period) {
  if (used_ + more <= RoomOf(entries_.size())) return;
  const auto is_recent = [period](const Entry& entry) {
    return entry.value >> kReferenceShift != 0 &&
           ((period - (entry.value & kPeriodMask)) & kPeriodMask) <= 1;
  };
  size_t recent = 0;
  for (const Entry& entry : entries_) recent += is_recent(entry) ? 1 : 0;
  if (recent + more > entries_max_) recent = 0;  // They come again soon enough.
  size_t places = kPlacesMin;
  // Half full at the start, so that the work is not done again soon.
  while (places / 2 < recent + more && RoomOf(places) < entries_max_) places *= 2;
  std::vector<Entry> entries(places);
  used_ = 0;
  if (recent > 0) {
    for (const Entry& entry : entries_) {
      if (!is_recent(entry)) continue;
      Hash128 key;
      key.low = entry.low;
      key.high = (entry.value & kCheckMask) >> 8;
      entries[FindPlace(entries, key)] = entry;
      ++used_;
    }
  }
  entries_.swap(entries);
}

size_t SeriesCache::size() const {
  ReaderMutexLock lock(&mu_);
  return used_;
}

size_t SeriesCache::memory_bytes() const {
  ReaderMutexLock lock(&mu_);
  return entries_.capacity() * sizeof(Entry);
}

}  // namespace narthex::storage_remote
