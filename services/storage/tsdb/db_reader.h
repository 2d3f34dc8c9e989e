#ifndef NARTHEX_SERVICES_STORAGE_TSDB_DB_READER_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_DB_READER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/labels/labels.h"
#include "lib/labels/matcher.h"
#include "lib/model/sample_buffer.h"
#include "lib/storage/append_batch.h"
#include "lib/storage/select_frame.h"
#include "lib/storage/storage.h"

namespace narthex::tsdb {

class Block;
class Db;

// The series of one selector, read once from front to back: Next(), then at most one of the Read…
// calls a series. What it hands out is valid until the next Next() and not longer than the cursor
// and its DbReader.
//
// Thread safety: none.
class SeriesCursor {
 public:
  virtual ~SeriesCursor() = default;

  // Goes to the next series; false at the end. A series may turn out to have nothing in the range:
  // the Read… calls say so. DataLoss when a block is damaged where its index is read.
  virtual absl::StatusOr<bool> Next() = 0;
  // The reference of the series in the head; 0 when it is in blocks only (then labels() travel).
  virtual storage::SeriesRef id() const = 0;
  virtual Labels labels() const = 0;

  // Whether a chunk of the series overlaps the range of the hints; nothing is read.
  virtual absl::StatusOr<bool> Overlaps() = 0;

  // Reads the chunks that overlap the range; false when there is none.
  virtual absl::StatusOr<bool> ReadChunks() = 0;
  // After ReadChunks(): sorted by min_time; they may overlap (of two samples at one time those of
  // the earlier chunk in this order are not more right than the others).
  virtual std::span<const storage::SelectChunk> chunks() const = 0;
  // After ReadChunks(): intervals whose samples are deleted, sorted, apart from each other. They
  // hold for all chunks().
  virtual std::span<const storage::DeletedInterval> deleted() const = 0;

  // Appends the samples within the range to *out, merged and without deleted ones; false when there
  // is none.
  virtual absl::StatusOr<bool> ReadSamples(SampleBuffer* out) = 0;
  // Appends the newest sample within the range; false when there is none.
  virtual absl::StatusOr<bool> ReadNewest(SampleBuffer* out) = 0;
};

// The database at one moment: the head with its out-of-order samples, and the blocks there are.
// Batches that come later are not seen, no batch is seen in part, and nothing is missing or twice
// because of a compaction, a truncation or a retention beside it. While the log is being replayed
// it is the blocks alone (see has_head()).
//
// It pins the blocks and holds truncations of the head back, so it should not live long. The Db
// must outlive it.
//
// Thread safety: none (its cursors neither); any number of readers work beside each other and
// beside everything else.
class DbReader {
 public:
  explicit DbReader(const Db* db);
  ~DbReader();
  DbReader(const DbReader&) = delete;
  DbReader& operator=(const DbReader&) = delete;

  // False while the head is not replayed: what it will have is not in the answers.
  bool has_head() const;

  // Series in label order where `sorted`; each series once. The range is that of selector.hints
  // (inclusive); its other hints are the caller's business.
  absl::StatusOr<std::unique_ptr<SeriesCursor>> Select(const storage::Selector& selector,
                                                       bool sorted) const;

  // Sorted, unique. No matcher set means all series; several are joined. Of series that have (or,
  // for blocks without matchers, may have) samples in the range (inclusive).
  absl::StatusOr<std::vector<std::string>> LabelNames(
      std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
      Timestamp max_time) const;
  absl::StatusOr<std::vector<std::string>> LabelValues(
      std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
      Timestamp max_time) const;

 private:
  using Lookup = std::function<absl::StatusOr<std::vector<std::string>>(
      const Block& block, std::span<const Matcher> matchers)>;
  // Joins what the head and the blocks have.
  absl::StatusOr<std::vector<std::string>> Collect(
      std::vector<std::string> of_head, std::span<const std::vector<Matcher>> matcher_sets,
      Timestamp min_time, Timestamp max_time, const Lookup& lookup) const;

  struct Rep;
  const std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_DB_READER_H_
