#include "services/storage/tsdb/metadata_store.h"

#include <algorithm>
#include <string>

#include "lib/base/hash.h"

namespace narthex::tsdb {
namespace {

constexpr size_t kSegmentBits = 12;  // Of slots.
constexpr size_t kSegmentSize = size_t{1} << kSegmentBits;

}  // namespace

size_t MetadataStore::Hash::operator()(const Key& key) const {
  return FastHash(key.help) * 31 + FastHash(key.unit) + static_cast<size_t>(key.type);
}

size_t MetadataStore::Hash::operator()(uint32_t entry) const {
  const Metadata& metadata = (*entries)[entry].metadata;
  return (*this)(Key{metadata.type, metadata.help, metadata.unit});
}

bool MetadataStore::Equal::operator()(uint32_t entry, const Key& key) const {
  const Metadata& metadata = (*entries)[entry].metadata;
  return metadata.type == key.type && metadata.help == key.help && metadata.unit == key.unit;
}

uint32_t* MetadataStore::FindLocked(Slot slot) const {
  const size_t segment = slot >> kSegmentBits;
  if (segment >= slots_.size() || slots_[segment] == nullptr) return nullptr;
  return &slots_[segment][slot & (kSegmentSize - 1)];
}

void MetadataStore::ReleaseLocked(uint32_t entry) {
  if (--entries_[entry].series > 0) return;
  numbers_.erase(entry);
  entries_[entry].metadata = Metadata();
  free_.push_back(entry);
}

bool MetadataStore::IsNews(Slot slot, MetricType type, std::string_view help,
                           std::string_view unit) const {
  ReaderMutexLock lock(&mu_);
  const uint32_t* const place = FindLocked(slot);
  if (place == nullptr || *place == 0) return true;
  return !Equal{&entries_}(*place - 1, Key{type, help, unit});
}

bool MetadataStore::Set(Slot slot, MetricType type, std::string_view help, std::string_view unit) {
  MutexLock lock(&mu_);
  const size_t segment = slot >> kSegmentBits;
  if (segment >= slots_.size()) slots_.resize(segment + 1);
  if (slots_[segment] == nullptr) slots_[segment].reset(new uint32_t[kSegmentSize]());
  uint32_t& place = slots_[segment][slot & (kSegmentSize - 1)];
  const Key key{type, help, unit};
  if (place != 0 && Equal{&entries_}(place - 1, key)) return false;

  uint32_t entry;
  if (const auto found = numbers_.find(key); found != numbers_.end()) {
    entry = *found;
  } else {
    if (free_.empty()) {
      entry = static_cast<uint32_t>(entries_.Extend());
    } else {
      entry = free_.back();
      free_.pop_back();
    }
    entries_[entry].metadata = {type, std::string(help), std::string(unit)};
    numbers_.insert(entry);
  }
  ++entries_[entry].series;
  if (place != 0) ReleaseLocked(place - 1);
  place = entry + 1;
  return true;
}

bool MetadataStore::Get(Slot slot, Metadata* metadata) const {
  ReaderMutexLock lock(&mu_);
  const uint32_t* const place = FindLocked(slot);
  if (place == nullptr || *place == 0) return false;
  *metadata = entries_[*place - 1].metadata;
  return true;
}

void MetadataStore::Forget(std::span<const Slot> slots) {
  MutexLock lock(&mu_);
  for (const Slot slot : slots) {
    uint32_t* const place = FindLocked(slot);
    if (place == nullptr || *place == 0) continue;
    ReleaseLocked(*place - 1);
    *place = 0;
  }
}

std::vector<std::pair<Metadata, size_t>> MetadataStore::Distinct(
    std::span<const Slot> slots) const {
  ReaderMutexLock lock(&mu_);
  std::vector<uint32_t> entries;
  for (const Slot slot : slots) {
    const uint32_t* const place = FindLocked(slot);
    if (place != nullptr && *place != 0) entries.push_back(*place - 1);
  }
  std::sort(entries.begin(), entries.end());
  std::vector<std::pair<Metadata, size_t>> distinct;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i == 0 || entries[i] != entries[i - 1]) {
      distinct.emplace_back(entries_[entries[i]].metadata, 0);
    }
    ++distinct.back().second;
  }
  return distinct;
}

void MetadataStore::Visit(const std::function<void(Slot, const Metadata&)>& visit) const {
  ReaderMutexLock lock(&mu_);
  for (size_t segment = 0; segment < slots_.size(); ++segment) {
    if (slots_[segment] == nullptr) continue;
    for (size_t i = 0; i < kSegmentSize; ++i) {
      const uint32_t place = slots_[segment][i];
      if (place == 0) continue;
      visit(static_cast<Slot>(segment * kSegmentSize + i), entries_[place - 1].metadata);
    }
  }
}

size_t MetadataStore::entries() const {
  ReaderMutexLock lock(&mu_);
  return numbers_.size();
}

size_t MetadataStore::memory_bytes() const {
  ReaderMutexLock lock(&mu_);
  size_t bytes = entries_.memory_bytes();
  for (const auto& segment : slots_) {
    if (segment != nullptr) bytes += kSegmentSize * sizeof(uint32_t);
  }
  for (const uint32_t entry : numbers_) {
    const Metadata& metadata = entries_[entry].metadata;
    bytes += metadata.help.capacity() + metadata.unit.capacity();
  }
  return bytes;
}

}  // namespace narthex::tsdb
