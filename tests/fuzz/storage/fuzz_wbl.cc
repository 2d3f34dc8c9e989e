// Any bytes as the log of late samples: it is read without a crash, what it gives is sound, and
// what was repaired reads the same the next time.
//
// The input is the file of a segment first; then it is cut into records: u8 what it goes with (0:
// the log; 1: the next segment), u8 length, bytes.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/strings.h"
#include "lib/chunkenc/chunk.h"
#include "services/storage/tsdb/head.h"
#include "services/storage/tsdb/head_loader.h"
#include "services/storage/tsdb/ooo_replay.h"
#include "services/storage/tsdb/wal/segments.h"
#include "services/storage/tsdb/wal/writer.h"
#include "tests/support/fault_file_system.h"

namespace narthex::tsdb {
namespace {

constexpr char kLog[] = "/wbl";
constexpr uint64_t kSeries = 4;  // With references from 1 on.

void WriteLog(io::FileSystem* fs, std::string_view input) {
  auto writer = wal::Writer::Open(fs, kLog, 0, {}, [](uint64_t, std::vector<std::string>*) {});
  NARTHEX_CHECK(writer.ok());
  while (input.size() >= 2) {
    const bool next = (input[0] & 1) != 0;
    const size_t size = static_cast<uint8_t>(input[1]);
    input.remove_prefix(2);
    const std::string_view record[] = {input.substr(0, size)};
    input.remove_prefix(record[0].size());
    if (next) NARTHEX_CHECK_OK((*writer)->NextSegment());
    NARTHEX_CHECK_OK((*writer)->Log(record));
  }
}

// What a start found.
struct Found {
  absl::Status status;
  OooReplayResult result;
  // For each series the bytes of its chunks, with their times.
  std::vector<std::string> series;
};

Found Start(io::FileSystem* fs) {
  HeadOptions options;
  options.ooo.window = absl::Hours(1);
  Head head(options, RealClock());
  HeadLoader loader(&head);
  for (uint64_t reference = 1; reference <= kSeries; ++reference) {
    const std::string value = StrCat(reference);
    const LabelView labels[] = {{"i", value}};
    NARTHEX_CHECK(loader.AddSeries(reference, labels).ok());
  }
  OooLogStart start;
  start.fs = fs;
  start.directory = kLog;
  start.lost_directory = "/lost";
  Found found;
  found.status = OpenOutOfOrderLog(
      start, &head, Logger(), [] { return false; }, &found.result);
  if (!found.status.ok()) return found;
  for (uint64_t reference = 1; reference <= kSeries; ++reference) {
    OooChunks chunks;
    head.ooo().ReadChunks(loader.Find(reference), kMinTimestamp, kMaxTimestamp, UINT64_MAX,
                          &chunks);
    std::string all;
    for (const storage::SelectChunk& chunk : chunks.chunks) {
      SampleBuffer samples;
      NARTHEX_CHECK_OK(chunkenc::DecodeChunk(chunk.encoding, chunk.bytes, chunk.visible_samples,
                                             kMinTimestamp, kMaxTimestamp, &samples));
      NARTHEX_CHECK(!samples.empty() && samples.size() == chunk.visible_samples);
      NARTHEX_CHECK(samples.timestamps().front() == chunk.min_time);
      NARTHEX_CHECK(samples.timestamps().back() == chunk.max_time);
      NARTHEX_CHECK(chunk.min_time >= head.ooo().min_time());
      NARTHEX_CHECK(chunk.max_time <= head.ooo().max_time());
      all += StrCat(chunk.min_time, " ", chunk.max_time, " ", chunk.bytes, "\n");
    }
    found.series.push_back(all);
  }
  return found;
}

void StartTwice(io::FileSystem* fs) {
  const Found first = Start(fs);
  if (!first.status.ok()) return;
  const Found second = Start(fs);
  NARTHEX_CHECK_OK(second.status);
  NARTHEX_CHECK(!second.result.damaged);
  NARTHEX_CHECK(second.result.samples == first.result.samples);
  // Lower where the damaged segment had nothing that could be kept, and went as a whole.
  NARTHEX_CHECK(second.result.next_segment <= first.result.next_segment);
  NARTHEX_CHECK(second.series == first.series);
}

void Try(std::string_view input) {
  {
    FaultFileSystem fs;
    NARTHEX_CHECK_OK(fs.CreateDirectories(kLog));
    NARTHEX_CHECK_OK(fs.WriteFileAtomically(io::JoinPath(kLog, wal::SegmentName(0)), input));
    StartTwice(&fs);
  }
  FaultFileSystem fs;
  NARTHEX_CHECK_OK(fs.CreateDirectories(kLog));
  WriteLog(&fs, input);
  StartTwice(&fs);
}

}  // namespace
}  // namespace narthex::tsdb

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  narthex::tsdb::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}
