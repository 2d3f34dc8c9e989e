#ifndef NARTHEX_TESTS_UNIT_SERVICES_STORAGE_TSDB_DB_FIXTURE_H_
#define NARTHEX_TESTS_UNIT_SERVICES_STORAGE_TSDB_DB_FIXTURE_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/check.h"
#include "lib/storage/append_batch.h"
#include "services/storage/tsdb/db.h"
#include "services/storage/tsdb/querier.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fault_file_system.h"

namespace narthex::tsdb {

constexpr Timestamp kStart = 1'700'000'000'000;
constexpr char kDbPath[] = "/data";

using SeriesMap = std::map<Labels, std::vector<std::pair<Timestamp, double>>>;

// A database on a file system that can fail, and the little that tests do with it.
class DbFixture {
 public:
  explicit DbFixture(DbOptions options = {}) : options_(std::move(options)) {
    options_.path = kDbPath;
  }

  absl::Status TryOpen() {
    db.reset();
    auto opened = Db::Open(options_, &fs, &clock, Logger::ToLines(&log_lines));
    if (!opened.ok()) return opened.status();
    db = std::move(opened).value();
    return db->Replay([] { return false; });
  }
  void Open() {
    const absl::Status status = TryOpen();
    INFO(status.ToString());
    REQUIRE(status.ok());
  }
  void Crash() {
    fs.ProcessCrash();
    db.reset();
  }

  storage::Refusal Append(const Labels& labels, Timestamp timestamp, double value) {
    DbAppender appender(&db->head());
    appender.Append(labels, timestamp, value);
    REQUIRE(appender.Commit().ok());
    for (int i = 1; i < storage::kRefusalCount; ++i) {
      if (appender.result().refused[static_cast<size_t>(i)] > 0) {
        return static_cast<storage::Refusal>(i);
      }
    }
    return storage::Refusal::kNone;
  }

  SeriesMap Select(const std::vector<Matcher>& matchers, Timestamp min_time = kMinTimestamp,
                   Timestamp max_time = kMaxTimestamp) {
    return SelectWith(Selector(matchers, min_time, max_time));
  }
  SeriesMap SelectAll() { return Select({}); }

  static storage::Selector Selector(const std::vector<Matcher>& matchers, Timestamp min_time,
                                    Timestamp max_time) {
    storage::Selector selector;
    selector.matchers = matchers;
    selector.hints.start = min_time;
    selector.hints.end = max_time;
    return selector;
  }
  SeriesMap SelectWith(const storage::Selector& selector) {
    DbQuerier querier(db.get(), &clock);
    auto result = querier.Select(std::span(&selector, 1), {});
    REQUIRE(result.ok());
    SeriesMap series;
    SampleBuffer samples;
    storage::SeriesSet& set = *result->sets[0];
    while (set.Next()) {
      samples.Clear();
      REQUIRE(set.ReadSamples(&samples).ok());
      auto& out = series[set.labels()];
      REQUIRE(out.empty());
      for (size_t i = 0; i < samples.size(); ++i) {
        out.emplace_back(samples.timestamps()[i], samples.values()[i]);
      }
    }
    REQUIRE(set.status().ok());
    return series;
  }

  bool LogHas(std::string_view text) const {
    for (const std::string& line : log_lines) {
      if (line.find(text) != std::string::npos) return true;
    }
    return false;
  }

  FaultFileSystem fs;
  FakeClock clock{FromTimestamp(kStart)};
  std::vector<std::string> log_lines;
  std::unique_ptr<Db> db;

 private:
  DbOptions options_;
};

// A batch as a sender's client builds it, decoded. The bytes must outlive the use of definitions.
class TestBatch {
 public:
  explicit TestBatch(Timestamp timestamp) : timestamp_(timestamp) { writer_.Clear(timestamp); }
  TestBatch& Add(storage::SeriesRef ref, double value) {
    writer_.Add(ref, timestamp_, value);
    return *this;
  }
  TestBatch& AddAt(storage::SeriesRef ref, Timestamp timestamp, double value) {
    writer_.Add(ref, timestamp, value);
    return *this;
  }
  TestBatch& Define(storage::SeriesNumber number, const Labels& labels, double value) {
    writer_.AddWithDefinition(number, labels, timestamp_, value);
    return *this;
  }
  std::string Bytes() const { return writer_.Finish(); }
  // From any thread, which Catch's own assertions are not for.
  const storage::AppendBatch& Decode() {
    bytes_ = writer_.Finish();
    NARTHEX_CHECK_OK(storage::DecodeAppendBatch(bytes_, &batch_));
    return batch_;
  }

 private:
  const Timestamp timestamp_;
  storage::AppendBatchWriter writer_;
  std::string bytes_;
  storage::AppendBatch batch_;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_TESTS_UNIT_SERVICES_STORAGE_TSDB_DB_FIXTURE_H_
