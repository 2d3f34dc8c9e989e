#ifndef NARTHEX_SERVICES_SCRAPER_SPOOL_SEGMENT_LOG_H_
#define NARTHEX_SERVICES_SCRAPER_SPOOL_SEGMENT_LOG_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/base/mutex.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"
#include "lib/storage/numbered_batch.h"
#include "lib/storage/series_table.h"
#include "services/scraper/spool/segment.h"

namespace narthex::scraper {

// A batch on its way to disk.
struct SequencedBatch {
  uint64_t sequence = 0;
  std::shared_ptr<const storage::NumberedBatch> batch;
};

// The segments of a spool folder, oldest first, and which sequences lie in which. It writes into
// the newest segment of its own, never into one that it found.
//
// Thread safety: Write(), Sync() and the Remove… methods belong to one thread; the others may be
// called from any thread.
class SegmentLog {
 public:
  // Where a reader goes on.
  struct Place {
    uint64_t id = 0;
    std::string path;
    uint64_t size_bytes = 0;  // Whole records.
  };

  // Reads all segments in `path`, which exists. Damage ends a segment there and is logged. A
  // `segment_bytes_max` is a soft bound.
  static absl::StatusOr<std::unique_ptr<SegmentLog>> Open(io::FileSystem* fs, std::string path,
                                                          uint64_t segment_bytes_max,
                                                          Logger logger);

  // Writes the batches, in order; on OK they survive the end of the process. After an error none of
  // them is readable here, and the next call begins a new segment.
  absl::Status Write(std::span<const SequencedBatch> batches, const storage::SeriesTable& table);
  absl::Status Sync();
  // Removes segments that end at or before `sequence`.
  void RemoveThrough(uint64_t sequence);
  // Removes the oldest segments until at most `bytes_max` remain, but never the newest. Returns how
  // many samples behind `durable` were lost.
  uint64_t RemoveBeyond(uint64_t bytes_max, uint64_t durable);

  // Whether there is a record with after < sequence < before.
  bool Has(uint64_t after, uint64_t before) const;
  // The segment with the first record behind `after`.
  std::optional<Place> Find(uint64_t after) const;
  // A reader found damage behind `sequence` in segment `id`: the rest of it is lost. Returns how
  // many samples.
  uint64_t Cut(uint64_t id, uint64_t sequence);
  uint64_t last_sequence() const;  // 0: empty.
  uint64_t size_bytes() const;
  size_t segments() const;

 private:
  struct Record {
    uint64_t sequence;
    uint64_t samples;
  };
  struct Segment {
    uint64_t id = 0;
    std::string path;
    uint64_t size_bytes = 0;
    std::vector<Record> records;  // By sequence.
  };

  SegmentLog(io::FileSystem* fs, std::string path, uint64_t segment_bytes_max, Logger logger)
      : fs_(fs), path_(std::move(path)), segment_bytes_max_(segment_bytes_max), logger_(logger) {}
  absl::Status Load();
  void LoadSegment(Segment* segment, SegmentReader* reader);
  absl::Status BeginSegment();
  absl::Status FlushSegment(std::vector<Record>* records);
  void AbandonSegment();
  void RemoveFrontLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RemoveFiles();

  // Constant after construction.
  io::FileSystem* const fs_;
  const std::string path_;
  const uint64_t segment_bytes_max_;
  const Logger logger_;

  mutable Mutex mu_;
  std::deque<Segment> segments_ ABSL_GUARDED_BY(mu_);
  uint64_t size_bytes_ ABSL_GUARDED_BY(mu_) = 0;

  // Only touched by the writing thread.
  std::unique_ptr<SegmentWriter> writer_;  // Of the last segment; null: begin one.
  uint64_t next_id_ = 1;
  std::vector<std::string> gone_;  // Files to remove.
};

}  // namespace narthex::scraper

#endif  // NARTHEX_SERVICES_SCRAPER_SPOOL_SEGMENT_LOG_H_
