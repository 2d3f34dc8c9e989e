#ifndef NARTHEX_SERVICES_STORAGE_TSDB_HEAD_RECORDS_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_HEAD_RECORDS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/labels/labels.h"
#include "lib/model/histogram.h"
#include "lib/model/timestamp.h"
#include "services/storage/tsdb/wal/records.h"

namespace narthex::tsdb {

// The records of one batch on their way to the log, in the order in which a reader needs them:
// series, metadata, samples, exemplars. Reused for its memory. Thread safety: none.
class HeadRecords {
 public:
  void Clear();
  // How many samples may come at most, and whether they are written with start timestamps.
  void Reserve(size_t samples, bool start_timestamps);

  void AddSeries(uint64_t reference, std::span<const LabelView> labels) {
    RoomIn(&series_).Add(reference, labels);
  }
  void AddMetadata(const wal::RefMetadata& metadata) { RoomIn(&metadata_).Add(metadata); }
  void AddExemplar(const wal::RefExemplar& exemplar) { RoomIn(&exemplars_).Add(exemplar); }
  void AddSample(uint64_t reference, Timestamp timestamp, double value, Timestamp start) {
    if (start_timestamps_) {
      RoomIn(&group_->samples_v2).Add({reference, timestamp, value, start});
      return;
    }
    if (samples_[samples_used_ - 1].size_bytes() >= kRecordBytes) NextSamples();
    samples_[samples_used_ - 1].Add(reference, timestamp, value);
  }
  void AddSample(uint64_t reference, Timestamp timestamp, const Histogram& histogram,
                 Timestamp start) {
    RoomFor(&group_->histograms).Add(reference, timestamp, start, histogram);
  }
  void AddSample(uint64_t reference, Timestamp timestamp, const FloatHistogram& histogram,
                 Timestamp start) {
    RoomFor(&group_->float_histograms).Add(reference, timestamp, start, histogram);
  }
  // What comes from now on is read after all samples so far: a reader takes kind by kind, and a
  // series may have samples of several kinds.
  void NextGroup();

  bool empty() const;
  // All records in order behind a batch header; valid until the next change. `late`: where the log
  // of out-of-order samples was when it had those of the batch.
  std::span<const std::string_view> Finish(std::string_view sender, uint64_t sequence,
                                           const std::optional<wal::LogPlace>& late);

 private:
  // Long enough for good compression, short enough that no record comes near a segment's size.
  static constexpr size_t kRecordBytes = size_t{1} << 20;
  // A sample takes ten bytes at least.
  static constexpr size_t kRecordSamplesMax = kRecordBytes / 10 + 1;

  // Encoders of one kind; the first `used` have something.
  template <typename Encoder>
  struct Run {
    std::deque<Encoder> encoders;
    size_t used = 0;
    void Clear() {
      for (size_t i = 0; i < used; ++i) encoders[i].Clear();
      used = 0;
    }
  };
  // Kinds in the order in which they are read.
  struct Group {
    size_t samples_end = 0;  // Of samples_, without start timestamps.
    Run<wal::SamplesV2Encoder> samples_v2;
    Run<wal::HistogramsEncoder> histograms;
    Run<wal::FloatHistogramsEncoder> float_histograms;
    void Clear() {
      samples_end = 0;
      samples_v2.Clear();
      histograms.Clear();
      float_histograms.Clear();
    }
  };

  template <typename Encoder>
  static Encoder& RoomIn(Run<Encoder>* run) {
    if (run->used == 0 || run->encoders[run->used - 1].size_bytes() >= kRecordBytes) {
      if (++run->used > run->encoders.size()) run->encoders.emplace_back();
    }
    return run->encoders[run->used - 1];
  }
  template <typename H>
  wal::BasicHistogramsEncoder<H>& RoomFor(Run<wal::BasicHistogramsEncoder<H>>* run) {
    if (run->used == 0 || run->encoders[run->used - 1].size_bytes() >= kRecordBytes) {
      if (++run->used > run->encoders.size()) run->encoders.emplace_back();
      run->encoders[run->used - 1] = wal::BasicHistogramsEncoder<H>(start_timestamps_);
    }
    return run->encoders[run->used - 1];
  }
  template <typename Encoder>
  void Append(const Run<Encoder>& run) {
    for (size_t i = 0; i < run.used; ++i) records_.push_back(run.encoders[i].record());
  }
  void NextSamples();

  bool start_timestamps_ = false;
  size_t samples_max_ = 0;  // Of one record.
  std::string header_;
  Run<wal::SeriesEncoder> series_;
  Run<wal::MetadataEncoder> metadata_;
  // The samples of all groups that are written without start timestamps.
  std::vector<wal::SamplesEncoder> samples_{1};
  size_t samples_used_ = 1;
  std::deque<Group> groups_{1};
  size_t groups_used_ = 1;
  Group* group_ = &groups_.front();  // The last.
  Run<wal::ExemplarsEncoder> exemplars_;
  std::vector<std::string_view> records_;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_HEAD_RECORDS_H_
