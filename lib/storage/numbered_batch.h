#ifndef NARTHEX_LIB_STORAGE_NUMBERED_BATCH_H_
#define NARTHEX_LIB_STORAGE_NUMBERED_BATCH_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "lib/labels/labels.h"
#include "lib/model/exemplar.h"
#include "lib/model/histogram.h"
#include "lib/model/metadata.h"
#include "lib/model/timestamp.h"
#include "lib/storage/append_batch.h"

// The sending side of Append before anything is encoded: batches in the sender's own series
// numbers, good for every endpoint, and the two ends of the queue that holds them until storage has
// them for good.
namespace narthex::storage {

// One atomic batch (one scrape, one rule evaluation). The columns are parallel.
struct NumberedBatch {
  Timestamp base_timestamp = 0;
  std::vector<SeriesNumber> numbers;
  std::vector<double> values;
  std::vector<Timestamp> timestamps;  // Empty: all at base_timestamp.

  // As in AppendBatch: what belongs to the sample at `index`, in order of index; at most one
  // histogram and one metadata a sample. A histogram stands in place of the value, which is its
  // sum.
  struct HistogramEntry {
    size_t index = 0;
    std::variant<Histogram, FloatHistogram> histogram;
  };
  struct ExemplarEntry {
    size_t index = 0;
    Exemplar exemplar;
  };
  struct MetadataEntry {
    size_t index = 0;
    Metadata metadata;
  };
  std::vector<Timestamp> start_timestamps;  // Empty: none; else one a sample, where 0 is none.
  std::vector<HistogramEntry> histograms;
  std::vector<ExemplarEntry> exemplars;
  std::vector<MetadataEntry> metadata;

  size_t size() const { return numbers.size(); }
  bool empty() const { return numbers.empty(); }
  Timestamp timestamp(size_t index) const {
    return timestamps.empty() ? base_timestamp : timestamps[index];
  }
  void Add(SeriesNumber number, double value) {
    numbers.push_back(number);
    values.push_back(value);
    if (!timestamps.empty()) timestamps.push_back(base_timestamp);
    if (!start_timestamps.empty()) start_timestamps.push_back(0);
  }
  void AddAt(SeriesNumber number, Timestamp timestamp, double value) {
    if (timestamps.empty()) timestamps.assign(numbers.size(), base_timestamp);
    numbers.push_back(number);
    values.push_back(value);
    timestamps.push_back(timestamp);
    if (!start_timestamps.empty()) start_timestamps.push_back(0);
  }
  // Of the sample that was added last. REQUIRES: !empty().
  void SetStartTimestamp(Timestamp start);
  // The value becomes the sum.
  void SetHistogram(Histogram histogram);
  void SetHistogram(FloatHistogram histogram);
  void AddExemplar(Exemplar exemplar) { exemplars.push_back({size() - 1, std::move(exemplar)}); }
  void SetMetadata(Metadata of_series) { metadata.push_back({size() - 1, std::move(of_series)}); }
  // Takes what belongs to the samples of a decoded batch. REQUIRES: as many samples as `batch`.
  void TakeEntries(const AppendBatch& batch);

  size_t memory_bytes() const;
};

// Writes what belongs to the samples of a batch, while they are written one after another. Thread
// safety: none.
class EntryWriter {
 public:
  // `batch` must outlive it.
  explicit EntryWriter(const NumberedBatch* batch)
      : batch_(batch),
        any_(!batch->start_timestamps.empty() || !batch->histograms.empty() ||
             !batch->exemplars.empty() || !batch->metadata.empty()) {}
  // Sample `index`, which was just added to `writer`. REQUIRES: indices grow from call to call.
  void Write(size_t index, AppendBatchWriter* writer) {
    if (any_) WriteAny(index, writer);
  }

 private:
  void WriteAny(size_t index, AppendBatchWriter* writer);

  const NumberedBatch* const batch_;
  const bool any_;
  // The first entry that belongs to no sample before.
  size_t histogram_ = 0;
  size_t exemplar_ = 0;
  size_t metadata_ = 0;
};

// Where a sender puts its batches: the scraper's spool, or the queue behind the appender of rules.
// Thread safety: all methods may be called from any thread.
class BatchSink {
 public:
  virtual ~BatchSink() = default;
  // A number for a series that has none; the caller keeps it and must not ask twice for one series.
  virtual SeriesNumber AddSeries(const Labels& labels) = 0;
  // The numbers will not be used in later batches. They may be given to other series once nothing
  // refers to them.
  virtual void RetireSeries(std::span<const SeriesNumber> numbers) = 0;
  // Takes a batch and gives it the next sequence, which is returned. Never blocks on the network or
  // the disk.
  virtual uint64_t Append(NumberedBatch batch) = 0;
};

// What one endpoint's client reads: all batches of a sender in order of sequence. Thread safety:
// Next() and SeriesLabels() are called from one thread; the others from any.
class BatchSource {
 public:
  struct Item {
    uint64_t sequence = 0;  // 0: nothing came before the timeout or Wake().
    std::shared_ptr<const NumberedBatch> batch;
  };

  virtual ~BatchSource() = default;
  // 16 bytes that name the sender's sequence.
  virtual const std::string& sender_id() const = 0;
  // The first batch after `sequence` that is still kept, waiting up to `timeout` (real time). Going
  // back is allowed: that is a resend.
  virtual Item Next(uint64_t after, absl::Duration timeout) = 0;
  // The labels of a number in the batch that Next() returned last.
  virtual Labels SeriesLabels(SeriesNumber number) = 0;
  // Ends the current Next(), or the next one if none is waiting.
  virtual void Wake() = 0;
  // The endpoint has answered with the last sequences that it has of this sender. The sender must
  // not use sequences up to `accepted` for new batches.
  virtual void Connected(uint64_t accepted, uint64_t durable) = 0;
  virtual void Disconnected() = 0;
  virtual void Acknowledged(uint64_t accepted, uint64_t durable) = 0;
};

}  // namespace narthex::storage

#endif  // NARTHEX_LIB_STORAGE_NUMBERED_BATCH_H_
