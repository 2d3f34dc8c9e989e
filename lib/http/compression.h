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

// Packs a stream of text as gzip. Not thread-safe.
class GzipWriter {
 public:
  GzipWriter();
  ~GzipWriter();
  GzipWriter(const GzipWriter&) = delete;
  GzipWriter& operator=(const GzipWriter&) = delete;
  // Appends the packed bytes that are ready; `last` ends the stream.
  void Write(std::string_view input, bool last, std::string* out);

 private:
  struct Rep;
  std::unique_ptr<Rep> rep_;
};

std::string GzipCompress(std::string_view text);

// Whether an Accept-Encoding header allows gzip ("gzip;q=0" does not).
bool AcceptsGzip(std::string_view accept_encoding);

}  // namespace narthex::http

#endif  // NARTHEX_LIB_HTTP_COMPRESSION_H_
