#ifndef NARTHEX_LIB_STORAGE_SERIES_TABLE_H_
#define NARTHEX_LIB_STORAGE_SERIES_TABLE_H_

#include <cstdint>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/labels/labels.h"
#include "lib/storage/append_batch.h"

namespace narthex::storage {

// A series number of a sender is a slot (low 32 bits, from 1, dense, so that columns by slot are
// arrays) and the generation of the slot (high 32 bits), which changes each time the slot goes to
// another series. Whoever keeps a column compares the generation and so never takes one series for
// another.
inline uint32_t SeriesSlot(SeriesNumber number) { return static_cast<uint32_t>(number); }
inline uint32_t SeriesGeneration(SeriesNumber number) {
  return static_cast<uint32_t>(number >> 32);
}

// The labels behind a sender's series numbers. A retired number keeps its labels until no kept
// batch can refer to it: it is retired with the last sequence that may, and freed when the owner
// says that all batches up to there are gone.
//
// Thread safety: all methods may be called from any thread.
class SeriesTable {
 public:
  SeriesNumber Add(const Labels& labels);
  // Empty when the number is not in use.
  Labels Find(SeriesNumber number) const;
  void Retire(std::span<const SeriesNumber> numbers, uint64_t last_sequence);
  // Frees what was retired with a last sequence up to `sequence`.
  void ReleaseThrough(uint64_t sequence);
  // Frees at once. REQUIRES: nothing refers to the numbers any more.
  void Release(std::span<const SeriesNumber> numbers);
  // Numbers in use, retired ones included.
  size_t size() const;

 private:
  struct Slot {
    Labels labels;
    uint32_t generation = 0;
    bool used = false;
  };
  void FreeLocked(SeriesNumber number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  std::vector<Slot> slots_ ABSL_GUARDED_BY(mu_);
  std::vector<uint32_t> free_ ABSL_GUARDED_BY(mu_);
  std::deque<std::pair<uint64_t, SeriesNumber>> retired_ ABSL_GUARDED_BY(mu_);  // By sequence.
  size_t used_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace narthex::storage

#endif  // NARTHEX_LIB_STORAGE_SERIES_TABLE_H_
