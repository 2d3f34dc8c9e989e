#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_WRITE_COLUMNS_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_WRITE_COLUMNS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/hash.h"
#include "lib/labels/labels.h"
#include "lib/storage/append_batch.h"

namespace narthex::storage_remote {

// Why a series cannot be stored, or that it can.
enum class LabelsVerdict : uint8_t {
  kGood = 0,
  kNoName,     // No metric name.
  kInvalid,    // A name that is empty, or text that is not UTF-8.
  kDuplicate,  // A label name twice.
  kMalformed,  // The bytes are no labels.
};

// What a request of whatever protocol writes: the columns of one batch, and series that are told
// apart by a hash, whose labels are made only where the head does not know them. Filled by a
// decoder, written by WriteSession. Views point into the request's bytes. Thread safety: none.
struct WriteColumns {
  struct Series {
    Hash128 key;
    size_t begin = 0;         // Of its entries in the batch, which are consecutive.
    std::string_view source;  // What LabelSource makes the labels of.
  };
  std::vector<Series> series;
  // Complete but for the references.
  storage::AppendBatch batch;
  // What the decoder found wrong with single series, which then have no entries: their index, and
  // text that goes before " for series {…}".
  struct Problem {
    size_t series = 0;
    std::string_view text;  // Of the program.
  };
  std::vector<Problem> problems;

  void Clear();
  void StartSeries(const Hash128& key, std::string_view source) {
    series.push_back({key, batch.values.size(), source});
  }
  void AddSample(Timestamp timestamp, double value) {
    batch.timestamps.push_back(timestamp);
    batch.values.push_back(value);
  }
  // The index of an entry for a histogram, which the caller adds to the batch.
  size_t AddPlace(Timestamp timestamp) {
    AddSample(timestamp, 0);
    return batch.values.size() - 1;
  }
  // The index of an entry of the current series that exemplars and metadata can belong to: its
  // first one; an entry without a sample where there is none.
  size_t AnyPlace();
  void SetStartTimestamp(size_t index, Timestamp start);

  size_t entries() const { return batch.values.size(); }
  size_t end_of(size_t index) const {
    return index + 1 < series.size() ? series[index + 1].begin : entries();
  }
  // The series of an entry.
  size_t SeriesOf(size_t entry) const;
  // Takes the current series' entries back.
  void DropCurrent();
  // Takes the entries out that are marked, with all that belongs to them. Series stay, maybe with
  // no entries.
  void DropEntries(const std::vector<bool>& dropped);
};

// Makes the labels of a series out of WriteColumns::Series::source.
class LabelSource {
 public:
  virtual ~LabelSource() = default;
  // Into `labels`: sorted, without empty values; views valid until the next Clear() of whatever
  // they point into, at least as long as the request. The verdict is about them; where it is not
  // kGood they are for messages only.
  virtual LabelsVerdict MakeLabels(std::string_view source, std::vector<LabelView>* labels) = 0;
};

// Drops empty values, sorts, and judges.
LabelsVerdict FinishLabels(std::vector<LabelView>* labels);
// {__name__="up", job="x"}
std::string FormatLabels(const std::vector<LabelView>& labels);

}  // namespace narthex::storage_remote

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_WRITE_COLUMNS_H_
