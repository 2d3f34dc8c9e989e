#include "services/storage/tsdb/postings_list.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "lib/base/check.h"

namespace narthex::tsdb {
namespace {

// Moves `*at` to the first place at or after it that is not below `slot`, by doubling steps.
template <typename T>
void Gallop(std::span<const T> slots, T slot, size_t* at) {
  size_t step = 1;
  size_t low = *at;
  size_t high = low;
  while (high < slots.size() && slots[high] < slot) {
    low = high + 1;
    high += step;
    step *= 2;
  }
  high = std::min(high, slots.size());
  *at = static_cast<size_t>(std::lower_bound(slots.begin() + static_cast<ptrdiff_t>(low),
                                             slots.begin() + static_cast<ptrdiff_t>(high), slot) -
                            slots.begin());
}

template <typename T>
T* Allocate(T* old, size_t count) {
  T* const memory = static_cast<T*>(std::realloc(static_cast<void*>(old), count * sizeof(T)));
  NARTHEX_CHECK(memory != nullptr);
  return memory;
}

uint16_t High(Slot slot) { return static_cast<uint16_t>(slot >> 16); }
uint16_t Low(Slot slot) { return static_cast<uint16_t>(slot); }

uint32_t Grown(uint32_t capacity, uint32_t max) {
  return std::min(max, capacity + std::max<uint32_t>(4, capacity / 4));
}

// Opens a place at `at` of an array of `count` elements that has room.
template <typename T>
void Insert(T* array, size_t count, size_t at, T value) {
  std::memmove(array + at + 1, array + at, (count - at) * sizeof(T));
  array[at] = value;
}

template <typename T>
void Erase(T* array, size_t count, size_t at) {
  std::memmove(array + at, array + at + 1, (count - at - 1) * sizeof(T));
}

}  // namespace

PostingsList::Container* PostingsList::FindContainer(uint16_t high) const {
  Container* const end = containers_ + containers();
  // New slots are mostly the greatest.
  if (end[-1].high == high) return end - 1;
  return std::lower_bound(containers_, end, high, [](const Container& container, uint16_t wanted) {
    return container.high < wanted;
  });
}

PostingsList::Container* PostingsList::AddContainer(uint16_t high) {
  const uint32_t count = containers();
  if (std::has_single_bit(count)) containers_ = Allocate(containers_, size_t{count} * 2);
  Container* const place =
      count > 0 ? FindContainer(high) : containers_ = Allocate<Container>(nullptr, 1);
  const size_t at = static_cast<size_t>(place - containers_);
  constexpr uint16_t kFirstCapacity = 8;
  Container container{};
  container.high = high;
  container.capacity = kFirstCapacity;
  container.count = 0;
  container.lows = Allocate<uint16_t>(nullptr, kFirstCapacity);
  Insert(containers_, count, at, container);
  ++mode_;
  return containers_ + at;
}

void PostingsList::RemoveContainer(Container* container) {
  std::free(container->has_bits() ? static_cast<void*>(container->words) : container->lows);
  Erase(containers_, containers(), static_cast<size_t>(container - containers_));
  if (--mode_ != kContainers) return;
  std::free(static_cast<void*>(containers_));
  containers_ = nullptr;
  mode_ = 0;
  NARTHEX_DCHECK(size_ == 0);
}

void PostingsList::ToContainers() {
  Slot slots[kArrayMax];
  const uint32_t count = size_;
  NARTHEX_CHECK(count <= kArrayMax);
  std::memcpy(slots, array().data(), count * sizeof(Slot));
  Clear();
  mode_ = kContainers;
  AddContainer(High(slots[0]));
  size_t counted_by_caller = 0;
  for (uint32_t i = 0; i < count; ++i) AddToContainer(slots[i], &counted_by_caller);
}

bool PostingsList::AddToArray(Slot slot) {
  const std::span<const Slot> slots = array();
  const size_t at =
      static_cast<size_t>(std::lower_bound(slots.begin(), slots.end(), slot) - slots.begin());
  if (at < slots.size() && slots[at] == slot) return false;
  if (mode_ == 0 && size_ < kInline) {
    Insert(inline_, size_++, at, slot);
    return true;
  }
  if (mode_ == 0) {
    constexpr uint32_t kFirstCapacity = 4;
    Slot* const array = Allocate<Slot>(nullptr, kFirstCapacity);
    std::memcpy(array, inline_, sizeof inline_);
    array_ = array;
    mode_ = kFirstCapacity;
  } else if (size_ == mode_) {
    mode_ = Grown(mode_, kArrayMax);
    array_ = Allocate(array_, mode_);
  }
  Insert(array_, size_++, at, slot);
  return true;
}

bool PostingsList::AddToContainer(Slot slot, size_t* heap_bytes) {
  Container* container = FindContainer(High(slot));
  if (container == containers_ + containers() || container->high != High(slot)) {
    *heap_bytes -= this->heap_bytes();
    container = AddContainer(High(slot));
    *heap_bytes += this->heap_bytes();
  }
  const uint16_t low = Low(slot);
  if (container->has_bits()) {
    uint64_t& word = container->words[low / 64];
    const uint64_t bit = uint64_t{1} << low % 64;
    if ((word & bit) != 0) return false;
    word |= bit;
    ++container->count;
    ++size_;
    return true;
  }
  const std::span<const uint16_t> lows = container->low_halves();
  const size_t at =
      lows.empty() || lows.back() < low
          ? lows.size()
          : static_cast<size_t>(std::lower_bound(lows.begin(), lows.end(), low) - lows.begin());
  if (at < lows.size() && lows[at] == low) return false;
  *heap_bytes -= container->heap_bytes();
  if (container->count == kLowsMax) {
    uint64_t* const words = static_cast<uint64_t*>(std::calloc(kWords, sizeof(uint64_t)));
    NARTHEX_CHECK(words != nullptr);
    for (const uint16_t one : lows) words[one / 64] |= uint64_t{1} << one % 64;
    words[low / 64] |= uint64_t{1} << low % 64;
    std::free(container->lows);
    container->words = words;
    container->capacity = 0;
  } else {
    if (container->count == container->capacity) {
      container->capacity = static_cast<uint16_t>(Grown(container->capacity, kLowsMax));
      container->lows = Allocate(container->lows, container->capacity);
    }
    Insert(container->lows, container->count, at, low);
  }
  *heap_bytes += container->heap_bytes();
  ++container->count;
  ++size_;
  return true;
}

bool PostingsList::Add(Slot slot, size_t* heap_bytes) {
  if (has_containers()) return AddToContainer(slot, heap_bytes);
  *heap_bytes -= this->heap_bytes();
  bool added;
  if (size_ < kArrayMax) {
    added = AddToArray(slot);
    *heap_bytes += this->heap_bytes();
    return added;
  }
  added = !Contains(slot);
  if (added) ToContainers();
  *heap_bytes += this->heap_bytes();
  return added && AddToContainer(slot, heap_bytes);
}

bool PostingsList::RemoveFromContainer(Slot slot, size_t* heap_bytes) {
  Container* const container = FindContainer(High(slot));
  if (container == containers_ + containers() || container->high != High(slot)) return false;
  const uint16_t low = Low(slot);
  if (container->has_bits()) {
    uint64_t& word = container->words[low / 64];
    const uint64_t bit = uint64_t{1} << low % 64;
    if ((word & bit) == 0) return false;
    word &= ~bit;
    --container->count;
    --size_;
    // Well below the number at which an array becomes bits, so that they do not take turns.
    if (container->count == kLowsMax / 2) {
      *heap_bytes -= container->heap_bytes();
      uint64_t* const words = container->words;
      const auto capacity = static_cast<uint16_t>(Grown(container->count, kLowsMax));
      uint16_t* const lows = Allocate<uint16_t>(nullptr, capacity);
      size_t count = 0;
      for (size_t i = 0; i < kWords; ++i) {
        for (uint64_t left = words[i]; left != 0; left &= left - 1) {
          lows[count++] =
              static_cast<uint16_t>(i * 64 + static_cast<size_t>(std::countr_zero(left)));
        }
      }
      std::free(words);
      container->lows = lows;
      container->capacity = capacity;
      *heap_bytes += container->heap_bytes();
    }
    return true;
  }
  const std::span<const uint16_t> lows = container->low_halves();
  const auto found = std::lower_bound(lows.begin(), lows.end(), low);
  if (found == lows.end() || *found != low) return false;
  Erase(container->lows, container->count--, static_cast<size_t>(found - lows.begin()));
  --size_;
  if (container->count == 0) {
    *heap_bytes -= this->heap_bytes();
    RemoveContainer(container);
    *heap_bytes += this->heap_bytes();
  } else if (container->count < container->capacity / 4) {
    *heap_bytes -= container->heap_bytes();
    container->capacity = static_cast<uint16_t>(Grown(container->count, kLowsMax));
    container->lows = Allocate(container->lows, container->capacity);
    *heap_bytes += container->heap_bytes();
  }
  return true;
}

bool PostingsList::Remove(Slot slot, size_t* heap_bytes) {
  if (has_containers()) return RemoveFromContainer(slot, heap_bytes);
  const std::span<const Slot> slots = array();
  const auto found = std::lower_bound(slots.begin(), slots.end(), slot);
  if (found == slots.end() || *found != slot) return false;
  Erase(mode_ == 0 ? inline_ : array_, size_--, static_cast<size_t>(found - slots.begin()));
  if (size_ == 0) {
    *heap_bytes -= this->heap_bytes();
    Clear();
  }
  return true;
}

void PostingsList::Clear() {
  if (has_containers()) {
    for (uint32_t i = 0; i < containers(); ++i) {
      Container& container = containers_[i];
      std::free(container.has_bits() ? static_cast<void*>(container.words) : container.lows);
    }
    std::free(static_cast<void*>(containers_));
  } else if (mode_ != 0) {
    std::free(array_);
  }
  containers_ = nullptr;
  mode_ = 0;
  size_ = 0;
}

bool PostingsList::Contains(Slot slot) const {
  if (!has_containers()) {
    const std::span<const Slot> slots = array();
    return std::binary_search(slots.begin(), slots.end(), slot);
  }
  const Container* const container = FindContainer(High(slot));
  if (container == containers_ + containers() || container->high != High(slot)) return false;
  const uint16_t low = Low(slot);
  if (container->has_bits()) return (container->words[low / 64] >> low % 64 & 1) != 0;
  const std::span<const uint16_t> lows = container->low_halves();
  return std::binary_search(lows.begin(), lows.end(), low);
}

size_t PostingsList::heap_bytes() const {
  if (!has_containers()) return mode_ * sizeof(Slot);
  size_t bytes = std::bit_ceil(containers()) * sizeof(Container);
  for (uint32_t i = 0; i < containers(); ++i) bytes += containers_[i].heap_bytes();
  return bytes;
}

PostingsList::Piece PostingsList::PieceAt(size_t index) const {
  Piece piece;
  if (!has_containers()) {
    piece.slots = array();
    return piece;
  }
  const Container& container = containers_[index];
  piece.base = Slot{container.high} << 16;
  if (container.has_bits()) {
    piece.words = {container.words, kWords};
  } else {
    piece.lows = container.low_halves();
  }
  return piece;
}

void PostingsList::AppendTo(std::vector<Slot>* slots) const {
  slots->reserve(slots->size() + size_);
  Any([slots](Slot slot) {
    slots->push_back(slot);
    return false;
  });
}

void PostingsList::SetIn(SlotBits* bits) const {
  for (size_t i = 0; i < pieces(); ++i) {
    const Piece piece = PieceAt(i);
    if (!piece.words.empty()) {
      const size_t first = piece.base / 64;
      const size_t end = std::min(piece.words.size(), bits->size() - first);
      for (size_t word = 0; word < end; ++word) (*bits)[first + word] |= piece.words[word];
      continue;
    }
    for (const Slot slot : piece.slots) (*bits)[slot / 64] |= uint64_t{1} << slot % 64;
    for (const uint16_t low : piece.lows) {
      const Slot slot = piece.base | low;
      (*bits)[slot / 64] |= uint64_t{1} << slot % 64;
    }
  }
}

void PostingsList::Narrow(bool subtract, std::vector<Slot>* slots) const {
  if (!has_containers()) {
    IntersectSlots(array(), subtract, slots);
    return;
  }
  size_t kept = 0;
  size_t index = 0;
  size_t at = 0;  // In the lows of the container.
  std::span<const uint16_t> lows =
      containers_[0].has_bits() ? std::span<const uint16_t>() : containers_[0].low_halves();
  const auto has = [&](Slot slot) {
    const uint16_t high = High(slot);
    while (containers_[index].high < high) {
      if (index + 1 == containers()) return false;
      ++index;
      at = 0;
      lows = containers_[index].has_bits() ? std::span<const uint16_t>()
                                           : containers_[index].low_halves();
    }
    const Container& container = containers_[index];
    if (container.high != high) return false;
    const uint16_t low = Low(slot);
    if (container.has_bits()) return (container.words[low / 64] >> low % 64 & 1) != 0;
    Gallop(lows, low, &at);
    return at < lows.size() && lows[at] == low;
  };
  for (const Slot slot : *slots) {
    // Without a branch: what is kept follows no pattern.
    (*slots)[kept] = slot;
    kept += has(slot) != subtract ? 1 : 0;
  }
  slots->resize(kept);
}

void IntersectSlots(std::span<const Slot> other, bool subtract, std::vector<Slot>* slots) {
  constexpr size_t kMuchShorter = 16;
  size_t kept = 0;
  size_t at = 0;
  if (!subtract && other.size() * kMuchShorter < slots->size()) {
    const std::span<const Slot> mine = *slots;
    std::vector<Slot> both;
    both.reserve(other.size());
    for (const Slot slot : other) {
      Gallop(mine, slot, &at);
      if (at == mine.size()) break;
      if (mine[at] == slot) both.push_back(slot);
    }
    *slots = std::move(both);
    return;
  }
  const bool search = slots->size() * kMuchShorter < other.size();
  for (const Slot slot : *slots) {
    if (search) {
      Gallop(other, slot, &at);
    } else {
      while (at < other.size() && other[at] < slot) ++at;
    }
    const bool found = at < other.size() && other[at] == slot;
    if (found != subtract) (*slots)[kept++] = slot;
  }
  slots->resize(kept);
}

}  // namespace narthex::tsdb
