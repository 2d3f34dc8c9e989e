// What comes late and what comes again: the spools of an outage, replayed after others went on.
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/metrics/registry.h"
#include "services/storage/append_session.h"
#include "services/storage/tsdb/wal/segments.h"
#include "services/storage/tsdb/wal/writer.h"
#include "tests/unit/services/storage/tsdb/db_fixture.h"

namespace narthex::storage_service {
namespace {

using tsdb::DbFixture;
using tsdb::kStart;
using tsdb::SeriesMap;

constexpr Timestamp kHour = 3'600'000;
constexpr Timestamp kInterval = 15'000;
constexpr Timestamp kOutage = 3 * kHour;
constexpr size_t kBatches = kOutage / kInterval;

Labels LabelsOf(std::string_view job, size_t i) {
  return Labels::FromPairs({{"__name__", "spooled"}, {"job", std::string(job)}, {"i", StrCat(i)}});
}

double ValueOf(size_t batch, size_t i) {
  return static_cast<double>(batch * 31 % 97 + i) + (batch % 3 == 0 ? 0.25 : 0);
}

// A scraper with the batches of an outage in its spool: it keeps what is not accepted, the
// references that it was given, and nothing else.
class SpoolSender {
 public:
  // The batches end one interval before `end`. Scrapers with one `job` have one and the same spool.
  SpoolSender(std::string id, std::string job, size_t series, Timestamp end)
      : id_(std::move(id)), job_(std::move(job)), series_(series), end_(end) {}

  static size_t SeriesIn(size_t batch, size_t i) { return batch % 7 == i % 7 ? 0 : 1; }
  Timestamp TimeOf(size_t batch) const {
    return end_ - static_cast<Timestamp>(kBatches - batch) * kInterval;
  }
  void AddExpected(SeriesMap* expected) const {
    for (size_t i = 0; i < series_; ++i) {
      auto& samples = (*expected)[LabelsOf(job_, i)];
      samples.clear();
      for (size_t batch = 0; batch < kBatches; ++batch) {
        if (SeriesIn(batch, i) > 0) samples.emplace_back(TimeOf(batch), ValueOf(batch, i));
      }
    }
  }

  // A new stream. `unsure` starts behind what is durable, although more may have been accepted.
  void Connect(tsdb::Db* db, const AppendMetrics* metrics, bool unsure) {
    tsdb::Head& head = db->head();
    tsdb::Sender* const sender = head.FindSender(id_);
    const uint64_t reference_max = head.WelcomeReferenceMax(sender);
    if (head.reference_space() != space_) {
      space_ = head.reference_space();
      references_.clear();
    }
    std::erase_if(references_, [&](const auto& entry) { return entry.second > reference_max; });
    const auto position = head.PositionOf(*sender);
    next_ = unsure ? position.durable + 1 : position.applied + 1;
    session_ = std::make_unique<AppendSession>(db, sender, metrics, Logger());
  }
  void Disconnect() { session_.reset(); }
  bool connected() const { return session_ != nullptr; }
  bool done() const { return next_ > kBatches; }

  // Sends the next batch in up to three frames. With `broken` the last one is never sent, and the
  // stream ends, as it does after an error.
  void Step(std::mt19937* random, bool broken) {
    const std::string bytes = Encode(static_cast<size_t>(next_ - 1));
    size_t at = 0;
    AppendNews news;
    const size_t frames = 1 + (*random)() % 3;
    for (size_t frame = 1; frame <= frames; ++frame) {
      const bool last = frame == frames;
      if (last && broken) return Disconnect();
      const size_t size = last ? bytes.size() - at : (*random)() % (bytes.size() - at);
      if (!session_->OnFrame(next_, std::string_view(bytes).substr(at, size), last, &news).ok()) {
        return Disconnect();
      }
      at += size;
    }
    for (const auto& given : news.new_references) {
      REQUIRE(given.reference != 0);
      references_[given.number] = given.reference;
    }
    for (const uint64_t count : news.refused) refused += count;
    CHECK(news.quarantined_sequences.empty());
    if (news.refused_sequence != 0) {
      ++refused_batches;
      CHECK(news.refused_sequence == next_);
      for (const uint64_t unknown : news.unknown_references) {
        std::erase_if(references_, [&](const auto& entry) { return entry.second == unknown; });
      }
      return;  // It comes again, with definitions.
    }
    CHECK(news.accepted_sequence >= next_);
    ++next_;
  }
  // As if somebody had told it wrong numbers.
  void SpoilReferences() {
    for (auto& [number, reference] : references_) reference += 1'000'000;
  }

  uint64_t refused = 0;
  uint64_t refused_batches = 0;

 private:
  std::string Encode(size_t batch) const {
    storage::AppendBatchWriter writer;
    writer.Clear(TimeOf(batch));
    for (size_t i = 0; i < series_; ++i) {
      if (SeriesIn(batch, i) == 0) continue;
      const auto known = references_.find(i + 1);
      if (known != references_.end()) {
        writer.Add(known->second, TimeOf(batch), ValueOf(batch, i));
      } else {
        writer.AddWithDefinition(i + 1, LabelsOf(job_, i), TimeOf(batch), ValueOf(batch, i));
      }
    }
    return writer.Finish();
  }

  const std::string id_;
  const std::string job_;
  const size_t series_;
  const Timestamp end_;
  std::string space_;
  std::map<storage::SeriesNumber, storage::SeriesRef> references_;
  uint64_t next_ = 1;
  std::unique_ptr<AppendSession> session_;
};

class Journey {
 public:
  Journey(uint32_t seed, absl::Duration window) : random(seed), db(OptionsWith(window)) {
    db.Open();
  }
  static tsdb::DbOptions OptionsWith(absl::Duration window) {
    tsdb::DbOptions options;
    options.head.ooo.window = window;
    options.log.segment_size_bytes = uint64_t{8} << 20;
    return options;
  }

  void WriteRules(Timestamp timestamp) {
    const Labels labels = Labels::FromPairs({{"__name__", "rule"}});
    REQUIRE(db.Append(labels, timestamp, 1) == storage::Refusal::kNone);
    rules.emplace_back(timestamp, 1);
  }

  // Until every sender is done: steps of one or another, streams that break, syncs, crashes.
  void Run(std::vector<SpoolSender*> senders, int crashes) {
    size_t steps = 0;
    while (true) {
      std::vector<SpoolSender*> busy;
      for (SpoolSender* sender : senders) {
        if (!sender->connected()) sender->Connect(db.db.get(), &metrics, random() % 2 == 0);
        if (!sender->done()) busy.push_back(sender);
      }
      if (busy.empty()) return;
      // Runs of one sender, so that one is far ahead at times.
      SpoolSender* const sender = busy[random() % busy.size()];
      for (size_t run = 1 + random() % 100; run > 0 && sender->connected() && !sender->done();
           --run) {
        sender->Step(&random, random() % 200 == 0);
        if (++steps % 100 == 0) WriteRules(kStart + static_cast<Timestamp>(steps) * 10);
      }
      if (random() % 8 == 0) REQUIRE(db.db->Sync().ok());
      if (crashes > 0 && random() % 20 == 0) {
        --crashes;
        for (SpoolSender* each : senders) each->Disconnect();
        db.Crash();
        db.Open();
      }
    }
  }

  void Check(const std::vector<SpoolSender*>& senders) {
    SeriesMap expected;
    for (const SpoolSender* sender : senders) {
      CHECK(sender->refused == 0);
      sender->AddExpected(&expected);
    }
    expected[Labels::FromPairs({{"__name__", "rule"}})] = rules;
    const SeriesMap found = db.SelectAll();
    REQUIRE(found.size() == expected.size());
    for (const auto& [labels, samples] : expected) {
      INFO(labels.ToString());
      REQUIRE(found.count(labels) == 1);
      REQUIRE(found.at(labels) == samples);
    }
  }

  std::mt19937 random;
  DbFixture db;
  metrics::Registry registry;
  AppendMetrics metrics{&registry};
  std::vector<std::pair<Timestamp, double>> rules;
};

TEST_CASE("The spools of an outage of three hours are stored whole after rules went on") {
  for (const absl::Duration window : {absl::ZeroDuration(), absl::Hours(4)}) {
    for (uint32_t seed = 1; seed <= 3; ++seed) {
      INFO("seed " << seed << ", window " << window);
      Journey journey(seed, window);
      journey.WriteRules(kStart);
      SpoolSender first("scraper-1", "a", 15, kStart);
      SpoolSender second("scraper-2", "b", 10, kStart - 1234);
      journey.Run({&first, &second}, 4);
      journey.Check({&first, &second});
    }
  }
}

TEST_CASE("One spool that two scrapers replay is stored once, and nothing of it is refused") {
  for (const absl::Duration window : {absl::ZeroDuration(), absl::Hours(4)}) {
    for (uint32_t seed = 1; seed <= 3; ++seed) {
      INFO("seed " << seed << ", window " << window);
      Journey journey(seed, window);
      journey.WriteRules(kStart);
      SpoolSender first("scraper-1", "a", 15, kStart);
      SpoolSender second("scraper-2", "a", 15, kStart);
      SpoolSender other("scraper-3", "b", 5, kStart);
      journey.Run({&first, &second, &other}, 4);
      journey.Check({&first, &second, &other});
      CHECK(journey.db.db->head().ooo().counters().floats_appended == 0);
    }
  }
}

TEST_CASE("A spool that comes after newer samples of its series needs a window") {
  Journey journey(5, absl::Hours(4));
  SpoolSender sender("scraper-1", "a", 4, kStart);
  SeriesMap expected;
  sender.AddExpected(&expected);
  for (auto& [labels, samples] : expected) {  // Somebody scrapes the same targets already.
    REQUIRE(journey.db.Append(labels, kStart + 1, 5) == storage::Refusal::kNone);
    samples.emplace_back(kStart + 1, 5);
  }
  SECTION("and is stored whole with one") {
    journey.Run({&sender}, 3);
    CHECK(sender.refused == 0);
    CHECK(journey.db.SelectAll() == [&] {
      SeriesMap all = expected;
      if (!journey.rules.empty()) {
        all[Labels::FromPairs({{"__name__", "rule"}})] = journey.rules;
      }
      return all;
    }());
    // Once more, by somebody else.
    SpoolSender again("scraper-2", "a", 4, kStart);
    const uint64_t appended = journey.db.db->head().ooo().counters().floats_appended;
    journey.Run({&again}, 0);
    CHECK(again.refused == 0);
    CHECK(journey.db.db->head().ooo().counters().floats_appended == appended);
  }
  SECTION("and is counted as refused without") {
    journey.db.db->head().ooo().SetWindow(absl::ZeroDuration());
    journey.Run({&sender}, 0);
    CHECK(sender.refused == [&] {
      size_t samples = 0;
      for (const auto& [labels, of] : expected) samples += of.size() - 1;
      return samples;
    }());
  }
}

TEST_CASE("A spool goes on in a new reference space") {
  for (const absl::Duration window : {absl::ZeroDuration(), absl::Hours(4)}) {
    Journey journey(6, window);
    journey.WriteRules(kStart);
    SpoolSender sender("scraper-1", "a", 15, kStart);
    sender.Connect(journey.db.db.get(), &journey.metrics, false);
    for (size_t i = 0; i < kBatches / 2; ++i) sender.Step(&journey.random, false);
    const std::string space = journey.db.db->head().reference_space();
    sender.Disconnect();
    journey.db.Crash();
    // Another program has opened the log: its segment has no marker.
    const std::string directory = StrCat(tsdb::kDbPath, "/wal");
    const auto segments = wal::ListSegments(&journey.db.fs, directory);
    REQUIRE(segments.ok());
    auto other = wal::Writer::Open(&journey.db.fs, directory, segments->back().number + 1, {},
                                   [](uint64_t, std::vector<std::string>*) {});
    REQUIRE(other.ok());
    wal::SeriesEncoder series;
    series.Add(900'000, std::vector<LabelView>{{"by", "another"}});
    const std::string_view records[] = {series.record()};
    REQUIRE((*other)->Log(records).ok());
    other->reset();
    journey.db.Open();
    CHECK(journey.db.db->head().reference_space() != space);
    journey.Run({&sender}, 2);
    journey.Check({&sender});
  }
}

TEST_CASE("A sender with wrong references is told so and loses nothing") {
  Journey journey(7, absl::ZeroDuration());
  SpoolSender sender("scraper-1", "a", 15, kStart);
  sender.Connect(journey.db.db.get(), &journey.metrics, false);
  for (size_t i = 0; i < 50; ++i) sender.Step(&journey.random, false);
  sender.SpoilReferences();
  journey.Run({&sender}, 0);
  CHECK(sender.refused_batches > 0);
  journey.WriteRules(kStart + kHour / 2);
  journey.Check({&sender});
}

TEST_CASE("What lies only in blocks by now can be repeated, and nothing else of its age") {
  for (const absl::Duration window : {absl::ZeroDuration(), absl::Minutes(30)}) {
    INFO("window " << window);
    Journey journey(8, window);
    tsdb::Db& db = *journey.db.db;
    journey.WriteRules(kStart);
    SpoolSender first("scraper-1", "a", 15, kStart);
    journey.Run({&first}, 0);
    // The targets are scraped again, and the spool goes to blocks.
    SeriesMap expected;
    first.AddExpected(&expected);
    journey.db.clock.Advance(absl::Hours(8));
    for (auto& [labels, samples] : expected) {
      for (Timestamp t = kStart + kHour; t <= kStart + 7 * kHour; t += kHour) {
        REQUIRE(journey.db.Append(labels, t, 1) == storage::Refusal::kNone);
        samples.emplace_back(t, 1);
      }
    }
    REQUIRE(db.Compact().ok());
    REQUIRE(db.head().truncated_before() > kStart);
    expected[Labels::FromPairs({{"__name__", "rule"}})] = journey.rules;
    REQUIRE(journey.db.SelectAll() == expected);

    // Two others have the same spool.
    SpoolSender second("scraper-2", "a", 15, kStart);
    SpoolSender third("scraper-3", "a", 15, kStart);
    const uint64_t appended = db.head().counters().samples_appended;
    size_t spooled = 0;
    for (size_t batch = 0; batch < kBatches; ++batch) {
      for (size_t i = 0; i < 15; ++i) spooled += SpoolSender::SeriesIn(batch, i);
    }
    for (SpoolSender* sender : {&second, &third}) {
      sender->Connect(&db, &journey.metrics, false);
      while (!sender->done()) sender->Step(&journey.random, false);
      CHECK(sender->refused == 0);
      CHECK(sender->refused_batches <= 1);
    }
    CHECK(db.head().counters().samples_appended == appended);
    CHECK(db.head().counters().samples_repeated_in_blocks == 2 * spooled);
    CHECK(journey.db.SelectAll() == expected);

    // Another value, another time, another series: as ever.
    const Labels labels = LabelsOf("a", 0);
    const auto& [time, value] = expected.at(labels).front();
    const storage::Refusal refusal =
        window > absl::ZeroDuration() ? storage::Refusal::kTooOld : storage::Refusal::kOutOfOrder;
    CHECK(journey.db.Append(labels, time, value) == storage::Refusal::kNone);
    CHECK(journey.db.Append(labels, time, value + 1) == refusal);
    CHECK(journey.db.Append(labels, time + 1, value) == refusal);
    REQUIRE(journey.db.Append(LabelsOf("c", 0), kStart + 8 * kHour, 1) == storage::Refusal::kNone);
    CHECK(journey.db.Append(LabelsOf("c", 0), time, value) == refusal);
    // A deleted sample is not there to be repeated.
    const std::vector<Matcher> zero = {Matcher::Equal("i", "0"), Matcher::Equal("job", "a")};
    REQUIRE(db.Delete(zero, time, time).ok());
    CHECK(journey.db.Append(labels, time, value) == refusal);
    // All of it goes on after merges and a restart.
    journey.db.Crash();
    journey.db.Open();
    SpoolSender fourth("scraper-4", "a", 15, kStart);
    fourth.Connect(journey.db.db.get(), &journey.metrics, false);
    while (!fourth.done()) fourth.Step(&journey.random, false);
    CHECK(fourth.refused == 1);
  }
}

// The power goes, and the kernel has written the one log back and not yet the other.
void LosePowerButKeepTheLog(tsdb::DbFixture* db) {
  const std::string directory = StrCat(tsdb::kDbPath, "/wal");
  const auto segments = wal::ListSegments(&db->fs, directory);
  REQUIRE(segments.ok());
  std::map<std::string, std::string> kept;
  for (const wal::Segment& segment : *segments) {
    kept[segment.path] = db->fs.ReadFile(segment.path).value();
  }
  db->fs.PowerLoss();
  db->db.reset();
  for (const auto& [path, bytes] : kept) REQUIRE(db->fs.WriteFileAtomically(path, bytes).ok());
}

TEST_CASE("A sender sends again the late samples that a power loss took from one log only") {
  for (const int synced : {0, 1, 200, 431}) {
    INFO("synced after " << synced << " batches");
    Journey journey(9, absl::Hours(4));
    SpoolSender sender("scraper-1", "a", 6, kStart);
    SpoolSender other("scraper-2", "b", 3, kStart);
    SeriesMap expected;
    sender.AddExpected(&expected);
    // Some of its series have newer samples: its batches go to both logs.
    size_t late = 0;
    for (auto& [labels, samples] : expected) {
      if (++late > 3) break;
      REQUIRE(journey.db.Append(labels, kStart + 1, 5) == storage::Refusal::kNone);
      samples.emplace_back(kStart + 1, 5);
    }
    const auto send = [&](SpoolSender* from, int batches) {
      from->Connect(journey.db.db.get(), &journey.metrics, false);
      for (int i = 0; i < batches; ++i) from->Step(&journey.random, false);
      from->Disconnect();
    };
    send(&sender, synced);
    REQUIRE(journey.db.db->Sync().ok());
    send(&sender, 432 - synced);
    send(&other, 100);  // In the one log only.
    const auto applied = [&](std::string_view id) {
      tsdb::Head& head = journey.db.db->head();
      return head.PositionOf(*head.FindSender(id)).applied;
    };
    REQUIRE(applied("scraper-1") == 432);
    LosePowerButKeepTheLog(&journey.db);
    journey.db.Open();
    CHECK(applied("scraper-1") == static_cast<uint64_t>(synced));
    CHECK(applied("scraper-2") == 100);
    CHECK(journey.db.db->replay_result().batches_without_late ==
          static_cast<uint64_t>(432 - synced));
    CHECK(journey.db.LogHas("a power loss took late samples"));
    // Until it has sent them, it stays so.
    journey.db.Crash();
    journey.db.Open();
    CHECK(applied("scraper-1") == static_cast<uint64_t>(synced));
    CHECK(applied("scraper-2") == 100);
    // And after a snapshot of the head, which says what senders are at.
    REQUIRE(journey.db.db->SnapshotHead().ok());
    journey.db.Crash();
    journey.db.Open();
    REQUIRE(journey.db.db->replay_result().snapshot_used);
    CHECK(applied("scraper-1") == static_cast<uint64_t>(synced));

    journey.Run({&sender, &other}, 2);
    other.AddExpected(&expected);
    if (!journey.rules.empty()) expected[Labels::FromPairs({{"__name__", "rule"}})] = journey.rules;
    CHECK(sender.refused == 0);
    CHECK(other.refused == 0);
    CHECK(journey.db.SelectAll() == expected);
    journey.db.Crash();
    journey.db.Open();
    CHECK(applied("scraper-1") == kBatches);
    CHECK(applied("scraper-2") == kBatches);
    CHECK(journey.db.SelectAll() == expected);
  }
}

TEST_CASE("Late samples that went to blocks are not missed in their log") {
  Journey journey(10, absl::Hours(4));
  SpoolSender sender("scraper-1", "a", 4, kStart);
  SeriesMap expected;
  sender.AddExpected(&expected);
  for (auto& [labels, samples] : expected) {
    REQUIRE(journey.db.Append(labels, kStart + 1, 5) == storage::Refusal::kNone);
    samples.emplace_back(kStart + 1, 5);
  }
  journey.Run({&sender}, 0);
  journey.db.clock.Advance(absl::Hours(3));
  REQUIRE(journey.db.db->Compact().ok());
  REQUIRE(journey.db.db->head().ooo().empty());
  journey.db.Crash();
  journey.db.Open();
  tsdb::Head& head = journey.db.db->head();
  CHECK(head.PositionOf(*head.FindSender("scraper-1")).applied == kBatches);
  CHECK(journey.db.db->replay_result().batches_without_late == 0);
  if (!journey.rules.empty()) expected[Labels::FromPairs({{"__name__", "rule"}})] = journey.rules;
  CHECK(journey.db.SelectAll() == expected);
}

TEST_CASE("A disk that fails now and then loses and doubles nothing of a replayed spool") {
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    INFO("seed " << seed);
    Journey journey(seed, absl::Hours(4));
    SpoolSender sender("scraper-1", "a", 5, kStart);
    SeriesMap expected;
    sender.AddExpected(&expected);
    // One of its series has newer samples: its batches go to both logs.
    const Labels both = expected.begin()->first;
    REQUIRE(journey.db.Append(both, kStart + 1, 5) == storage::Refusal::kNone);
    int failures = 60;
    sender.Connect(journey.db.db.get(), &journey.metrics, false);
    while (!sender.done()) {
      if (failures > 0 && journey.random() % 8 == 0) {
        --failures;
        journey.db.fs.FailOnce(journey.db.fs.operations() + 1 + journey.random() % 3,
                               absl::ResourceExhaustedError("no space left"),
                               journey.random() % 2 == 0);
      }
      sender.Step(&journey.random, false);
      if (!sender.connected()) {
        if (journey.random() % 4 == 0) {
          journey.db.fs.FailFrom(0, absl::OkStatus());
          journey.db.Crash();
          journey.db.Open();
        }
        sender.Connect(journey.db.db.get(), &journey.metrics, journey.random() % 2 == 0);
      }
    }
    CHECK(sender.refused == 0);
    expected[both].emplace_back(kStart + 1, 5);
    CHECK(journey.db.SelectAll() == expected);
    journey.db.fs.FailFrom(0, absl::OkStatus());
    sender.Disconnect();
    journey.db.Crash();
    journey.db.Open();
    CHECK(journey.db.SelectAll() == expected);
  }
}

}  // namespace
}  // namespace narthex::storage_service
