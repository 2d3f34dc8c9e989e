#include "tests/support/memory_storage.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/model/stale.h"
#include "tests/support/fake_clock.h"

namespace narthex::testing {
namespace {

using storage::Refusal;
using storage::SelectHints;
using storage::SelectOptions;
using storage::Selector;

const Labels kUp = {{"__name__", "up"}, {"job", "a"}};
const Labels kDown = {{"__name__", "down"}, {"job", "b"}};

std::string Read(MemoryStorage* storage, const SelectHints& hints,
                 std::vector<Matcher> matchers = {}) {
  const Selector selector = {std::move(matchers), hints};
  auto result = storage->Select({&selector, 1}, {});
  REQUIRE(result.ok());
  std::string out;
  SampleBuffer buffer;
  while (result->sets[0]->Next()) {
    StrAppend(&out, result->sets[0]->labels().metric_name(), ":");
    buffer.Clear();
    REQUIRE(result->sets[0]->ReadSamples(&buffer).ok());
    for (size_t i = 0; i < buffer.size(); ++i) {
      StrAppend(&out, " ", buffer.timestamps()[i], "=", buffer.values()[i]);
    }
    out += ";";
  }
  return out;
}

SelectHints Within(Timestamp start, Timestamp end) {
  SelectHints hints;
  hints.start = start;
  hints.end = end;
  return hints;
}

TEST_CASE("refusal reasons have names") {
  CHECK(storage::RefusalName(Refusal::kOutOfOrder) == "out_of_order");
  CHECK(storage::RefusalName(Refusal::kDuplicate) == "duplicate");
  CHECK(storage::RefusalName(Refusal::kSeriesLimit) == "series_limit");
}

TEST_CASE("a sample is refused when it is older or another at the same time") {
  MemoryStorage storage;
  const auto appender = storage.NewAppender();
  CHECK(appender->Append(kUp, 1000, 1) == Refusal::kNone);
  CHECK(appender->Append(kUp, 1000, 1) == Refusal::kNone);
  CHECK(appender->Append(kUp, 1000, 2) == Refusal::kDuplicate);
  CHECK(appender->Append(kUp, 999, 1) == Refusal::kOutOfOrder);
  CHECK(appender->Append(kUp, 2000, StaleNan()) == Refusal::kNone);
  CHECK(appender->Append(kUp, 2000, StaleNan()) == Refusal::kNone);
  CHECK(appender->Append(kUp, 2000, NormalNan()) == Refusal::kDuplicate);
  CHECK(appender->Append(Labels(), 2000, 1) == Refusal::kInvalidLabels);
  REQUIRE(appender->Commit().ok());
  CHECK(storage.samples() == 2);
  CHECK(storage.Append(kUp, 1500, 1) == Refusal::kOutOfOrder);
  CHECK(storage.Append(kUp, 3000, 1) == Refusal::kNone);
  CHECK(storage.refused(Refusal::kDuplicate) == 2);
  CHECK(storage.refused(Refusal::kOutOfOrder) == 2);
}

TEST_CASE("a transaction is seen as a whole once it is committed") {
  MemoryStorage storage;
  auto appender = storage.NewAppender();
  appender->Append(kUp, 1000, 1);
  appender->Append(kDown, 1000, 0);
  CHECK(Read(&storage, Within(0, 9999)).empty());
  REQUIRE(appender->Commit().ok());
  CHECK(Read(&storage, Within(0, 9999)) == "down: 1000=0;up: 1000=1;");
  appender = storage.NewAppender();
  appender->Append(kUp, 2000, 1);
  appender->Rollback();
  CHECK(Read(&storage, Within(1001, 9999)).empty());
}

TEST_CASE("a sample that another transaction overtook is refused at commit") {
  MemoryStorage storage;
  const auto slow = storage.NewAppender();
  CHECK(slow->Append(kUp, 1000, 1) == Refusal::kNone);
  CHECK(slow->Append(kUp, 3000, 1) == Refusal::kNone);
  storage.Append(kUp, 2000, 1);
  REQUIRE(slow->Commit().ok());
  CHECK(Read(&storage, Within(0, 9999)) == "up: 2000=1 3000=1;");
  CHECK(storage.refused(Refusal::kOutOfOrder) == 1);
}

TEST_CASE("a selection is what it was when it was made") {
  MemoryStorage storage;
  storage.Append(kUp, 1000, 1);
  const Selector selector = {{}, Within(0, 9999)};
  auto result = storage.Select({&selector, 1}, {});
  storage.Append(kUp, 2000, 2);
  REQUIRE(result->sets[0]->Next());
  SampleBuffer buffer;
  REQUIRE(result->sets[0]->ReadSamples(&buffer).ok());
  CHECK(buffer.size() == 1);
}

TEST_CASE("hints narrow a selection") {
  MemoryStorage storage;
  for (int i = 1; i <= 5; ++i) storage.Append(kUp, 1000 * i, i);
  storage.Append(kDown, 3000, 0);
  SelectHints hints = Within(2000, 4000);
  CHECK(Read(&storage, hints) == "down: 3000=0;up: 2000=2 3000=3 4000=4;");
  CHECK(Read(&storage, hints, {Matcher::Equal("job", "a")}) == "up: 2000=2 3000=3 4000=4;");
  CHECK(Read(&storage, hints, {Matcher::Equal("instance", "")}) ==
        "down: 3000=0;up: 2000=2 3000=3 4000=4;");
  hints.newest_only = true;
  CHECK(Read(&storage, hints) == "down: 3000=0;up: 4000=4;");
  hints.newest_only = false;
  hints.limit = 1;
  CHECK(Read(&storage, hints) == "down: 3000=0;");
  hints.limit = 0;
  hints.labels_only = true;
  CHECK(Read(&storage, hints) == "down:;up:;");
  CHECK(Read(&storage, Within(3001, 3999)).empty());
}

TEST_CASE("limits, cancelling and deadlines end a selection") {
  FakeClock clock;
  MemoryStorage storage(&clock);
  for (int i = 1; i <= 5; ++i) storage.Append(kUp, 1000 * i, i);
  storage.Append(kDown, 3000, 0);
  const Selector selectors[] = {{{}, Within(0, 9999)}, {{}, Within(0, 9999)}};
  const auto code = [&](const SelectOptions& options) {
    return storage.Select(selectors, options).status().code();
  };
  SelectOptions options;
  options.series_max = 4;
  options.samples_max = 12;
  options.bytes_max = 1000;
  options.deadline = clock.Now() + absl::Seconds(1);
  CHECK(code(options) == absl::StatusCode::kOk);
  options.series_max = 3;
  CHECK(code(options) == absl::StatusCode::kResourceExhausted);
  options.series_max = 0;
  options.samples_max = 11;
  CHECK(code(options) == absl::StatusCode::kResourceExhausted);
  options.samples_max = 0;
  options.bytes_max = 100;
  CHECK(code(options) == absl::StatusCode::kResourceExhausted);
  options.bytes_max = 0;
  options.cancelled = [] { return true; };
  CHECK(code(options) == absl::StatusCode::kCancelled);
  options.cancelled = nullptr;
  options.deadline = clock.Now();
  CHECK(code(options) == absl::StatusCode::kDeadlineExceeded);
}

TEST_CASE("label names and values are those of series with samples in range") {
  MemoryStorage storage;
  storage.Append({{"__name__", "up"}, {"job", "b"}}, 1000, 1);
  storage.Append({{"__name__", "up"}, {"job", "a"}, {"x", "1"}}, 2000, 1);
  storage.Append({{"__name__", "down"}, {"job", "c"}}, 3000, 1);
  using Strings = std::vector<std::string>;
  CHECK(*storage.LabelNames({}, 0, 9999) == Strings{"__name__", "job", "x"});
  CHECK(*storage.LabelNames({}, 3000, 9999) == Strings{"__name__", "job"});
  CHECK(*storage.LabelValues("job", {}, 0, 9999) == Strings{"a", "b", "c"});
  CHECK(*storage.LabelValues("job", {}, 2000, 2000) == Strings{"a"});
  CHECK(*storage.LabelValues("nothing", {}, 0, 9999) == Strings{});
  const std::vector<Matcher> sets[] = {{Matcher::Equal("__name__", "down")},
                                       {Matcher::Equal("job", "b")}};
  CHECK(*storage.LabelValues("job", sets, 0, 9999) == Strings{"b", "c"});
  CHECK(*storage.LabelNames(sets, 0, 9999) == Strings{"__name__", "job"});
}

}  // namespace
}  // namespace narthex::testing
