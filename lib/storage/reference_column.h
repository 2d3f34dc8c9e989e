#ifndef NARTHEX_LIB_STORAGE_REFERENCE_COLUMN_H_
#define NARTHEX_LIB_STORAGE_REFERENCE_COLUMN_H_

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "lib/storage/series_table.h"

namespace narthex::storage {

// What one storage endpoint calls our series: number → reference, two arrays by slot. Thread
// safety: none.
class ReferenceColumn {
 public:
  // Storage does not want this series; its samples are not sent on this stream.
  static constexpr SeriesRef kRefused = std::numeric_limits<uint64_t>::max();
  // Storage was told the labels and has not answered yet.
  static constexpr SeriesRef kPending = kRefused - 1;

  static bool IsReference(SeriesRef found) { return found - 1 < kPending - 1; }

  // 0 when storage must be told the labels.
  SeriesRef Find(SeriesNumber number) const {
    const uint32_t slot = SeriesSlot(number);
    if (slot >= references_.size() || generations_[slot] != SeriesGeneration(number)) {
      return 0;
    }
    return references_[slot];
  }
  // An answer for an older generation than the one that is known comes too late and is ignored.
  void Set(SeriesNumber number, SeriesRef reference);
  void Clear();
  // References above `reference_max`, and refusals and open questions, which hold for one stream.
  void ForgetAbove(SeriesRef reference_max);
  void ForgetPending();
  void Forget(std::span<const SeriesRef> references);

 private:
  std::vector<SeriesRef> references_;
  std::vector<uint32_t> generations_;
};

}  // namespace narthex::storage

#endif  // NARTHEX_LIB_STORAGE_REFERENCE_COLUMN_H_
