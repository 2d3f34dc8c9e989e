// Any bytes as the records of a log: they are put back into batches without a crash, and what a
// checkpoint of them keeps is a log again.
//
// The input is cut into records: u8 what it goes with (0: the log; 1: the next segment), u8 length,
// bytes.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/check.h"
#include "services/storage/tsdb/checkpoint.h"
#include "services/storage/tsdb/wal/log_reader.h"
#include "services/storage/tsdb/wal/segments.h"
#include "services/storage/tsdb/wal/transactions.h"
#include "services/storage/tsdb/wal/writer.h"
#include "tests/support/fault_file_system.h"

namespace narthex::tsdb {
namespace {

constexpr char kLog[] = "/wal";

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
  // The last segments are never covered.
  NARTHEX_CHECK_OK((*writer)->NextSegment());
  NARTHEX_CHECK_OK((*writer)->NextSegment());
}

// Records that count; 0 where something is malformed.
size_t CountRecords(io::FileSystem* fs, const std::vector<wal::Segment>& segments) {
  size_t count = 0;
  wal::Transactions transactions({[&](wal::LogRecord*) {
                                    ++count;
                                    return absl::OkStatus();
                                  },
                                  [](const wal::BatchHeader&) {},
                                  [](uint64_t, uint64_t, const std::vector<wal::LogRecord>&) {}});
  wal::LogReader reader(fs, segments, {});
  wal::LogPiece piece;
  while (reader.Next(&piece)) {
    if (piece.first && segments[piece.segment].size_bytes > 0) {
      transactions.BeginSegment(segments[piece.segment].number);
    }
    for (wal::LogRecord& record : piece.records) {
      if (!transactions.Add(std::move(record)).ok()) return 0;
    }
    if (!piece.status.ok()) return 0;
  }
  transactions.Finish();
  return count;
}

void Try(std::string_view input) {
  FaultFileSystem fs;
  NARTHEX_CHECK_OK(fs.CreateDirectories(kLog));
  WriteLog(&fs, input);
  const std::vector<wal::Segment> segments = wal::ListSegments(&fs, kLog).value();
  CountRecords(&fs, segments);
  CheckpointOptions options;
  options.fs = &fs;
  options.log_directory = kLog;
  options.last_segment = segments[segments.size() - 3].number;
  options.keep_from = 0;
  options.keep_series = [](uint64_t reference) { return reference % 2 == 0; };
  const absl::StatusOr<CheckpointStats> stats = WriteCheckpoint(options);
  if (!stats.ok()) return;
  NARTHEX_CHECK_OK(DeleteCoveredSegments(&fs, kLog));
  // A checkpoint of ours can be read, and made a checkpoint again.
  const auto checkpoint = wal::LastCheckpoint(&fs, kLog).value();
  NARTHEX_CHECK(checkpoint->segment == options.last_segment);
  ++options.last_segment;
  NARTHEX_CHECK_OK(WriteCheckpoint(options).status());
}

}  // namespace
}  // namespace narthex::tsdb

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  narthex::tsdb::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}
