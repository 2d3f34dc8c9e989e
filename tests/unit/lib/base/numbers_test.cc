#include <cmath>
#include <limits>
#include <string>

#include "catch2/catch.hpp"
#include "lib/base/crc32c.h"
#include "lib/base/duration.h"
#include "lib/base/float_format.h"
#include "lib/base/hash.h"
#include "lib/base/sample_text.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"

namespace narthex {
namespace {

TEST_CASE("Floats print as Go prints them") {
  struct Row {
    double value;
    const char* f;
    const char* g;
    const char* sample;
  };
  const Row rows[] = {
      {0, "0", "0", "0"},
      {-0.0, "-0", "-0", "-0"},
      {1, "1", "1", "1"},
      {-15, "-15", "-15", "-15"},
      {0.1, "0.1", "0.1", "0.1"},
      {0.1 + 0.2, "0.30000000000000004", "0.30000000000000004", "0.30000000000000004"},
      {100000, "100000", "100000", "100000"},
      {123456.75, "123456.75", "123456.75", "123456.75"},
      {1e6, "1000000", "1e+06", "1000000"},
      {1234567.5, "1234567.5", "1.2345675e+06", "1234567.5"},
      {1e20, "100000000000000000000", "1e+20", "100000000000000000000"},
      {-1.7976931348623157e19, "-17976931348623157000", "-1.7976931348623157e+19",
       "-17976931348623157000"},
      {1e21, "1000000000000000000000", "1e+21", "1e+21"},
      {0.0001, "0.0001", "0.0001", "0.0001"},
      {0.00001, "0.00001", "1e-05", "0.00001"},
      {1e-7, "0.0000001", "1e-07", "1e-07"},
      {9007199254740993e3, "9007199254740993000", "9.007199254740993e+18", "9007199254740993000"},
      {std::numeric_limits<double>::infinity(), "+Inf", "+Inf", "+Inf"},
      {-std::numeric_limits<double>::infinity(), "-Inf", "-Inf", "-Inf"},
      {std::nan(""), "NaN", "NaN", "NaN"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.f);
    CHECK(FormatFloat(row.value) == row.f);
    CHECK(FormatFloatG(row.value) == row.g);
    std::string sample;
    AppendSampleValue(&sample, row.value);
    CHECK(sample == row.sample);
  }
  std::string e;
  AppendFloatE(&e, 1);
  CHECK(e == "1e+00");
}

TEST_CASE("Sample values are the fewest digits that read back, whatever way they take") {
  uint64_t state = 88172645463325252;
  const auto next = [&state] {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
  };
  for (int i = 0; i < 200000; ++i) {
    const auto digits = static_cast<double>(static_cast<int64_t>(next() >> (next() % 50 + 13)));
    constexpr double kScales[] = {1, 10, 100, 1000, 10000, 3, 7, 1e9};
    double value = digits / kScales[next() % 8];
    if (next() % 2 == 0) value = -value;
    if (next() % 8 == 0) value = std::nextafter(value, 0);
    std::string general;
    const double magnitude = std::fabs(value);
    if (value != 0 && (magnitude < 1e-6 || magnitude >= 1e21)) {
      AppendFloatE(&general, value);
    } else {
      AppendFloatF(&general, value);
    }
    char buffer[kSampleValueBytesMax];
    const std::string_view text(buffer,
                                static_cast<size_t>(WriteSampleValue(buffer, value) - buffer));
    if (text != general) FAIL(general << " but " << text);
  }
}

TEST_CASE("Prometheus durations parse and print") {
  struct Row {
    const char* text;
    int64_t milliseconds;
    const char* printed;
  };
  const Row rows[] = {{"0", 0, "0s"},
                      {"0w", 0, "0s"},
                      {"0s", 0, "0s"},
                      {"324ms", 324, "324ms"},
                      {"3s", 3000, "3s"},
                      {"5m", 300000, "5m"},
                      {"1h", 3600000, "1h"},
                      {"4d", 345600000, "4d"},
                      {"4d1h", 349200000, "4d1h"},
                      {"14d", 1209600000, "2w"},
                      {"3w", 1814400000, "3w"},
                      {"3w2d1h", 1990800000, "23d1h"},
                      {"10y", 315360000000, "10y"},
                      {"1h30m", 5400000, "1h30m"}};
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const auto parsed = ParseDuration(row.text);
    REQUIRE(parsed.ok());
    CHECK(absl::ToInt64Milliseconds(*parsed) == row.milliseconds);
    CHECK(FormatPrometheusDuration(*parsed) == row.printed);
  }
  for (const char* bad : {"", "1", "1y1m1d", "-1w", "1.5d", "d", "1h1h", "1x", "1 h", "294y",
                          "99999999999999999999s"}) {
    CAPTURE(bad);
    CHECK(!ParseDuration(bad).ok());
  }
  CHECK(Message(ParseDuration("1x").status()) == "not a valid duration string: \"1x\"");
  CHECK(Message(ParseDuration("").status()) == "empty duration string");
}

TEST_CASE("Go durations parse and print") {
  CHECK(*ParseGoDuration("-1.5h") == -absl::Minutes(90));
  CHECK(*ParseGoDuration("1h1h") == absl::Hours(2));
  CHECK(*ParseGoDuration(".5s") == absl::Milliseconds(500));
  for (const char* bad : {"", "1", "1x", "1e3s", ".s", "9999999h"})
    CHECK(!ParseGoDuration(bad).ok());
  CHECK(FormatGoDuration(absl::ZeroDuration()) == "0s");
  CHECK(FormatGoDuration(absl::Microseconds(1500)) == "1.5ms");
  CHECK(FormatGoDuration(absl::Minutes(90)) == "1h30m0s");
  CHECK(FormatGoDuration(absl::Nanoseconds(100)) == "100ns");
  CHECK(FormatGoDuration(-absl::Seconds(5)) == "-5s");
}

TEST_CASE("CRC-32C has the published check value, whole and in pieces") {
  CHECK(Crc32c("123456789") == 0xe3069283);
  CHECK(ExtendCrc32c(Crc32c("1234"), "56789") == 0xe3069283);
  CHECK(Crc32c("") == 0);
}

TEST_CASE("Long inputs have the checksum that one bit after another gives") {
  std::string bytes;
  for (uint32_t i = 0; i < 2000; ++i) bytes.push_back(static_cast<char>(i * 2654435761u >> 24));
  for (size_t size = 0; size < bytes.size(); size += 1 + size / 50) {
    const std::string_view part = std::string_view(bytes).substr(size % 5, size);
    uint32_t expected = 0xffffffff;
    for (const char byte : part) {
      expected ^= static_cast<unsigned char>(byte);
      for (int bit = 0; bit < 8; ++bit) {
        expected = (expected >> 1) ^ ((expected & 1) != 0 ? 0x82f63b78 : 0);
      }
    }
    CHECK(Crc32c(part) == ~expected);
  }
}

TEST_CASE("Stable hashes keep their published values") {
  CHECK(StableHash("") == 0xef46db3751d8e999);
  CHECK(Fnv1a64("a") == 0xaf63dc4c8601ec8c);
}

TEST_CASE("UTF-8 validity follows Go") {
  CHECK(IsValidUtf8("plain ascii text longer than eight"));
  CHECK(IsValidUtf8("\u00e9\u20ac\U0001F600"));
  CHECK(!IsValidUtf8("\xff"));
  CHECK(!IsValidUtf8("abcdefgh\xc3"));
  CHECK(!IsValidUtf8("\xed\xa0\x80"));  // A surrogate.
  CHECK(!IsValidUtf8("\xc0\x80"));      // Overlong.
  std::string text;
  AppendRune(&text, 0x1F600);
  CHECK(text == "\U0001F600");
}

}  // namespace
}  // namespace narthex
