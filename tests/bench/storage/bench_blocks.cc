// Blocks: a million series written, opened, selected and read. Options: --series=N. The block lies
// in a temporary folder; its bytes are in the page cache when they are read.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/chunkenc/xor_chunk.h"
#include "services/storage/tsdb/block.h"
#include "services/storage/tsdb/block_writer.h"
#include "services/storage/tsdb/ulid.h"
#include "tests/support/bench.h"
#include "tests/support/temp_dir.h"

namespace narthex::tsdb {
namespace {

constexpr Timestamp kStart = 1'700'006'400'000;
constexpr int kSamples = 120;
constexpr uint64_t kInstances = 50'000;

double Seconds() { return testing::ClockNanos(CLOCK_PROCESS_CPUTIME_ID) / 1e9; }

std::string Digits(uint64_t number, size_t size) {
  std::string digits = StrCat(number);
  return std::string(size - std::min(size, digits.size()), '0') + digits;
}

// Series by metric, then by instance, so that they come in order.
void WriteBlock(const std::string& parent, uint64_t series, std::string* ulid) {
  std::string bytes(kSamples * chunkenc::kXorSampleBytesMax, '\0');
  size_t size = 0;
  chunkenc::XorState state;
  for (int i = 0; i < kSamples; ++i) {
    chunkenc::XorAppend(&state, reinterpret_cast<uint8_t*>(bytes.data()), &size,
                        kStart + i * 15'000 + i % 3, 1000.0 + i * 7);
  }
  const storage::SelectChunk chunk = {chunkenc::Encoding::kXor, kStart,
                                      kStart + (kSamples - 1) * 15'000 + (kSamples - 1) % 3,
                                      kSamples, std::string_view(bytes).substr(0, size)};
  BlockMeta base;
  base.ulid = Ulid::New(kStart).ToString();
  base.min_time = kStart;
  base.max_time = kStart + 7'200'000;
  const double start = Seconds();
  auto writer = BlockWriter::Create(io::PosixFileSystem(), parent, base);
  NARTHEX_CHECK(writer.ok());
  const uint64_t instances = std::min(kInstances, series);
  for (uint64_t i = 0; i < series; ++i) {
    const uint64_t metric = i / instances;
    const uint64_t instance = i % instances;
    const std::string name = "http_request_duration_" + Digits(metric, 4);
    const std::string host = StrCat("host-", Digits(instance, 5), ".example.org:9100");
    const std::string job = StrCat("job-", instance % 40);
    const std::string zone = StrCat("zone-", instance % 3);
    const std::string pod = StrCat("pod-", Digits(instance * 7919 % 100'000, 5));
    const std::vector<LabelView> labels = {{"__name__", name},
                                           {"cluster", "production-1"},
                                           {"code", metric % 2 == 0 ? "200" : "500"},
                                           {"env", "prod"},
                                           {"instance", host},
                                           {"job", job},
                                           {"method", "GET"},
                                           {"pod", pod},
                                           {"team", zone},
                                           {"zone", zone}};
    NARTHEX_CHECK((*writer)->Add(labels, {&chunk, 1}).ok());
  }
  const double added = Seconds();
  const auto meta = (*writer)->Finish();
  NARTHEX_CHECK(meta.ok());
  std::printf("write: %.2f us CPU a series (adding %.2f, finishing %.2f)\n",
              (Seconds() - start) * 1e6 / static_cast<double>(series),
              (added - start) * 1e6 / static_cast<double>(series),
              (Seconds() - added) * 1e6 / static_cast<double>(series));
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  std::printf("write: %ld MiB resident at most\n", usage.ru_maxrss / 1024);
  *ulid = meta->ulid;
}

Matcher Make(MatchType type, std::string_view name, std::string_view value) {
  auto matcher = Matcher::Create(type, name, value);
  NARTHEX_CHECK(matcher.ok());
  return *std::move(matcher);
}

void BenchSelect(const Block& block, std::string_view what, const std::vector<Matcher>& matchers) {
  const auto selected = block.Select(matchers);
  NARTHEX_CHECK(selected.ok());
  testing::RunBench(StrCat(what, " (", selected->size(), " series)"), 1, [&] {
    const auto again = block.Select(matchers);
    NARTHEX_CHECK(again.ok());
    testing::KeepAlive(again->size());
  });
}

// Opens the block anew for each selection, so that no list is remembered; the time of opening is
// taken off.
void BenchFirstSelect(const std::string& directory, std::string_view what,
                      const std::vector<Matcher>& matchers) {
  std::vector<double> cpu;
  for (int run = 0; run < 7; ++run) {
    const auto block = Block::Open(io::PosixFileSystem(), directory);
    NARTHEX_CHECK(block.ok());
    const double start = Seconds();
    NARTHEX_CHECK((*block)->Select(matchers).ok());
    cpu.push_back(Seconds() - start);
  }
  std::sort(cpu.begin(), cpu.end());
  std::printf("%-48.*s %10.3f ms CPU at the first time\n", static_cast<int>(what.size()),
              what.data(), cpu[cpu.size() / 2] * 1e3);
}

void Main(uint64_t series) {
  const TempDir directory;
  std::string ulid;
  WriteBlock(directory.path(), series, &ulid);
  const std::string path = io::JoinPath(directory.path(), ulid);
  const double start = Seconds();
  const auto opened = Block::Open(io::PosixFileSystem(), path);
  NARTHEX_CHECK(opened.ok());
  const Block& block = **opened;
  std::printf("open: %.1f ms CPU\n", (Seconds() - start) * 1e3);
  const auto index_size = io::PosixFileSystem()->FileSize(io::JoinPath(path, "index"));
  std::printf("index: %.1f bytes a series; all: %.3f bytes a sample\n",
              static_cast<double>(*index_size) / static_cast<double>(series),
              static_cast<double>(block.size_bytes()) / static_cast<double>(series * kSamples));

  const Matcher name = Matcher::Equal("__name__", "http_request_duration_0001");
  const std::vector<Matcher> one = {name, Matcher::Equal("job", "job-7"),
                                    Matcher::Equal("instance", "host-00047.example.org:9100")};
  const std::vector<Matcher> regex = {name,
                                      Make(MatchType::kRegex, "instance", "host-.*7[.]example.*")};
  const std::vector<Matcher> prefix = {Make(MatchType::kRegex, "instance", "host-012.*")};
  const std::vector<Matcher> alternation = {
      name, Make(MatchType::kRegex, "instance",
                 "host-00001.example.org:9100|host-00002.example.org:9100")};
  BenchFirstSelect(path, "name and two labels", one);
  BenchFirstSelect(path, "name, regex over 50,000 values", regex);
  BenchFirstSelect(path, "regex with a prefix", prefix);
  BenchFirstSelect(path, "name and an alternation", alternation);
  BenchSelect(block, "name and two labels", one);
  BenchSelect(block, "name, regex over 50,000 values", regex);
  BenchSelect(block, "regex with a prefix", prefix);
  BenchSelect(block, "name, job, zone not",
              {name, Matcher::Equal("job", "job-7"), Make(MatchType::kNotEqual, "zone", "zone-1")});
  BenchSelect(block, "everything", {});

  const auto all = block.Select({});
  NARTHEX_CHECK(all.ok());
  std::vector<LabelView> labels;
  std::vector<BlockChunk> chunks;
  const size_t some = std::min<size_t>(all->size(), 50'000);
  testing::RunBench("read labels and chunks of a series", some, [&] {
    for (size_t i = 0; i < some; ++i) {
      NARTHEX_CHECK(block.ReadSeries((*all)[i], &labels, &chunks).ok());
    }
  });
  testing::RunBench("read the chunks alone", some, [&] {
    for (size_t i = 0; i < some; ++i) {
      NARTHEX_CHECK(block.ReadSeries((*all)[i], nullptr, &chunks).ok());
    }
  });
  testing::RunBench("read a chunk", some, [&] {
    for (size_t i = 0; i < some; ++i) NARTHEX_CHECK(block.ReadChunk(chunks[0]).ok());
  });
}

}  // namespace
}  // namespace narthex::tsdb

int main(int argc, char** argv) {
  uint64_t series = 1'000'000;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    constexpr std::string_view kSeries = "--series=";
    if (argument.substr(0, kSeries.size()) == kSeries) {
      NARTHEX_CHECK(narthex::ParseUint64(argument.substr(kSeries.size()), &series) && series > 0);
    }
  }
  narthex::tsdb::Main(series);
}
