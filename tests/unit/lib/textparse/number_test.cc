#include "lib/textparse/number.h"

#include <bit>
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/float_format.h"
#include "lib/base/strings.h"

namespace narthex::textparse {
namespace {

uint64_t Bits(double value) { return std::bit_cast<uint64_t>(value); }

TEST_CASE("values are read as Go reads them") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"0", "0"},
      {"-0", "-0"},
      {"1", "1"},
      {"+1", "1"},
      {"007", "7"},
      {".5", "0.5"},
      {"5.", "5"},
      {"1e3", "1000"},
      {"1E3", "1000"},
      {"1e+3", "1000"},
      {"1e-3", "0.001"},
      {"1.e3", "1000"},
      {"inf", "+Inf"},
      {"+INF", "+Inf"},
      {"-Infinity", "-Inf"},
      {"nan", "NaN"},
      {"NaN", "NaN"},
      {"1.7976931348623157e308", "1.7976931348623157e+308"},
      {"5e-324", "5e-324"},
      {"2e-324", "0"},
      {"-1e-400", "-0"},
      {"0e400", "0"},
      {"0.0e99999999999999999999", "0"},
      {"1e-99999999999999999999", "0"},
      {"2.2250738585072011e-308", "2.225073858507201e-308"},
      {"9007199254740993", "9.007199254740992e+15"},
      {"0.1", "0.1"},
      {"1e23", "1e+23"},
      {"123456789012345678901234567890", "1.2345678901234568e+29"},
      {"8.41e21", "8.41e+21"},
      {"9.5e-22", "9.5e-22"},
      {"0.00000000000000000000000000000000000000000000000000000000001e60", "10"},
      {"error 1e309", "value out of range"},
      {"error 1.8e308", "value out of range"},
      {"error 1e99999999999999999999", "value out of range"},
      {"error -1e400", "value out of range"},
      {"error ", "invalid syntax"},
      {"error -", "invalid syntax"},
      {"error +", "invalid syntax"},
      {"error .", "invalid syntax"},
      {"error e5", "invalid syntax"},
      {"error 1e", "invalid syntax"},
      {"error 1e+", "invalid syntax"},
      {"error 1.2.3", "invalid syntax"},
      {"error +nan", "invalid syntax"},
      {"error --1", "invalid syntax"},
      {"error +-1", "invalid syntax"},
      {"error 0x1", "invalid syntax"},
      {"error infin", "invalid syntax"},
      {"error nan(0)", "invalid syntax"},
      {"error 1 ", "invalid syntax"},
      {"error  1", "invalid syntax"},
      {"error 1f", "invalid syntax"},
      {"error \xc2\xbd", "invalid syntax"},
  };
  for (const auto& [text, want] : cases) {
    INFO(text);
    double value = 99;
    if (text.rfind("error ", 0) == 0) {
      const std::string input = text.substr(6);
      const absl::Status status = ParseValue(input, &value);
      CHECK(status.code() == absl::StatusCode::kInvalidArgument);
      CHECK(Message(status) == StrCat("strconv.ParseFloat: parsing ", Quote(input), ": ", want));
      const char* const end = ParseDecimal(input.data(), input.data() + input.size(), &value);
      CHECK((end == nullptr || end != input.data() + input.size()));
    } else {
      REQUIRE(ParseValue(text, &value).ok());
      CHECK(FormatFloatG(value) == want);
      double decimal = 99;
      const char* const end = ParseDecimal(text.data(), text.data() + text.size(), &decimal);
      if (end == text.data() + text.size()) CHECK(Bits(decimal) == Bits(value));
    }
  }
  double value;
  for (const std::string text : {"0x1p3", "1_000", "1P", "p"}) {
    CHECK(Message(ParseValue(text, &value)) == "unsupported character in float");
  }
}

TEST_CASE("a decimal ends where it ends") {
  double value = 0;
  for (const std::string text : {"12.5 99\n", "12.5\n", "12.5"}) {
    const char* const end = ParseDecimal(text.data(), text.data() + text.size(), &value);
    REQUIRE(end == text.data() + 4);
    CHECK(value == 12.5);
  }
}

TEST_CASE("printed doubles are read back bit by bit, on both ways") {
  std::mt19937_64 random(11);
  for (int i = 0; i < 200000; ++i) {
    double value = 0;
    switch (i % 4) {
      case 0:
        value = std::bit_cast<double>(random());
        break;
      case 1:
        value = static_cast<double>(random() % 100000000) / 1000;
        break;
      case 2:
        value =
            std::ldexp(static_cast<double>(random() >> 11), static_cast<int>(random() % 120) - 60);
        break;
      case 3:
        value = static_cast<double>(random());
        break;
    }
    if (!std::isfinite(value)) continue;
    char text[64];
    const int precision = i % 3 == 0 ? 17 : static_cast<int>(random() % 20);
    const int size =
        std::snprintf(text, sizeof text, i % 5 == 0 ? "%.*e" : "%.*g", precision, value);
    const double want = std::strtod(text, nullptr);
    double got = 0;
    const char* const end = ParseDecimal(text, text + size, &got);
    if (end != nullptr) {
      REQUIRE(end == text + size);
      REQUIRE(Bits(got) == Bits(want));
    }
    INFO(text);
    REQUIRE(ParseValue({text, static_cast<size_t>(size)}, &got).ok());
    REQUIRE(Bits(got) == Bits(want));
  }
}

}  // namespace
}  // namespace narthex::textparse
