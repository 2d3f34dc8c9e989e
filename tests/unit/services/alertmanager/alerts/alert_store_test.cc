#include "services/alertmanager/alerts/alert_store.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "services/alertmanager/alerts/ingestion.h"
#include "tests/support/fake_clock.h"

namespace narthex::alerts {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

absl::Time At(double second) { return kStart + absl::Seconds(second); }

Alert Make(double begin, double end, double updated, bool timeout = false) {
  Alert alert;
  alert.labels = {{"alertname", "a"}};
  alert.starts_at = At(begin);
  alert.ends_at = At(end);
  alert.updated_at = At(updated);
  alert.timeout = timeout;
  alert.annotations = {{"at", StrCat(updated)}};
  return alert;
}

class Recorder : public AlertListener {
 public:
  void OnAlert(const AlertPtr& alert) override { heard.push_back(alert); }
  std::vector<AlertPtr> heard;
};

TEST_CASE("reports of one alert are merged when their times overlap") {
  struct Row {
    const char* what;
    Alert old_report, new_report;
    double begin, end;
    double content;  // updated_at of the report whose annotations win.
  };
  // Now is second 10.
  const Row rows[] = {
      {"the earliest start stays", Make(1, 20, 1), Make(5, 21, 5), 1, 21, 5},
      {"a later start of an older report", Make(5, 20, 5), Make(1, 15, 1), 1, 20, 5},
      {"a stated end rules over an earlier one", Make(1, 30, 1), Make(5, 20, 5), 1, 30, 5},
      {"a soft end does not", Make(1, 30, 1, true), Make(5, 20, 5), 1, 20, 5},
      {"two ends in the past: the later", Make(1, 8, 1), Make(2, 6, 9), 1, 8, 9},
      {"a resolve replaces a soft end", Make(1, 30, 1, true), Make(1, 9, 9), 1, 9, 9},
      {"no overlap: replaced", Make(1, 5, 1), Make(6, 20, 6), 6, 20, 6},
      {"touching is no overlap", Make(1, 5, 1), Make(5, 20, 6), 5, 20, 6},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    FakeClock clock(At(10));
    AlertStore store(&clock, {});
    store.Put({row.old_report});
    store.Put({row.new_report});
    const std::vector<AlertPtr> all = store.All();
    REQUIRE(all.size() == 1);
    CHECK(all[0]->starts_at == At(row.begin));
    CHECK(all[0]->ends_at == At(row.end));
    CHECK(all[0]->annotations[0].second == StrCat(row.content));
  }
}

TEST_CASE("resolved alerts leave with the garbage") {
  FakeClock clock(At(0));
  AlertStore store(&clock, {});
  store.Put({Make(0, 5, 0)});
  CHECK(store.CollectGarbage() == 0);
  clock.Advance(absl::Seconds(5));
  size_t firing = 9;
  size_t resolved = 9;
  store.Count(&firing, &resolved);
  CHECK(firing == 0);
  CHECK(resolved == 1);
  CHECK(store.CollectGarbage() == 1);
  CHECK(store.All().empty());
}

TEST_CASE("a listener hears of what is there and of every change until it is removed") {
  FakeClock clock(At(0));
  AlertStore store(&clock, {});
  store.Put({Make(0, 5, 0)});
  Recorder recorder;
  store.AddListener(&recorder);
  CHECK(recorder.heard.size() == 1);
  store.Put({Make(0, 6, 1)});
  REQUIRE(recorder.heard.size() == 2);
  CHECK(recorder.heard[1] == store.Get(recorder.heard[1]->fingerprint()));
  store.RemoveListener(&recorder);
  store.Put({Make(0, 7, 2)});
  CHECK(recorder.heard.size() == 2);
}

TEST_CASE("a bound on alerts of one name lets known and ended ones pass") {
  FakeClock clock(At(0));
  AlertStore store(&clock, {.per_alertname_max = 2});
  const auto named = [](const char* instance, double end) {
    Alert alert = Make(0, end, 0);
    alert.labels = {{"alertname", "a"}, {"instance", instance}};
    return alert;
  };
  CHECK(store.Put({named("1", 5), named("2", 100)}) == 0);
  CHECK(store.Put({named("3", 100)}) == 1);
  CHECK(store.Put({named("1", 6)}) == 0);
  Alert other = Make(0, 100, 0);
  other.labels = {{"alertname", "b"}};
  CHECK(store.Put({other}) == 0);
  clock.Advance(absl::Seconds(7));
  // The first has ended and makes room.
  CHECK(store.Put({named("3", 100)}) == 0);
  CHECK(store.Put({named("4", 100)}) == 1);
}

TEST_CASE("posted alerts get what they do not say") {
  FakeClock clock(At(100));
  AlertStore store(&clock, {});
  metrics::Registry registry;
  Ingestion ingestion(&store, &clock, &registry, NameValidationScheme::kUtf8);
  ingestion.set_resolve_timeout(absl::Seconds(60));
  PostedAlert bare;
  bare.labels = {{"b", "2"}, {"a", "1"}, {"empty", ""}, {"b", "3"}};
  PostedAlert ended;
  ended.labels = {{"a", "ended"}};
  ended.ends_at = At(50);
  const IngestResult result = ingestion.Post({bare, ended});
  CHECK(result.accepted == 2);
  CHECK(result.errors.empty());
  const AlertPtr stored = store.Get(Labels{{"a", "1"}, {"b", "3"}}.Fingerprint());
  REQUIRE(stored != nullptr);
  CHECK(stored->starts_at == At(100));
  CHECK(stored->ends_at == At(160));
  CHECK(stored->timeout);
  const AlertPtr resolved = store.Get(Labels{{"a", "ended"}}.Fingerprint());
  REQUIRE(resolved != nullptr);
  CHECK(resolved->starts_at == At(50));
  CHECK_FALSE(resolved->timeout);
  const auto received = [&registry](const char* status) {
    return registry
        .AddCounter("alertmanager_alerts_received_total", "The total number of received alerts.",
                    {{"status", status}, {"version", "v2"}})
        ->Value();
  };
  CHECK(received("firing") == 1);
  CHECK(received("resolved") == 1);
}

TEST_CASE("alerts that are not valid are named, and the others taken") {
  FakeClock clock(At(100));
  AlertStore store(&clock, {});
  metrics::Registry registry;
  Ingestion ingestion(&store, &clock, &registry, NameValidationScheme::kLegacy);
  std::vector<PostedAlert> posted(5);
  posted[0].labels = {{"a b", "x"}};
  posted[1].labels = {{"ok", "x"}};
  posted[2].labels = {{"e", ""}};
  posted[3].labels = {{"a", "x"}};
  posted[3].starts_at = At(10);
  posted[3].ends_at = At(5);
  posted[4].labels = {{"a", "\xff"}};
  const IngestResult result = ingestion.Post(posted);
  CHECK(result.accepted == 1);
  using Errors = std::vector<std::pair<size_t, std::string>>;
  CHECK(result.errors == Errors{{0, "invalid label set: invalid name \"a b\""},
                                {2, "at least one label pair required"},
                                {3, "start time must be before end time"},
                                {4, "invalid label set: invalid value \"\\xff\""}});
}

TEST_CASE("fingerprints, hashes, texts and orders are upstream's") {
  const Labels labels = {{"alertname", "A"}, {"severity", "critical"}, {"team", "a"}};
  CHECK(FingerprintText(labels.Fingerprint()) == "cea107b8f6befe35");
  CHECK(FingerprintText(0) == "0000000000000000");
  CHECK(LabelSetText({{"b", "x\n\"é"}, {"a", "\x01"}}) == "{a=\"\\x01\", b=\"x\\n\\\"é\"}");
  CHECK(LabelSetText({}) == "{}");
  CHECK(LabelSetLess({{"z", "1"}}, {{"a", "1"}, {"b", "1"}}));
  CHECK(LabelSetLess({{"b", "1"}}, {{"a", "1"}}));
  CHECK(LabelSetLess({{"a", "1"}}, {{"a", "2"}}));
  CHECK_FALSE(LabelSetLess({{"a", "1"}}, {{"a", "1"}}));

  const auto alert = [](Labels of) {
    auto made = std::make_shared<Alert>();
    made->labels = std::move(of);
    return made;
  };
  std::vector<AlertPtr> alerts = {alert({{"x", "1"}}), alert({{"job", "b"}, {"instance", "1"}}),
                                  alert({{"instance", "0"}}),
                                  alert({{"job", "b"}, {"instance", "0"}}), alert({{"job", "a"}})};
  SortForNotification(&alerts);
  std::vector<std::string> texts;
  for (const AlertPtr& sorted : alerts) texts.push_back(LabelSetText(sorted->labels));
  CHECK(texts == std::vector<std::string>{"{job=\"a\"}", "{instance=\"0\", job=\"b\"}",
                                          "{instance=\"1\", job=\"b\"}", "{instance=\"0\"}",
                                          "{x=\"1\"}"});
}

}  // namespace
}  // namespace narthex::alerts
