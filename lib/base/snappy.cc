#include "lib/base/snappy.h"

#include <snappy.h>

#include "lib/base/strings.h"

namespace narthex {
namespace {

// A copy element of two bytes yields at most 64; a few bytes of preamble are paid by the constant.
constexpr size_t kRatioMax = 32;
constexpr size_t kPreambleBytes = 2;

}  // namespace

std::string_view SnappyCompress(std::string_view bytes, std::string* buffer) {
  const size_t bound = snappy::MaxCompressedLength(bytes.size());
  if (buffer->size() < bound) buffer->resize(bound);
  size_t size = 0;
  snappy::RawCompress(bytes.data(), bytes.size(), buffer->data(), &size);
  return std::string_view(buffer->data(), size);
}

absl::Status SnappyUncompress(std::string_view bytes, size_t out_bytes_max, std::string* buffer,
                              std::string_view* view) {
  size_t size = 0;
  if (!snappy::GetUncompressedLength(bytes.data(), bytes.size(), &size) ||
      size > (bytes.size() + kPreambleBytes) * kRatioMax) {
    return InvalidArgument("snappy: corrupt input");
  }
  if (size > out_bytes_max) {
    return ResourceExhausted("snappy: ", size, " bytes uncompressed are more than the ",
                             out_bytes_max, " that are taken");
  }
  if (buffer->size() < size) buffer->resize(size);
  if (!snappy::RawUncompress(bytes.data(), bytes.size(), buffer->data())) {
    return InvalidArgument("snappy: corrupt input");
  }
  *view = std::string_view(buffer->data(), size);
  return absl::OkStatus();
}

}  // namespace narthex
