#ifndef NARTHEX_SERVICES_STORAGE_TSDB_CHUNKS_READER_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_CHUNKS_READER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/chunkenc/chunk.h"
#include "lib/io/file_system.h"
#include "services/storage/tsdb/chunks/format.h"

namespace narthex::chunks {

struct StoredChunk {
  chunkenc::Encoding encoding = chunkenc::Encoding::kNone;
  std::string_view bytes;  // Valid as long as the reader.
};

// Reads the chunk at `offset` of one segment's bytes; *end (may be null) is where the next one
// begins. DataLoss when there is no sound chunk.
absl::Status ReadChunkAt(std::string_view segment, uint64_t offset, StoredChunk* chunk,
                         uint64_t* end = nullptr);
// DataLoss when the bytes do not begin as a segment does.
absl::Status CheckSegmentHeader(std::string_view segment);

// The mapped chunk segments of a block. Immutable after opening; all methods may be called from any
// thread.
class Reader {
 public:
  // Maps all files of `directory` that are called as segments are. DataLoss when one of them is
  // missing in between or is no segment; with `damage` that becomes a line there instead, and what
  // can be read still is.
  static absl::StatusOr<std::unique_ptr<Reader>> Open(io::FileSystem* fs,
                                                      const std::string& directory,
                                                      std::vector<std::string>* damage = nullptr);

  // DataLoss names segment and offset.
  absl::Status Read(uint64_t reference, StoredChunk* chunk) const;

  size_t segments() const { return files_.size(); }
  uint64_t size_bytes() const { return size_bytes_; }

 private:
  Reader() = default;
  std::vector<std::unique_ptr<io::MappedFile>> files_;  // Null where one is missing.
  uint64_t size_bytes_ = 0;
};

}  // namespace narthex::chunks

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_CHUNKS_READER_H_
