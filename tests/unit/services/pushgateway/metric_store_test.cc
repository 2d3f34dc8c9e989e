#include "services/pushgateway/metric_store.h"

#include <atomic>
#include <random>
#include <string>

#include "catch2/catch.hpp"
#include "lib/base/thread.h"
#include "services/pushgateway/exposition.h"
#include "services/pushgateway/text_parser.h"
#include "tests/support/fake_clock.h"

namespace narthex::pushgateway {
namespace {

struct Fixture {
  explicit Fixture(bool check = true)
      : store({check, [] { return std::vector<metrics::CollectedFamily>(); }}, &clock) {}
  absl::Status Push(const GroupingKey& key, std::string_view body, bool replace = true) {
    auto families = ParsePushedText(body);
    REQUIRE(families.ok());
    return store.Push(key, *std::move(families), replace);
  }
  // What a scrape sees, without comments and without the two gauges of each group.
  std::string Pushed() { return Lines(false); }
  std::string Times() { return Lines(true); }
  std::string Lines(bool times) {
    std::string all;
    WriteExposition(OwnFamilies({}), store.Families(), &all);
    std::string kept;
    for (const std::string_view line : Split(all, '\n')) {
      if (line.empty() || line.starts_with('#') || line.starts_with("push_") != times) continue;
      StrAppend(&kept, line, "\n");
    }
    return kept;
  }
  FakeClock clock{absl::FromUnixSeconds(1000)};
  MetricStore store;
};

TEST_CASE("PUT replaces a group, POST the families of the same names, DELETE all") {
  Fixture fixture;
  const GroupingKey key = {{"job", "j"}};
  CHECK(fixture.Push(key, "a{x=\"1\"} 1\na{x=\"2\"} 1\nb 1\n").ok());
  CHECK(fixture.Push(key, "a{x=\"3\"} 2\nc 2\n", false).ok());
  CHECK(fixture.Pushed() ==
        "a{instance=\"\",job=\"j\",x=\"3\"} 2\nb{instance=\"\",job=\"j\"} "
        "1\nc{instance=\"\",job=\"j\"} 2\n");
  CHECK(fixture.Push(key, "b 3\n").ok());
  CHECK(fixture.Pushed() == "b{instance=\"\",job=\"j\"} 3\n");
  CHECK(fixture.Push(key, "").ok());
  CHECK(fixture.Pushed() == "");
  CHECK(fixture.store.size().groups == 1);
  fixture.store.Delete(key);
  fixture.store.Delete(key);
  CHECK(fixture.store.size().groups == 0);
  CHECK(fixture.store.size().series == 0);
  CHECK(fixture.Times() == "");
}

TEST_CASE("Labels of the group win, and an empty instance keeps the scrape's away") {
  Fixture fixture;
  CHECK(fixture.Push({{"job", "j"}, {"l", "group"}}, "a{l=\"mine\",z=\"z\"} 1\n").ok());
  CHECK(fixture.Push({{"job", "k"}, {"instance", "i"}}, "a{instance=\"mine\"} 2\n").ok());
  CHECK(fixture.Push({{"job", "l"}}, "a{instance=\"mine\"} 3\n").ok());
  CHECK(fixture.Pushed() ==
        "a{instance=\"i\",job=\"k\"} 2\na{instance=\"mine\",job=\"l\"} 3\n"
        "a{instance=\"\",job=\"j\",l=\"group\",z=\"z\"} 1\n");
}

TEST_CASE("The times of the last success and failure are kept as upstream keeps them") {
  Fixture fixture;
  const GroupingKey key = {{"job", "j"}};
  const std::string labels = "{instance=\"\",job=\"j\"} ";
  const auto times = [&](std::string failure, std::string success) {
    return StrCat("push_failure_time_seconds", labels, failure, "\npush_time_seconds", labels,
                  success, "\n");
  };
  CHECK(fixture.Push(key, "a 1\n").ok());
  CHECK(fixture.Times() == times("0", "1000"));
  CHECK(fixture.store.Groups()[0].LastPushSuccessful());
  fixture.clock.Advance(absl::Seconds(1));
  CHECK_FALSE(fixture.Push(key, "a 1 5\n").ok());
  CHECK(fixture.Times() == times("1001", "1000"));
  CHECK_FALSE(fixture.store.Groups()[0].LastPushSuccessful());
  fixture.clock.Advance(absl::Seconds(1));
  CHECK(fixture.Push(key, "push_time_seconds 7\npush_failure_time_seconds 8\n").ok());
  CHECK(fixture.Times() == times("1001", "1002"));
  fixture.clock.Advance(absl::Seconds(1));
  CHECK(fixture.Push(key, "", false).ok());
  CHECK(fixture.Times() == times("1001", "1003"));
}

TEST_CASE("A refused push changes nothing but the failure time, which may make the group") {
  Fixture fixture;
  CHECK(fixture.Push({{"job", "j"}}, "a 1\n").ok());
  CHECK(Message(fixture.Push({{"job", "j"}}, "b 1\na 1 17\n")) ==
        "pushed metrics must not have timestamps");
  CHECK(Message(fixture.Push({{"job", "k"}}, "# TYPE a gauge\na 1\n")) ==
        "collected metric \"a\" { label:<name:\"instance\" value:\"\" > label:<name:\"job\" "
        "value:\"k\" > "
        "gauge:<value:1 > } is not a UNTYPED");
  CHECK(fixture.Pushed() == "a{instance=\"\",job=\"j\"} 1\n");
  CHECK(fixture.store.size().groups == 2);
  CHECK_FALSE(fixture.store.Groups()[1].LastPushSuccessful());
}

TEST_CASE("A refused push makes no group whose own gauges would break every scrape") {
  Fixture fixture;
  CHECK(fixture.Push({{"job", "j"}}, "a 1\n").ok());
  CHECK(Message(fixture.Push({{"job", "j"}, {"instance", ""}}, "b 1\n")).substr(0, 21) ==
        "2 error(s) occurred:\n");
  CHECK(fixture.store.size().groups == 1);
  CHECK(fixture.store.Verify(OwnFamilies({})).ok());
}

TEST_CASE("What a push takes the place of is no conflict") {
  Fixture fixture;
  CHECK(fixture.Push({{"job", "j"}}, "# TYPE a gauge\na 1\n").ok());
  CHECK(fixture.Push({{"job", "j"}}, "# TYPE a counter\na 1\n").ok());
  CHECK(fixture.Push({{"job", "j"}}, "# TYPE a histogram\na_sum 1\n", false).ok());
  CHECK_FALSE(fixture.Push({{"job", "j"}}, "a_count 1\n", false).ok());
  CHECK(fixture.Push({{"job", "j"}}, "a_count 1\n").ok());
}

TEST_CASE("Without the check everything is taken but timestamps, and Verify tells") {
  Fixture fixture(false);
  CHECK(fixture.Push({{"job", "j"}}, "a 1\na 2\n").ok());
  CHECK(fixture.Push({{"job", "k"}}, "# TYPE a gauge\na 1\n").ok());
  CHECK_FALSE(fixture.Push({{"job", "k"}}, "b 1 5\n").ok());
  CHECK(Message(fixture.store.Verify(OwnFamilies({}))).substr(0, 21) == "2 error(s) occurred:\n");
  fixture.store.Delete({{"job", "j"}});
  CHECK(fixture.store.Verify(OwnFamilies({})).ok());
  fixture.store.Wipe();
  CHECK(fixture.store.size().series == 0);
}

TEST_CASE(
    "The check agrees with a full gather after random pushes, and the index with the groups") {
  const unsigned seed = std::random_device()();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto pick = [&random](int below) { return static_cast<int>(random() % below); };
  const std::vector<std::string> types = {"gauge", "counter", "untyped"};
  Fixture checked;
  int accepted = 0;
  int refused = 0;
  for (int step = 0; step < 1500; ++step) {
    GroupingKey key = {{"job", StrCat("j", pick(3))}};
    if (pick(3) == 0) key["instance"] = pick(2) == 0 ? "" : "i";
    if (pick(8) == 0) {
      checked.store.Delete(key);
      continue;
    }
    std::string body;
    for (int i = pick(3); i >= 0; --i) {
      const std::string name = StrCat("m", pick(3), pick(4) == 0 ? "_sum" : "");
      if (body.find(StrCat(name, " ")) != std::string::npos) continue;
      if (pick(6) == 0) {
        StrAppend(&body, "# TYPE ", name, " summary\n", name, "{quantile=\"1\"} 1\n");
      } else {
        StrAppend(&body, "# TYPE ", name, " ", types[pick(10) < 7 ? 0 : pick(3)], "\n", name,
                  "{l=\"", pick(2), "\"} 1\n");
      }
    }
    const auto families = ParsePushedText(body);
    if (!families.ok()) continue;
    const bool replace = pick(2) == 0;

    // The model: the same groups without a check, then the push, then a look at everything.
    Fixture model(false);
    model.store.Restore(checked.store.Groups());
    REQUIRE(model.store.Verify(OwnFamilies({})).ok());
    CHECK(model.store.Push(key, *families, replace).ok());
    const bool fits = model.store.Verify(OwnFamilies({})).ok();
    const absl::Status status = checked.store.Push(key, *families, replace);
    INFO(body << " replace " << replace << ": " << Message(status));
    REQUIRE(status.ok() == fits);
    (fits ? accepted : refused)++;
    size_t series = 0;
    for (const Group& group : checked.store.Groups()) {
      for (const auto& entry : group.families) series += entry.second.family->metrics.size();
    }
    REQUIRE(checked.store.size().series == series);
  }
  CHECK(accepted > 100);
  CHECK(refused > 100);
}

TEST_CASE("Concurrent pushes to one name from many threads leave a consistent store") {
  Fixture fixture;
  std::atomic<int> accepted{0};
  {
    std::vector<Thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back("push", [&fixture, &accepted, t] {
        for (int i = 0; i < 200; ++i) {
          const GroupingKey key = {{"job", StrCat("j", (t + i) % 5)}};
          auto families = ParsePushedText(
              StrCat("# TYPE a ", t % 2 == 0 ? "gauge" : "counter", "\na ", i, "\n"));
          if (i % 7 == 0) fixture.store.Delete(key);
          if (fixture.store.Push(key, *std::move(families), true).ok()) ++accepted;
          std::string text;
          WriteExposition(OwnFamilies({}), fixture.store.Families(), &text);
        }
      });
    }
  }
  CHECK(accepted > 0);
  CHECK(fixture.store.Verify(OwnFamilies({})).ok());
}

}  // namespace
}  // namespace narthex::pushgateway
