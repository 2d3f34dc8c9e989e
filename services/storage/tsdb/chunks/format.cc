#include "services/storage/tsdb/chunks/format.h"

#include "lib/base/strings.h"

namespace narthex::chunks {

std::string SegmentFileName(uint32_t segment) {
  std::string digits = StrCat(uint64_t{segment} + 1);
  if (digits.size() < 6) digits.insert(0, 6 - digits.size(), '0');
  return digits;
}

}  // namespace narthex::chunks
