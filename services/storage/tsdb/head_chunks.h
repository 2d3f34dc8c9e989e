#ifndef NARTHEX_SERVICES_STORAGE_TSDB_HEAD_CHUNKS_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_HEAD_CHUNKS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/base/mutex.h"
#include "lib/chunkenc/chunk.h"
#include "lib/io/file_system.h"
#include "lib/model/timestamp.h"

// The full chunks of the head, in files of Prometheus' chunks_head (head_chunks.md has the layout).
namespace narthex::tsdb {

// Where a chunk lies: number of the file << 32 | offset in it; upstream's chunk reference.
using ChunkPlace = uint64_t;

// A chunk with all that its record in the file says.
struct HeadChunk {
  ChunkPlace place = 0;
  uint64_t reference = 0;  // Of the series.
  Timestamp min_time = 0;
  Timestamp max_time = 0;  // Inclusive.
  chunkenc::Encoding encoding = chunkenc::Encoding::kXor;
  bool out_of_order = false;
  // Its bytes are not what they should be. It is kept so that whoever reads it finds it damaged,
  // and a start takes it, and all that came later, from the log.
  bool damaged = false;
  std::string_view bytes;
};

// Reads the record of one chunk at `offset` of a file and checks it; *next is where the one behind
// it starts, or 0 at the end of the data (zeros, or the end of the file). DataLoss where the bytes
// are no such record; `torn` says that the file ends within it. `place` is left to the caller.
absl::Status DecodeHeadChunk(std::string_view file, uint64_t offset, HeadChunk* chunk,
                             uint64_t* next, bool* torn);
// Checks the first bytes of a file.
absl::Status CheckHeadChunksHeader(std::string_view file);
inline constexpr size_t kHeadChunksHeaderSize = 8;

// Keeps the bytes of chunks that were read. Reused from series to series; a few mappings at a
// time, however many chunks. Thread safety: none.
class ChunkPins {
 public:
  void Clear() { pins_.clear(); }
  size_t size() const { return pins_.size(); }

 private:
  friend class HeadChunks;
  struct Pin {
    uint32_t file = 0;
    uint64_t begin = 0;  // Offsets in the file.
    uint64_t end = 0;
    const char* bytes = nullptr;  // Of `begin`.
    std::shared_ptr<const void> keep;
  };
  std::vector<Pin> pins_;
};

struct HeadChunksOptions {
  uint64_t file_size_bytes = uint64_t{128} << 20;
  // Bytes that wait in memory for a write of their own.
  size_t buffer_bytes = size_t{256} << 10;
};

struct HeadChunksCounters {
  std::atomic<uint64_t> chunks_written{0};
  std::atomic<uint64_t> bytes_written{0};
  std::atomic<uint64_t> writes_failed{0};
  std::atomic<uint64_t> chunks_damaged{0};  // When they came.
};

// Takes finished chunks and hands them out again. They wait in memory until a buffer is full, then
// are written and read from the mapped file. When a write fails (a full disk) they stay in memory
// and are written later: nothing is ever lost here that the log does not have, so no write is
// synced, and no error reaches the appender.
//
// Thread safety: all methods may be called from any thread; Load() by one, before all others.
class HeadChunks {
 public:
  explicit HeadChunks(HeadChunksOptions options = {}) : options_(options) {}
  ~HeadChunks();
  HeadChunks(const HeadChunks&) = delete;
  HeadChunks& operator=(const HeadChunks&) = delete;

  struct LoadResult {
    uint64_t files = 0;
    uint64_t chunks = 0;
    uint64_t bytes = 0;
    uint64_t files_lost = 0;  // Moved to the directory for lost ones, whole or from some place on.
    absl::Status damage;      // OK, or what was found first and where.
  };
  // Opens the directory (made where there is none) and visits all chunks in the order in which they
  // were written; visit() says whether the chunk is wanted, which counts as one holder (see
  // Release). A file that ends within a record is cut there, as after a crash. Behind any other
  // damage nothing can be used, because series would have holes: the rest of the file and all later
  // files are moved to `lost_directory`; their samples come from the log.
  // Where the disk is full, files are cut and moved before the first write instead.
  // What lies before `scan_from` (a snapshot knows it) is neither checked nor visited: its chunks
  // need a Hold(), and no file goes before AllHeld(). Without this call everything stays in memory.
  using Visit = std::function<absl::StatusOr<bool>(const HeadChunk& chunk)>;
  absl::StatusOr<LoadResult> Load(io::FileSystem* fs, const std::string& directory,
                                  const std::string& lost_directory, const Visit& visit,
                                  ChunkPlace scan_from = 0);
  // Instead of Load(): what is in the directory goes, and it goes again with this object. For what
  // only this process can use.
  absl::Status StartEmpty(io::FileSystem* fs, const std::string& directory);
  // Whether there was a Load() or StartEmpty().
  bool on_disk() const { return fs_ != nullptr; }

  // Keeps a chunk, with one holder. `chunk.place` is ignored. The chunks of a series come in order.
  // Writes nothing: whoever appends calls FlushIfFull() when it holds no lock that readers want.
  ChunkPlace Append(const HeadChunk& chunk);
  // Writes what waits when it is a buffer full. A write that fails is counted and tried again.
  void FlushIfFull() {
    if (buffered_bytes_.load(std::memory_order_relaxed) >= options_.buffer_bytes) {
      Flush().IgnoreError();
    }
  }
  // One more holder of a chunk; false when no file has the place.
  bool Hold(ChunkPlace place);
  // After a Load() with `scan_from`: what is wanted of the chunks before it has its holders now.
  void AllHeld();
  // Where the next chunk goes: all chunks are before it.
  ChunkPlace end() const;
  // A holder needs the chunk no longer. Files go, oldest first, when nobody holds a chunk of them;
  // bytes that are pinned stay readable.
  void Release(ChunkPlace place) { Release(std::span(&place, 1)); }
  void Release(std::span<const ChunkPlace> places);

  // The chunk at a place that has a holder; its bytes are valid until pins->Clear(). DataLoss when
  // the file was damaged behind our back, Unavailable when it cannot be mapped.
  absl::StatusOr<HeadChunk> Read(ChunkPlace place, ChunkPins* pins) const;

  // Hands what waits in memory to the kernel.
  absl::Status Flush();
  // Flush(), and makes it durable, for snapshots that lead to chunks.
  absl::Status Sync();
  // Lets the memory of files go that no reader looks at just now: pages that were read stay
  // resident as long as they are mapped.
  void Unmap();
  // Starts a new file with the next chunk.
  void Cut();

  size_t memory_bytes() const;  // Of buffers.
  uint64_t disk_bytes() const;
  const HeadChunksCounters& counters() const { return counters_; }

 private:
  // A piece of a file that is not written yet. Its bytes never move.
  struct Buffer {
    Buffer(uint64_t at, size_t capacity_bytes)
        : bytes(new char[capacity_bytes]), begin(at), capacity(capacity_bytes) {}
    std::unique_ptr<char[]> bytes;
    uint64_t begin = 0;  // Offset in the file.
    size_t size = 0;
    size_t capacity = 0;
  };
  struct File {
    uint32_t number = 0;
    uint64_t size = 0;     // With what waits.
    uint64_t written = 0;  // 0: the file does not exist yet.
    uint64_t holders = 0;
    bool durable = true;  // What is written is synced.
    std::unique_ptr<io::WritableFile> writer;
    std::deque<std::shared_ptr<Buffer>> buffers;  // Behind `written`, in order.
    std::shared_ptr<io::MappedFile> mapping;      // Null until somebody reads.
    uint64_t mapped = 0;                          // Of `written` when it was mapped.
  };

  std::string PathOf(uint32_t number) const;
  File* FindLocked(uint32_t number) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void StartFileLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Room for `size` bytes behind the file's end, in one piece.
  char* RoomLocked(File* file, size_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status WriteLocked(File* file) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status FlushLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status PinLocked(File* file, uint64_t offset, ChunkPins* pins) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RemoveUnheldLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Visits the chunks of one file; DataLoss where it is damaged. *good is the end of what is whole.
  absl::Status VisitFile(File* file, const Visit& visit, uint64_t scan_from, LoadResult* result,
                         uint64_t* good, bool* torn);
  absl::Status MoveAway(uint32_t number, uint64_t keep_bytes,
                        const std::string& lost_directory) const;
  absl::Status CutFile(uint32_t number, uint64_t keep_bytes) const;
  // Does it now, or before the first write where the disk is full.
  absl::Status RepairLocked(std::function<absl::Status()> repair)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const HeadChunksOptions options_;

  // Constant after Load() or StartEmpty().
  bool temporary_ = false;
  io::FileSystem* fs_ = nullptr;
  std::string directory_;

  mutable Mutex mu_;
  std::deque<std::unique_ptr<File>> files_ ABSL_GUARDED_BY(mu_);  // Numbers ascend by one.
  uint32_t next_number_ ABSL_GUARDED_BY(mu_) = 1;
  bool cut_ ABSL_GUARDED_BY(mu_) = true;
  bool holding_ ABSL_GUARDED_BY(mu_) = false;  // Until AllHeld(): holders are not known yet.
  std::vector<std::function<absl::Status()>> repairs_ ABSL_GUARDED_BY(mu_);
  bool directory_durable_ ABSL_GUARDED_BY(mu_) = false;  // Its name in the folder above.
  std::atomic<size_t> buffered_bytes_{0};                // Changed under mu_.

  HeadChunksCounters counters_;  // Synchronise themselves.
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_HEAD_CHUNKS_H_
