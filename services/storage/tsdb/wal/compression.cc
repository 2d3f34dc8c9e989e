#include "services/storage/tsdb/wal/compression.h"

#include <snappy.h>
#include <zstd.h>

#include <memory>

#include "lib/base/strings.h"

namespace narthex::wal {
namespace {

// A copy element of two bytes yields at most 64; a few bytes of preamble are paid by the constant.
constexpr size_t kSnappyRatioMax = 32;
constexpr size_t kZstdBytesMax = size_t{256} << 20;

}  // namespace

std::string_view CompressSnappy(std::string_view bytes, std::string* buffer) {
  const size_t bound = snappy::MaxCompressedLength(bytes.size());
  if (buffer->size() < bound) buffer->resize(bound);
  size_t size = 0;
  snappy::RawCompress(bytes.data(), bytes.size(), buffer->data(), &size);
  if (size >= bytes.size()) return {};
  return std::string_view(buffer->data(), size);
}

absl::Status UncompressSnappy(std::string_view bytes, std::string* out) {
  size_t size = 0;
  if (!snappy::GetUncompressedLength(bytes.data(), bytes.size(), &size) ||
      size > (bytes.size() + 2) * kSnappyRatioMax) {
    return DataLoss("record is not snappy");
  }
  out->resize(size);
  if (!snappy::RawUncompress(bytes.data(), bytes.size(), out->data())) {
    return DataLoss("record is not snappy");
  }
  return absl::OkStatus();
}

absl::Status UncompressZstd(std::string_view bytes, std::string* out) {
  const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                   &ZSTD_freeDCtx);
  out->clear();
  ZSTD_inBuffer in = {bytes.data(), bytes.size(), 0};
  const size_t step = ZSTD_DStreamOutSize();
  while (true) {
    const size_t start = out->size();
    out->resize(start + step);
    ZSTD_outBuffer piece = {out->data() + start, step, 0};
    const size_t left = ZSTD_decompressStream(context.get(), &piece, &in);
    out->resize(start + piece.pos);
    if (ZSTD_isError(left)) return DataLoss("record is not zstd: ", ZSTD_getErrorName(left));
    if (left == 0 && in.pos == in.size) return absl::OkStatus();
    if (in.pos == in.size && piece.pos < step) return DataLoss("zstd record ends too early");
    if (out->size() > kZstdBytesMax) return DataLoss("zstd record is larger than 256 MiB");
  }
}

}  // namespace narthex::wal
