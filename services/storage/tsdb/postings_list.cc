#include "services/storage/tsdb/postings_list.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "lib/base/check.h"

namespace narthex::tsdb {
namespace {

// Moves `*at` to the first place at or after it that is not below `slot`, by doubling steps.
void Gallop(std::span<const Slot> slots, Slot slot, size_t* at) {
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

}  // namespace

PostingsList::~PostingsList() {
  if (on_heap()) std::free(heap_);
}

void PostingsList::Add(Slot slot) {
  NARTHEX_DCHECK(size_ == 0 || slots().back() < slot);
  if (!on_heap() && size_ < kInline) {
    inline_[size_++] = slot;
    return;
  }
  if (!on_heap()) {
    constexpr uint32_t kFirstCapacity = 4;
    Slot* const heap = static_cast<Slot*>(std::malloc(kFirstCapacity * sizeof(Slot)));
    NARTHEX_CHECK(heap != nullptr);
    std::memcpy(heap, inline_, sizeof inline_);
    heap_ = heap;
    capacity_ = kFirstCapacity;
  } else if (size_ == capacity_) {
    const uint32_t capacity = capacity_ + capacity_ / 2;
    Slot* const heap = static_cast<Slot*>(std::realloc(heap_, capacity * sizeof(Slot)));
    NARTHEX_CHECK(heap != nullptr);
    heap_ = heap;
    capacity_ = capacity;
  }
  heap_[size_++] = slot;
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
