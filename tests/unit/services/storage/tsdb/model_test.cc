// Random operations on a database and on the store that is obviously right, over restarts.
#include <random>

#include "catch2/catch.hpp"
#include "lib/base/thread.h"
#include "lib/model/stale.h"
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

}  // namespace
}  // namespace narthex::tsdb
