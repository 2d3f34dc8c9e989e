#include "lib/storage/reference_column.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"

namespace narthex::storage {

void ReferenceColumn::Set(SeriesNumber number, SeriesRef reference) {
  const uint32_t slot = SeriesSlot(number);
  const uint32_t generation = SeriesGeneration(number);
  if (slot >= references_.size()) {
    references_.resize(slot + 1, 0);
    generations_.resize(slot + 1, 0);
  }
  if (references_[slot] != 0 && generations_[slot] > generation) return;
  references_[slot] = reference;
  generations_[slot] = generation;
}

void ReferenceColumn::Clear() {
  references_.clear();
  generations_.clear();
}

void ReferenceColumn::ForgetAbove(SeriesRef reference_max) {
  for (SeriesRef& reference : references_) {
    if (reference > reference_max) reference = 0;
  }
}

void ReferenceColumn::ForgetPending() {
  for (SeriesRef& reference : references_) {
    if (reference == kPending) reference = 0;
  }
}

void ReferenceColumn::Forget(std::span<const SeriesRef> references) {
  const absl::flat_hash_set<SeriesRef> gone(references.begin(), references.end());
  for (SeriesRef& reference : references_) {
    if (gone.contains(reference)) reference = 0;
  }
}

}  // namespace narthex::storage
