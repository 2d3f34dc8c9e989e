#ifndef NARTHEX_SERVICES_SCRAPER_SPOOL_SEGMENT_CURSOR_H_
#define NARTHEX_SERVICES_SCRAPER_SPOOL_SEGMENT_CURSOR_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "lib/io/file_system.h"
#include "lib/storage/numbered_batch.h"
#include "lib/storage/series_table.h"
#include "services/scraper/spool/segment_log.h"

namespace narthex::scraper {

// One endpoint's reading place in a SegmentLog. The series of the segment it is in have numbers of
// their own in `table`, from the first batch that names them until the cursor leaves the segment.
//
// Thread safety: none.
class SegmentCursor {
 public:
  // All must outlive the cursor.
  SegmentCursor(io::FileSystem* fs, SegmentLog* log, storage::SeriesTable* table, Logger logger)
      : fs_(fs), log_(log), table_(table), logger_(logger) {}
  ~SegmentCursor() { Close(); }

  // The first batch behind `after`. Sequence 0 when nothing could be read; what was damaged is cut
  // from the log then, its samples are added to *lost, and the caller looks again.
  storage::BatchSource::Item Next(uint64_t after, uint64_t* lost);
  // Leaves the segment and gives its series' numbers back.
  void Close();

 private:
  absl::Status Open(const SegmentLog::Place& place);
  absl::StatusOr<storage::BatchSource::Item> Read(const SegmentLog::Place& place, uint64_t after);

  io::FileSystem* const fs_;
  SegmentLog* const log_;
  storage::SeriesTable* const table_;
  const Logger logger_;

  std::unique_ptr<SegmentReader> reader_;
  uint64_t segment_id_ = 0;
  uint64_t sequence_ = 0;  // Of the record read last.
  uint64_t series_ = 0;    // Defined by the records read since the front.
  std::vector<storage::SeriesNumber>
      numbers_;  // By the segment's series number - 1; kept over a rewind.
  storage::AppendBatch decoded_;
};

}  // namespace narthex::scraper

#endif  // NARTHEX_SERVICES_SCRAPER_SPOOL_SEGMENT_CURSOR_H_
