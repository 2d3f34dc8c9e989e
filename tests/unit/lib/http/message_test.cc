#include "lib/http/message.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"

namespace narthex::http {
namespace {

TEST_CASE("Header names compare without case and Set replaces all of a name") {
  Headers headers;
  headers.Add("X-One", "1");
  headers.Add("x-one", "2");
  headers.Add("Other", "3");
  CHECK(headers.Get("X-ONE") == "1");
  headers.Set("x-oNe", "9");
  CHECK(headers.Get("X-One") == "9");
  CHECK(headers.fields().size() == 2);
  CHECK(headers.Has("other"));
  CHECK_FALSE(headers.Has("absent"));
  CHECK(headers.Get("absent") == "");
}

TEST_CASE("ParseForm decodes as Go's url.ParseQuery") {
  struct Case {
    std::string encoded;
    bool good;
    std::vector<std::pair<std::string, std::string>> pairs;
  };
  const std::vector<Case> cases = {
      {"", true, {}},
      {"a=1&b=2", true, {{"a", "1"}, {"b", "2"}}},
      {"a=1&a=2", true, {{"a", "1"}, {"a", "2"}}},
      {"query=up%20%2B+1", true, {{"query", "up + 1"}}},
      {"match[]=up&match%5B%5D=down", true, {{"match[]", "up"}, {"match[]", "down"}}},
      {"a", true, {{"a", ""}}},
      {"=b", true, {{"", "b"}}},
      {"a=b=c", true, {{"a", "b=c"}}},
      {"&&a=1&", true, {{"a", "1"}}},
      {"a=%zz&b=2", false, {{"b", "2"}}},
      {"a=%4", false, {}},
      {"a=%", false, {}},
      {"a=1;b=2&c=3", false, {{"c", "3"}}},
      {"a=%00%ff", true, {{"a", std::string("\0\xff", 2)}}},
  };
  for (const Case& test : cases) {
    INFO(test.encoded);
    Params params;
    CHECK(ParseForm(test.encoded, &params) == test.good);
    CHECK(params.pairs() == test.pairs);
  }
}

TEST_CASE("Params give the first value and all values of a name") {
  Params params;
  REQUIRE(ParseForm("m=1&n=2&m=3", &params));
  CHECK(params.Get("m") == "1");
  CHECK(params.All("m") == std::vector<std::string>{"1", "3"});
  CHECK(params.Get("x") == "");
  CHECK_FALSE(params.Has("x"));
}

TEST_CASE("Escaping is Go's QueryEscape and PathEscape") {
  CHECK(UrlEncodeQuery("a b/c?d=é&+") == "a+b%2Fc%3Fd%3D%C3%A9%26%2B");
  CHECK(UrlEncodePath("a b/c?d=é&+:@$,;") == "a%20b%2Fc%3Fd=%C3%A9&+:@$%2C%3B");
}

TEST_CASE("UrlDecode undoes both escapes for every byte") {
  std::string bytes;
  for (int c = 0; c < 256; ++c) bytes.push_back(static_cast<char>(c));
  std::string decoded;
  REQUIRE(UrlDecode(UrlEncodeQuery(bytes), true, &decoded));
  CHECK(decoded == bytes);
  REQUIRE(UrlDecode(UrlEncodePath(bytes), false, &decoded));
  CHECK(decoded == bytes);
  CHECK_FALSE(UrlDecode("%a", false, &decoded));
  CHECK_FALSE(UrlDecode("x%g0", false, &decoded));
}

}  // namespace
}  // namespace narthex::http
