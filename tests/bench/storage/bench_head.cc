// The head alone, without a transport: what a series and a sample cost in it.
//   new series           definitions with 10 labels into the head and its log
//   append               decoded batches by reference, two hours' worth of samples
//   memory               what the head counts, and what the process grew by
//   churn                as many series again and more, with truncations between
//   select               one series of a million by name and two labels; a regex over 50,000 values
// CPU is that of the whole process. Run it on a quiet machine from a release build.
#include <malloc.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "services/storage/tsdb/db.h"
#include "services/storage/tsdb/head_appender.h"
#include "services/storage/tsdb/head_reader.h"
#include "tests/support/bench.h"
#include "tests/support/temp_dir.h"

namespace narthex::tsdb {
namespace {

constexpr int kPerTarget = 1000;
constexpr int64_t kStepMs = 15'000;

double CpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double ResidentBytes() {
  malloc_trim(0);
  std::ifstream file("/proc/self/statm");
  double total = 0;
  double resident = 0;
  file >> total >> resident;
  return resident * 4096;
}

// As a cluster has them: ten labels, of which a target has most in common.
struct SeriesText {
  std::vector<std::pair<std::string, std::string>> pairs;
  explicit SeriesText(int i) {
    const int target = i / kPerTarget;
    const int metric = i % kPerTarget;
    pairs = {{"__name__", StrCat("container_metric_", metric / 4, "_total")},
             {"cluster", "eu-west-1a"},
             {"code", StrCat(200 + metric % 4)},
             {"container", StrCat("app-", target % 40)},
             {"instance",
              StrCat("10.", target / 62500, ".", target / 250 % 250, ".", target % 250, ":9100")},
             {"job", "kubernetes-pods"},
             {"namespace", StrCat("team-", target % 25)},
             {"node", StrCat("node-", target % 100, ".cluster.local")},
             {"pod", StrCat("app-", target % 40, "-5d8f7c9b6-", target)},
             {"service", StrCat("svc-", target % 40)}};
  }
};

// Counters, gauges with few digits, and constants.
class Values {
 public:
  explicit Values(int series) : values_(static_cast<size_t>(series)) {}
  double Next(int series) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    const uint32_t random = static_cast<uint32_t>(state_ >> 33);
    switch (series % 5) {
      case 0:
      case 1:
        return values_[static_cast<size_t>(series)] += random % 100;
      case 2:
        return static_cast<double>(random % 10000) / 100;
      default:
        return 1;
    }
  }

 private:
  uint64_t state_ = 88172645463325252u;
  std::vector<float> values_;
};

class Bench {
 public:
  explicit Bench(int series)
      : series_(series), values_(series), references_(static_cast<size_t>(series)) {
    DbOptions options;
    options.path = dir_.File("data");
    options.head.limits.future_max = absl::Hours(100'000);
    db_ = std::move(Db::Open(options, io::PosixFileSystem(), RealClock(), Logger())).value();
    NARTHEX_CHECK_OK(db_->Replay([] { return false; }));
    appender_ = std::make_unique<HeadAppender>(&db_->head());
    before_ = ResidentBytes();
  }
  Head& head() { return db_->head(); }

  // Defines the series from…to, a target at a time.
  void Define(int from, int to) {
    double cpu = 0;
    std::vector<Labels> labels;
    for (int first = from; first < to; first += kPerTarget) {
      labels.clear();
      storage::AppendBatch batch;
      batch.base_timestamp = now_;
      for (int i = first; i < first + kPerTarget; ++i) {
        labels.push_back(Labels::FromPairs(SeriesText(i).pairs));
      }
      for (int i = first; i < first + kPerTarget; ++i) {
        storage::AppendBatch::Definition& definition = batch.definitions.emplace_back();
        definition.number = static_cast<uint64_t>(i) + 1;
        for (const LabelView label : labels[static_cast<size_t>(i - first)]) {
          definition.labels.push_back(label);
        }
        batch.refs.push_back(0);
        batch.values.push_back(values_.Next(i % series_));
      }
      const double start = CpuSeconds();
      NARTHEX_CHECK_OK(appender_->Append(batch, nullptr, 0, &result_));
      cpu += CpuSeconds() - start;
      for (size_t i = 0; i < result_.new_references.size(); ++i) {
        references_[static_cast<size_t>(first % series_) + i] = result_.new_references[i].reference;
      }
    }
    std::printf("%d new series of 10 labels: %.2f us CPU each\n", to - from,
                cpu / (to - from) * 1e6);
  }

  void Append(int rounds, bool print = true) {
    double cpu = 0;
    double wall = 0;
    storage::AppendBatch batch;
    for (int round = 0; round < rounds; ++round) {
      now_ += kStepMs;
      for (int first = 0; first < series_; first += kPerTarget) {
        batch.base_timestamp = now_ + first / kPerTarget * 37 % kStepMs;
        const auto begin = references_.begin() + first;
        batch.refs.assign(begin, begin + kPerTarget);
        batch.values.clear();
        for (int i = first; i < first + kPerTarget; ++i) batch.values.push_back(values_.Next(i));
        const double start = CpuSeconds();
        const double start_wall = testing::ClockNanos(CLOCK_MONOTONIC);
        NARTHEX_CHECK_OK(appender_->Append(batch, nullptr, 0, &result_));
        wall += (testing::ClockNanos(CLOCK_MONOTONIC) - start_wall) * 1e-9;
        cpu += CpuSeconds() - start;
      }
    }
    if (!print) return;
    const double samples = static_cast<double>(series_) * rounds;
    std::printf("%.0f M samples appended: %.1f ns CPU, %.1f ns wall a sample\n", samples * 1e-6,
                cpu / samples * 1e9, wall / samples * 1e9);
  }

  void PrintMemory(double series) {
    const Head::Memory memory = head().memory();
    const auto line = [&](const char* what, double bytes) {
      std::printf("    %-30s %8.1f bytes a series\n", what, bytes / series);
    };
    line("records", static_cast<double>(memory.table.records));
    line("references", static_cast<double>(memory.table.references));
    line("open chunks", static_cast<double>(memory.table.open_chunks));
    line("closed chunks", static_cast<double>(memory.table.closed_chunks));
    line("texts", static_cast<double>(memory.index.symbols));
    line("label pairs", static_cast<double>(memory.index.pairs));
    line("postings", static_cast<double>(memory.index.postings));
    line("label arrays and lookup", static_cast<double>(memory.index.series));
    line("all counted", static_cast<double>(memory.total()));
    line("growth of the process", ResidentBytes() - before_ - static_cast<double>(series_) * 12);
    std::fflush(stdout);
  }

  void Truncate() {
    const double start = CpuSeconds();
    const auto result = head().TruncateBefore(now_ - 3'600'000);
    NARTHEX_CHECK_OK(result.status());
    std::printf("truncation: %zu series and %zu chunks removed, %.3f s CPU\n",
                result->series_removed, result->chunks_removed, CpuSeconds() - start);
  }

  void Skip(int64_t ms) { now_ += ms; }

 private:
  const int series_;
  TempDir dir_;
  Values values_;
  std::vector<uint64_t> references_;
  std::unique_ptr<Db> db_;
  std::unique_ptr<HeadAppender> appender_;
  AppendResult result_;
  Timestamp now_ = 1'700'006'400'000;
  double before_ = 0;
};

void BenchMemory(int series, int rounds) {
  std::printf("--- %d series, %d samples each, then churn to 2.4 times as many\n", series, rounds);
  Bench bench(series);
  bench.Define(0, series);
  bench.PrintMemory(series);
  bench.Append(rounds);
  bench.PrintMemory(series);
  // Targets are replaced, all of them once and 40 % of them twice.
  for (int from = series; from < series * 12 / 5; from += series / 5) {
    bench.Define(from, from + series / 5);
    bench.Append(4, false);
  }
  std::printf("after churn, before a truncation (a series seen):\n");
  bench.PrintMemory(series * 2.4);
  bench.Truncate();
  bench.PrintMemory(series * 2.4);
}

void BenchSelect() {
  constexpr int kSeries = 1'000'000;
  std::printf("--- select among %d series\n", kSeries);
  Bench bench(kSeries);
  bench.Define(0, kSeries);
  const Head& head = bench.head();
  const auto find = [&](const char* what, const std::vector<Matcher>& matchers) {
    testing::RunBench(what, 1, [&] {
      const HeadReader reader(&head);
      testing::KeepAlive(reader.Find(matchers).size());
    });
  };
  const auto regex = [](std::string_view name, std::string_view value) {
    return Matcher::Create(MatchType::kRegex, name, value).value();
  };
  find("one by name and two labels",
       {Matcher::Equal("__name__", "container_metric_7_total"), Matcher::Equal("code", "201"),
        Matcher::Equal("instance", "10.0.1.77:9100")});
  find("1,000 by name and label",
       {Matcher::Equal("__name__", "container_metric_7_total"),
        Matcher::Equal("job", "kubernetes-pods"), Matcher::Equal("code", "201")});
  find("1,000 by name and a regex",
       {Matcher::Equal("__name__", "container_metric_7_total"), regex("instance", "10.0.[0-3].*"),
        Matcher::Equal("code", "200")});
}

void BenchRegex() {
  constexpr int kValues = 50'000;
  DbOptions options;
  TempDir dir;
  options.path = dir.File("data");
  auto db = std::move(Db::Open(options, io::PosixFileSystem(), RealClock(), Logger())).value();
  NARTHEX_CHECK_OK(db->Replay([] { return false; }));
  DbAppender appender(&db->head());
  for (int i = 0; i < kValues; ++i) {
    appender.Append(
        Labels::FromPairs({{"__name__", "m"}, {"pod", StrCat("app-", i % 40, "-5d8f7c9b6-", i)}}),
        ToTimestamp(RealClock()->Now()), 1);
  }
  NARTHEX_CHECK_OK(appender.Commit());
  for (const std::string pattern : {"app-1.-.*[05]", ".*-123.*", "app-7-.+", "app-(1|2|3)-.*9"}) {
    // Another expression each time, because answers are kept.
    int round = 0;
    testing::RunBench(StrCat("new regex over 50,000 values: ", pattern), 1, [&] {
      const HeadReader reader(&db->head());
      const auto matcher =
          Matcher::Create(MatchType::kRegex, "pod", StrCat(pattern, "|none", ++round)).value();
      testing::KeepAlive(reader.Find(std::vector{matcher}).size());
    });
    testing::RunBench(StrCat("the same again: ", pattern), 1, [&] {
      const HeadReader reader(&db->head());
      const auto matcher = Matcher::Create(MatchType::kRegex, "pod", pattern).value();
      testing::KeepAlive(reader.Find(std::vector{matcher}).size());
    });
  }
}

}  // namespace
}  // namespace narthex::tsdb

// bench_head [series] [samples of each]
int main(int argc, char** argv) {
  const int series = argc > 1 ? std::atoi(argv[1]) : 100'000;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 480;
  narthex::tsdb::BenchMemory(series, rounds);
  narthex::tsdb::BenchSelect();
  narthex::tsdb::BenchRegex();
  return 0;
}
