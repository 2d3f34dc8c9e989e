#ifndef NARTHEX_SERVICES_SCRAPER_SPOOL_SEGMENT_H_
#define NARTHEX_SERVICES_SCRAPER_SPOOL_SEGMENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "lib/io/file_system.h"
#include "lib/storage/append_batch.h"
#include "lib/storage/numbered_batch.h"
#include "lib/storage/reference_column.h"
#include "lib/storage/series_table.h"

// One file of the spool; the layout is in format.md. A segment carries the labels of all its
// series, so it can be read without any other file and by another process than the one that wrote
// it.
namespace narthex::scraper {

// "00000042.spool", and back; false for another name.
std::string SegmentFileName(uint64_t id);
bool ParseSegmentFileName(std::string_view name, uint64_t* id);

// Writes one segment. After an error the segment is finished: what reached the disk is unknown, and
// a reader stops at the damage. Thread safety: none.
class SegmentWriter {
 public:
  static absl::StatusOr<std::unique_ptr<SegmentWriter>> Create(io::FileSystem* fs,
                                                               const std::string& path);
  // Encodes into memory. `table` knows the labels of the batch's numbers. REQUIRES: sequence is
  // greater than the one before.
  void Add(uint64_t sequence, const storage::NumberedBatch& batch,
           const storage::SeriesTable& table);
  // Hands everything added to the operating system, after which it survives the end of this
  // process.
  absl::Status Flush();
  absl::Status Sync() { return file_->Sync(); }
  // Bytes added, also those not flushed yet.
  uint64_t size_bytes() const { return size_bytes_; }

 private:
  explicit SegmentWriter(std::unique_ptr<io::WritableFile> file);

  const std::unique_ptr<io::WritableFile> file_;
  storage::AppendBatchWriter encoder_;
  storage::ReferenceColumn column_;  // Scraper's number → the segment's.
  uint64_t series_ = 0;
  std::string buffer_;
  uint64_t size_bytes_ = 0;
};

// Reads a segment from the front, also one that is still written to. Thread safety: none.
class SegmentReader {
 public:
  struct Record {
    uint64_t sequence = 0;
    std::string_view batch;  // For DecodeAppendBatch; valid until the next call.
  };

  static absl::StatusOr<std::unique_ptr<SegmentReader>> Open(io::FileSystem* fs,
                                                             const std::string& path);
  explicit SegmentReader(std::unique_ptr<io::RandomAccessFile> file);
  // The next whole record that ends at or before `limit` bytes. NotFound when there is none, which
  // is how a torn tail looks too; DataLoss when the bytes there are damaged (what follows cannot be
  // read).
  absl::StatusOr<Record> Next(uint64_t limit);
  // After the last whole record.
  uint64_t offset() const { return offset_; }
  void Rewind();

 private:
  // Makes `length` bytes at offset_ available in the buffer; false at the end of the file or of
  // `limit`.
  absl::StatusOr<bool> Fill(size_t length, uint64_t limit);
  std::string_view available() const {
    return std::string_view(buffer_).substr(static_cast<size_t>(offset_ - buffer_offset_));
  }

  const std::unique_ptr<io::RandomAccessFile> file_;
  std::string buffer_;
  uint64_t buffer_offset_ = 0;  // Where the buffer lies in the file.
  uint64_t offset_ = 0;
};

// Decodes records of one segment: a definition must name the next number, a reference one that is
// defined. Fills *batch.
absl::Status DecodeSegmentBatch(std::string_view bytes, uint64_t series_known,
                                storage::AppendBatch* batch);

}  // namespace narthex::scraper

#endif  // NARTHEX_SERVICES_SCRAPER_SPOOL_SEGMENT_H_
