#ifndef NARTHEX_SERVICES_STORAGE_TSDB_CHUNKS_WRITER_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_CHUNKS_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/chunkenc/chunk.h"
#include "lib/io/file_system.h"
#include "services/storage/tsdb/chunks/format.h"

namespace narthex::chunks {

struct WriterOptions {
  uint64_t segment_size_bytes = kSegmentSizeDefault;  // At most 4 GiB - 1: offsets are 32 bits.
  size_t buffer_size_bytes = size_t{256} << 10;
};

// Writes the chunk segments of a block. After any error it refuses everything further.
// Thread safety: none.
class Writer {
 public:
  // `directory` exists and is empty. `fs` must outlive the writer.
  static absl::StatusOr<std::unique_ptr<Writer>> Create(io::FileSystem* fs, std::string directory,
                                                        WriterOptions options);

  // Appends a chunk and gives its reference. REQUIRES: bytes are not empty. (A chunk that does not
  // fit into the segment starts the next one.)
  absl::StatusOr<uint64_t> Add(chunkenc::Encoding encoding, std::string_view bytes);
  // Writes what is buffered, syncs and closes all segments, syncs the directory.
  absl::Status Finish();

  uint64_t size_bytes() const { return size_bytes_; }  // Of all segments so far.

 private:
  Writer(io::FileSystem* fs, std::string directory, WriterOptions options);
  absl::Status StartSegment();
  absl::Status EndSegment();
  absl::Status Flush();

  // Constant after construction.
  io::FileSystem* const fs_;
  const std::string directory_;
  const WriterOptions options_;

  std::unique_ptr<io::WritableFile> file_;  // Null before the first chunk and after Finish().
  uint32_t next_segment_ = 0;
  uint64_t segment_bytes_ = 0;  // Of the open segment, with what is in the buffer.
  uint64_t size_bytes_ = 0;
  uint64_t unsynced_bytes_ = 0;
  std::string buffer_;
  absl::Status broken_;  // First failure; returned by every later call.
};

}  // namespace narthex::chunks

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_CHUNKS_WRITER_H_
