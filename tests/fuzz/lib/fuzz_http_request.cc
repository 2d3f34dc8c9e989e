// Any bytes as what a client sends: in one piece and byte by byte they are cut into the same
// requests, bodies keep their bound, and the parser always comes to an end.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/http/request_parser.h"

namespace {

using narthex::http::RequestParser;
using Result = RequestParser::Result;

constexpr size_t kBodyBytesMax = 1000;

// What came of each request, in the order of the connection; ends at an error or with the input.
std::vector<std::string> ReadAll(std::string_view bytes, size_t piece) {
  std::vector<std::string> requests;
  std::string in;
  RequestParser parser;
  bool in_body = false;
  size_t given = 0;
  while (true) {
    const Result result = in_body ? parser.ReadBody(&in, kBodyBytesMax) : parser.ReadHead(&in);
    if (result == Result::kError) {
      requests.push_back(narthex::StrCat("error ", parser.error_status(), " ", parser.error()));
      return requests;
    }
    if (result == Result::kNeedMore) {
      if (given == bytes.size()) return requests;
      const std::string_view next = bytes.substr(given, piece);
      in.append(next);
      given += next.size();
      continue;
    }
    in_body = !in_body;
    if (in_body) continue;
    NARTHEX_CHECK(parser.body().size() <= kBodyBytesMax);
    requests.push_back(narthex::StrCat(parser.head().method, " ", parser.head().raw_path, "?",
                                       parser.head().raw_query, " ", parser.body()));
    parser = RequestParser();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  NARTHEX_CHECK(ReadAll(bytes, size + 1) == ReadAll(bytes, 1));
  return 0;
}
