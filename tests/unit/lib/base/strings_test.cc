#include "lib/base/strings.h"

#include <string>

#include "catch2/catch.hpp"

namespace narthex {
namespace {

TEST_CASE("StrCat joins strings, characters, booleans and numbers") {
  CHECK(StrCat("a", 'b', std::string("c"), 1, -2, uint64_t{3}, true, 0.5) == "abc1-23true0.5");
}

TEST_CASE("Quote writes Go's quoted form") {
  CHECK(Quote("a\"b\\\n\t\x01") == "\"a\\\"b\\\\\\n\\t\\x01\"");
  // What Go does not print is escaped by its number.
  CHECK(Quote("a\u00adb\u3000c\ufeff") == R"("a\u00adb\u3000c\ufeff")");
  CHECK(Quote("\U000c2d87\x7f\u0085") == R"("\U000c2d87\x7f\u0085")");
  CHECK(Quote("\U0001f525\u6f22\u0301") == "\"\U0001f525\u6f22\u0301\"");
  CHECK(Quote("\xff") == "\"\\xff\"");
  CHECK(Quote("\u00e9") == "\"\u00e9\"");
}

TEST_CASE("Split keeps empty parts") {
  CHECK(Split("a,b,,c", ',') == std::vector<std::string_view>{"a", "b", "", "c"});
  CHECK(Split("", ',') == std::vector<std::string_view>{""});
}

TEST_CASE("ParseDouble takes whole numbers only") {
  double value = 0;
  CHECK(ParseDouble("+1.5e3", &value));
  CHECK(value == 1500);
  CHECK(ParseDouble("-Inf", &value));
  CHECK(!ParseDouble("1.5x", &value));
  CHECK(!ParseDouble("", &value));
  CHECK(!ParseDouble("+-1", &value));
}

}  // namespace
}  // namespace narthex
