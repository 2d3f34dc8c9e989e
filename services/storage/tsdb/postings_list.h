#ifndef NARTHEX_SERVICES_STORAGE_TSDB_POSTINGS_LIST_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_POSTINGS_LIST_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "services/storage/tsdb/series.h"

namespace narthex::tsdb {

// One bit a slot.
using SlotBits = std::vector<uint64_t>;

// The series that have one label pair: a set of slots in 16 bytes and what it needs on the heap.
// Most pairs of a large head belong to one series, so two slots lie inside; a few lie in a sorted
// array; more are split by their upper 16 bits into containers that are sorted arrays of the lower
// 16 bits or, from 4,096 slots on, a bit for each of 65,536. So a slot costs two bytes or less, and
// one in the middle is added and removed as cheaply as one at the end. Thread safety: as an int.
class PostingsList {
 public:
  PostingsList() : inline_{} {}
  ~PostingsList() { Clear(); }
  PostingsList(const PostingsList&) = delete;
  PostingsList& operator=(const PostingsList&) = delete;

  // False when it was there (Add), or was not (Remove). What the heap holds more or less is added
  // to *heap_bytes.
  bool Add(Slot slot, size_t* heap_bytes);
  bool Remove(Slot slot, size_t* heap_bytes);
  void Clear();
  bool Contains(Slot slot) const;

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  size_t heap_bytes() const;

  // Appends all slots, ascending.
  void AppendTo(std::vector<Slot>* slots) const;
  // Sets the bits of all slots. REQUIRES: there are bits for them.
  void SetIn(SlotBits* bits) const;
  // Keeps in *slots (ascending) what is also, or (`subtract`) what is not, in this list.
  void Narrow(bool subtract, std::vector<Slot>* slots) const;
  // Whether `accept` is true of some slot; asked in ascending order until it is.
  template <typename Accept>
  bool Any(const Accept& accept) const {
    for (size_t i = 0; i < pieces(); ++i) {
      const Piece piece = PieceAt(i);
      for (const Slot slot : piece.slots) {
        if (accept(slot)) return true;
      }
      for (const uint16_t low : piece.lows) {
        if (accept(piece.base | low)) return true;
      }
      for (size_t word = 0; word < piece.words.size(); ++word) {
        for (uint64_t left = piece.words[word]; left != 0; left &= left - 1) {
          const auto bit = static_cast<Slot>(std::countr_zero(left));
          if (accept(piece.base | static_cast<Slot>(word * 64) | bit)) return true;
        }
      }
    }
    return false;
  }

 private:
  static constexpr uint32_t kInline = 2;
  static constexpr uint32_t kArrayMax = 64;          // Beyond it there are containers.
  static constexpr uint32_t kLowsMax = 4096;         // Of one container; beyond it there are bits.
  static constexpr uint32_t kContainers = 1u << 31;  // In mode_: its low bits are their number.
  static constexpr size_t kWords = (1 << 16) / 64;

  // The slots with one upper half.
  struct Container {
    uint16_t high;
    uint16_t capacity;  // Of lows; 0 when there are bits.
    uint32_t count;
    union {
      uint16_t* lows;
      uint64_t* words;
    };
    bool has_bits() const { return capacity == 0; }
    size_t heap_bytes() const {
      return has_bits() ? kWords * sizeof(uint64_t) : capacity * sizeof(uint16_t);
    }
    std::span<const uint16_t> low_halves() const { return {lows, count}; }
  };
  // A view of a part: one of the three spans has its slots.
  struct Piece {
    Slot base = 0;
    std::span<const Slot> slots;
    std::span<const uint16_t> lows;
    std::span<const uint64_t> words;
  };
  bool has_containers() const { return (mode_ & kContainers) != 0; }
  uint32_t containers() const { return mode_ & ~kContainers; }
  std::span<const Slot> array() const { return {mode_ == 0 ? inline_ : array_, size_}; }
  size_t pieces() const { return has_containers() ? containers() : 1; }
  Piece PieceAt(size_t index) const;
  // The container of the upper half, or where it belongs.
  Container* FindContainer(uint16_t high) const;
  Container* AddContainer(uint16_t high);
  void RemoveContainer(Container* container);
  void ToContainers();
  bool AddToArray(Slot slot);
  bool AddToContainer(Slot slot, size_t* heap_bytes);
  bool RemoveFromContainer(Slot slot, size_t* heap_bytes);

  union {
    Slot inline_[kInline];
    Slot* array_;
    Container* containers_;  // By upper half, in an array with room up to a power of two.
  };
  uint32_t size_ = 0;
  // 0: inline; kContainers | number: containers; else the capacity of the array.
  uint32_t mode_ = 0;
};

// Keeps in *slots what is also (or, `subtract`, what is not) in `other`. Both are ascending; where
// one is much shorter the other is searched, not walked.
void IntersectSlots(std::span<const Slot> other, bool subtract, std::vector<Slot>* slots);

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_POSTINGS_LIST_H_
