#include "services/storage/tsdb/head_appender.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"

namespace narthex::tsdb {

using storage::AppendBatch;
using storage::Refusal;

void AppendResult::Clear() {
  outcome = Outcome::kApplied;
  new_references.clear();
  unknown_references.clear();
  refused.fill(0);
  refused_samples.clear();
}

void HeadAppender::Records::Clear() {
  for (size_t i = 0; i < series_used_; ++i) series_[i].Clear();
  for (wal::SamplesEncoder& samples : samples_) samples.Clear();
  series_used_ = 0;
  samples_used_ = 1;
  samples_max_ = 0;
}

void HeadAppender::Records::AddSeries(uint64_t reference, std::span<const LabelView> labels) {
  if (series_used_ == 0 || series_[series_used_ - 1].size_bytes() >= kRecordBytes) {
    if (++series_used_ > series_.size()) series_.emplace_back();
  }
  series_[series_used_ - 1].Add(reference, labels);
}

void HeadAppender::Records::ReserveSamples(size_t count) {
  samples_max_ = std::min(count, kRecordSamplesMax);
  samples_[0].Reserve(samples_max_);
}

void HeadAppender::Records::NextSamples() {
  if (++samples_used_ > samples_.size()) samples_.emplace_back();
  samples_[samples_used_ - 1].Reserve(samples_max_);
}

std::span<const std::string_view> HeadAppender::Records::Finish(const Sender* sender,
                                                                uint64_t sequence) {
  records_.assign(1, {});
  for (size_t i = 0; i < series_used_; ++i) records_.push_back(series_[i].record());
  for (size_t i = 0; i < samples_used_ && !samples_[i].empty(); ++i) {
    records_.push_back(samples_[i].record());
  }
  wal::BatchHeader header;
  header.records = records_.size() - 1;
  if (sender != nullptr) {
    header.sender = sender->id;
    header.sequence = sequence;
  }
  wal::EncodeBatchHeader(header, &header_);
  records_[0] = header_;
  return records_;
}

bool HeadAppender::FindSlots(const AppendBatch& batch, AppendResult* result) {
  const Isolation::Hold hold(&head_->isolation_);
  slots_.resize(batch.refs.size());
  result->unknown_references.clear();
  for (size_t i = 0; i < batch.refs.size(); ++i) {
    const storage::SeriesRef ref = batch.refs[i];
    if (ref == 0) continue;
    const Slot slot = head_->table_.FindReference(ref);
    slots_[i] = slot;
    if (slot == kNoSlot) result->unknown_references.push_back(ref);
  }
  if (result->unknown_references.empty()) return true;
  std::vector<storage::SeriesRef>& unknown = result->unknown_references;
  std::sort(unknown.begin(), unknown.end());
  unknown.erase(std::unique(unknown.begin(), unknown.end()), unknown.end());
  return false;
}

Refusal HeadAppender::DefineOne(const AppendBatch::Definition& definition, Slot* slot) {
  *slot = kNoSlot;
  // A record of the log must hold it, with room to spare.
  constexpr size_t kLabelBytesMax = size_t{1} << 20;
  size_t bytes = 0;
  for (const LabelView& label : definition.labels) {
    if (label.name.empty() || !IsValidUtf8(label.name) || !IsValidUtf8(label.value)) {
      return Refusal::kInvalidLabels;
    }
    bytes += label.name.size() + label.value.size();
  }
  if (definition.labels.empty() || bytes > kLabelBytesMax) return Refusal::kInvalidLabels;
  const bool full = head_->table_.size() >= head_->limits_.series_max ||
                    head_->next_reference_ > wal::kReferenceMax;
  if (full) {
    *slot = head_->index_.Find(definition.labels);
    return *slot == kNoSlot ? Refusal::kSeriesLimit : Refusal::kNone;
  }
  bool added;
  *slot = head_->index_.FindOrAdd(definition.labels, head_->next_reference_, &added);
  if (added) {
    records_.AddSeries(head_->next_reference_, definition.labels);
    head_->table_.SetReference(head_->next_reference_, *slot);
    head_->unlogged_.push_back(*slot);
    ++head_->next_reference_;
    head_->counters_.series_created.fetch_add(1, std::memory_order_relaxed);
  }
  return Refusal::kNone;
}

void HeadAppender::DefineSeries(const AppendBatch& batch, AppendResult* result) {
  definition_refusals_.clear();
  size_t next = 0;
  for (size_t i = 0; i < batch.refs.size(); ++i) {
    if (batch.refs[i] != 0) continue;
    const AppendBatch::Definition& definition = batch.definitions[next++];
    definition_refusals_.push_back(DefineOne(definition, &slots_[i]));
    const uint64_t reference = slots_[i] == kNoSlot ? 0 : head_->table_.cold(slots_[i]).reference;
    result->new_references.push_back({definition.number, reference});
  }
}

void HeadAppender::LogUnloggedSeries() {
  const std::vector<Slot>& unlogged = head_->unlogged_;
  head_->index_.VisitLabels(unlogged, [&](size_t i, std::span<const LabelView> labels) {
    records_.AddSeries(head_->table_.cold(unlogged[i]).reference, labels);
  });
}

Refusal HeadAppender::CheckSample(const SeriesHot& hot, Timestamp timestamp, double value,
                                  bool* repeated) const {
  Timestamp newest;
  double newest_value;
  if (hot.pending != 0) {
    newest = accepted_[hot.pending - 1].timestamp;
    newest_value = accepted_[hot.pending - 1].value;
  } else if (!hot.empty()) {
    newest = hot.state.timestamp;
    newest_value = hot.state.value;
  } else {
    return Refusal::kNone;
  }
  if (timestamp > newest) return Refusal::kNone;
  if (timestamp < newest) return Refusal::kOutOfOrder;
  *repeated = std::bit_cast<uint64_t>(value) == std::bit_cast<uint64_t>(newest_value);
  return *repeated ? Refusal::kNone : Refusal::kDuplicate;
}

void HeadAppender::CheckSamples(const AppendBatch& batch, AppendResult* result) {
  const Timestamp time_max = ToTimestamp(head_->clock_->Now() + head_->limits_.future_max);
  accepted_.clear();
  accepted_.reserve(batch.refs.size());
  late_.clear();
  if (!late_index_.empty()) late_index_.clear();
  records_.ReserveSamples(batch.refs.size());
  size_t next_definition = 0;
  auto without_sample = batch.without_sample.begin();
  constexpr size_t kAhead = 16;
  for (size_t i = 0; i < batch.refs.size(); ++i) {
    const Slot slot = slots_[i];
    if (i + kAhead < slots_.size() && slots_[i + kAhead] != kNoSlot) {
      __builtin_prefetch(&head_->table_.hot(slots_[i + kAhead]), 1);
    }
    const Timestamp timestamp = batch.timestamp(i);
    const double value = batch.values[i];
    Refusal refusal = Refusal::kNone;
    bool repeated = false;
    uint64_t reference = batch.refs[i];
    if (reference == 0) {
      refusal = definition_refusals_[next_definition++];
      if (slot != kNoSlot) reference = head_->table_.cold(slot).reference;
    }
    const bool samples_come = without_sample == batch.without_sample.end() || *without_sample != i;
    if (!samples_come) ++without_sample;
    if (refusal == Refusal::kNone && !samples_come) continue;
    if (refusal == Refusal::kNone) {
      if (timestamp > time_max || timestamp < kSampleTimeMin) {
        refusal = Refusal::kOutOfBounds;
      } else {
        refusal = CheckSample(head_->table_.hot(slot), timestamp, value, &repeated);
      }
    }
    if (refusal == Refusal::kOutOfOrder) {
      OooSample late;
      late.slot = slot;
      late.timestamp = timestamp;
      late.value = value;
      refusal = CheckLate(late, &repeated);
      if (refusal == Refusal::kNone) continue;
    }
    if (refusal != Refusal::kNone) {
      ++result->refused[static_cast<size_t>(refusal)];
      result->refused_samples.push_back({i, refusal});
      continue;
    }
    if (repeated) continue;
    accepted_.push_back({slot, timestamp, value});
    head_->table_.hot(slot).pending = static_cast<uint32_t>(accepted_.size());
    records_.AddSample(reference, timestamp, value);
  }
}

Refusal HeadAppender::CheckLate(const OooSample& sample, bool* repeated) {
  const Refusal refusal = head_->ooo_.Check(sample, head_->max_time(), repeated);
  if (refusal != Refusal::kNone || *repeated) return refusal;
  const auto [at, added] =
      late_index_.try_emplace(std::pair(sample.slot, sample.timestamp), late_.size());
  if (added) {
    late_.push_back(sample);
    return Refusal::kNone;
  }
  *repeated = SameValue(late_[at->second], sample);
  return *repeated ? Refusal::kNone : Refusal::kDuplicate;
}

void HeadAppender::ForgetPending() {
  for (const Head::Accepted& sample : accepted_) head_->table_.hot(sample.slot).pending = 0;
}

absl::Status HeadAppender::LogLocked(Sender* sender, uint64_t sequence) {
  if (head_->log_ == nullptr) return Unavailable("the log is not open");
  if (!late_.empty()) {
    const std::string_view sender_id = sender == nullptr ? std::string_view() : sender->id;
    NARTHEX_RETURN_IF_ERROR(
        head_->ooo_.Log(late_, sender_id, sequence, head_->isolation_.SeenByAll()));
    if (records_.empty() && sender == nullptr) return absl::OkStatus();
  }
  return head_->log_->Log(records_.Finish(sender, sequence));
}

absl::Status HeadAppender::Append(const AppendBatch& batch, Sender* sender, uint64_t sequence,
                                  AppendResult* result, AppendMode mode) {
  result->Clear();
  HeadCounters& counters = head_->counters_;
  // References are looked up beside other appenders, and once more when some have gone since.
  const uint64_t removals = head_->removals_.load(std::memory_order_acquire);
  bool all_known = FindSlots(batch, result);
  MutexLock lock(&head_->append_mu_);
  if (removals != head_->removals_.load(std::memory_order_relaxed)) {
    all_known = FindSlots(batch, result);
  }
  if (sender != nullptr && sequence <= sender->applied) {
    result->unknown_references.clear();
    result->outcome = AppendResult::Outcome::kSkipped;
    counters.batches_skipped.fetch_add(1, std::memory_order_relaxed);
    return absl::OkStatus();
  }
  if (!head_->refusing_.ok()) return head_->refusing_;
  if (!all_known) {
    result->outcome = AppendResult::Outcome::kUnknownReferences;
    counters.batches_refused.fetch_add(1, std::memory_order_relaxed);
    return absl::OkStatus();
  }
  records_.Clear();
  if (!head_->unlogged_.empty()) LogUnloggedSeries();
  if (!batch.definitions.empty()) DefineSeries(batch, result);
  CheckSamples(batch, result);
  if (const absl::Status passed = head_->CheckFenceLocked(accepted_); !passed.ok()) {
    ForgetPending();
    return passed;
  }
  if (mode == AppendMode::kAllOrNothing && !result->refused_samples.empty()) {
    // Series that it defined stay unlogged, and go before the next batch.
    ForgetPending();
    result->outcome = AppendResult::Outcome::kRolledBack;
    CountRefused(*result);
    return absl::OkStatus();
  }
  if (!records_.empty() || !late_.empty() || sender != nullptr) {
    const absl::Status logged = LogLocked(sender, sequence);
    if (!logged.ok()) {
      ForgetPending();
      return Annotate(logged, "append to the log");
    }
  }
  head_->unlogged_.clear();
  head_->ApplyLocked(accepted_, late_);
  if (sender != nullptr) sender->applied = sequence;
  counters.batches.fetch_add(1, std::memory_order_relaxed);
  CountRefused(*result);
  return absl::OkStatus();
}

void HeadAppender::CountRefused(const AppendResult& result) {
  for (size_t i = 0; i < result.refused.size(); ++i) {
    if (result.refused[i] > 0) {
      head_->counters_.refused[i].fetch_add(result.refused[i], std::memory_order_relaxed);
    }
  }
}

absl::Status HeadAppender::Skip(Sender* sender, uint64_t sequence) {
  MutexLock lock(&head_->append_mu_);
  if (sequence <= sender->applied) return absl::OkStatus();
  records_.Clear();
  late_.clear();
  NARTHEX_RETURN_IF_ERROR(LogLocked(sender, sequence));
  sender->applied = sequence;
  return absl::OkStatus();
}

Refusal DbAppender::Append(const Labels& labels, Timestamp timestamp, double value) {
  AppendBatch::Definition definition;
  definition.number = batch_.definitions.size() + 1;
  labels_.push_back(labels);
  for (const LabelView label : labels_.back()) definition.labels.push_back(label);
  batch_.definitions.push_back(std::move(definition));
  batch_.refs.push_back(0);
  batch_.values.push_back(value);
  batch_.timestamps.push_back(timestamp);
  return Refusal::kNone;
}

absl::Status DbAppender::Commit() {
  HeadAppender appender(head_);
  return appender.Append(batch_, nullptr, 0, &result_);
}

void DbAppender::Rollback() { batch_ = AppendBatch(); }

}  // namespace narthex::tsdb
