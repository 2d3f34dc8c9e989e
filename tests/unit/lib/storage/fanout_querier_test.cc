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

TEST_CASE("An error that is no absence ends the query") {
  MemoryStorage a;
  BrokenStore full(absl::ResourceExhaustedError("too many series"));
  FanoutQuerier fanout({&a, &full});
  CHECK(absl::IsResourceExhausted(fanout.Select(Up(), SelectOptions()).status()));
}

}  // namespace
}  // namespace narthex::storage
