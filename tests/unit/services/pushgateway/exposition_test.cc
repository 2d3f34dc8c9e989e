#include "services/pushgateway/exposition.h"

#include <string>

#include "catch2/catch.hpp"
#include "services/pushgateway/text_parser.h"

namespace narthex::pushgateway {
namespace {

MergedFamily Merge(std::string name, std::vector<std::string> bodies) {
  MergedFamily merged{name, {}};
  for (const std::string& body : bodies) {
    auto families = ParsePushedText(body);
    REQUIRE(families.ok());
    merged.parts.push_back(std::make_shared<const MetricFamily>(families->at(name)));
  }
  return merged;
}

std::string Write(std::vector<metrics::CollectedFamily> own, std::vector<MergedFamily> pushed) {
  std::string out;
  WriteExposition(OwnFamilies(std::move(own)), pushed, &out);
  return out;
}

TEST_CASE(
    "Families of all groups are written once, in order, with the help of the oldest that has one") {
  CHECK(Write({}, {Merge("a", {"a{x=\"2\"} 1\na 3\n", "# HELP a second\na{x=\"1\"} 2\n",
                               "# HELP a third\na{x=\"0\"} 2\n"}),
                   Merge("b", {"# TYPE b gauge\nb -0\n"})}) ==
        "# HELP a second\n# TYPE a untyped\na 3\na{x=\"0\"} 2\na{x=\"1\"} 2\na{x=\"2\"} 1\n"
        "# TYPE b gauge\nb 0\n");
}

TEST_CASE("Histograms and summaries are written out, with the bucket of all") {
  CHECK(Write({}, {Merge("h", {"# TYPE h histogram\nh_bucket{a=\"b\",le=\"0.5\"} 1\nh_sum{a=\"b\"} "
                               "1e7\nh_count{a=\"b\"} 2\n"
                               "h_bucket{le=\"+Inf\"} 3\nh_count 3\n"}),
                   Merge("s", {"# TYPE s summary\ns{quantile=\"0.99\"} 4\ns_count 1\n"})}) ==
        "# TYPE h histogram\n"
        "h_bucket{le=\"+Inf\"} 3\nh_sum 0\nh_count 3\n"
        "h_bucket{a=\"b\",le=\"0.5\"} 1\nh_bucket{a=\"b\",le=\"+Inf\"} 2\nh_sum{a=\"b\"} "
        "1e+07\nh_count{a=\"b\"} 2\n"
        "# TYPE s summary\ns{quantile=\"0.99\"} 4\ns_sum 0\ns_count 1\n");
}

TEST_CASE("Own families keep their help and take pushed metrics of their type only") {
  const std::vector<metrics::CollectedFamily> own = {{"m", "own help", "gauge", {{"m", {}, 1}}},
                                                     {"z", "own z", "counter", {{"z", {}, 2}}}};
  CHECK(Write(own, {Merge("a", {"a 1\n"}),
                    Merge("m", {"# HELP m pushed\n# TYPE m gauge\nm{p=\"1\"} 5\n"}),
                    Merge("z", {"# TYPE z gauge\nz{p=\"1\"} 5\n"})}) ==
        "# TYPE a untyped\na 1\n# HELP m own help\n# TYPE m gauge\nm 1\nm{p=\"1\"} 5\n"
        "# HELP z own z\n# TYPE z counter\nz 2\n");
}

}  // namespace
}  // namespace narthex::pushgateway
