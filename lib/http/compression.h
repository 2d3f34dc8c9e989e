#ifndef NARTHEX_LIB_HTTP_COMPRESSION_H_
#define NARTHEX_LIB_HTTP_COMPRESSION_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace narthex::http {

// Undoes one content coding piece by piece, so that a bomb is noticed while it unpacks. Not
// thread-safe.
class Decompressor {
 public:
  // `encoding` is gzip, x-gzip, deflate (zlib or raw) or zstd in any case; null for any other.
  static std::unique_ptr<Decompressor> Create(std::string_view encoding);
  virtual ~Decompressor() = default;

  // Appends what `input` unpacks to. ResourceExhausted "body size limit exceeded" once *out would
  // hold more than `out_bytes_max` bytes (0: no bound); InvalidArgument when the bytes are no such
  // coding.
  virtual absl::Status Write(std::string_view input, size_t out_bytes_max, std::string* out) = 0;
  // After the last byte: InvalidArgument "unexpected EOF" when the stream is cut short.
  virtual absl::Status Finish() = 0;
};

// The size-limit error that Decompressor and Client share.
absl::Status BodySizeLimitExceeded();

// Packs a stream of text. Not thread-safe.
class Compressor {
 public:
  // `coding` is gzip, deflate (the zlib format) or zstd; null for any other.
  static std::unique_ptr<Compressor> Create(std::string_view coding);
  virtual ~Compressor() = default;
  // Appends the packed bytes that are ready; `last` ends the stream.
  virtual void Write(std::string_view input, bool last, std::string* out) = 0;
};

std::string GzipCompress(std::string_view text);

// What to pack an answer with, after its Accept-Encoding header: gzip before deflate before zstd
// ("gzip;q=0" is none), and "" when nothing of that is allowed. gzip comes first although zstd is
// cheaper: proxies (Grafana's is one) pass on what a browser understands and unpack only what they
// do.
std::string_view ChooseCoding(std::string_view accept_encoding);

}  // namespace narthex::http

#endif  // NARTHEX_LIB_HTTP_COMPRESSION_H_
