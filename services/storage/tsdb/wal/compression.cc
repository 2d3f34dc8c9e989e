#include "services/storage/tsdb/wal/compression.h"

#include <zstd.h>

#include <memory>

#include "lib/base/snappy.h"
#include "lib/base/strings.h"

namespace narthex::wal {
namespace {

// No segment is larger, and no record crosses one.
constexpr size_t kSnappyBytesMax = size_t{4} << 30;
constexpr size_t kZstdBytesMax = size_t{256} << 20;
constexpr int kZstdLevel = 1;  // The fastest, as upstream.

// Contexts cost more than a small record; each thread keeps its own.
using ZstdCompressor = std::unique_ptr<ZSTD_CCtx, size_t (*)(ZSTD_CCtx*)>;
using ZstdDecompressor = std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)>;

}  // namespace

std::string_view CompressSnappy(std::string_view bytes, std::string* buffer) {
  const std::string_view compressed = SnappyCompress(bytes, buffer);
  return compressed.size() < bytes.size() ? compressed : std::string_view();
}

std::string_view CompressZstd(std::string_view bytes, std::string* buffer) {
  thread_local const ZstdCompressor compressor(ZSTD_createCCtx(), &ZSTD_freeCCtx);
  const size_t bound = ZSTD_compressBound(bytes.size());
  if (buffer->size() < bound) buffer->resize(bound);
  const size_t size = ZSTD_compressCCtx(compressor.get(), buffer->data(), buffer->size(),
                                        bytes.data(), bytes.size(), kZstdLevel);
  if (ZSTD_isError(size) || size >= bytes.size()) return {};
  return std::string_view(buffer->data(), size);
}

absl::Status UncompressSnappy(std::string_view bytes, std::string* out) {
  std::string_view view;
  const absl::Status status = SnappyUncompress(bytes, kSnappyBytesMax, out, &view);
  if (!status.ok()) return DataLoss("record is not snappy");
  out->resize(view.size());
  return absl::OkStatus();
}

absl::Status UncompressZstd(std::string_view bytes, std::string* out) {
  thread_local const ZstdDecompressor context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  ZSTD_DCtx_reset(context.get(), ZSTD_reset_session_only);
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
