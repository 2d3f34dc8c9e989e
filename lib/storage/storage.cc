#include "lib/storage/storage.h"

namespace narthex::storage {

std::string_view RefusalName(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNone:
      return "none";
    case Refusal::kOutOfOrder:
      return "out_of_order";
    case Refusal::kDuplicate:
      return "duplicate";
    case Refusal::kOutOfBounds:
      return "out_of_bounds";
    case Refusal::kTooOld:
      return "too_old";
    case Refusal::kInvalidLabels:
      return "invalid_labels";
    case Refusal::kSeriesLimit:
      return "series_limit";
    case Refusal::kInvalidHistogram:
      return "invalid_histogram";
  }
  return "unknown";
}

absl::StatusOr<DataChanges> Querier::Changes(std::string_view) { return DataChanges(); }

}  // namespace narthex::storage
