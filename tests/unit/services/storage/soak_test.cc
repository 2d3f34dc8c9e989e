// Readers and writers at once, over a whole database with all of its background work. Short as a
// unit test; NARTHEX_SOAK_DB_SECONDS=600 under sanitizers is what it is for.
#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/mutex.h"
#include "lib/base/snappy.h"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "lib/chunkenc/chunk.h"
#include "lib/http/router.h"
#include "prometheus/remote.pb.h"
#include "services/storage/remote/endpoints.h"
#include "services/storage/tsdb/db.h"
#include "services/storage/tsdb/db_reader.h"
#include "services/storage/tsdb/querier.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace narthex::tsdb {
namespace {

using storage::AppendBatch;

constexpr Timestamp kStep = 15'000;
constexpr Timestamp kHour = 3'600'000;
// A multiple of the step, so that all times on the grid are.
constexpr Timestamp kBegin = Timestamp{1'700'000'000'000} / kStep * kStep;
constexpr int kSteadySeries = 20;
constexpr int kLateSeries = 5;
constexpr int64_t kLagMax = 100;         // Steps that a late sample is behind.
constexpr int64_t kAhead = 20;           // Steps that one writer may be ahead of another.
constexpr int64_t kReadSteps = 6 * 240;  // What readers look at: well within the retention.

Timestamp TimeOf(int64_t step) { return kBegin + step * kStep; }

Labels Series(std::string_view name, int64_t i) {
  return Labels::FromPairs({{"__name__", std::string(name)}, {"i", StrCat(i)}, {"job", "soak"}});
}

// What every sample has: a reader needs no list of them.
double ValueOf(int64_t series, Timestamp time) {
  return static_cast<double>(time / 1000 % 1'000'003) + static_cast<double>(series) / 4;
}

// The late sample of a step. Two of a series never have the same time.
Timestamp LateTimeOf(int64_t step) {
  const int64_t lag = 1 + static_cast<int64_t>(static_cast<uint64_t>(step) * 2654435761U % kLagMax);
  return TimeOf(step - lag) + 1 + step % 14'000;
}

Histogram HistogramOf(Timestamp time) {
  Histogram histogram;
  histogram.count = static_cast<uint64_t>(time / 1000 % 1'000'003);
  histogram.sum = ValueOf(0, time);
  histogram.positive_spans = {{0, 1}};
  histogram.positive_deltas = {static_cast<int64_t>(histogram.count)};
  return histogram;
}

class Soak {
 public:
  Soak() { OpenDb(); }

  void Run(absl::Duration duration) {
    std::vector<Thread> threads;
    const auto start = [&](std::string_view name, void (Soak::*body)()) {
      threads.emplace_back(name, [this, body] { (this->*body)(); });
    };
    start("steady", &Soak::WriteSteady);
    start("churn", &Soak::WriteChurn);
    start("late", &Soak::WriteLate);
    start("histogram", &Soak::WriteHistograms);
    start("doomed", &Soak::WriteDoomed);
    start("delete", &Soak::Delete);
    start("sync", &Soak::Sync);
    start("background", &Soak::WorkInTheBackground);
    start("read1", &Soak::Read);
    start("read2", &Soak::Read);
    start("remote", &Soak::ReadRemotely);
    stop_.WaitFor(duration);  // Also set by what fails.
    stop_.Set();
    threads.clear();
  }

  // What is there at the end, also after a restart.
  void CheckAll() {
    std::mt19937 random(1);
    for (int kind = 0; kind < kKinds; ++kind) ReadOne(kind, &random);
  }
  void Restart() {
    endpoints_.reset();
    db_.reset();
    OpenDb();
  }

  std::vector<std::string> failures() const {
    MutexLock lock(&mu_);
    return failures_;
  }
  int64_t steps() const { return steady_.load(); }
  uint64_t reads() const { return reads_.load(); }
  const Db& db() const { return *db_; }

 private:
  static constexpr int kWriters = 5;
  static constexpr int kKinds = 8;

  void OpenDb() {
    DbOptions options;
    options.path = directory_.path();
    options.settings = SettingsOf(0);
    options.block_range_max_ms = 6 * kHour;
    options.head.ooo.window = options.settings.out_of_order_window;
    options.head_snapshot_interval = absl::Minutes(30);
    db_ = Db::Open(options, io::PosixFileSystem(), &clock_, Logger()).value();
    NARTHEX_CHECK_OK(db_->Replay([] { return false; }));
    registry_ = std::make_unique<metrics::Registry>();
    storage_remote::Endpoints::Options endpoints;
    endpoints.db = db_.get();
    endpoints.clock = &clock_;
    endpoints.registry = registry_.get();
    endpoints_ = std::make_unique<storage_remote::Endpoints>(endpoints);
    router_ = std::make_unique<http::Router>();
    endpoints_->AddRoutes(router_.get());
  }
  static DbSettings SettingsOf(uint64_t round) {
    DbSettings settings;
    settings.retention_time = round % 2 == 0 ? absl::Hours(14) : absl::Hours(12);
    settings.out_of_order_window = round % 3 == 0 ? absl::Hours(3) : absl::Hours(2);
    settings.exemplars_max = round % 2 == 0 ? 1000 : 10;
    return settings;
  }

  void Fail(const std::string& what) {
    {
      MutexLock lock(&mu_);
      if (failures_.size() < 10) failures_.push_back(what);
    }
    stop_.Set();
  }
  bool Check(bool good, std::string_view what, const std::string& more = "") {
    if (!good) Fail(StrCat(what, " ", more));
    return good;
  }

  // --- Writers. Each has its own series and tells how far it was acknowledged. ---

  // Waits until the others have come along, and the background work too.
  bool Begin(int64_t step) {
    constexpr Timestamp kHeadSpanMax = 8 * kHour;
    while (!stop_.stopped()) {
      int64_t slowest = step;
      for (const std::atomic<int64_t>* writer : writers_) {
        slowest = std::min(slowest, writer->load());
      }
      const Head& head = db_->head();
      const bool room =
          head.max_time() == kMinTimestamp || head.max_time() - head.min_time() < kHeadSpanMax;
      if (room && step <= slowest + kAhead) return true;
      stop_.WaitFor(absl::Milliseconds(1));
    }
    return false;
  }
  // Until it is stored; false when it was not before the end.
  bool Append(HeadAppender* appender, const AppendBatch& batch, Sender* sender, uint64_t sequence) {
    while (!stop_.stopped()) {
      AppendResult result;
      const absl::Status status = appender->Append(batch, sender, sequence, &result);
      if (absl::IsUnavailable(status)) {  // The fence of a compaction.
        stop_.WaitFor(absl::Milliseconds(1));
        continue;
      }
      if (!Check(status.ok(), "an append failed:", std::string(Message(status)))) return false;
      uint64_t refused = 0;
      for (const uint64_t count : result.refused) refused += count;
      return Check(refused == 0 && result.outcome == AppendResult::Outcome::kApplied,
                   "samples were refused:", StrCat(refused));
    }
    return false;
  }
  // All samples of a step with their labels.
  struct Sample {
    Labels labels;
    Timestamp time = 0;
    double value = 0;
    const Histogram* histogram = nullptr;
  };
  bool AppendSamples(const std::vector<Sample>& samples) {
    AppendBatch batch;
    for (const Sample& sample : samples) {
      AppendBatch::Definition definition;
      definition.number = batch.definitions.size() + 1;
      for (const LabelView label : sample.labels) definition.labels.push_back(label);
      batch.definitions.push_back(std::move(definition));
      if (sample.histogram != nullptr) {
        AppendBatch::HistogramEntry& entry = batch.histograms.emplace_back();
        entry.index = batch.refs.size();
        entry.histogram = *sample.histogram;
      }
      batch.refs.push_back(0);
      batch.values.push_back(sample.value);
      batch.timestamps.push_back(sample.time);
    }
    HeadAppender appender(&db_->head());
    return Append(&appender, batch, nullptr, 0);
  }

  // As a scraper does: by reference, in batches with numbers, some of them twice.
  void WriteSteady() {
    Sender* const sender = db_->head().FindSender("soak");
    HeadAppender appender(&db_->head());
    std::vector<storage::SeriesRef> refs;
    for (int64_t step = 0; Begin(step); ++step) {
      clock_.Advance(absl::Milliseconds(kStep));
      if (refs.empty()) {
        std::vector<Sample> samples;
        for (int i = 0; i < kSteadySeries; ++i) {
          samples.push_back({Series("steady", i), TimeOf(step), ValueOf(i, TimeOf(step))});
        }
        if (!AppendSamples(samples)) return;
        for (int i = 0; i < kSteadySeries; ++i) {
          std::vector<LabelView> views;
          const Labels labels = Series("steady", i);
          for (const LabelView label : labels) views.push_back(label);
          const Head& head = db_->head();
          refs.push_back(head.table().cold(head.index().Find(views)).reference);
        }
      } else {
        AppendBatch batch;
        for (int i = 0; i < kSteadySeries; ++i) {
          batch.refs.push_back(refs[static_cast<size_t>(i)]);
          batch.values.push_back(ValueOf(i, TimeOf(step)));
          batch.timestamps.push_back(TimeOf(step));
        }
        if (!Append(&appender, batch, sender, static_cast<uint64_t>(step))) return;
        if (step % 7 == 0) {
          AppendResult result;
          const absl::Status again =
              appender.Append(batch, sender, static_cast<uint64_t>(step), &result);
          Check(again.ok() && result.outcome == AppendResult::Outcome::kSkipped,
                "a batch that came twice was not skipped");
        }
      }
      steady_.store(step);
    }
  }
  void WriteChurn() {
    for (int64_t step = 0; Begin(step); ++step) {
      const int64_t series = step / 8;
      if (!AppendSamples(
              {{Series("churn", series), TimeOf(step), ValueOf(series, TimeOf(step))}})) {
        return;
      }
      churn_.store(step);
    }
  }
  void WriteLate() {
    for (int64_t step = 0; Begin(step); ++step) {
      std::vector<Sample> samples;
      for (int i = 0; i < kLateSeries; ++i) {
        samples.push_back({Series("late", i), TimeOf(step), ValueOf(i, TimeOf(step))});
        const Timestamp late = LateTimeOf(step);
        if (step > kLagMax) samples.push_back({Series("late", i), late, ValueOf(i, late)});
      }
      if (!AppendSamples(samples)) return;
      late_.store(step);
    }
  }
  void WriteHistograms() {
    for (int64_t step = 0; Begin(step); ++step) {
      const Histogram histogram = HistogramOf(TimeOf(step));
      if (!AppendSamples({{Series("histogram", 0), TimeOf(step), histogram.sum, &histogram}})) {
        return;
      }
      histograms_.store(step);
    }
  }
  void WriteDoomed() {
    for (int64_t step = 0; Begin(step); ++step) {
      if (!AppendSamples({{Series("doomed", 0), TimeOf(step), ValueOf(0, TimeOf(step))}})) return;
      doomed_.store(step);
    }
  }
  void Delete() {
    while (!stop_.WaitFor(absl::Milliseconds(20))) {
      const int64_t until = doomed_.load() - 50;
      if (until <= deleted_.load()) continue;
      deleting_.store(until);
      const std::vector<Matcher> matchers = {Matcher::Equal("__name__", "doomed")};
      const absl::Status status = db_->Delete(matchers, kMinTimestamp, TimeOf(until));
      if (!Check(status.ok(), "a deletion failed:", std::string(Message(status)))) return;
      deleted_.store(until);
    }
  }

  // --- Background work, faster than ever. ---

  void Sync() {
    while (!stop_.WaitFor(absl::Milliseconds(5))) {
      db_->CheckDisk();
      const absl::Status status = db_->Sync();
      if (!Check(status.ok(), "a sync failed:", std::string(Message(status)))) return;
    }
  }
  void WorkInTheBackground() {
    const Pace pace = [this] { return stop_.stopped() ? Cancelled("the end") : absl::OkStatus(); };
    const auto check = [this](std::string_view what, const absl::Status& status) {
      return Check(status.ok() || absl::IsCancelled(status), what, std::string(Message(status)));
    };
    for (uint64_t round = 1; !stop_.WaitFor(absl::Milliseconds(2)); ++round) {
      if (!check("a compaction failed:", db_->Compact(pace))) return;
      if (round % 5 == 0 && !check("a snapshot of the head failed:", db_->SnapshotHead(pace))) {
        return;
      }
      if (round % 7 == 0) db_->Apply(SettingsOf(round));
      if (round % 11 == 0 && !check("a reload failed:", db_->ReloadBlocks())) return;
      if (round % 13 == 0 && !check("a clean-up failed:", db_->CleanTombstones(pace))) return;
      if (round % 17 == 0) {
        const absl::StatusOr<std::string> name = db_->Snapshot("", round % 2 == 0, pace);
        if (!check("a snapshot failed:", name.status())) return;
        if (name.ok()) {
          const std::string path = StrCat(directory_.path(), "/snapshots/", *name);
          if (!check("a snapshot stays:", io::PosixFileSystem()->RemoveAll(path))) return;
        }
      }
    }
  }

  // --- Readers: what was acknowledged before is there, in order, once, and nothing else. ---

  void Read() {
    std::mt19937 random(static_cast<uint32_t>(reader_.fetch_add(1)));
    while (!stop_.stopped()) ReadOne(static_cast<int>(random() % kKinds), &random);
  }
  void ReadOne(int kind, std::mt19937* random) {
    reads_.fetch_add(1);
    switch (kind) {
      case 0:
        return ReadSteady(static_cast<int>((*random)() % kSteadySeries), random);
      case 1:
        return ReadAllSteady(random);
      case 2:
        return ReadLate(static_cast<int>((*random)() % kLateSeries), random);
      case 3:
        return ReadHistograms(random);
      case 4:
        return ReadDoomed();
      case 5:
        return ReadLabels();
      case 6:
        return ReadNewest();
      default:
        return ReadChunks(random);
    }
  }

  struct Range {
    int64_t first = 0;
    int64_t last = -1;  // Inclusive; all up to it is acknowledged.
    Timestamp min_time() const { return TimeOf(first); }
    Timestamp max_time() const { return TimeOf(last); }
  };
  // Ends with what was acknowledged last as often as not.
  static Range RangeUpTo(int64_t acknowledged, std::mt19937* random) {
    const int64_t oldest = std::max<int64_t>(0, acknowledged - kReadSteps);
    if (acknowledged < 0) return {};
    const auto within = [&](int64_t from) {
      return from +
             static_cast<int64_t>((*random)() % static_cast<uint64_t>(acknowledged - from + 1));
    };
    Range range;
    range.first = within(oldest);
    range.last = (*random)() % 2 == 0 ? acknowledged : within(range.first);
    return range;
  }
  static storage::Selector SelectorOf(std::vector<Matcher> matchers, const Range& range) {
    storage::Selector selector;
    selector.matchers = std::move(matchers);
    selector.hints.start = range.min_time();
    selector.hints.end = range.max_time();
    return selector;
  }
  static std::vector<Matcher> OneSeries(std::string_view name, int64_t i) {
    return {Matcher::Equal("__name__", name), Matcher::Equal("i", StrCat(i))};
  }
  // All series of the selector through the querier.
  bool Select(const storage::Selector& selector, bool sorted,
              std::vector<std::pair<Labels, SampleBuffer>>* out) {
    DbQuerier querier(db_.get(), &clock_);
    storage::SelectOptions options;
    options.sorted = sorted;
    auto result = querier.Select(std::span(&selector, 1), options);
    if (!Check(result.ok(), "a select failed:", std::string(Message(result.status()))))
      return false;
    storage::SeriesSet& set = *result->sets[0];
    while (set.Next()) {
      auto& [labels, samples] = out->emplace_back();
      labels = set.labels();
      const absl::Status read = set.ReadSamples(&samples);
      if (!Check(read.ok(), "samples cannot be read:", std::string(Message(read)))) return false;
    }
    return Check(set.status().ok(), "a select broke off:", std::string(Message(set.status())));
  }
  // Every step of the range once, with its value.
  bool CheckGrid(std::string_view what, int64_t series, const Range& range,
                 std::span<const Timestamp> times, std::span<const double> values) {
    const auto count = static_cast<size_t>(range.last - range.first + 1);
    if (!Check(times.size() == count, what,
               StrCat(series, ": ", times.size(), " samples in steps ", range.first, " to ",
                      range.last, ", not ", count))) {
      return false;
    }
    for (size_t i = 0; i < count; ++i) {
      const Timestamp time = TimeOf(range.first + static_cast<int64_t>(i));
      if (!Check(times[i] == time && values[i] == ValueOf(series, time), what,
                 StrCat(series, ": wrong sample at ", times[i], ", expected ", time))) {
        return false;
      }
    }
    return true;
  }

  void ReadSteady(int series, std::mt19937* random) {
    const Range range = RangeUpTo(steady_.load(), random);
    if (range.last < range.first) return;
    std::vector<std::pair<Labels, SampleBuffer>> found;
    if (!Select(SelectorOf(OneSeries("steady", series), range), false, &found)) return;
    if (!Check(found.size() == 1, "steady: series found:", StrCat(found.size()))) return;
    CheckGrid("steady", series, range, found[0].second.timestamps(), found[0].second.values());
  }
  void ReadAllSteady(std::mt19937* random) {
    const Range range = RangeUpTo(steady_.load(), random);
    if (range.last < range.first) return;
    std::vector<Matcher> matchers = {
        Matcher::Create(MatchType::kRegex, "__name__", "stead[y]").value(),
        Matcher::Create(MatchType::kRegex, "i", "[0-9]+").value()};
    std::vector<std::pair<Labels, SampleBuffer>> found;
    if (!Select(SelectorOf(std::move(matchers), range), true, &found)) return;
    if (!Check(found.size() == kSteadySeries, "all steady: series:", StrCat(found.size()))) return;
    for (size_t i = 0; i < found.size(); ++i) {
      const auto& [labels, samples] = found[i];
      if (i > 0 && !Check(found[i - 1].first < labels, "series are not in order")) return;
      int64_t series = 0;
      if (!Check(ParseInt64(labels.Get("i"), &series), "a label is wrong")) return;
      if (!CheckGrid("all steady", series, range, samples.timestamps(), samples.values())) return;
    }
  }
  void ReadLate(int series, std::mt19937* random) {
    const int64_t acknowledged = late_.load();
    const Range range = RangeUpTo(acknowledged, random);
    if (range.last < range.first) return;
    std::vector<std::pair<Labels, SampleBuffer>> found;
    if (!Select(SelectorOf(OneSeries("late", series), range), false, &found)) return;
    if (!Check(found.size() == 1, "late: series found:", StrCat(found.size()))) return;
    // True: must be there. Those under way may be.
    std::map<Timestamp, bool> expected;
    for (int64_t step = range.first; step <= range.last; ++step) expected[TimeOf(step)] = true;
    const int64_t begun = late_.load() + 1;
    for (int64_t step = std::max(range.first, kLagMax + 1); step <= begun; ++step) {
      const Timestamp time = LateTimeOf(step);
      if (time < range.min_time() || time > range.max_time()) continue;
      expected[time] = step <= acknowledged;
    }
    const SampleBuffer& samples = found[0].second;
    Timestamp before = kMinTimestamp;
    for (size_t i = 0; i < samples.size(); ++i) {
      const Timestamp time = samples.timestamps()[i];
      const auto at = expected.find(time);
      if (!Check(
              time > before && at != expected.end() && samples.values()[i] == ValueOf(series, time),
              "late: a sample is out of order, twice, or nobody's:", StrCat(time))) {
        return;
      }
      before = time;
      expected.erase(at);
    }
    for (const auto& [time, wanted] : expected) {
      if (!Check(!wanted, "late: an acknowledged sample is missing:", StrCat(time))) return;
    }
  }
  void ReadHistograms(std::mt19937* random) {
    const Range range = RangeUpTo(histograms_.load(), random);
    if (range.last < range.first) return;
    std::vector<std::pair<Labels, SampleBuffer>> found;
    if (!Select(SelectorOf(OneSeries("histogram", 0), range), false, &found)) return;
    if (!Check(found.size() == 1, "histogram: series:", StrCat(found.size()))) return;
    const SampleBuffer& samples = found[0].second;
    if (!Check(samples.size() == static_cast<size_t>(range.last - range.first + 1),
               "histogram: samples:", StrCat(samples.size()))) {
      return;
    }
    for (size_t i = 0; i < samples.size(); ++i) {
      const Timestamp time = TimeOf(range.first + static_cast<int64_t>(i));
      const bool same = samples.timestamps()[i] == time &&
                        samples.kind(i) == SampleKind::kHistogram &&
                        samples.histogram(i).count == HistogramOf(time).count &&
                        samples.histogram(i).sum == ValueOf(0, time);
      if (!Check(same, "histogram: wrong at", StrCat(time))) return;
    }
  }
  void ReadDoomed() {
    const int64_t deleted = deleted_.load();
    Range range;
    range.last = doomed_.load();
    range.first = std::max<int64_t>(0, range.last - kReadSteps);
    if (range.last < range.first) return;
    std::vector<std::pair<Labels, SampleBuffer>> found;
    if (!Select(SelectorOf(OneSeries("doomed", 0), range), false, &found)) return;
    const int64_t deleting = deleting_.load();
    if (!Check(found.size() <= 1, "doomed: series:", StrCat(found.size()))) return;
    std::set<Timestamp> times;
    if (!found.empty()) {
      const SampleBuffer& samples = found[0].second;
      for (size_t i = 0; i < samples.size(); ++i) {
        const Timestamp time = samples.timestamps()[i];
        const bool good = time > TimeOf(deleted) && times.insert(time).second &&
                          samples.values()[i] == ValueOf(0, time);
        if (!Check(good, "doomed: a deleted or wrong sample at", StrCat(time))) return;
      }
    }
    for (int64_t step = std::max(range.first, deleting + 1); step <= range.last; ++step) {
      if (!Check(times.count(TimeOf(step)) == 1, "doomed: missing:", StrCat(step))) return;
    }
  }
  void ReadLabels() {
    const int64_t churn = churn_.load();
    if (churn < 0 || steady_.load() < 0) return;
    DbQuerier querier(db_.get(), &clock_);
    const Timestamp min_time = TimeOf(std::max<int64_t>(0, churn - 240));
    const Timestamp max_time = TimeOf(churn);
    const auto names = querier.LabelNames({}, min_time, max_time);
    if (!Check(names.ok() && *names == std::vector<std::string>{"__name__", "i", "job"},
               "label names are wrong")) {
      return;
    }
    const std::vector<Matcher> steady = {Matcher::Equal("__name__", "steady")};
    const auto values = querier.LabelValues("i", std::span(&steady, 1), min_time, max_time);
    if (!Check(values.ok() && values->size() == kSteadySeries, "label values are wrong")) return;
    const std::vector<Matcher> churned = {Matcher::Equal("__name__", "churn")};
    const auto found = querier.LabelValues("i", std::span(&churned, 1), min_time, max_time);
    if (!Check(found.ok(), "label values cannot be read")) return;
    const std::set<std::string> all(found->begin(), found->end());
    for (int64_t step = std::max<int64_t>(0, churn - 240); step <= churn; step += 8) {
      if (!Check(all.count(StrCat(step / 8)) == 1, "a series is not listed:", StrCat(step / 8))) {
        return;
      }
    }
  }
  void ReadNewest() {
    Range range;
    range.first = steady_.load();
    if (range.first < 0) return;
    range.last = range.first + 100;
    const DbReader reader(db_.get());
    auto cursor = reader.Select(SelectorOf({Matcher::Equal("__name__", "steady")}, range), false);
    if (!Check(cursor.ok(), "newest: no cursor")) return;
    int count = 0;
    SampleBuffer samples;
    Timestamp first = kMinTimestamp;
    while (true) {
      const absl::StatusOr<bool> more = (*cursor)->Next();
      if (!Check(more.ok(), "newest: it broke off")) return;
      if (!*more) break;
      int64_t series = 0;
      if (!Check(ParseInt64((*cursor)->labels().Get("i"), &series), "newest: labels")) return;
      samples.Clear();
      const absl::StatusOr<bool> any = (*cursor)->ReadNewest(&samples);
      if (!Check(any.ok() && *any && samples.size() == 1, "newest: nothing there")) return;
      const Timestamp time = samples.timestamps()[0];
      // One scrape is seen whole or not at all.
      if (count++ == 0) first = time;
      if (!Check(time == first && time >= range.min_time() &&
                     samples.values()[0] == ValueOf(series, time),
                 "newest: wrong sample or half a batch at", StrCat(time))) {
        return;
      }
    }
    Check(count == kSteadySeries, "newest: series:", StrCat(count));
  }
  void ReadChunks(std::mt19937* random) {
    const Range range = RangeUpTo(steady_.load(), random);
    if (range.last < range.first) return;
    const DbReader reader(db_.get());
    auto cursor = reader.Select(SelectorOf({Matcher::Equal("__name__", "steady")}, range), false);
    if (!Check(cursor.ok(), "chunks: no cursor")) return;
    while (true) {
      const absl::StatusOr<bool> more = (*cursor)->Next();
      if (!Check(more.ok(), "chunks: it broke off")) return;
      if (!*more) return;
      int64_t series = 0;
      if (!Check(ParseInt64((*cursor)->labels().Get("i"), &series), "chunks: labels")) return;
      const absl::StatusOr<bool> any = (*cursor)->ReadChunks();
      if (!Check(any.ok() && *any, "chunks: none")) return;
      std::map<Timestamp, double> samples;
      for (const storage::SelectChunk& chunk : (*cursor)->chunks()) {
        SampleBuffer buffer;
        const absl::Status decoded =
            chunkenc::DecodeChunk(chunk.encoding, chunk.bytes, chunk.visible_samples,
                                  range.min_time(), range.max_time(), &buffer);
        if (!Check(decoded.ok(), "chunks: undecodable")) return;
        for (size_t i = 0; i < buffer.size(); ++i) {
          samples[buffer.timestamps()[i]] = buffer.values()[i];
        }
      }
      std::vector<Timestamp> times;
      std::vector<double> values;
      for (const auto& [time, value] : samples) {
        times.push_back(time);
        values.push_back(value);
      }
      if (!CheckGrid("chunks", series, range, times, values)) return;
    }
  }
  void ReadRemotely() {
    std::mt19937 random(77);
    while (!stop_.WaitFor(absl::Milliseconds(2))) {
      const Range range = RangeUpTo(steady_.load(), &random);
      if (range.last < range.first) continue;
      const auto series = static_cast<int64_t>(random() % kSteadySeries);
      prometheus::ReadRequest request;
      prometheus::Query* const query = request.add_queries();
      query->set_start_timestamp_ms(range.min_time());
      query->set_end_timestamp_ms(range.max_time());
      const std::pair<std::string, std::string> wanted[] = {{"__name__", "steady"},
                                                            {"i", StrCat(series)}};
      for (const auto& [name, value] : wanted) {
        prometheus::LabelMatcher* const matcher = query->add_matchers();
        matcher->set_name(name);
        matcher->set_value(value);
      }
      std::string buffer;
      http::ServerRequest http;
      http.method = "POST";
      http.raw_path = http.path = "/api/v1/read";
      http.body = std::string(SnappyCompress(request.SerializeAsString(), &buffer));
      http.cancelled = [] { return false; };
      const http::ServerResponse response = router_->Dispatch(http);
      std::string_view message;
      prometheus::ReadResponse read;
      const bool parsed =
          response.status == 200 &&
          SnappyUncompress(response.body, size_t{1} << 30, &buffer, &message).ok() &&
          read.ParseFromArray(message.data(), static_cast<int>(message.size()));
      if (!Check(parsed && read.results_size() == 1 && read.results(0).timeseries_size() == 1,
                 "remote read: status", StrCat(response.status))) {
        return;
      }
      std::vector<Timestamp> times;
      std::vector<double> values;
      for (const prometheus::Sample& sample : read.results(0).timeseries(0).samples()) {
        times.push_back(sample.timestamp());
        values.push_back(sample.value());
      }
      if (!CheckGrid("remote read", series, range, times, values)) return;
      reads_.fetch_add(1);
    }
  }

  TempDir directory_;
  FakeClock clock_{FromTimestamp(kBegin)};
  std::unique_ptr<Db> db_;
  std::unique_ptr<metrics::Registry> registry_;
  std::unique_ptr<storage_remote::Endpoints> endpoints_;
  std::unique_ptr<http::Router> router_;

  StopSignal stop_;
  // The last acknowledged step of each writer.
  std::atomic<int64_t> steady_{-1};
  std::atomic<int64_t> churn_{-1};
  std::atomic<int64_t> late_{-1};
  std::atomic<int64_t> histograms_{-1};
  std::atomic<int64_t> doomed_{-1};
  const std::atomic<int64_t>* const writers_[kWriters] = {&steady_, &churn_, &late_, &histograms_,
                                                          &doomed_};
  // Steps up to which samples of the doomed series are gone, and are going.
  std::atomic<int64_t> deleted_{-1};
  std::atomic<int64_t> deleting_{-1};
  std::atomic<int> reader_{1};
  std::atomic<uint64_t> reads_{0};

  mutable Mutex mu_;
  std::vector<std::string> failures_ ABSL_GUARDED_BY(mu_);
};

TEST_CASE("Readers see what writers were told is stored, whatever else goes on") {
  const char* const text = std::getenv("NARTHEX_SOAK_DB_SECONDS");
  int64_t seconds = 2;
  if (text != nullptr) REQUIRE(ParseInt64(text, &seconds));
  Soak soak;
  soak.Run(absl::Seconds(seconds));
  const DbCounters& counters = soak.db().counters();
  UNSCOPED_INFO(soak.steps() << " steps of 15 s, " << soak.reads() << " reads, "
                             << counters.compactions << " compactions, "
                             << counters.head_truncations << " truncations, "
                             << counters.checkpoints << " checkpoints");
  CHECK(soak.failures() == std::vector<std::string>{});
  CHECK(soak.steps() > 0);
  CHECK(soak.reads() > 0);
  if (seconds >= 60) {
    CHECK(counters.head_truncations > 0);
    CHECK(counters.checkpoints > 0);
    CHECK(counters.time_retentions > 0);
    CHECK(counters.head_snapshots > 0);
    WARN(soak.steps() << " steps of 15 s, " << soak.reads() << " reads, " << counters.compactions
                      << " compactions, " << counters.checkpoints << " checkpoints");
  }
  if (!soak.failures().empty()) return;
  soak.CheckAll();
  soak.Restart();
  soak.CheckAll();
  CHECK(soak.failures() == std::vector<std::string>{});
}

}  // namespace
}  // namespace narthex::tsdb
