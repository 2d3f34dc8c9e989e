#ifndef NARTHEX_SERVICES_STORAGE_TSDB_POSTINGS_LIST_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_POSTINGS_LIST_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "services/storage/tsdb/series.h"

namespace narthex::tsdb {

// The series that have one label pair, ascending; 16 bytes, of which two numbers lie inside,
// because most pairs of a large head belong to one series. Thread safety: as an int.
class PostingsList {
 public:
  PostingsList() : inline_{} {}
  ~PostingsList();
  PostingsList(const PostingsList&) = delete;
  PostingsList& operator=(const PostingsList&) = delete;

  // REQUIRES: `slot` is greater than all before.
  void Add(Slot slot);
  std::span<const Slot> slots() const { return {on_heap() ? heap_ : inline_, size_}; }
  size_t size() const { return size_; }
  size_t heap_bytes() const { return capacity_ * sizeof(Slot); }

 private:
  static constexpr uint32_t kInline = 2;
  bool on_heap() const { return capacity_ != 0; }

  union {
    Slot inline_[kInline];
    Slot* heap_;
  };
  uint32_t size_ = 0;
  uint32_t capacity_ = 0;  // 0 while inline.
};

// Keeps in *slots what is also (or, `subtract`, what is not) in `other`. Both are ascending; where
// one is much shorter the other is searched, not walked.
void IntersectSlots(std::span<const Slot> other, bool subtract, std::vector<Slot>* slots);

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_POSTINGS_LIST_H_
