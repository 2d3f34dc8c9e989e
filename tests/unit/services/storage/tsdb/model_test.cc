// Random operations on a database and on stores that are obviously right, over restarts,
// compactions, deletions and snapshots.
#include <optional>
#include <random>
#include <set>

#include "catch2/catch.hpp"
#include "lib/base/thread.h"
#include "lib/model/stale.h"
#include "services/storage/tsdb/head_appender.h"
#include "tests/support/memory_storage.h"
#include "tests/unit/services/storage/tsdb/db_fixture.h"

namespace narthex::tsdb {
namespace {

using storage::Refusal;

class Model {
 public:
  explicit Model(uint32_t seed) : random_(seed) {
    for (int i = 0; i < 30; ++i) {
      series_.push_back(Labels{{"__name__", i % 2 == 0 ? "even" : "odd"},
                               {"i", std::to_string(i)},
                               {i % 3 == 0 ? "three" : "other", "x"}});
    }
    db_.Open();
  }

  void Run(int steps) {
    for (int step = 0; step < steps; ++step) {
      const uint32_t what = random_() % 100;
      if (what < 70) {
        AppendBatch();
      } else if (what < 95) {
        Compare();
      } else if (what < 97) {
        REQUIRE(db_.db->Sync().ok());
      } else {
        db_.Crash();
        db_.Open();
      }
    }
    db_.Crash();
    db_.Open();
    CompareSelect({}, kMinTimestamp, kMaxTimestamp);
  }

 private:
  void AppendBatch() {
    DbAppender appender(&db_.db->head());
    const auto twin = twin_.NewAppender();
    const bool commit = random_() % 10 != 0;
    std::array<uint64_t, storage::kRefusalCount> refused = {};
    now_ += random_() % 30000;
    for (size_t n = random_() % 40; n-- > 0;) {
      const Labels& labels = series_[random_() % series_.size()];
      const Timestamp timestamp = now_ + static_cast<int>(random_() % 4) * 5000 - 10000;
      const double value = random_() % 20 == 0 ? StaleNan() : static_cast<double>(random_() % 50);
      appender.Append(labels, timestamp, value);
      if (commit) ++refused[static_cast<size_t>(twin->Append(labels, timestamp, value))];
    }
    if (!commit) {
      appender.Rollback();
      twin->Rollback();
      return;
    }
    REQUIRE(appender.Commit().ok());
    REQUIRE(twin->Commit().ok());
    refused[0] = 0;
    CHECK(appender.result().refused == refused);
  }

  void Compare() {
    static const char* const kNames[] = {"__name__", "i", "three", "other", "none"};
    static const char* const kValues[] = {"even", "odd", "1.*", ".*", "", "x", "2|3|4", ".+"};
    std::vector<Matcher> matchers;
    for (size_t n = random_() % 3; n-- > 0;) {
      matchers.push_back(Matcher::Create(static_cast<MatchType>(random_() % 4),
                                         kNames[random_() % 5], kValues[random_() % 8])
                             .value());
    }
    const Timestamp to = now_ - static_cast<int>(random_() % 600000);
    CompareSelect(matchers, to - static_cast<int>(random_() % 600000), to);
    DbQuerier querier(db_.db.get(), &db_.clock);
    const std::vector<std::vector<Matcher>> sets = {matchers};
    CHECK(querier.LabelNames(sets, kMinTimestamp, kMaxTimestamp).value() ==
          twin_.LabelNames(sets, kMinTimestamp, kMaxTimestamp).value());
    CHECK(querier.LabelValues("i", sets, kMinTimestamp, kMaxTimestamp).value() ==
          twin_.LabelValues("i", sets, kMinTimestamp, kMaxTimestamp).value());
    CHECK(querier.LabelNames({}, kMinTimestamp, kMaxTimestamp).value() ==
          twin_.LabelNames({}, kMinTimestamp, kMaxTimestamp).value());
  }

  void CompareSelect(const std::vector<Matcher>& matchers, Timestamp min_time, Timestamp max_time) {
    storage::Selector selector = DbFixture::Selector(matchers, min_time, max_time);
    const uint32_t kind = random_() % 4;
    selector.hints.newest_only = kind == 1;
    selector.hints.labels_only = kind == 2;
    selector.hints.limit = kind == 3 ? 5 : 0;
    storage::SelectOptions options;
    options.sorted = true;
    DbQuerier querier(db_.db.get(), &db_.clock);
    auto mine = querier.Select(std::span(&selector, 1), options);
    auto expected = twin_.Select(std::span(&selector, 1), options);
    REQUIRE(mine.ok());
    REQUIRE(expected.ok());
    storage::SeriesSet& a = *mine->sets[0];
    storage::SeriesSet& b = *expected->sets[0];
    while (true) {
      const bool more = b.Next();
      REQUIRE(a.Next() == more);
      REQUIRE(a.status().ok());
      if (!more) break;
      REQUIRE(a.labels() == b.labels());
      SampleBuffer mine_samples;
      SampleBuffer expected_samples;
      REQUIRE(a.ReadSamples(&mine_samples).ok());
      REQUIRE(b.ReadSamples(&expected_samples).ok());
      REQUIRE(mine_samples.size() == expected_samples.size());
      for (size_t i = 0; i < mine_samples.size(); ++i) {
        REQUIRE(mine_samples.timestamps()[i] == expected_samples.timestamps()[i]);
        REQUIRE(std::bit_cast<uint64_t>(mine_samples.values()[i]) ==
                std::bit_cast<uint64_t>(expected_samples.values()[i]));
      }
    }
  }

  std::mt19937 random_;
  DbFixture db_;
  testing::MemoryStorage twin_;
  std::vector<Labels> series_;
  Timestamp now_ = kStart - 100'000'000;
};

TEST_CASE("A database answers as a map does, over random operations and restarts") {
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    INFO("seed " << seed);
    Model(seed).Run(400);
  }
}

TEST_CASE("Readers beside writers never see a batch in part") {
  DbFixture db;
  db.Open();
  Head& head = db.db->head();
  constexpr int kSeries = 20;
  constexpr int kBatches = 400;
  std::atomic<bool> done{false};
  std::vector<Thread> threads;
  // Each writer's batches have one value in all of its series.
  for (int writer = 0; writer < 2; ++writer) {
    threads.emplace_back("writer", [&head, writer] {
      for (int batch = 0; batch < kBatches; ++batch) {
        DbAppender appender(&head);
        for (int i = 0; i < kSeries; ++i) {
          appender.Append(Labels{{"writer", std::to_string(writer)}, {"i", std::to_string(i)}},
                          kStart + batch, batch);
        }
        if (!appender.Commit().ok()) std::abort();
      }
    });
  }
  std::atomic<int> torn{0};
  std::atomic<int> reads{0};
  for (int reader = 0; reader < 2; ++reader) {
    threads.emplace_back("reader", [&, reader] {
      const std::vector<Matcher> matchers = {Matcher::Equal("writer", std::to_string(reader))};
      while (!done || reads < 20) {
        const HeadReader view(&head);
        SeriesChunks chunks;
        SampleBuffer samples;
        int64_t seen = -2;
        for (const Slot slot : view.Find(matchers)) {
          samples.Clear();
          if (view.ReadChunks(slot, kMinTimestamp, kMaxTimestamp, &chunks)) {
            for (const storage::SelectChunk& chunk : chunks.chunks) {
              if (!chunkenc::XorDecode(chunk.bytes, chunk.visible_samples, kMinTimestamp,
                                       kMaxTimestamp, &samples)
                       .ok()) {
                ++torn;
              }
            }
          }
          const int64_t size = static_cast<int64_t>(samples.size());
          if (seen == -2) seen = size;
          if (seen != size) ++torn;
        }
        view.LabelNames({}, kMinTimestamp, kMaxTimestamp);
        if (!db.db->Sync().ok()) ++torn;
        ++reads;
      }
    });
  }
  threads[0].Join();
  threads[1].Join();
  done = true;
  threads.clear();
  CHECK(torn == 0);
  CHECK(db.SelectAll().size() == 2 * kSeries);
}

// A sample of any kind.
struct Value {
  SampleKind kind = SampleKind::kFloat;
  double number = 0;
  Histogram histogram;
  FloatHistogram float_histogram;

  friend bool operator==(const Value& a, const Value& b) {
    if (a.kind != b.kind) return false;
    switch (a.kind) {
      case SampleKind::kFloat:
        return std::bit_cast<uint64_t>(a.number) == std::bit_cast<uint64_t>(b.number);
      case SampleKind::kHistogram:
        return Same(a.histogram, b.histogram);
      case SampleKind::kFloatHistogram:
        return Same(a.float_histogram, b.float_histogram);
    }
    return false;
  }
};

Value ValueAt(const SampleBuffer& samples, size_t i) {
  Value value;
  value.kind = samples.kind(i);
  value.number = samples.values()[i];
  if (value.kind == SampleKind::kHistogram) value.histogram = samples.histogram(i);
  if (value.kind == SampleKind::kFloatHistogram) value.float_histogram = samples.float_histogram(i);
  if (value.kind != SampleKind::kFloat) value.number = 0;
  return value;
}

// The whole of a Db beside a map. What a series has at a time follows from both, so that whatever
// is sent twice is a repetition; all else is chance.
class DbModel {
 public:
  explicit DbModel(uint32_t seed) : random_(seed), db_(Options()) {
    for (size_t i = 0; i < kSeries; ++i) {
      series_.push_back(Labels::FromPairs({{"__name__", StrCat("kind_", i % 4)},
                                           {"i", StrCat(i)},
                                           {i % 3 == 0 ? "three" : "other", "x"}}));
    }
    db_.Open();
  }
  static DbOptions Options() {
    DbOptions options;
    options.settings.out_of_order_window = kWindow;
    options.log.segment_size_bytes = uint64_t{8} << 20;
    options.head.chunk_files.file_size_bytes = uint64_t{64} << 10;
    options.head.chunk_files.buffer_bytes = size_t{4} << 10;
    return options;
  }

  void Run(int steps) {
    for (int step = 0; step < steps; ++step) {
      INFO("step " << step);
      const uint32_t what = random_() % 1000;
      if (what < 700) {
        Append();
      } else if (what < 850) {
        Compare(PickMatchers(), PickTime(), PickTime());
      } else if (what < 900) {
        db_.clock.Advance(absl::Minutes(random_() % 60));
      } else if (what < 940) {
        Compact();
      } else if (what < 955) {
        Delete();
      } else if (what < 960) {
        const absl::Status cleaned = db_.db->CleanTombstones();
        INFO(cleaned.ToString());
        REQUIRE(cleaned.ok());
      } else if (what < 963) {
        CompareSnapshot(random_() % 2 == 0);
      } else if (what < 970) {
        DbSettings settings = db_.db->settings();
        settings.out_of_order_window =
            settings.out_of_order_window == kWindow ? absl::ZeroDuration() : kWindow;
        db_.db->Apply(settings);
      } else {
        Restart();
      }
    }
    for (int i = 0; i < 2; ++i) {
      CompareAll(*db_.db);
      Compact();
      Restart();
    }
    CompareAll(*db_.db);
  }

 private:
  using Map = std::map<Labels, std::map<Timestamp, Value>>;
  static constexpr size_t kSeries = 40;
  static constexpr absl::Duration kWindow = absl::Hours(5);

  Timestamp Now() const { return ToTimestamp(db_.clock.Now()); }

  static Value ValueOf(size_t series, Timestamp timestamp) {
    std::mt19937 chance(static_cast<uint32_t>(timestamp / 1000 * 53 + static_cast<int>(series)));
    Value value;
    const uint64_t n = chance() % 50 + 1;
    const size_t kind = series % 4 == 3 ? static_cast<size_t>(timestamp / 600'000) % 3 : series % 4;
    if (kind == 0) {
      const bool stale = series % 4 == 0 && chance() % 30 == 0;
      value.number = stale ? StaleNan() : static_cast<double>(n) / 4;
      return value;
    }
    Histogram& histogram = value.histogram;
    histogram.reset_hint = series % 8 < 4 ? CounterResetHint::kGauge : CounterResetHint::kUnknown;
    histogram.schema = static_cast<int32_t>(series % 5);
    histogram.zero_threshold = 0.001;
    histogram.zero_count = n % 3;
    histogram.positive_spans = {{static_cast<int32_t>(n % 2), 2}, {1, 1}};
    histogram.positive_deltas = {static_cast<int64_t>(n), 1, -static_cast<int64_t>(n % 2)};
    histogram.count = histogram.zero_count + 3 * n + 2 - n % 2;
    histogram.sum = static_cast<double>(n) * 1.5;
    value.kind = SampleKind::kHistogram;
    if (kind == 2) {
      value.kind = SampleKind::kFloatHistogram;
      value.float_histogram = ToFloat(std::exchange(value.histogram, {}));
    }
    return value;
  }

  Timestamp PickTime() {
    return Now() - static_cast<Timestamp>(random_() % static_cast<uint32_t>(14 * 3'600'000));
  }
  std::vector<Matcher> PickMatchers() {
    static const char* const kNames[] = {"__name__", "i", "three", "other", "none"};
    static const char* const kValues[] = {"kind_0", "kind_1", "1.*", ".*", "", "x", "2|3|4", ".+"};
    std::vector<Matcher> matchers;
    for (size_t n = random_() % 3; n-- > 0;) {
      matchers.push_back(Matcher::Create(static_cast<MatchType>(random_() % 4),
                                         kNames[random_() % 5], kValues[random_() % 8])
                             .value());
    }
    return matchers;
  }

  void Append() {
    db_.clock.Advance(absl::Seconds(random_() % 120));
    const Timestamp now = Now() / 1000 * 1000;
    const Timestamp head_max_time = db_.db->head().max_time();
    const Timestamp window_ms = absl::ToInt64Milliseconds(db_.db->head().ooo().window());
    storage::AppendBatch batch;
    std::vector<std::pair<size_t, Timestamp>> sent;
    for (size_t n = random_() % 40; n-- > 0;) {
      const size_t series = random_() % kSeries;
      Timestamp timestamp = now;
      if (random_() % 8 == 0) {
        timestamp -= static_cast<Timestamp>(random_() % (7 * 3600)) * 1000;  // Some are too old.
      } else if (random_() % 4 == 0) {
        timestamp -= static_cast<Timestamp>(random_() % 60) * 1000;
      }
      const Value value = ValueOf(series, timestamp);
      storage::AppendBatch::Definition& definition = batch.definitions.emplace_back();
      definition.number = series + 1;
      for (const LabelView label : series_[series]) definition.labels.push_back(label);
      if (value.kind != SampleKind::kFloat) {
        storage::AppendBatch::HistogramEntry& entry = batch.histograms.emplace_back();
        entry.index = batch.refs.size();
        entry.is_float = value.kind == SampleKind::kFloatHistogram;
        entry.histogram = value.histogram;
        entry.float_histogram = value.float_histogram;
      }
      batch.refs.push_back(0);
      batch.values.push_back(value.number);
      batch.timestamps.push_back(timestamp);
      sent.emplace_back(series, timestamp);
    }
    HeadAppender appender(&db_.db->head());
    AppendResult result;
    REQUIRE(appender.Append(batch, nullptr, 0, &result).ok());
    std::set<size_t> refused;
    for (const AppendResult::RefusedSample& sample : result.refused_samples) {
      refused.insert(sample.index);
      const Timestamp timestamp = sent[sample.index].second;
      INFO("refused for " << storage::RefusalName(sample.reason) << ", "
                          << (head_max_time - timestamp) / 1000 << " s late");
      CHECK(sample.reason == (window_ms > 0 ? Refusal::kTooOld : Refusal::kOutOfOrder));
      if (window_ms > 0) CHECK(timestamp < std::max(head_max_time, now) - window_ms);
    }
    for (size_t i = 0; i < sent.size(); ++i) {
      if (refused.count(i) > 0) continue;
      const auto& [series, timestamp] = sent[i];
      map_[series_[series]].emplace(timestamp, ValueOf(series, timestamp));
    }
  }

  void Compact() {
    const absl::Status compacted = db_.db->Compact();
    INFO(compacted.ToString());
    REQUIRE(compacted.ok());
  }

  void Delete() {
    const std::vector<Matcher> matchers = PickMatchers();
    const Timestamp min_time = PickTime();
    const Timestamp max_time = min_time + static_cast<Timestamp>(random_() % 5'000'000);
    const absl::Status deleted = db_.db->Delete(matchers, min_time, max_time);
    INFO(deleted.ToString());
    REQUIRE(deleted.ok());
    for (auto& [labels, samples] : map_) {
      if (!Matches(labels, matchers)) continue;
      samples.erase(samples.lower_bound(min_time), samples.upper_bound(max_time));
    }
  }

  void Restart() {
    switch (random_() % 3) {
      case 0:
        db_.db.reset();
        break;
      case 1:
        db_.Crash();
        break;
      default:
        REQUIRE(db_.db->Sync().ok());
        db_.fs.PowerLoss();
        db_.db.reset();
    }
    db_.Open();
  }

  void CompareSnapshot(bool with_head) {
    const absl::StatusOr<std::string> name = db_.db->Snapshot("", with_head);
    INFO(name.status().ToString());
    REQUIRE(name.ok());
    if (!with_head) return;
    DbOptions options = Options();
    options.path = StrCat(kDbPath, "/snapshots/", *name);
    auto copy = Db::Open(options, &db_.fs, &db_.clock, Logger());
    REQUIRE(copy.ok());
    REQUIRE((*copy)->Replay([] { return false; }).ok());
    CompareAll(**copy);
    copy->reset();
    REQUIRE(db_.fs.RemoveAll(options.path).ok());
  }

  static bool Matches(const Labels& labels, const std::vector<Matcher>& matchers) {
    return std::all_of(matchers.begin(), matchers.end(), [&](const Matcher& matcher) {
      return matcher.Matches(labels.Get(matcher.name()));
    });
  }

  Map Read(const Db& db, const std::vector<Matcher>& matchers, Timestamp min_time,
           Timestamp max_time) {
    const storage::Selector selector = DbFixture::Selector(matchers, min_time, max_time);
    DbQuerier querier(&db, &db_.clock);
    auto result = querier.Select(std::span(&selector, 1), {});
    REQUIRE(result.ok());
    storage::SeriesSet& set = *result->sets[0];
    Map found;
    SampleBuffer samples;
    while (set.Next()) {
      samples.Clear();
      REQUIRE(set.ReadSamples(&samples).ok());
      if (samples.empty()) continue;
      const auto [at, added] = found.try_emplace(set.labels());
      REQUIRE(added);
      for (size_t i = 0; i < samples.size(); ++i) {
        REQUIRE(at->second.emplace(samples.timestamps()[i], ValueAt(samples, i)).second);
      }
    }
    REQUIRE(set.status().ok());
    return found;
  }

  void Compare(const std::vector<Matcher>& matchers, Timestamp a, Timestamp b) {
    CompareWith(Read(*db_.db, matchers, std::min(a, b), std::max(a, b)), matchers, std::min(a, b),
                std::max(a, b));
  }
  void CompareAll(const Db& db) {
    CompareWith(Read(db, {}, kMinTimestamp, kMaxTimestamp), {}, kMinTimestamp, kMaxTimestamp);
  }
  void CompareWith(const Map& found, const std::vector<Matcher>& matchers, Timestamp min_time,
                   Timestamp max_time) {
    Map expected;
    for (const auto& [labels, samples] : map_) {
      if (!Matches(labels, matchers)) continue;
      std::map<Timestamp, Value> within(samples.lower_bound(min_time),
                                        samples.upper_bound(max_time));
      if (!within.empty()) expected.emplace(labels, std::move(within));
    }
    for (const auto& [labels, samples] : expected) {
      INFO(labels.ToString());
      REQUIRE(found.count(labels) == 1);
      const std::map<Timestamp, Value>& mine = found.at(labels);
      for (const auto& [timestamp, value] : samples) {
        INFO((Now() - timestamp) / 1000 << " s ago");
        REQUIRE(mine.count(timestamp) == 1);
        REQUIRE(mine.at(timestamp) == value);
      }
      for (const auto& [timestamp, value] : mine) {
        INFO((Now() - timestamp) / 1000 << " s ago");
        REQUIRE(samples.count(timestamp) == 1);
      }
    }
    REQUIRE(found.size() == expected.size());
  }

  std::mt19937 random_;
  DbFixture db_;
  std::vector<Labels> series_;
  Map map_;
};

TEST_CASE("A whole database answers as a map does, whatever happens to it") {
  for (uint32_t seed = 1; seed <= 10; ++seed) {
    INFO("seed " << seed);
    DbModel(seed).Run(1000);
  }
}

}  // namespace
}  // namespace narthex::tsdb
