#include "lib/http/compression.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <optional>

#include "lib/base/check.h"
#include "lib/base/strings.h"

namespace narthex::http {
namespace {

constexpr size_t kStepBytes = 64 << 10;
// zlib's own numbers: 15 bits of window, 16 more for a gzip wrapper, negative for none.
constexpr int kWindowBits = 15;
constexpr int kGzipWindowBits = kWindowBits + 16;
constexpr int kDefaultMemoryLevel = 8;
// JSON of range queries on one core: level 1 packs 104 MB/s to 37 %, level 6, zlib's default,
// 23 MB/s to 32 %.
constexpr int kZlibLevel = 1;
// 8 MiB, what RFC 8878 asks every decoder to take; larger windows only cost memory.
constexpr int kZstdWindowLogMax = 23;

absl::Status UnexpectedEof() { return InvalidArgument("unexpected EOF"); }

bool Exceeds(size_t size, size_t max) { return max != 0 && size > max; }

class ZlibDecompressor : public Decompressor {
 public:
  explicit ZlibDecompressor(bool gzip) : gzip_(gzip) {}
  ~ZlibDecompressor() override {
    if (open_) inflateEnd(&stream_);
  }

  absl::Status Write(std::string_view input, size_t out_bytes_max, std::string* out) override {
    if (!open_) {
      head_.append(input);
      if (head_.size() < 2) return absl::OkStatus();
      Open();
      const std::string head = std::move(head_);
      return Inflate(head, out_bytes_max, out);
    }
    return Inflate(input, out_bytes_max, out);
  }

  absl::Status Finish() override { return ended_ ? absl::OkStatus() : UnexpectedEof(); }

 private:
  // "deflate" means the zlib format, but some servers send the raw one: the first two bytes tell.
  void Open() {
    int bits = kGzipWindowBits;
    if (!gzip_) {
      const unsigned first = static_cast<unsigned char>(head_[0]);
      const unsigned second = static_cast<unsigned char>(head_[1]);
      const bool zlib = (first & 0x0f) == Z_DEFLATED && (first * 256 + second) % 31 == 0;
      bits = zlib ? kWindowBits : -kWindowBits;
    }
    NARTHEX_CHECK(inflateInit2(&stream_, bits) == Z_OK);
    open_ = true;
  }

  absl::Status Inflate(std::string_view input, size_t out_bytes_max, std::string* out) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream_.avail_in = static_cast<uInt>(input.size());
    bool more_output = false;
    while (stream_.avail_in > 0 || more_output) {
      if (ended_) {
        if (!gzip_) return InvalidArgument("zlib: bytes after the end");
        inflateReset(&stream_);  // A gzip file may have several members.
        ended_ = false;
      }
      const size_t old_size = out->size();
      out->resize(old_size + kStepBytes);
      stream_.next_out = reinterpret_cast<Bytef*>(out->data() + old_size);
      stream_.avail_out = kStepBytes;
      const int result = inflate(&stream_, Z_NO_FLUSH);
      out->resize(out->size() - stream_.avail_out);
      if (Exceeds(out->size(), out_bytes_max)) return BodySizeLimitExceeded();
      more_output = stream_.avail_out == 0 && result == Z_OK;
      if (result == Z_STREAM_END) {
        ended_ = true;
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return InvalidArgument(ErrorText());
      }
    }
    return absl::OkStatus();
  }

  // Go's words for what zlib found.
  std::string ErrorText() const {
    const std::string_view found = stream_.msg == nullptr ? "invalid data" : stream_.msg;
    const std::string_view format = gzip_ ? "gzip: " : "zlib: ";
    if (found == "incorrect header check") return StrCat(format, "invalid header");
    if (found == "incorrect data check" || found == "incorrect length check") {
      return StrCat(format, "invalid checksum");
    }
    return StrCat(format, found);
  }

  const bool gzip_;
  bool open_ = false;
  bool ended_ = false;
  std::string head_;
  z_stream stream_{};
};

class ZlibCompressor : public Compressor {
 public:
  explicit ZlibCompressor(int window_bits) {
    NARTHEX_CHECK(deflateInit2(&stream_, kZlibLevel, Z_DEFLATED, window_bits, kDefaultMemoryLevel,
                               Z_DEFAULT_STRATEGY) == Z_OK);
  }
  ~ZlibCompressor() override { deflateEnd(&stream_); }

  void Write(std::string_view input, bool last, std::string* out) override {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream_.avail_in = static_cast<uInt>(input.size());
    do {
      const size_t old_size = out->size();
      out->resize(old_size + kStepBytes);
      stream_.next_out = reinterpret_cast<Bytef*>(out->data() + old_size);
      stream_.avail_out = kStepBytes;
      deflate(&stream_, last ? Z_FINISH : Z_NO_FLUSH);
      out->resize(out->size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
  }

 private:
  z_stream stream_{};
};

class ZstdCompressor : public Compressor {
 public:
  ZstdCompressor() : context_(ZSTD_createCCtx()) {
    NARTHEX_CHECK(context_ != nullptr);
    ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, 1);
  }
  ~ZstdCompressor() override { ZSTD_freeCCtx(context_); }

  void Write(std::string_view input, bool last, std::string* out) override {
    ZSTD_inBuffer in{input.data(), input.size(), 0};
    size_t left = 1;
    while (in.pos < in.size || (last && left != 0)) {
      const size_t old_size = out->size();
      out->resize(old_size + kStepBytes);
      ZSTD_outBuffer step{out->data() + old_size, kStepBytes, 0};
      left = ZSTD_compressStream2(context_, &step, &in, last ? ZSTD_e_end : ZSTD_e_continue);
      NARTHEX_CHECK(!ZSTD_isError(left));
      out->resize(old_size + step.pos);
    }
  }

 private:
  ZSTD_CCtx* const context_;
};

class ZstdDecompressor : public Decompressor {
 public:
  ZstdDecompressor() : context_(ZSTD_createDCtx()) {
    NARTHEX_CHECK(context_ != nullptr);
    ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, kZstdWindowLogMax);
  }
  ~ZstdDecompressor() override { ZSTD_freeDCtx(context_); }

  absl::Status Write(std::string_view input, size_t out_bytes_max, std::string* out) override {
    ZSTD_inBuffer in{input.data(), input.size(), 0};
    bool more_output = false;
    while (in.pos < in.size || more_output) {
      const size_t old_size = out->size();
      out->resize(old_size + kStepBytes);
      ZSTD_outBuffer step{out->data() + old_size, kStepBytes, 0};
      const size_t result = ZSTD_decompressStream(context_, &step, &in);
      out->resize(old_size + step.pos);
      if (ZSTD_isError(result)) return InvalidArgument("zstd: ", ZSTD_getErrorName(result));
      if (Exceeds(out->size(), out_bytes_max)) return BodySizeLimitExceeded();
      frame_complete_ = result == 0;
      more_output = step.pos == step.size && result != 0;
    }
    return absl::OkStatus();
  }

  absl::Status Finish() override { return frame_complete_ ? absl::OkStatus() : UnexpectedEof(); }

 private:
  ZSTD_DCtx* const context_;
  bool frame_complete_ = false;
};

}  // namespace

std::unique_ptr<Decompressor> Decompressor::Create(std::string_view encoding) {
  const std::string name = ToLowerAscii(encoding);
  if (name == "gzip" || name == "x-gzip") return std::make_unique<ZlibDecompressor>(true);
  if (name == "deflate") return std::make_unique<ZlibDecompressor>(false);
  if (name == "zstd") return std::make_unique<ZstdDecompressor>();
  return nullptr;
}

absl::Status BodySizeLimitExceeded() { return ResourceExhausted("body size limit exceeded"); }

std::unique_ptr<Compressor> Compressor::Create(std::string_view coding) {
  if (coding == "gzip") return std::make_unique<ZlibCompressor>(kGzipWindowBits);
  if (coding == "deflate") return std::make_unique<ZlibCompressor>(kWindowBits);
  if (coding == "zstd") return std::make_unique<ZstdCompressor>();
  return nullptr;
}

std::string GzipCompress(std::string_view text) {
  ZlibCompressor compressor(kGzipWindowBits);
  std::string out;
  compressor.Write(text, true, &out);
  return out;
}

std::string_view ChooseCoding(std::string_view accept_encoding) {
  constexpr std::array<std::string_view, 3> kCodings = {"gzip", "deflate", "zstd"};
  std::array<std::optional<bool>, kCodings.size()> named;
  std::optional<bool> any;
  for (const std::string_view item : Split(accept_encoding, ',')) {
    const std::vector<std::string_view> parts = Split(item, ';');
    bool accepted = true;
    for (size_t i = 1; i < parts.size(); ++i) {
      const std::string_view part = TrimSpace(parts[i]);
      double quality = 1;
      if (part.starts_with("q=") && ParseDouble(part.substr(2), &quality)) accepted = quality > 0;
    }
    const std::string_view coding = TrimSpace(parts[0]);
    for (size_t i = 0; i < kCodings.size(); ++i) {
      if (EqualsIgnoreCaseAscii(coding, kCodings[i])) named[i] = accepted;
    }
    if (coding == "*") any = accepted;
  }
  for (size_t i = 0; i < kCodings.size(); ++i) {
    // "Anything" means what everybody has.
    if (named[i].value_or(i == 0 && any.value_or(false))) return kCodings[i];
  }
  return "";
}

}  // namespace narthex::http
