#include "services/query/api/params.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/query/api/value_writer.h"

namespace narthex::query_api {
namespace {

TEST_CASE("Times are seconds or RFC 3339, to the millisecond") {
  struct Case {
    std::string text;
    Timestamp expected;
  };
  for (const Case& c : std::vector<Case>{{"0", 0},
                                         {"1435781451.781", 1435781451781},
                                         {"1435781451.7814", 1435781451781},
                                         {"1435781451.7816", 1435781451782},
                                         {"1795161777.1230001", 1795161777123},
                                         {"-5.5", -5500},
                                         {"1e3", 1000000},
                                         {"2015-07-01T20:10:51.781Z", 1435781451781},
                                         {"2015-07-01T20:10:51Z", 1435781451000},
                                         {"2015-07-01T20:10:51.7819999Z", 1435781451781},
                                         {"2015-07-01T20:10:51.781+02:00", 1435774251781},
                                         {"2015-07-01T20:10:51.5-00:30", 1435783251500},
                                         {"0001-01-01T00:00:00Z", -62135596800000},
                                         {"2016-02-29T00:00:00Z", 1456704000000},
                                         {"1795161776275", 1795161776275000},
                                         {"1e300", kApiMaxTime},
                                         {"-1e300", kApiMinTime},
                                         {"-292273086-05-16T16:47:06Z", kApiMinTime},
                                         {"292277025-08-18T07:12:54.999999999Z", kApiMaxTime}}) {
    INFO(c.text);
    const absl::StatusOr<Timestamp> time = ParseTime(c.text);
    REQUIRE(time.ok());
    CHECK(*time == c.expected);
  }
  for (const std::string bad :
       {"", "x", "NaN", "+Inf", "1.5s", "2015-07-01", "2015-07-01T20:10:51", "2015-02-29T00:00:00Z",
        "2015-13-01T00:00:00Z", "2015-07-01T24:00:00Z", "2015-07-01T20:10:51.Z",
        "2015-07-01T20:10:51+0200", "2015-07-01T20:10:51Zx", "2015-07-01t20:10:51Z", " 1"}) {
    INFO(bad);
    CHECK(Message(ParseTime(bad).status()) ==
          StrCat("cannot parse ", Quote(bad), " to a valid timestamp"));
  }
}

TEST_CASE("Durations are seconds or Prometheus durations") {
  CHECK(ParseApiDuration("15").value() == absl::Seconds(15));
  CHECK(ParseApiDuration("0.5").value() == absl::Milliseconds(500));
  CHECK(ParseApiDuration("1h30m").value() == absl::Minutes(90));
  CHECK(ParseApiDuration("-1").value() == absl::Seconds(-1));
  CHECK(Message(ParseApiDuration("1e30").status()) ==
        "cannot parse \"1e30\" to a valid duration. It overflows int64");
  for (const std::string bad : {"", "x", "1h 30m", "1m1h", "NaN"}) {
    CHECK(Message(ParseApiDuration(bad).status()) ==
          StrCat("cannot parse ", Quote(bad), " to a valid duration"));
  }
}

TEST_CASE("Numbers and booleans are Go's, with its words for what is none") {
  CHECK(ParseGoInt("42").value() == 42);
  CHECK(ParseGoInt("+7").value() == 7);
  CHECK(ParseGoInt("-7").value() == -7);
  CHECK(Message(ParseGoInt("4x").status()) == "strconv.Atoi: parsing \"4x\": invalid syntax");
  CHECK(Message(ParseGoInt("99999999999999999999").status()) ==
        "strconv.Atoi: parsing \"99999999999999999999\": value out of range");
  CHECK(ParseGoBool("T").value());
  CHECK_FALSE(ParseGoBool("False").value());
  CHECK(Message(ParseGoBool("yes").status()) ==
        "strconv.ParseBool: parsing \"yes\": invalid syntax");
}

TEST_CASE("Limits are not negative, and absent is none") {
  http::Params params;
  CHECK(LimitParam(params).value() == 0);
  params.Add("limit", "12");
  CHECK(LimitParam(params).value() == 12);
  http::Params negative;
  negative.Add("limit", "-1");
  CHECK(Message(LimitParam(negative).status()) == "limit must be non-negative");
}

TEST_CASE("Escaped names in paths are unescaped, and others left alone") {
  for (const auto& [escaped, name] : std::vector<std::pair<std::string, std::string>>{
           {"U__http_2e_status", "http.status"},
           {"U__a__b", "a_b"},
           {"U__zw_f6_lf", "zw\xc3\xb6lf"},
           {"U___1F600_", "\xf0\x9f\x98\x80"},
           {"plain", "plain"},
           {"U_x", "U_x"},
           {"U__", ""},
           // Not escaped properly: the name as it stands.
           {"U__a_2e", "U__a_2e"},
           {"U__a_zz_", "U__a_zz_"},
           {"U__a_1234567_", "U__a_1234567_"},
           {"U__a_d800_", "U__a_d800_"},
           {"U__a_", "U__a_"}}) {
    INFO(escaped);
    CHECK(UnescapeName(escaped) == name);
  }
}

TEST_CASE("Timestamps are written as seconds with three decimals or none") {
  for (const auto& [timestamp, text] :
       std::vector<std::pair<Timestamp, std::string>>{{0, "0"},
                                                      {1435781451781, "1435781451.781"},
                                                      {1435781430000, "1435781430"},
                                                      {1435781430050, "1435781430.050"},
                                                      {-5500, "-5.500"},
                                                      {-1, "-0.001"},
                                                      {kMinTimestamp, "-9223372036854775.808"},
                                                      {kMaxTimestamp, "9223372036854775.807"}}) {
    std::string out;
    AppendTimestamp(&out, timestamp);
    CHECK(out == text);
  }
  CHECK(FormatApiTime(absl::InfinitePast()) == "0001-01-01T00:00:00Z");
  CHECK(FormatApiTime(absl::FromUnixNanos(1435781451781000000)) == "2015-07-01T20:10:51.781Z");
}

}  // namespace
}  // namespace narthex::query_api
