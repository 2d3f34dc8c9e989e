#include "lib/textparse/writer.h"

#include <limits>
#include <string>

#include "catch2/catch.hpp"

namespace narthex::textparse {
namespace {

TEST_CASE("Families are written with help, type and samples") {
  metrics::CollectedFamily family;
  family.name = "http_requests_total";
  family.help = "A \\ and a\nnewline, \"quotes\" stay.";
  family.type = "counter";
  family.samples = {{"http_requests_total", {}, 1},
                    {"http_requests_total", {{"path", "a\"b\\c\nd"}, {"x", "y"}}, 1234567.5}};
  std::string out;
  WriteFamilies(&out, {family});
  CHECK(out ==
        "# HELP http_requests_total A \\\\ and a\\nnewline, \"quotes\" stay.\n"
        "# TYPE http_requests_total counter\n"
        "http_requests_total 1\n"
        "http_requests_total{path=\"a\\\"b\\\\c\\nd\",x=\"y\"} 1.2345675e+06\n");
}

TEST_CASE("Names outside the legacy alphabet go into the braces") {
  std::string out;
  WriteHelp(&out, "a.b", "Help.");
  WriteSample(&out, "a.b", {{"c.d", "e"}, {"f", "g"}}, std::numeric_limits<double>::infinity(),
              1500);
  WriteSample(&out, "9x", {}, 0.1 + 0.2);
  CHECK(out ==
        "# HELP \"a.b\" Help.\n"
        "{\"a.b\",\"c.d\"=\"e\",f=\"g\"} +Inf 1500\n"
        "{\"9x\"} 0.30000000000000004\n");
}

}  // namespace
}  // namespace narthex::textparse
