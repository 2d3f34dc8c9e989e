// The database as a program, for the interop test:
//   write DIR MINUTES    writes a log of many kinds of series that ends now
//   late DIR             writes samples in order and late ones, and prints them as dump
//   checkpoint DIR       shortens the log to a checkpoint and what follows, and keeps all
//   dump DIR             prints every sample: labels, timestamp, value
//   compact DIR          does the background work once, and prints how many blocks there are
//   delete DIR NAME VALUE MIN MAX
//                        deletes samples of the series with that label
//   clean DIR            rewrites blocks without what is deleted
//   snapshot DIR         prints the directory of a snapshot with the head
#include <sys/types.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>

#include "lib/base/check.h"
#include "lib/base/float_format.h"
#include "lib/base/strings.h"
#include "lib/model/stale.h"
#include "services/storage/tsdb/checkpoint.h"
#include "services/storage/tsdb/db.h"
#include "services/storage/tsdb/querier.h"
#include "services/storage/tsdb/wal/segments.h"

namespace narthex::tsdb {
namespace {

std::unique_ptr<Db> OpenDb(const std::string& path, bool small_segments) {
  DbOptions options;
  options.path = path;
  options.head.exemplars_max = 1000;
  options.head.ooo.window = absl::Hours(2);
  // Small, so that series are used in segments that do not define them.
  if (small_segments) options.log.segment_size_bytes = uint64_t{256} << 10;
  auto db = Db::Open(options, io::PosixFileSystem(), RealClock(),
                     Logger::ToStderr(LogLevel::kInfo, LogFormat::kLogfmt, RealClock()));
  NARTHEX_CHECK_OK(db.status());
  NARTHEX_CHECK_OK((*db)->Replay([] { return false; }));
  return std::move(db).value();
}

double ValueOf(int kind, int step, double previous, std::mt19937_64* random) {
  switch (kind) {
    case 0:  // A counter.
      return step % 100 == 99 ? 0 : previous + static_cast<double>((*random)() % 50);
    case 1:  // A gauge.
      return static_cast<double>((*random)() % 100000) / 997;
    case 2:  // Constant.
      return 42;
    default:  // Everything that a double can be.
      constexpr double kValues[] = {0, -0.0, 1e308, -1e-308, 5e-324, 0.1, 1.0 / 3};
      return step % 9 == 7   ? NormalNan()
             : step % 9 == 8 ? std::numeric_limits<double>::infinity()
                             : kValues[step % 9];
  }
}

void Write(const std::string& path, int minutes) {
  std::mt19937_64 random(20421);
  constexpr int kSeries = 400;
  constexpr int64_t kStep = 15000;
  const Timestamp end = ToTimestamp(RealClock()->Now()) / 1000 * 1000;
  const int steps = minutes * 60'000 / kStep;
  std::vector<double> previous(kSeries);
  std::unique_ptr<Db> db = OpenDb(path, true);
  for (int step = 0; step < steps; ++step) {
    // A restart in the middle: another session, other segments.
    if (step == steps / 2) {
      db.reset();
      db = OpenDb(path, true);
    }
    for (int target = 0; target < 4; ++target) {
      const Timestamp base = end - (steps - 1 - step) * kStep + target * 111 - 1000;
      DbAppender appender(&db->head());
      for (int i = target; i < kSeries; i += 4) {
        const bool late = i % 5 == 4;  // Begins midway.
        const bool ends = i % 7 == 6;  // Goes away midway.
        if (late && step < steps / 3) continue;
        if (ends && step > steps / 2) continue;
        const Labels labels = Labels::FromPairs({{"__name__", StrCat("metric_", i % 4)},
                                                 {"instance", StrCat("host-", target)},
                                                 {"i", StrCat(i)},
                                                 {"utf8", "zwölf \"Boxer\"\\"}});
        double& value = previous[static_cast<size_t>(i)];
        value = ValueOf(i % 4, step, value, &random);
        const bool gone = ends && step == steps / 2;
        const Timestamp timestamp = i % 11 == 0 ? base + static_cast<int64_t>(random() % 97) : base;
        appender.Append(labels, timestamp, gone ? StaleNan() : value);
      }
      NARTHEX_CHECK_OK(appender.Commit());
    }
  }
  NARTHEX_CHECK_OK(db->Sync());
}

// Sample i of both series is at i seconds after a multiple of a minute that is a minute ago: count
// i + 3 (and a half, of floats), sum 2 * i.
void WriteHistograms(const std::string& path) {
  const std::unique_ptr<Db> db = OpenDb(path, true);
  const Timestamp start = ToTimestamp(RealClock()->Now()) / 60'000 * 60'000 - 60'000;
  const Labels integers = Labels::FromPairs({{"__name__", "integers"}});
  const Labels floats = Labels::FromPairs({{"__name__", "floats"}});
  HeadAppender appender(&db->head());
  for (int i = 0; i < 30; ++i) {
    storage::AppendBatch batch;
    batch.base_timestamp = start + i * 1000;
    for (const Labels* labels : {&integers, &floats}) {
      storage::AppendBatch::Definition definition;
      definition.number = batch.definitions.size() + 1;
      for (const LabelView label : *labels) definition.labels.push_back(label);
      batch.definitions.push_back(std::move(definition));
      batch.refs.push_back(0);
      batch.values.push_back(2.0 * i);
      storage::AppendBatch::HistogramEntry entry;
      entry.index = batch.refs.size() - 1;
      entry.histogram.schema = 2;
      entry.histogram.zero_count = 1;
      entry.histogram.zero_threshold = 0.001;
      entry.histogram.count = static_cast<uint64_t>(i) + 3;
      entry.histogram.sum = 2.0 * i;
      entry.histogram.positive_spans = {{1, 2}};
      entry.histogram.positive_deltas = {1, i};  // 1 and i + 1.
      if (labels == &floats) {
        entry.is_float = true;
        entry.float_histogram = ToFloat(entry.histogram);
        entry.float_histogram.zero_count += 0.5;
        entry.float_histogram.count += 0.5;
      }
      batch.histograms.push_back(std::move(entry));
    }
    batch.exemplars.push_back({0, batch.base_timestamp, 0.25, {{"trace_id", "abc"}}});
    batch.metadata.push_back({0, MetricType::kHistogram, "Help.", "s"});
    AppendResult result;
    NARTHEX_CHECK_OK(appender.Append(batch, nullptr, 0, &result));
  }
  NARTHEX_CHECK_OK(db->Sync());
}

void Checkpoint(const std::string& path) {
  const std::string log = io::JoinPath(path, "wal");
  const auto segments = wal::ListSegments(io::PosixFileSystem(), log);
  NARTHEX_CHECK_OK(segments.status());
  NARTHEX_CHECK(segments->size() >= 2);
  CheckpointOptions options;
  options.fs = io::PosixFileSystem();
  options.log_directory = log;
  options.last_segment = (*segments)[(segments->size() - 1) / 2].number;
  options.keep_series = [](uint64_t) { return true; };
  NARTHEX_CHECK_OK(WriteCheckpoint(options).status());
  NARTHEX_CHECK_OK(DeleteCoveredSegments(io::PosixFileSystem(), log));
}

std::string ValueText(double value);

// Series by series: a sample every ten seconds in order, and between them others that come up to an
// hour and a half late, so many that most of them are in chunks.
void WriteLate(const std::string& path) {
  constexpr int kSeries = 20;
  constexpr int kSteps = 540;
  constexpr int64_t kStep = 10'000;
  std::mt19937_64 random(7);
  const Timestamp begin = ToTimestamp(RealClock()->Now()) / 1000 * 1000 - kSteps * kStep;
  std::vector<std::map<Timestamp, double>> written(kSeries);
  const auto labels_of = [](int i) {
    return Labels::FromPairs({{"__name__", "late"}, {"i", StrCat(i)}});
  };
  std::unique_ptr<Db> db = OpenDb(path, true);
  for (int step = 0; step < kSteps; ++step) {
    if (step == kSteps * 2 / 3) {
      db.reset();
      db = OpenDb(path, true);
    }
    DbAppender appender(&db->head());
    uint64_t refused = 0;
    for (int i = 0; i < kSeries; ++i) {
      auto& samples = written[static_cast<size_t>(i)];
      const auto append = [&](Timestamp timestamp, double value) {
        if (!samples.emplace(timestamp, value).second) return;
        appender.Append(labels_of(i), timestamp, value);
      };
      append(begin + step * kStep, step);
      if (step == 0 || i % 4 == 3) continue;
      for (int n = 0; n < 1 + i % 3; ++n) {
        const auto late = static_cast<int64_t>(random() % static_cast<uint64_t>(step * kStep));
        append(begin + step * kStep - late - 1, static_cast<double>(random() % 1000) / 7);
      }
    }
    NARTHEX_CHECK_OK(appender.Commit());
    for (const uint64_t count : appender.result().refused) refused += count;
    NARTHEX_CHECK(refused == 0);
  }
  NARTHEX_CHECK_OK(db->Sync());
  for (int i = 0; i < kSeries; ++i) {
    for (const auto& [timestamp, value] : written[static_cast<size_t>(i)]) {
      std::printf("%s %s %lld\n", labels_of(i).ToString().c_str(), ValueText(value).c_str(),
                  static_cast<long long>(timestamp));
    }
  }
}

std::string ValueText(double value) {
  if (IsStale(value)) return "stale";
  if (value != value) return "NaN";
  char text[64];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

// Of a histogram: its count and sum.
std::string SampleText(const SampleBuffer& samples, size_t i) {
  double count;
  switch (samples.kind(i)) {
    case SampleKind::kFloat:
      return ValueText(samples.values()[i]);
    case SampleKind::kHistogram:
      count = static_cast<double>(samples.histogram(i).count);
      break;
    case SampleKind::kFloatHistogram:
      count = samples.float_histogram(i).count;
      break;
  }
  char text[64];
  std::snprintf(text, sizeof text, "%g/%g", count, samples.values()[i]);
  return text;
}

void Dump(const std::string& path) {
  const std::unique_ptr<Db> db = OpenDb(path, false);
  DbQuerier querier(db.get(), RealClock());
  storage::Selector selector;
  selector.hints.start = kMinTimestamp;
  selector.hints.end = kMaxTimestamp;
  auto result = querier.Select(std::span(&selector, 1), {});
  NARTHEX_CHECK_OK(result.status());
  SampleBuffer samples;
  storage::SeriesSet& set = *result->sets[0];
  while (set.Next()) {
    samples.Clear();
    NARTHEX_CHECK_OK(set.ReadSamples(&samples));
    const std::string labels = set.labels().ToString();
    for (size_t i = 0; i < samples.size(); ++i) {
      std::printf("%s %s %lld\n", labels.c_str(), SampleText(samples, i).c_str(),
                  static_cast<long long>(samples.timestamps()[i]));
    }
  }
  NARTHEX_CHECK_OK(set.status());
}

void Compact(const std::string& path) {
  const std::unique_ptr<Db> db = OpenDb(path, true);
  NARTHEX_CHECK_OK(db->Compact());
  std::printf("%zu\n", db->blocks()->size());
}

void Delete(const std::string& path, const Matcher& matcher, Timestamp min_time,
            Timestamp max_time) {
  const std::unique_ptr<Db> db = OpenDb(path, true);
  NARTHEX_CHECK_OK(db->Delete(std::span(&matcher, 1), min_time, max_time));
}

void Clean(const std::string& path) {
  const std::unique_ptr<Db> db = OpenDb(path, true);
  NARTHEX_CHECK_OK(db->CleanTombstones());
}

void Snapshot(const std::string& path) {
  const std::unique_ptr<Db> db = OpenDb(path, true);
  const absl::StatusOr<std::string> name = db->Snapshot("", true);
  NARTHEX_CHECK_OK(name.status());
  std::printf("%s/snapshots/%s\n", path.c_str(), name->c_str());
}

}  // namespace
}  // namespace narthex::tsdb

int main(int argc, char** argv) {
  const std::string_view command = argc > 2 ? argv[1] : "";
  int64_t minutes;
  int64_t from;
  int64_t to;
  if (command == "write" && argc == 4 && narthex::ParseInt64(argv[3], &minutes)) {
    narthex::tsdb::Write(argv[2], static_cast<int>(minutes));
  } else if (command == "histograms") {
    narthex::tsdb::WriteHistograms(argv[2]);
  } else if (command == "checkpoint") {
    narthex::tsdb::Checkpoint(argv[2]);
  } else if (command == "late") {
    narthex::tsdb::WriteLate(argv[2]);
  } else if (command == "dump") {
    narthex::tsdb::Dump(argv[2]);
  } else if (command == "compact") {
    narthex::tsdb::Compact(argv[2]);
  } else if (command == "delete" && argc == 7 && narthex::ParseInt64(argv[5], &from) &&
             narthex::ParseInt64(argv[6], &to)) {
    narthex::tsdb::Delete(argv[2], narthex::Matcher::Equal(argv[3], argv[4]), from, to);
  } else if (command == "clean") {
    narthex::tsdb::Clean(argv[2]);
  } else if (command == "snapshot") {
    narthex::tsdb::Snapshot(argv[2]);
  } else {
    std::fprintf(
        stderr,
        "usage: interop_tool write DIR MINUTES | late DIR | histograms DIR | checkpoint DIR | dump "
        "DIR | compact DIR | "
        "delete DIR NAME VALUE MIN MAX | clean DIR | snapshot DIR\n");
    return 1;
  }
  return 0;
}
