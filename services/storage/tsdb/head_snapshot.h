#ifndef NARTHEX_SERVICES_STORAGE_TSDB_HEAD_SNAPSHOT_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_HEAD_SNAPSHOT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/io/file_system.h"
#include "services/storage/tsdb/head.h"
#include "services/storage/tsdb/head_loader.h"

// The head in one file, so that a start need not read the whole log: it is loaded, and the log is
// replayed from where the snapshot was taken. The format (head_snapshot.md) is ours alone;
// Prometheus passes over the file, and we over it once another program has written to the log.
namespace narthex::tsdb {

inline constexpr std::string_view kHeadSnapshotName = "head_snapshot";
// Behind its name while it is being written.
inline constexpr std::string_view kUnfinishedSnapshotSuffix = ".tmp";

// A reference that leads to the series of another one; the log of another program may have such.
struct SeriesAlias {
  uint64_t alias = 0;
  uint64_t reference = 0;
};

// Where in the log a snapshot was taken, and what it goes with.
struct HeadSnapshotMoment {
  std::string reference_space;
  uint64_t session = 0;  // Of the segment.
  uint64_t segment = 0;
  uint64_t offset = 0;
  uint32_t tail_checksum = 0;  // Of the bytes before the offset; see LogTailChecksum().
  uint64_t next_reference = 1;
  ChunkPlace chunks_end = 0;  // Of chunks_head: what lies behind may be unknown to the snapshot.
  std::optional<wal::Truncation> truncation;              // The last before it.
  std::vector<std::pair<std::string, uint64_t>> senders;  // What each was at.
};

struct HeadSnapshotOptions {
  io::FileSystem* fs = nullptr;
  std::string path;
  std::string log_directory;
  std::span<const SeriesAlias> aliases;
  // Called every megabyte, to yield to others; an error (Cancelled) ends the work.
  std::function<absl::Status()> pause;
};

struct HeadSnapshotStats {
  uint64_t series = 0;
  uint64_t chunks_open = 0;
  uint64_t chunks_closed = 0;  // In chunks_head.
  uint64_t bytes = 0;
};

// Writes a snapshot beside appenders and readers: under another name first, synced (and with it the
// log and chunks_head, which it leads to), then renamed. After an error the snapshot before is
// still there. REQUIRES: StartAppending() has returned OK; nobody truncates or deletes meanwhile.
absl::StatusOr<HeadSnapshotStats> WriteHeadSnapshot(Head* head, const HeadSnapshotOptions& options);

// CRC-32C of the last bytes before `offset` of a segment: a segment that was written anew, by a
// repair, has others there. DataLoss where the segment is shorter.
absl::StatusOr<uint32_t> LogTailChecksum(io::FileSystem* fs, const std::string& segment_path,
                                         uint64_t offset);

// The bytes of a snapshot with another place in its segment. REQUIRES: `snapshot` is one that can
// be opened.
std::string MoveHeadSnapshot(std::string_view snapshot, uint64_t offset, uint32_t tail_checksum);

// A snapshot that was read.
//
// Thread safety: none.
class HeadSnapshot {
 public:
  // Maps the file and checks all of it. NotFound when there is none, DataLoss when it is damaged.
  static absl::StatusOr<std::unique_ptr<HeadSnapshot>> Open(io::FileSystem* fs,
                                                            const std::string& path);
  const HeadSnapshotMoment& moment() const { return moment_; }

  // Takes hold of all chunks that the snapshot leads to. False, and then of none, when one of them
  // is not there any more. REQUIRES: chunks_head is loaded.
  bool HoldChunks(HeadChunks* chunk_files) const;

  struct LoadResult {
    uint64_t series = 0;
    uint64_t chunks_open = 0;
    uint64_t chunks_closed = 0;
    uint64_t series_damaged = 0;  // Whose samples could not be restored.
    std::vector<SeriesAlias> aliases;
  };
  // Fills an empty head, all but the truncation. REQUIRES: HoldChunks() was true. `on_series` hears
  // of every series before its samples come. Cancelled when `stopped`.
  absl::Status Load(Head* head, HeadLoader* loader,
                    const std::function<void(uint64_t reference)>& on_series,
                    const std::function<bool()>& stopped, LoadResult* result) const;

 private:
  struct Section {
    uint8_t type = 0;
    std::string_view body;
  };

  explicit HeadSnapshot(std::unique_ptr<io::MappedFile> file) : file_(std::move(file)) {}
  absl::Status ReadSections();
  class Samples;
  struct Visitor;
  // Goes through all sections.
  absl::Status Visit(Visitor* visitor, const std::function<void(uint64_t reference)>& on_series,
                     const std::function<bool()>& stopped, LoadResult* result) const;
  absl::Status ReadPairs(std::string_view body, Visitor* visitor) const;
  absl::Status LoadSeries(std::string_view body, Visitor* visitor,
                          const std::function<void(uint64_t reference)>& on_series,
                          LoadResult* result) const;
  absl::Status LoadMetadata(std::string_view body, HeadLoader* loader) const;
  absl::Status LoadExemplars(std::string_view body, HeadLoader* loader) const;
  absl::Status LoadAliases(std::string_view body, Head* head, LoadResult* result) const;

  const std::unique_ptr<io::MappedFile> file_;
  HeadSnapshotMoment moment_;
  std::vector<Section> sections_;
  uint64_t series_ = 0;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_HEAD_SNAPSHOT_H_
