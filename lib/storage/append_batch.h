#ifndef NARTHEX_LIB_STORAGE_APPEND_BATCH_H_
#define NARTHEX_LIB_STORAGE_APPEND_BATCH_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/labels/labels.h"
#include "lib/model/exemplar.h"
#include "lib/model/histogram.h"
#include "lib/model/metadata.h"
#include "lib/model/timestamp.h"

// The packed columns of one atomic batch of samples (one scrape, or one rule evaluation), as they
// travel in Append and lie in the spool. The layout is in append_batch.md. All integers are
// little-endian or LEB128.
//
//   u8 version = 1, then sections: uv tag, uv length, bytes. A reader refuses a batch with a
//   section it does not know.
//   1 base              sv timestamp_ms (the one timestamp of the batch)
//   2 refs              uv n, n x sv (ref - previous ref); ref 0 takes the next definition
//   3 values            n x f64
//   4 definitions       uv count, count x (uv series number, uv label count, label count x (str
//                       name, str value))
//   5 timestamps        n x sv (timestamp - base); when some sample has its own timestamp
//   6 start timestamps  n x sv (start - previous start), 0 is none; when some sample has one
//   7 histograms        uv count, count x (uv index - previous index, u8 kind, histogram)
//   8 exemplars         uv count, count x (uv index - previous index, sv timestamp - base, f64
//                       value, uv label count, label count x (str name, str value))
//   9 metadata          uv count, count x (uv index - previous index, u8 type, str help, str unit)
namespace narthex::storage {

using SeriesRef = uint64_t;  // Of a storage node, valid within its reference space. 0 is none.
using SeriesNumber =
    uint64_t;  // Of a sender (a scraper's cache, a rule manager), from 1. 0 is none.

// Builds one batch. Reused; thread safety: none.
class AppendBatchWriter {
 public:
  void Clear(Timestamp base_timestamp);
  // A sample of a series that the receiver knows. REQUIRES: ref != 0.
  void Add(SeriesRef ref, Timestamp timestamp, double value);
  // A sample of a series that the receiver must learn; it answers with the reference for `number`.
  void AddWithDefinition(SeriesNumber number, const Labels& labels, Timestamp timestamp,
                         double value);

  // What belongs to the sample that was added last, each at most once but exemplars. A histogram
  // stands in place of the value, which is best its sum: a receiver sees staleness there. 0 is no
  // start timestamp. REQUIRES: size() > 0.
  void SetHistogram(const Histogram& histogram);
  void SetHistogram(const FloatHistogram& histogram);
  void SetStartTimestamp(Timestamp start);
  void AddExemplar(const Exemplar& exemplar);
  void SetMetadata(const Metadata& metadata);

  size_t size() const { return values_.size(); }
  // Bytes of the finished batch, about.
  size_t size_bytes() const;
  std::string Finish() const;

 private:
  // The entries of a section that name samples by their index.
  struct Entries {
    std::string bytes;
    uint64_t count = 0;
    size_t index = 0;  // Of the last one.
  };
  void AddColumns(SeriesRef ref, Timestamp timestamp, double value);
  // Starts an entry for the last sample, and returns what it is appended to.
  std::string* AddEntry(Entries* entries);

  Timestamp base_ = 0;
  bool own_timestamps_ = false;
  std::vector<SeriesRef> refs_;
  std::vector<double> values_;
  std::vector<Timestamp> timestamps_;
  std::string definitions_;
  uint64_t definition_count_ = 0;
  std::vector<Timestamp> start_timestamps_;  // Empty, or as many as there are values.
  Entries histograms_;
  Entries exemplars_;
  Entries metadata_;
};

// A decoded batch. The columns are parallel; `definitions` are taken in order by the samples whose
// ref is 0.
struct AppendBatch {
  struct Definition {
    SeriesNumber number = 0;
    std::vector<LabelView>
        labels;  // Sorted, checked: unique, no empty values. Views into the decoded bytes.
  };
  // Histograms, exemplars and metadata belong to the sample at `index`: to its series, and a
  // histogram stands in place of its value. Each list is in order of index. Histograms are as they
  // were sent: whoever stores one looks at Validate() first, and refuses that sample alone.
  struct HistogramEntry {
    size_t index = 0;
    bool is_float = false;
    Histogram histogram;             // When !is_float.
    FloatHistogram float_histogram;  // When is_float.
  };
  struct ExemplarEntry {
    size_t index = 0;
    Timestamp timestamp = 0;
    double value = 0;
    std::vector<LabelView> labels;  // Sorted, checked, as those of a definition.
  };
  struct MetadataEntry {
    size_t index = 0;
    MetricType type = MetricType::kUnknown;
    std::string_view help;
    std::string_view unit;
  };
  Timestamp base_timestamp = 0;
  std::vector<SeriesRef> refs;
  std::vector<double> values;
  std::vector<Timestamp> timestamps;        // Empty: all at base_timestamp.
  std::vector<Timestamp> start_timestamps;  // Empty: none; 0: none for this sample.
  std::vector<Definition> definitions;
  std::vector<HistogramEntry> histograms;  // At most one a sample.
  std::vector<ExemplarEntry> exemplars;    // Any number a sample.
  std::vector<MetadataEntry> metadata;     // At most one a sample.
  // Ascending indices that bring no sample: they only name a series, for its exemplars or metadata.
  std::vector<size_t> without_sample;
  Timestamp timestamp(size_t index) const {
    return timestamps.empty() ? base_timestamp : timestamps[index];
  }
};

// Decodes into `batch` (its memory is reused). The views point into `bytes`. Any malformed input is
// InvalidArgument that names the section and offset; nothing is allocated beyond a small multiple
// of bytes.size().
absl::Status DecodeAppendBatch(std::string_view bytes, AppendBatch* batch);

}  // namespace narthex::storage

#endif  // NARTHEX_LIB_STORAGE_APPEND_BATCH_H_
