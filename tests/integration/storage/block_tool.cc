// What the integration tests ask of blocks from outside:
//   dump BLOCK               every sample as promtool prints it
//   select BLOCK MATCHER...  series of the matchers, one a line; a matcher is NAME OP VALUE in
//   three
//                            arguments
//   copy BLOCK PARENT        a new block of the same content; prints its ULID
//   delete BLOCK MIN MAX MATCHER...
//   histograms PARENT START  a block with 100 samples, a minute apart, of native histograms: at
//                            sample i the integer one has i + 1 observations in each of four
//                            buckets of schema 0 (from 1 to 16) and sum i, the float one half as
//                            many
//   check BLOCK | repair BLOCK QUARANTINE
#include <cinttypes>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/float_format.h"
#include "lib/base/strings.h"
#include "lib/chunkenc/chunk_writer.h"
#include "lib/chunkenc/xor_chunk.h"
#include "services/storage/tsdb/block.h"
#include "services/storage/tsdb/block_check.h"
#include "services/storage/tsdb/block_writer.h"
#include "services/storage/tsdb/ulid.h"

namespace narthex::tsdb {
namespace {

constexpr Timestamp kEver = Timestamp{1} << 60;

[[noreturn]] void Die(std::string_view message) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(message.size()), message.data());
  std::exit(1);
}
void Expect(const absl::Status& status) {
  if (!status.ok()) Die(Message(status));
}

std::string Text(std::span<const LabelView> labels) {
  std::string text = "{";
  for (const LabelView& label : labels) {
    StrAppend(&text, text.size() > 1 ? ", " : "", label.name, "=", Quote(label.value));
  }
  return text + "}";
}

std::vector<Matcher> Matchers(char** begin, char** end) {
  std::vector<Matcher> matchers;
  for (char** argument = begin; argument + 2 < end; argument += 3) {
    const std::string_view op = argument[1];
    const MatchType type = op == "="    ? MatchType::kEqual
                           : op == "!=" ? MatchType::kNotEqual
                           : op == "=~" ? MatchType::kRegex
                                        : MatchType::kNotRegex;
    auto matcher = Matcher::Create(type, argument[0], argument[2]);
    Expect(matcher.status());
    matchers.push_back(*std::move(matcher));
  }
  return matchers;
}

std::shared_ptr<Block> OpenBlock(const std::string& directory) {
  auto block = Block::Open(io::PosixFileSystem(), directory);
  Expect(block.status());
  return *block;
}

void Dump(const std::string& directory) {
  const std::shared_ptr<Block> block = OpenBlock(directory);
  const auto source = block->Source(-kEver, kEver);
  SampleBuffer samples;
  for (;;) {
    const auto more = source->Next();
    Expect(more.status());
    if (!*more) return;
    const std::string labels = Text(source->labels());
    for (const storage::SelectChunk& chunk : source->chunks()) {
      samples.Clear();
      Expect(chunkenc::XorDecode(chunk.bytes, chunk.visible_samples, -kEver, kEver, &samples));
      for (size_t i = 0; i < samples.size(); ++i) {
        const Timestamp time = samples.timestamps()[i];
        bool deleted = false;
        for (const storage::DeletedInterval& interval : source->deleted()) {
          deleted = deleted || (interval.min_time <= time && time <= interval.max_time);
        }
        if (deleted) continue;
        std::string line = StrCat(labels, " ", samples.values()[i], " ", time, "\n");
        std::fputs(line.c_str(), stdout);
      }
    }
  }
}

void Copy(const std::string& directory, const std::string& parent) {
  const std::shared_ptr<Block> block = OpenBlock(directory);
  BlockMeta base = block->meta();
  base.ulid = Ulid::New(base.max_time).ToString();
  base.compaction.sources.clear();
  auto writer = BlockWriter::Create(io::PosixFileSystem(), parent, base);
  Expect(writer.status());
  const auto source = block->Source(-kEver, kEver);
  for (;;) {
    const auto more = source->Next();
    Expect(more.status());
    if (!*more) break;
    Expect((*writer)->Add(source->labels(), source->chunks()));
  }
  const auto meta = (*writer)->Finish();
  Expect(meta.status());
  std::printf("%s\n", meta->ulid.c_str());
}

void WriteHistograms(const std::string& parent, Timestamp start) {
  chunkenc::ChunkWriter chunks;
  std::vector<std::vector<chunkenc::FinishedChunk>> series;
  for (const bool integer : {false, true}) {
    for (int i = 0; i < 100; ++i) {
      const Timestamp time = start + i * 60'000;
      if (integer) {
        Histogram histogram;
        histogram.count = static_cast<uint64_t>(4 * (i + 1));
        histogram.sum = i;
        histogram.zero_threshold = 0.001;
        histogram.positive_spans = {{1, 4}};
        histogram.positive_deltas = {i + 1, 0, 0, 0};
        chunks.Append(time, histogram);
      } else {
        const double half = (i + 1) / 2.0;
        FloatHistogram histogram;
        histogram.count = 4 * half;
        histogram.sum = i;
        histogram.zero_threshold = 0.001;
        histogram.positive_spans = {{1, 4}};
        histogram.positive_buckets = {half, half, half, half};
        chunks.Append(time, histogram);
      }
    }
    series.push_back(chunks.Finish());
  }
  BlockMeta base;
  base.ulid = Ulid::New(start).ToString();
  base.min_time = start;
  base.max_time = start + 7'200'000;
  auto writer = BlockWriter::Create(io::PosixFileSystem(), parent, base);
  Expect(writer.status());
  for (size_t i = 0; i < series.size(); ++i) {
    std::vector<storage::SelectChunk> views;
    for (const chunkenc::FinishedChunk& chunk : series[i]) {
      views.push_back({chunk.encoding, chunk.min_time, chunk.max_time, chunk.samples, chunk.bytes});
    }
    const std::vector<LabelView> labels = {{"__name__", i == 0 ? "float" : "integer"}};
    Expect((*writer)->Add(labels, views));
  }
  Expect((*writer)->Finish().status());
}

void PrintReport(const BlockReport& report) {
  for (const std::string& problem : report.problems) std::printf("problem: %s\n", problem.c_str());
  std::printf("series %" PRIu64 " chunks %" PRIu64 " samples %" PRIu64 " lost %" PRIu64 "\n",
              report.series, report.chunks, report.samples, report.chunks_lost);
}

int Main(int argc, char** argv) {
  const std::string_view command = argc > 2 ? argv[1] : "";
  if (command == "dump") {
    Dump(argv[2]);
  } else if (command == "copy" && argc == 4) {
    Copy(argv[2], argv[3]);
  } else if (command == "select") {
    const std::shared_ptr<Block> block = OpenBlock(argv[2]);
    const auto selected = block->Select(Matchers(argv + 3, argv + argc));
    Expect(selected.status());
    std::vector<LabelView> labels;
    for (const BlockSeries series : *selected) {
      Expect(block->ReadSeries(series, &labels, nullptr));
      std::printf("%s\n", Text(labels).c_str());
    }
  } else if (command == "delete" && argc > 4) {
    int64_t min_time;
    int64_t max_time;
    if (!ParseInt64(argv[3], &min_time) || !ParseInt64(argv[4], &max_time)) Die("bad times");
    Expect(OpenBlock(argv[2])->Delete(Matchers(argv + 5, argv + argc), min_time, max_time));
  } else if (command == "histograms" && argc == 4) {
    int64_t start;
    if (!ParseInt64(argv[3], &start)) Die("bad time");
    WriteHistograms(argv[2], start);
  } else if (command == "check") {
    BlockReport report;
    Expect(CheckBlock(io::PosixFileSystem(), argv[2], &report));
    PrintReport(report);
  } else if (command == "repair" && argc == 4) {
    BlockReport report;
    const auto repaired = RepairBlock(io::PosixFileSystem(), argv[2], argv[3], &report);
    Expect(repaired.status());
    std::printf("repaired %s\n", repaired->c_str());
    PrintReport(report);
  } else {
    Die("usage: see the top of block_tool.cc");
  }
  return 0;
}

}  // namespace
}  // namespace narthex::tsdb

int main(int argc, char** argv) { return narthex::tsdb::Main(argc, argv); }
