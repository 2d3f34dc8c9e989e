// What a start costs after kill -9: with the log alone, and with a snapshot of the head.
//
//   bench_restart fill DIR SERIES ROUNDS SNAPSHOT_AFTER   appends, takes a snapshot after so many
//                                                         rounds (0: none), and is killed
//   bench_restart start DIR                               opens the directory and says what it took
//
// A round is one sample of every series. Run it on a quiet machine from a release build.
#include <signal.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/storage/append_batch.h"
#include "services/storage/tsdb/db.h"

namespace narthex::tsdb {
namespace {

constexpr int kBatchSize = 1000;  // One target's scrape.
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
  std::ifstream file("/proc/self/statm");
  double total = 0;
  double resident = 0;
  file >> total >> resident;
  return resident * 4096;
}

Labels SeriesLabels(int i) {
  return Labels::FromPairs(
      {{"__name__", StrCat("http_requests_total_", i % kBatchSize / 10)},
       {"code", StrCat(200 + i % 10)},
       {"datacenter", "eu-west-1"},
       {"env", "production"},
       {"handler", StrCat("/api/v1/", i % 10)},
       {"instance", StrCat("10.0.", i / kBatchSize / 250, ".", i / kBatchSize % 250, ":9100")},
       {"job", "node"},
       {"rack", StrCat("r", i / kBatchSize % 40)},
       {"team", StrCat("t", i % 7)}});
}

double Value(int series, int round) {
  // Counters, gauges with few digits, and constants, as a node exporter has them.
  const uint32_t random =
      (static_cast<uint32_t>(series) * 2654435761u) ^ (static_cast<uint32_t>(round) * 2246822519u);
  switch (series % 5) {
    case 0:
    case 1:
      return static_cast<double>(round) * 50 + random % 100;
    case 2:
      return static_cast<double>(random % 10000) / 100;
    default:
      return 1;
  }
}

std::unique_ptr<Db> Open(const std::string& path) {
  DbOptions options;
  options.path = path;
  auto db = Db::Open(options, io::PosixFileSystem(), RealClock(), Logger());
  NARTHEX_CHECK_OK(db.status());
  NARTHEX_CHECK_OK((*db)->Replay([] { return false; }));
  return std::move(*db);
}

void Fill(const std::string& path, int series, int rounds, int snapshot_after) {
  const std::unique_ptr<Db> db = Open(path);
  const Timestamp start = ToTimestamp(RealClock()->Now()) - int64_t{rounds} * kStepMs;
  HeadAppender appender(&db->head());
  storage::AppendBatchWriter writer;
  storage::AppendBatch batch;
  AppendResult result;
  std::vector<storage::SeriesRef> refs(static_cast<size_t>(series), 0);
  for (int round = 0; round < rounds; ++round) {
    for (int first = 0; first < series; first += kBatchSize) {
      // Targets are scraped spread over the interval.
      const Timestamp time =
          start + round * kStepMs + int64_t{first} * kStepMs / std::max(1, series);
      writer.Clear(time);
      for (int i = first; i < first + kBatchSize; ++i) {
        const size_t index = static_cast<size_t>(i);
        if (refs[index] != 0) {
          writer.Add(refs[index], time, Value(i, round));
        } else {
          writer.AddWithDefinition(index + 1, SeriesLabels(i), time, Value(i, round));
        }
      }
      const std::string bytes = writer.Finish();
      NARTHEX_CHECK_OK(storage::DecodeAppendBatch(bytes, &batch));
      NARTHEX_CHECK_OK(appender.Append(batch, nullptr, 0, &result));
      for (const AppendResult::NewReference& reference : result.new_references) {
        refs[static_cast<size_t>(reference.number - 1)] = reference.reference;
      }
    }
    if (round + 1 == snapshot_after) {
      const double cpu = CpuSeconds();
      NARTHEX_CHECK_OK(db->SnapshotHead());
      std::printf("snapshot: %.2f s CPU\n", CpuSeconds() - cpu);
      std::fflush(stdout);
    }
  }
  raise(SIGKILL);
}

void Start(const std::string& path) {
  const absl::Duration wall = RealClock()->Monotonic();
  const double cpu = CpuSeconds();
  const std::unique_ptr<Db> db = Open(path);
  const double seconds = absl::ToDoubleSeconds(RealClock()->Monotonic() - wall);
  const ReplayResult& result = db->replay_result();
  std::printf(
      "start: %.2f s, %.2f s CPU, %.0f MB resident; %zu series, %llu from the snapshot; "
      "%llu samples appended, %llu there already; %llu chunks found\n",
      seconds, CpuSeconds() - cpu, ResidentBytes() * 1e-6, db->head().table().size(),
      static_cast<unsigned long long>(result.snapshot_series),
      static_cast<unsigned long long>(result.samples),
      static_cast<unsigned long long>(result.samples_refused),
      static_cast<unsigned long long>(result.chunks_found));
  std::fflush(stdout);
  raise(SIGKILL);
}

}  // namespace
}  // namespace narthex::tsdb

int main(int argc, char** argv) {
  const std::string_view mode = argc > 1 ? argv[1] : "";
  if (mode == "fill" && argc == 6) {
    narthex::tsdb::Fill(argv[2], std::atoi(argv[3]), std::atoi(argv[4]), std::atoi(argv[5]));
  } else if (mode == "start" && argc == 3) {
    narthex::tsdb::Start(argv[2]);
  } else {
    std::fprintf(stderr,
                 "usage: bench_restart fill DIR SERIES ROUNDS SNAPSHOT_AFTER | start DIR\n");
    return 2;
  }
  return 0;
}
