#include "services/pushgateway/consistency.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "services/pushgateway/text_parser.h"

namespace narthex::pushgateway {
namespace {

OwnFamilies Own() {
  return OwnFamilies(
      {{"own_seconds", "help", "histogram", {{"own_seconds_bucket", {{"le", "+Inf"}}, 1}}},
       {"own_total", "help", "counter", {{"own_total", {{"a", "b"}}, 1}}}});
}

// The first error of adding the families of `body`, by name, to an empty store.
std::string Check(std::string_view body) {
  const OwnFamilies own = Own();
  ConsistencyCheck::Existing nothing;
  nothing.type_of = [](std::string_view) { return std::nullopt; };
  nothing.has_series = [](uint64_t) { return false; };
  ConsistencyCheck check(&own, nothing);
  const auto families = ParsePushedText(body);
  REQUIRE(families.ok());
  for (const auto& entry : *families) check.Add(entry.second);
  return std::string(Message(check.status()));
}

TEST_CASE("What does not fit is told in upstream's words") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a 1\na{x=\"\"} 1\n", ""},
      {"a 1\na 2\n",
       "collected metric \"a\" { untyped:<value:2 > } was collected before with the same name and "
       "label values"},
      {"# TYPE own_total counter\nown_total{a=\"c\"} 1\n", ""},
      {"# TYPE own_total counter\nown_total{a=\"b\"} 1\n",
       "collected metric \"own_total\" { label:<name:\"a\" value:\"b\" > counter:<value:1 > } was "
       "collected before with the "
       "same name and label values"},
      {"own_total 1\n",
       "gathered metric family own_total has type UNTYPED but should have COUNTER"},
      {"# TYPE own_seconds histogram\nown_seconds_sum 1\n",
       "collected metric \"own_seconds\" { histogram:<sample_sum:1 > } was collected before with "
       "the same name and label "
       "values"},
      {"own_seconds_count 1\n",
       "collected metric named \"own_seconds_count\" collides with previously collected histogram "
       "named \"own_seconds\""},
      {"# TYPE s summary\ns_sum 1\ns_bucket 1\n", ""},
      {"s_sum 1\n# TYPE s summary\ns{quantile=\"1\"} 1\n",
       "collected metric named \"s_sum\" collides with previously collected summary named \"s\""},
      {"# TYPE own summary\nown{quantile=\"1\"} 1\n", ""},
      {"# TYPE own_total_sum summary\nown_total_sum{quantile=\"1\"} 1\n", ""},
      {"a{__x=\"1\"} 1\n",
       "collected metric \"a\" { label:<name:\"__x\" value:\"1\" > untyped:<value:1 > } has a "
       "label with "
       "an invalid name: __x"},
      {"a 1\na 2\nb 1\nb 2\n",
       "2 error(s) occurred:\n"
       "* collected metric \"a\" { untyped:<value:2 > } was collected before with the same name "
       "and label values\n"
       "* collected metric \"b\" { untyped:<value:2 > } was collected before with the same name "
       "and label values"},
  };
  for (const auto& test : cases) {
    INFO(test.first);
    CHECK(Check(test.first) == test.second);
  }
}

TEST_CASE("A new histogram may not take the names of what is there") {
  const OwnFamilies own = Own();
  for (const std::string part : {"h_count", "h_sum", "h_bucket"}) {
    ConsistencyCheck::Existing existing;
    existing.type_of = [&part](std::string_view name) -> std::optional<FamilyType> {
      if (name == part) return FamilyType::kGauge;
      return std::nullopt;
    };
    existing.has_series = [](uint64_t) { return false; };
    ConsistencyCheck check(&own, existing);
    check.Add(ParsePushedText("# TYPE h histogram\nh_sum 1\n")->at("h"));
    CHECK(Message(check.status()) ==
          StrCat("collected ", part == "h_bucket" ? "histogram" : "histogram or summary",
                 " named \"h\" collides with previously collected metric named ", Quote(part)));
  }
}

TEST_CASE("Errors are bounded") {
  std::string body;
  for (int i = 0; i < 1000; ++i) body += "a 1\n";
  CHECK(Check(body).substr(0, 8) == "50 error");
}

TEST_CASE("The hash of a series tells names and values apart") {
  CHECK(SeriesHash("a", {{"b", "c"}}) != SeriesHash("ab", {{"", "c"}}));
  CHECK(SeriesHash("a", {{"b", "c"}}) == SeriesHash("a", {{"b", "c"}}));
  CHECK(SeriesHash("a", {{"b", ""}}) != SeriesHash("a", {}));
}

}  // namespace
}  // namespace narthex::pushgateway
