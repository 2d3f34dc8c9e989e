#include "lib/http/request_parser.h"

#include <algorithm>

#include "lib/base/strings.h"

namespace narthex::http {
namespace {

constexpr size_t kChunkLineBytesMax = 1024;
constexpr size_t kTrailerBytesMax = 8 << 10;
constexpr size_t kChunkSizeDigitsMax = 15;

bool IsTokenChar(char c) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         kMarks.find(c) != std::string_view::npos;
}

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), IsTokenChar);
}

bool IsVisible(char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; }

bool IsFieldChar(char c) { return IsVisible(c) || c == ' ' || c == '\t'; }

std::string_view TrimFieldSpace(std::string_view text) {
  constexpr std::string_view kSpace = " \t";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

bool ParseHex(std::string_view text, uint64_t* value) {
  if (text.empty() || text.size() > kChunkSizeDigitsMax) return false;
  *value = 0;
  for (const char c : text) {
    uint64_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<uint64_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<uint64_t>(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<uint64_t>(c - 'A' + 10);
    } else {
      return false;
    }
    *value = *value * 16 + digit;
  }
  return true;
}

// Takes the next line without its end (CR LF, or LF alone as Go accepts in heads) off `rest`.
std::string_view NextLine(std::string_view* rest) {
  const size_t end = rest->find('\n');
  std::string_view line = rest->substr(0, end);
  rest->remove_prefix(end == std::string_view::npos ? rest->size() : end + 1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

}  // namespace

RequestParser::Result RequestParser::Fail(int status, std::string_view error) {
  error_status_ = status;
  error_ = std::string(error);
  return Result::kError;
}

RequestParser::Result RequestParser::ReadHead(std::string* in) {
  // Empty lines before a request line are skipped, as RFC 9112 asks.
  if (scanned_ == 0) in->erase(0, std::min(in->find_first_not_of("\r\n"), in->size()));
  const size_t end = std::min(in->size(), kHeadBytesMax);
  for (; scanned_ < end; ++scanned_) {
    if (line_start_ == 0 && scanned_ > kLineBytesMax) return Fail(414, "request line too long");
    if ((*in)[scanned_] != '\n') continue;
    const std::string_view line(in->data() + line_start_, scanned_ - line_start_);
    if (line.empty() || line == "\r") {
      const std::string text = in->substr(0, line_start_);
      in->erase(0, scanned_ + 1);
      return ParseHead(text);
    }
    line_start_ = scanned_ + 1;
  }
  if (end == kHeadBytesMax) return Fail(431, "request head too large");
  return Result::kNeedMore;
}

RequestParser::Result RequestParser::ParseHead(std::string_view text) {
  if (!ParseRequestLine(NextLine(&text))) return Result::kError;
  while (!text.empty()) {
    if (!ParseField(NextLine(&text))) return Result::kError;
  }
  return ReadFraming() ? Result::kDone : Result::kError;
}

bool RequestParser::ParseRequestLine(std::string_view line) {
  const std::vector<std::string_view> parts = Split(line, ' ');
  if (parts.size() != 3 || !IsToken(parts[0]) || parts[1].empty() ||
      !std::all_of(parts[1].begin(), parts[1].end(), IsVisible)) {
    Fail(400, "malformed request line");
    return false;
  }
  if (parts[2] != "HTTP/1.1" && parts[2] != "HTTP/1.0") {
    const bool http = parts[2].starts_with("HTTP/");
    Fail(http ? 505 : 400, http ? "unsupported protocol version" : "malformed request line");
    return false;
  }
  head_.method = std::string(parts[0]);
  head_.http_1_0 = parts[2] == "HTTP/1.0";
  std::string_view target = parts[1];
  if (target.starts_with("http://") || target.starts_with("https://")) {
    target.remove_prefix(target.find("://") + 3);
    const size_t path = target.find_first_of("/?");
    target.remove_prefix(path == std::string_view::npos ? target.size() : path);
  } else if (target[0] != '/' && target != "*") {
    Fail(400, "malformed request target");
    return false;
  }
  const size_t question = target.find('?');
  head_.raw_path = std::string(target.substr(0, question));
  if (question != std::string_view::npos)
    head_.raw_query = std::string(target.substr(question + 1));
  if (head_.raw_path.empty()) head_.raw_path = "/";
  return true;
}

bool RequestParser::ParseField(std::string_view line) {
  const size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  if (colon == std::string_view::npos || !IsToken(name)) {
    Fail(400, "malformed header line");
    return false;
  }
  const std::string_view value = TrimFieldSpace(line.substr(colon + 1));
  if (!std::all_of(value.begin(), value.end(), IsFieldChar)) {
    Fail(400, "invalid header value");
    return false;
  }
  head_.headers.Add(name, value);
  return true;
}

bool RequestParser::ReadFraming() {
  int hosts = 0;
  int lengths = 0;
  int encodings = 0;
  bool close = false;
  bool keep_alive = false;
  for (const auto& field : head_.headers.fields()) {
    if (EqualsIgnoreCaseAscii(field.first, "Host")) {
      ++hosts;
    } else if (EqualsIgnoreCaseAscii(field.first, "Content-Length")) {
      ++lengths;
      const bool digits = field.second.find_first_not_of("0123456789") == std::string::npos;
      if (!digits || !ParseUint64(field.second, &head_.content_length)) {
        Fail(400, "bad Content-Length");
        return false;
      }
    } else if (EqualsIgnoreCaseAscii(field.first, "Transfer-Encoding")) {
      ++encodings;
      if (!EqualsIgnoreCaseAscii(field.second, "chunked")) {
        Fail(501, "unsupported transfer encoding");
        return false;
      }
    } else if (EqualsIgnoreCaseAscii(field.first, "Connection")) {
      for (const std::string_view option : Split(field.second, ',')) {
        close = close || EqualsIgnoreCaseAscii(TrimFieldSpace(option), "close");
        keep_alive = keep_alive || EqualsIgnoreCaseAscii(TrimFieldSpace(option), "keep-alive");
      }
    } else if (EqualsIgnoreCaseAscii(field.first, "Expect")) {
      if (!EqualsIgnoreCaseAscii(field.second, "100-continue")) {
        Fail(417, "unknown expectation");
        return false;
      }
      head_.expects_continue = !head_.http_1_0;
    }
  }
  if (hosts > 1 || (hosts == 0 && !head_.http_1_0)) {
    Fail(400, hosts == 0 ? "missing required Host header" : "too many Host headers");
    return false;
  }
  if (lengths > 1 || encodings > 1 || (lengths > 0 && encodings > 0) ||
      (encodings > 0 && head_.http_1_0)) {
    Fail(400, "ambiguous length of the body");
    return false;
  }
  head_.chunked = encodings > 0;
  head_.keep_alive = head_.http_1_0 ? keep_alive && !close : !close;
  return true;
}

RequestParser::Result RequestParser::ReadBody(std::string* in, size_t bytes_max) {
  if (head_.chunked) return ReadChunks(in, bytes_max);
  if (head_.content_length > bytes_max) return Fail(413, "request body too large");
  const size_t missing = static_cast<size_t>(head_.content_length) - body_.size();
  if (body_.empty() && in->size() == missing) {
    body_.swap(*in);
    return Result::kDone;
  }
  const size_t taken = std::min(missing, in->size());
  body_.append(*in, 0, taken);
  in->erase(0, taken);
  return taken == missing ? Result::kDone : Result::kNeedMore;
}

bool RequestParser::TakeLine(std::string_view* rest, std::string_view* line) {
  const size_t end = rest->find("\r\n");
  if (end == std::string_view::npos) return false;
  *line = rest->substr(0, end);
  rest->remove_prefix(end + 2);
  return true;
}

RequestParser::Result RequestParser::ReadChunks(std::string* in, size_t bytes_max) {
  std::string_view rest = *in;
  Result result = Result::kNeedMore;
  bool progress = true;
  while (progress && result == Result::kNeedMore) {
    progress = false;
    std::string_view line;
    switch (chunk_) {
      case Chunk::kSize: {
        if (!TakeLine(&rest, &line)) {
          if (rest.size() > kChunkLineBytesMax) result = Fail(400, "malformed chunk");
          break;
        }
        const std::string_view size = TrimFieldSpace(line.substr(0, line.find(';')));
        if (line.size() > kChunkLineBytesMax || !ParseHex(size, &chunk_left_) ||
            !std::all_of(line.begin(), line.end(), IsFieldChar)) {
          result = Fail(400, "malformed chunk");
        } else if (chunk_left_ > bytes_max || body_.size() + chunk_left_ > bytes_max) {
          result = Fail(413, "request body too large");
        }
        chunk_ = chunk_left_ == 0 ? Chunk::kTrailer : Chunk::kBytes;
        progress = true;
        break;
      }
      case Chunk::kBytes: {
        const size_t taken = std::min(static_cast<size_t>(chunk_left_), rest.size());
        body_.append(rest.substr(0, taken));
        rest.remove_prefix(taken);
        chunk_left_ -= taken;
        if (chunk_left_ == 0) chunk_ = Chunk::kEnd;
        progress = taken > 0;
        break;
      }
      case Chunk::kEnd:
        if (rest.size() < 2) break;
        if (!rest.starts_with("\r\n")) result = Fail(400, "malformed chunk");
        rest.remove_prefix(2);
        chunk_ = Chunk::kSize;
        progress = true;
        break;
      case Chunk::kTrailer:
        if (trailer_bytes_ + rest.size() > kTrailerBytesMax && rest.find("\r\n") == rest.npos) {
          result = Fail(400, "trailer too large");
        } else if (TakeLine(&rest, &line)) {
          trailer_bytes_ += line.size();
          if (trailer_bytes_ > kTrailerBytesMax) result = Fail(400, "trailer too large");
          if (line.empty()) result = Result::kDone;
          progress = true;
        }
        break;
    }
  }
  in->erase(0, in->size() - rest.size());
  return result;
}

}  // namespace narthex::http
