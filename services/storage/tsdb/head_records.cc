#include "services/storage/tsdb/head_records.h"

namespace narthex::tsdb {

void HeadRecords::Clear() {
  series_.Clear();
  metadata_.Clear();
  exemplars_.Clear();
  for (size_t i = 0; i < samples_used_; ++i) samples_[i].Clear();
  samples_used_ = 1;
  for (size_t i = 0; i < groups_used_; ++i) groups_[i].Clear();
  groups_used_ = 1;
  group_ = &groups_.front();
}

void HeadRecords::Reserve(size_t samples, bool start_timestamps) {
  start_timestamps_ = start_timestamps;
  samples_max_ = std::min(samples, kRecordSamplesMax);
  if (!start_timestamps) samples_[samples_used_ - 1].Reserve(samples_max_);
}

void HeadRecords::NextSamples() {
  if (++samples_used_ > samples_.size()) samples_.emplace_back();
  samples_[samples_used_ - 1].Reserve(samples_max_);
}

void HeadRecords::NextGroup() {
  group_->samples_end = samples_used_;
  if (++groups_used_ > groups_.size()) groups_.emplace_back();
  group_ = &groups_[groups_used_ - 1];
  NextSamples();
}

bool HeadRecords::empty() const {
  const Group& first = groups_.front();
  return series_.used == 0 && metadata_.used == 0 && exemplars_.used == 0 && groups_used_ == 1 &&
         samples_[0].empty() && first.samples_v2.used == 0 && first.histograms.used == 0 &&
         first.float_histograms.used == 0;
}

std::span<const std::string_view> HeadRecords::Finish(std::string_view sender, uint64_t sequence,
                                                      const std::optional<wal::LogPlace>& late) {
  records_.assign(1, {});
  Append(series_);
  Append(metadata_);
  group_->samples_end = samples_used_;
  size_t next = 0;
  for (size_t i = 0; i < groups_used_; ++i) {
    const Group& group = groups_[i];
    for (; next < group.samples_end; ++next) {
      if (!samples_[next].empty()) records_.push_back(samples_[next].record());
    }
    Append(group.samples_v2);
    for (size_t j = 0; j < group.histograms.used; ++j) {
      group.histograms.encoders[j].AppendRecords(&records_);
    }
    for (size_t j = 0; j < group.float_histograms.used; ++j) {
      group.float_histograms.encoders[j].AppendRecords(&records_);
    }
  }
  Append(exemplars_);
  wal::BatchHeader header;
  header.records = records_.size() - 1;
  header.sender = sender;
  header.sequence = sequence;
  header.late = late;
  wal::EncodeBatchHeader(header, &header_);
  records_[0] = header_;
  return records_;
}

}  // namespace narthex::tsdb
