#include "lib/storage/fanout_querier.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "tests/support/memory_storage.h"

namespace narthex::storage {
namespace {

using testing::MemoryStorage;

// A store that answers every call with one error.
class BrokenStore : public Querier {
 public:
  explicit BrokenStore(absl::Status status) : status_(std::move(status)) {}
  absl::StatusOr<SelectResult> Select(std::span<const Selector>, const SelectOptions&) override {
    return status_;
  }
  absl::StatusOr<DataChanges> Changes(std::string_view) override { return status_; }
  absl::StatusOr<std::vector<std::string>> LabelNames(std::span<const std::vector<Matcher>>,
                                                      Timestamp, Timestamp) override {
    return status_;
  }
  absl::StatusOr<std::vector<std::string>> LabelValues(std::string_view,
                                                       std::span<const std::vector<Matcher>>,
                                                       Timestamp, Timestamp) override {
    return status_;
  }

 private:
  const absl::Status status_;
};

Labels Series(std::string_view job) { return Labels{{kMetricName, "up"}, {"job", job}}; }

std::vector<Selector> Up() {
  Selector selector;
  selector.matchers.push_back(Matcher::Equal(kMetricName, "up"));
  selector.hints.end = 10'000;
  return {selector};
}

TEST_CASE("Several stores answer as one, each series once, in label order") {
  MemoryStorage a;
  MemoryStorage b;
  a.Append(Series("z"), 1000, 1);
  a.Append(Series("m"), 1000, 2);
  b.Append(Series("m"), 1000, 9);
  b.Append(Series("m"), 2000, 3);
  b.Append(Series("a"), 1000, 4);
  FanoutQuerier fanout({&a, &b});
  auto result = fanout.Select(Up(), SelectOptions());
  REQUIRE(result.ok());
  CHECK(result->warnings.empty());
  std::string seen;
  while (result->sets[0]->Next()) {
    SampleBuffer samples;
    REQUIRE(result->sets[0]->ReadSamples(&samples).ok());
    StrAppend(&seen, result->sets[0]->labels().Get("job"));
    for (const double value : samples.values()) StrAppend(&seen, value);
    seen.push_back(' ');
  }
  CHECK(seen == "a4 m23 z1 ");
  CHECK(fanout.LabelValues("job", {}, 0, 9000).value() == std::vector<std::string>{"a", "m", "z"});
  CHECK(fanout.LabelNames({}, 0, 9000).value() == std::vector<std::string>{"__name__", "job"});
}

TEST_CASE("A store that is away among several is a warning; all of them are an error") {
  MemoryStorage a;
  a.Append(Series("x"), 1000, 1);
  BrokenStore down(absl::UnavailableError("storage b: connection refused"));
  BrokenStore slow(absl::DeadlineExceededError("storage c: too late"));
  FanoutQuerier some({&down, &a, &slow});
  auto result = some.Select(Up(), SelectOptions());
  REQUIRE(result.ok());
  CHECK(result->warnings ==
        std::vector<std::string>{"storage b: connection refused", "storage c: too late"});
  CHECK(result->sets[0]->Next());
  std::vector<std::string> warnings;
  CHECK(some.LabelValues("job", {}, 0, 9000, &warnings).value() == std::vector<std::string>{"x"});
  CHECK(warnings.size() == 2);

  FanoutQuerier none({&down, &slow});
  CHECK(absl::IsUnavailable(none.Select(Up(), SelectOptions()).status()));
  CHECK(absl::IsUnavailable(none.LabelNames({}, 0, 1).status()));
}

TEST_CASE("The changes of several stores are those of any of them") {
  MemoryStorage a;
  MemoryStorage b;
  a.Append(Series("x"), 1000, 1);
  b.Append(Series("y"), 2000, 1);
  FanoutQuerier fanout({&a, &b});
  const std::string known = fanout.Changes("").value().revision;
  CHECK(fanout.Changes("").value().oldest_change == kMinTimestamp);
  CHECK(fanout.Changes(known).value().oldest_change == kMaxTimestamp);
  b.Append(Series("y"), 3000, 1);
  CHECK(fanout.Changes(known).value().oldest_change == 3000);
  a.Append(Series("x"), 2000, 1);
  SelectOptions options;
  options.known_revision = known;
  const auto result = fanout.Select(Up(), options);
  REQUIRE(result.ok());
  CHECK(result->changes.oldest_change == 2000);
  CHECK(fanout.Changes(result->changes.revision).value().oldest_change == kMaxTimestamp);
  // A revision of another number of stores is not known.
  MemoryStorage c;
  FanoutQuerier more({&a, &b, &c});
  CHECK(more.Changes(known).value().oldest_change == kMinTimestamp);
}

TEST_CASE("While a store is away, and once it is back, anything may have changed") {
  MemoryStorage a;
  a.Append(Series("x"), 1000, 1);
  MemoryStorage b;
  BrokenStore down(absl::UnavailableError("storage b: connection refused"));
  FanoutQuerier before({&a, &b});
  FanoutQuerier during({&a, &down});
  FanoutQuerier after({&a, &b});
  std::string known = before.Changes("").value().revision;
  CHECK(during.Changes(known).value().oldest_change == kMinTimestamp);
  known = during.Changes(known).value().revision;
  CHECK(after.Changes(known).value().oldest_change == kMinTimestamp);
  FanoutQuerier none({&down, &down});
  CHECK(absl::IsUnavailable(none.Changes(known).status()));
}

// "job:values …" of each series, with the label `more` behind the job.
std::string Show(SeriesSet* set, std::string_view more) {
  std::string seen;
  while (set->Next()) {
    SampleBuffer samples;
    REQUIRE(set->ReadSamples(&samples).ok());
    StrAppend(&seen, set->labels().Get("job"), "/", set->labels().Get(more), ":");
    for (const double value : samples.values()) StrAppend(&seen, value, ",");
    seen.push_back(' ');
  }
  REQUIRE(set->status().ok());
  return seen;
}

FanoutStore Known(Querier* querier, const Labels& labels) {
  return {querier, [labels]() -> absl::StatusOr<Labels> { return labels; }};
}

TEST_CASE("External labels in which stores differ are added, matched and listed") {
  MemoryStorage a;
  MemoryStorage b;
  a.Append(Series("x"), 1000, 1);
  a.Append(Series("y"), 1000, 2);
  b.Append(Series("x"), 1000, 3);
  b.Append(Labels{{kMetricName, "up"}, {"job", "w"}, {"zone", "own"}}, 1000, 4);
  FanoutQuerier fanout({Known(&a, Labels{{"env", "prod"}, {"zone", "eu"}}),
                        Known(&b, Labels{{"env", "prod"}, {"zone", "us"}})},
                       {});
  const auto select = [&](std::vector<Matcher> more) {
    std::vector<Selector> selectors = Up();
    selectors[0].matchers.insert(selectors[0].matchers.end(), more.begin(), more.end());
    auto result = fanout.Select(selectors, SelectOptions());
    REQUIRE(result.ok());
    return Show(result->sets[0].get(), "zone");
  };
  // What all have in common says nothing.
  CHECK(fanout.LabelNames({}, 0, 9000).value() ==
        std::vector<std::string>{"__name__", "job", "zone"});
  CHECK(fanout.LabelValues("zone", {}, 0, 9000).value() ==
        std::vector<std::string>{"eu", "own", "us"});
  CHECK(select({}) == "w/own:4, x/eu:1, x/us:3, y/eu:2, ");
  CHECK(select({Matcher::Equal("zone", "us")}) == "x/us:3, ");
  CHECK(select({Matcher::Equal("zone", "own")}) == "w/own:4, ");
  CHECK(select({Matcher::Equal("zone", "")}).empty());
  CHECK(select({Matcher::Create(MatchType::kNotEqual, "zone", "us").value()}) ==
        "w/own:4, x/eu:1, y/eu:2, ");
  CHECK(select({Matcher::Create(MatchType::kRegex, "zone", "e.|own").value()}) ==
        "w/own:4, x/eu:1, y/eu:2, ");
  const std::vector<std::vector<Matcher>> only_us = {{Matcher::Equal("zone", "us")}};
  CHECK(fanout.LabelValues("zone", only_us, 0, 9000).value().front() == "own");
  const std::vector<std::vector<Matcher>> only_y = {{Matcher::Equal("job", "y")}};
  CHECK(fanout.LabelValues("zone", only_y, 0, 9000).value() == std::vector<std::string>{"eu"});
}

TEST_CASE("Replicas are followed one at a time, by labels of their own or of the store") {
  MemoryStorage a;
  MemoryStorage b;
  for (int i = 1; i <= 9; ++i) {
    // A misses a while; B has read the same counter half a step later.
    if (i < 4 || i > 6) a.Append(Series("x"), i * 1000, i * 10);
    b.Append(Series("x"), i * 1000 + 500, i * 10 + 5);
  }
  b.Append(Series("y"), 1000, 7);
  std::vector<Selector> selectors = Up();
  selectors[0].hints.end = 100'000;

  SECTION("external labels of the stores") {
    FanoutQuerier fanout({Known(&a, Labels{{"replica", "1"}}), Known(&b, Labels{{"replica", "2"}})},
                         {"replica"});
    auto result = fanout.Select(selectors, SelectOptions());
    REQUIRE(result.ok());
    CHECK(Show(result->sets[0].get(), "replica") == "x/:10,20,30,55,65,75,85,95, y/:7, ");
    CHECK(fanout.LabelNames({}, 0, 9000).value() == std::vector<std::string>{"__name__", "job"});
    CHECK(fanout.LabelValues("replica", {}, 0, 9000).value().empty());
  }
  SECTION("labels that the series carry, in one store") {
    MemoryStorage both;
    for (const auto& [replica, from] :
         {std::pair<const char*, MemoryStorage*>("1", &a), {"2", &b}}) {
      auto read = from->Select(selectors, SelectOptions());
      while (read->sets[0]->Next()) {
        SampleBuffer samples;
        REQUIRE(read->sets[0]->ReadSamples(&samples).ok());
        const std::string job(read->sets[0]->labels().Get("job"));
        for (size_t i = 0; i < samples.size(); ++i) {
          both.Append(Labels{{kMetricName, "up"}, {"replica", replica}, {"job", job}},
                      samples.timestamps()[i], samples.values()[i]);
        }
      }
    }
    FanoutQuerier fanout({{&both, nullptr}}, {"replica"});
    auto result = fanout.Select(selectors, SelectOptions());
    REQUIRE(result.ok());
    CHECK(Show(result->sets[0].get(), "replica") == "x/:10,20,30,55,65,75,85,95, y/:7, ");
  }
  SECTION("without the label they are two series") {
    FanoutQuerier fanout({Known(&a, Labels{{"replica", "1"}}), Known(&b, Labels{{"replica", "2"}})},
                         {});
    auto result = fanout.Select(selectors, SelectOptions());
    REQUIRE(result.ok());
    CHECK(Show(result->sets[0].get(), "replica") ==
          "x/1:10,20,30,70,80,90, x/2:15,25,35,45,55,65,75,85,95, y/2:7, ");
  }
}

TEST_CASE("An error that is no absence ends the query") {
  MemoryStorage a;
  BrokenStore full(absl::ResourceExhaustedError("too many series"));
  FanoutQuerier fanout({&a, &full});
  CHECK(absl::IsResourceExhausted(fanout.Select(Up(), SelectOptions()).status()));
}

}  // namespace
}  // namespace narthex::storage
