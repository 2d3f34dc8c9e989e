#ifndef NARTHEX_SERVICES_STORAGE_TSDB_INDEX_WRITER_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_INDEX_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/io/file_system.h"
#include "lib/labels/labels.h"
#include "services/storage/tsdb/index/format.h"

namespace narthex::index {

struct WriterOptions {
  // How many postings are collected in memory at a time (8 bytes each); label names beyond that are
  // done in further passes over the series.
  size_t postings_batch = size_t{2} << 20;
  size_t buffer_size_bytes = size_t{256} << 10;
};

// Writes an index of version 2. Series come in one pass, although the format has the sorted symbols
// before them: they wait in "<path>.series" beside the index, with numbers for their texts in order
// of appearance, and Finish() writes the whole from there. In memory are the texts, each once, and
// a batch of postings.
//
// After any error it refuses everything further. Thread safety: none.
class Writer {
 public:
  // Creates both files. `fs` must outlive the writer.
  static absl::StatusOr<std::unique_ptr<Writer>> Create(io::FileSystem* fs, std::string path,
                                                        WriterOptions options);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // InvalidArgument unless `labels` are sorted, unique, with values, and after those of the series
  // before; and each chunk begins after the one before ended.
  absl::Status Add(std::span<const LabelView> labels, std::span<const ChunkMeta> chunks);
  // Called between pieces of work of Finish() with the bytes written since the last call.
  using Pace = std::function<absl::Status(uint64_t bytes_written)>;
  // Writes and syncs the index, removes the other file. (The directory is the caller's to sync.)
  absl::Status Finish(const Pace& pace);

  uint64_t series() const;
  // The number that the series of that Add() (from 0 on) has in the index. REQUIRES: Finish() was
  // OK, place < series().
  uint32_t series_number(uint64_t place) const;
  uint64_t size_bytes() const;  // Written so far, into both files.

 private:
  struct Rep;
  explicit Writer(std::unique_ptr<Rep> rep);
  const std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::index

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_INDEX_WRITER_H_
