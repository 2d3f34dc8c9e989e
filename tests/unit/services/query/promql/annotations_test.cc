#include "services/query/promql/annotations.h"

#include "catch2/catch.hpp"

namespace narthex::promql {
namespace {

using Lines = std::vector<std::string>;

TEST_CASE("Annotations are given once each, with their place in the query") {
  Annotations annotations;
  annotations.Warn("bad", {4, 5});
  annotations.Warn("bad", {4, 9});
  annotations.Warn("bad", {0, 1});
  annotations.Inform("odd", {6, 7});
  annotations.AddStorageWarning("store b is away");
  CHECK(annotations.Warnings("ab\ncdef") ==
        Lines{"PromQL warning: bad (2:2)", "PromQL warning: bad (1:1)", "store b is away"});
  CHECK(annotations.Infos("ab\ncdef") == Lines{"PromQL info: odd (2:4)"});
  CHECK(annotations.Infos("") == Lines{"PromQL info: odd"});
}

TEST_CASE("Repaired histograms of one metric become one line") {
  Annotations annotations;
  annotations.InformForcedMonotonicity("x", {2, 3}, 60000, 0.5, 1, 2);
  annotations.InformForcedMonotonicity("x", {2, 3}, 0, 0.1, 0.5, 7);
  annotations.InformForcedMonotonicity("y", {2, 3}, 0, 1, 1, 1);
  const Lines lines = annotations.Infos("query");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] ==
        "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see "
        "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) for "
        "metric name \"x\", from buckets 0.1 to 1, with a max diff of 7, over 2 samples from "
        "1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z (1:3)");
}

TEST_CASE("More annotations than wanted are counted") {
  CHECK(LimitAnnotations({"a", "b"}, 2, "warning") == Lines{"a", "b"});
  CHECK(LimitAnnotations({"a", "b", "c", "d"}, 2, "info") ==
        Lines{"a", "b", "2 more info annotations omitted"});
}

}  // namespace
}  // namespace narthex::promql
