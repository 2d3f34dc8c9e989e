#ifndef NARTHEX_LIB_HTTP_REQUEST_PARSER_H_
#define NARTHEX_LIB_HTTP_REQUEST_PARSER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "lib/http/message.h"

namespace narthex::http {

// The head of a request, checked strictly: what two programs could read differently is refused, so
// that no request can hide inside another one's body.
struct RequestHead {
  std::string method;
  std::string raw_path;  // Still escaped, begins with '/' (or is "*").
  std::string raw_query;
  Headers headers;
  bool http_1_0 = false;
  bool keep_alive = true;
  bool expects_continue = false;
  bool chunked = false;
  uint64_t content_length = 0;

  bool has_body() const { return chunked || content_length > 0; }
};

// Cuts the bytes of a connection into requests: a head, then its body, which is unchunked on the
// way. Bytes may come in any pieces. One parser takes one request. Not thread-safe.
class RequestParser {
 public:
  enum class Result { kNeedMore, kDone, kError };

  // The request line, and the whole head.
  static constexpr size_t kLineBytesMax = 32 << 10;
  static constexpr size_t kHeadBytesMax = 64 << 10;

  // Takes the head off the front of *in once it is complete. Call again with the same, longer
  // buffer after kNeedMore.
  Result ReadHead(std::string* in);
  // REQUIRES: ReadHead() was done. Takes body bytes off *in; kDone when the body is complete. A
  // body of more than `bytes_max` bytes is the error 413.
  Result ReadBody(std::string* in, size_t bytes_max);

  const RequestHead& head() const { return head_; }
  RequestHead TakeHead() { return std::move(head_); }  // The last use of the parser but body().
  std::string& body() { return body_; }
  // After kError: the HTTP status and why.
  int error_status() const { return error_status_; }
  const std::string& error() const { return error_; }

 private:
  enum class Chunk { kSize, kBytes, kEnd, kTrailer };

  Result Fail(int status, std::string_view error);
  Result ParseHead(std::string_view text);
  bool ParseRequestLine(std::string_view line);
  bool ParseField(std::string_view line);
  bool ReadFraming();
  Result ReadChunks(std::string* in, size_t bytes_max);
  // Takes a line that ends with CR LF off `rest`; false when there is none yet.
  bool TakeLine(std::string_view* rest, std::string_view* line);

  RequestHead head_;
  std::string body_;
  size_t scanned_ = 0;     // Bytes of the head that were looked at,
  size_t line_start_ = 0;  // and where the line that they end in begins.
  Chunk chunk_ = Chunk::kSize;
  uint64_t chunk_left_ = 0;
  size_t trailer_bytes_ = 0;
  int error_status_ = 0;
  std::string error_;
};

}  // namespace narthex::http

#endif  // NARTHEX_LIB_HTTP_REQUEST_PARSER_H_
