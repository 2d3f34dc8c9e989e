#include "lib/http/request_parser.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"

namespace narthex::http {
namespace {

using Result = RequestParser::Result;

struct Outcome {
  int status = 200;  // 0: more bytes are needed.
  std::string body;
  std::string rest;
};

// Feeds `bytes` in pieces of `piece` to one request.
Outcome Parse(std::string_view bytes, size_t piece, RequestParser* parser, size_t body_max = 1000) {
  std::string in;
  bool head = false;
  Result result = Result::kNeedMore;
  for (size_t i = 0; i < bytes.size() && result == Result::kNeedMore; i += piece) {
    in.append(bytes.substr(i, piece));
    if (!head) {
      result = parser->ReadHead(&in);
      if (result != Result::kDone) continue;
      head = true;
    }
    result = parser->ReadBody(&in, body_max);
  }
  if (result == Result::kError) return {parser->error_status(), parser->error(), ""};
  if (result == Result::kNeedMore) return {0, "", ""};
  return {200, parser->body(), in};
}

const char kHost[] = "Host: x\r\n";

TEST_CASE("Requests come out the same in whatever pieces they arrive") {
  struct Case {
    std::string text;
    int status;
    std::string body;  // Or the error.
  };
  const std::string host = kHost;
  const std::vector<Case> cases = {
      {"GET / HTTP/1.1\r\n" + host + "\r\n", 200, ""},
      {"\r\n\r\nGET / HTTP/1.1\r\n" + host + "\r\n", 200, ""},
      {"GET / HTTP/1.1\nHost: x\n\n", 200, ""},
      {"GET / HTTP/1.0\r\n\r\n", 200, ""},
      {"GET http://host/a?b HTTP/1.1\r\n" + host + "\r\n", 200, ""},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello", 200, "hello"},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: 0\r\n\r\n", 200, ""},
      {"POST / HTTP/1.1\r\n" + host +
           "Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\nT: "
           "v\r\n\r\n",
       200, "hello0123456789"},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, ""},
      // What two programs could read differently.
      {"POST / HTTP/1.1\r\n" + host +
           "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       400, "ambiguous length of the body"},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400,
       "ambiguous length of the body"},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
       "ambiguous length of the body"},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: +5\r\n\r\nhello", 400, "bad Content-Length"},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: 5, 5\r\n\r\nhello", 400,
       "bad Content-Length"},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n", 400,
       "bad Content-Length"},
      {"POST / HTTP/1.1\r\n" + host + "Content-Length:\r\n\r\n", 400, "bad Content-Length"},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501,
       "unsupported transfer encoding"},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding : chunked\r\n\r\n", 400,
       "malformed header line"},
      {"POST / HTTP/1.1\r\n" + host + " Transfer-Encoding: chunked\r\n\r\n", 400,
       "malformed header line"},
      {"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400, "malformed header line"},
      {"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400, "invalid header value"},
      {"GET / HTTP/1.1\r\n" + host + "Host: y\r\n\r\n", 400, "too many Host headers"},
      {"GET / HTTP/1.1\r\n\r\n", 400, "missing required Host header"},
      // Chunks.
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nz\r\n", 400,
       "malformed chunk"},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400,
       "malformed chunk"},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0x5\r\n", 400,
       "malformed chunk"},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n\r\n", 400,
       "malformed chunk"},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", 400,
       "malformed chunk"},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
       400, "malformed chunk"},
      // Sizes.
      {"POST / HTTP/1.1\r\n" + host + "Content-Length: 1001\r\n\r\n", 413,
       "request body too large"},
      {"POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n", 413,
       "request body too large"},
      {"GET /" + std::string(40000, 'a') + " HTTP/1.1\r\n", 414, "request line too long"},
      {"GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(70000, 'a'), 431, "request head too large"},
      // Lines.
      {"GET /\r\n\r\n", 400, "malformed request line"},
      {"GET  / HTTP/1.1\r\n\r\n", 400, "malformed request line"},
      {"GET / a HTTP/1.1\r\n\r\n", 400, "malformed request line"},
      {"G(T / HTTP/1.1\r\n\r\n", 400, "malformed request line"},
      {"GET / FTP/1.1\r\n\r\n", 400, "malformed request line"},
      {"GET a HTTP/1.1\r\n\r\n", 400, "malformed request target"},
      {"GET / HTTP/2.0\r\n\r\n", 505, "unsupported protocol version"},
      {"GET / HTTP/1.1\r\n" + host + "Expect: miracles\r\n\r\n", 417, "unknown expectation"},
      {"GET / HTTP/1.1\r\n" + host + "NoColon\r\n\r\n", 400, "malformed header line"},
  };
  for (const Case& test : cases) {
    for (const size_t piece : {size_t{1}, size_t{2}, size_t{7}, test.text.size()}) {
      INFO(Quote(test.text.substr(0, 200)) << " in pieces of " << piece);
      RequestParser parser;
      const Outcome outcome = Parse(test.text, piece, &parser);
      CHECK(outcome.status == test.status);
      CHECK(outcome.body == test.body);
    }
  }
}

TEST_CASE("Every truncation of a request asks for more") {
  const std::string text =
      "POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  for (size_t size = 0; size < text.size(); ++size) {
    INFO(size);
    RequestParser parser;
    CHECK(Parse(std::string_view(text).substr(0, size), 1000, &parser).status == 0);
  }
}

TEST_CASE("The head is taken apart, and what follows the request stays") {
  RequestParser parser;
  const Outcome outcome = Parse(
      "PUT /a%20b?x=1&y HTTP/1.1\r\nHost: h\r\nX-A:  spaced \r\nConnection: Foo, close\r\n"
      "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nokGET /next",
      1000, &parser);
  CHECK(outcome.status == 200);
  CHECK(outcome.rest == "GET /next");
  const RequestHead& head = parser.head();
  CHECK(head.method == "PUT");
  CHECK(head.raw_path == "/a%20b");
  CHECK(head.raw_query == "x=1&y");
  CHECK(head.headers.Get("x-a") == "spaced");
  CHECK_FALSE(head.keep_alive);
  CHECK(head.expects_continue);
  CHECK(head.content_length == 2);
}

TEST_CASE("Keep-alive is the default of HTTP/1.1 and an option of HTTP/1.0") {
  const std::vector<std::pair<std::string, bool>> cases = {
      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", true},
      {"GET / HTTP/1.1\r\nHost: x\r\nConnection: CLOSE\r\n\r\n", false},
      {"GET / HTTP/1.0\r\n\r\n", false},
      {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
  };
  for (const auto& test : cases) {
    RequestParser parser;
    CHECK(Parse(test.first, 1000, &parser).status == 200);
    CHECK(parser.head().keep_alive == test.second);
  }
}

}  // namespace
}  // namespace narthex::http
