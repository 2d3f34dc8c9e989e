#include "services/storage/tsdb/head_appender.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"
#include "lib/model/stale.h"

namespace narthex::tsdb {

using storage::AppendBatch;
using storage::Refusal;

namespace {

bool IsValid(const AppendBatch::HistogramEntry& entry) {
  return (entry.is_float ? Validate(entry.float_histogram) : Validate(entry.histogram)).ok();
}

}  // namespace

void AppendResult::Clear() {
  outcome = Outcome::kApplied;
  new_references.clear();
  unknown_references.clear();
  refused.fill(0);
  refused_samples.clear();
  refused_exemplars.clear();
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

Refusal HeadAppender::CheckLimits(const AppendBatch::Definition& definition, bool* by_job) const {
  const HeadLimits& limits = head_->limits_;
  if (head_->table_.size() >= std::min(limits.series_max, SeriesTable::kSeriesMax) ||
      head_->next_reference_ > wal::kReferenceMax) {
    return Refusal::kSeriesLimit;
  }
  const auto passed = [](size_t value, size_t limit) { return limit > 0 && value > limit; };
  if (passed(definition.labels.size(), limits.labels_max)) return Refusal::kInvalidLabels;
  for (const LabelView& label : definition.labels) {
    if (passed(label.name.size(), limits.label_name_bytes_max) ||
        passed(label.value.size(), limits.label_value_bytes_max)) {
      return Refusal::kInvalidLabels;
    }
    if (limits.series_per_job_max > 0 && label.name == "job" &&
        head_->index_.SeriesWith(label.name, label.value) >= limits.series_per_job_max) {
      *by_job = true;
      return Refusal::kSeriesLimit;
    }
  }
  return Refusal::kNone;
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
  bool by_job = false;
  const Refusal limited = CheckLimits(definition, &by_job);
  if (limited != Refusal::kNone) {
    // A series that is known goes on.
    *slot = head_->index_.Find(definition.labels);
    if (*slot != kNoSlot) return Refusal::kNone;
    HeadCounters& counters = head_->counters_;
    if (by_job) counters.series_refused_by_job.fetch_add(1, std::memory_order_relaxed);
    if (limited == Refusal::kInvalidLabels) {
      counters.series_refused_by_labels.fetch_add(1, std::memory_order_relaxed);
    }
    return limited;
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

Refusal HeadAppender::CheckSample(const Incoming& sample, bool* repeated) const {
  const SeriesTable& table = head_->table_;
  const SeriesHot& hot = table.hot(sample.slot);
  const Head::Accepted* const pending = hot.pending == 0 ? nullptr : &accepted_[hot.pending - 1];
  const Timestamp newest = pending != nullptr ? pending->timestamp
                           : hot.empty()      ? table.NewestTime(sample.slot)
                                              : hot.state.timestamp;
  if (sample.timestamp > newest) return Refusal::kNone;
  if (sample.timestamp < newest) return Refusal::kOutOfOrder;
  // What is deleted is not there to be repeated, and can come again beside the chunks.
  if (pending == nullptr && head_->deletions_.Covers(sample.slot, newest)) {
    return Refusal::kOutOfOrder;
  }
  if (pending != nullptr) {
    const auto* const before =
        pending->histogram == 0 ? nullptr : histograms_[pending->histogram - 1];
    if (sample.histogram == nullptr || before == nullptr) {
      *repeated = sample.histogram == before &&
                  std::bit_cast<uint64_t>(sample.value) == std::bit_cast<uint64_t>(pending->value);
    } else if (sample.histogram->is_float != before->is_float) {
      *repeated = false;
    } else {
      *repeated = before->is_float
                      ? Same(before->float_histogram, sample.histogram->float_histogram)
                      : Same(before->histogram, sample.histogram->histogram);
    }
  } else if (sample.histogram == nullptr) {
    *repeated = table.IsNewest(sample.slot, sample.value);
  } else if (sample.histogram->is_float) {
    *repeated = table.IsNewest(sample.slot, sample.histogram->float_histogram);
  } else {
    *repeated = table.IsNewest(sample.slot, sample.histogram->histogram);
  }
  return *repeated ? Refusal::kNone : Refusal::kDuplicate;
}

void HeadAppender::MakeStale(Incoming* sample) {
  const SeriesHot& hot = head_->table_.hot(sample->slot);
  bool is_float;
  if (hot.pending != 0) {
    const Head::Accepted& pending = accepted_[hot.pending - 1];
    if (pending.histogram == 0) return;
    is_float = histograms_[pending.histogram - 1]->is_float;
  } else if (!head_->table_.HasHistograms(sample->slot, &is_float)) {
    return;
  }
  AppendBatch::HistogramEntry& stale = stale_.emplace_back();
  stale.is_float = is_float;
  stale.histogram.sum = stale.float_histogram.sum = sample->value;
  sample->histogram = &stale;
}

void HeadAppender::Accept(const Incoming& sample, uint64_t reference) {
  SeriesHot& hot = head_->table_.hot(sample.slot);
  if (hot.pending != 0) {
    // A second sample of the series in this batch.
    const uint32_t before = accepted_[hot.pending - 1].histogram;
    const bool same_kind = before == 0
                               ? sample.histogram == nullptr
                               : sample.histogram != nullptr && histograms_[before - 1]->is_float ==
                                                                    sample.histogram->is_float;
    if (!same_kind) records_.NextGroup();
  }
  Head::Accepted accepted{sample.slot, 0, sample.timestamp, sample.value};
  if (sample.histogram == nullptr) {
    records_.AddSample(reference, sample.timestamp, sample.value, sample.start);
  } else {
    histograms_.push_back(sample.histogram);
    accepted.histogram = static_cast<uint32_t>(histograms_.size());
    if (sample.histogram->is_float) {
      records_.AddSample(reference, sample.timestamp, sample.histogram->float_histogram,
                         sample.start);
    } else {
      records_.AddSample(reference, sample.timestamp, sample.histogram->histogram, sample.start);
    }
  }
  accepted_.push_back(accepted);
  hot.pending = static_cast<uint32_t>(accepted_.size());
  if (keeps_starts_) starts_.push_back(sample.start);
}

void HeadAppender::CheckSamples(const AppendBatch& batch, AppendResult* result) {
  const HeadLimits& limits = head_->limits_;
  const absl::Time now = head_->clock_->Now();
  const Timestamp time_max = ToTimestamp(now + limits.future_max);
  const Timestamp time_min = limits.past_max == absl::InfiniteDuration()
                                 ? kSampleTimeMin
                                 : std::max(kSampleTimeMin, ToTimestamp(now - limits.past_max));
  accepted_.clear();
  accepted_.reserve(batch.refs.size());
  histograms_.clear();
  stale_.clear();
  starts_.clear();
  late_.clear();
  if (!late_index_.empty()) late_index_.clear();
  keeps_starts_ = head_->options_.chunks.start_timestamps && !batch.start_timestamps.empty();
  records_.Reserve(batch.refs.size(), keeps_starts_);
  size_t next_definition = 0;
  auto without_sample = batch.without_sample.begin();
  auto histogram = batch.histograms.begin();
  constexpr size_t kAhead = 16;
  for (size_t i = 0; i < batch.refs.size(); ++i) {
    Incoming sample;
    sample.slot = slots_[i];
    if (i + kAhead < slots_.size() && slots_[i + kAhead] != kNoSlot) {
      __builtin_prefetch(&head_->table_.hot(slots_[i + kAhead]), 1);
    }
    sample.timestamp = batch.timestamp(i);
    sample.value = batch.values[i];
    if (keeps_starts_) sample.start = batch.start_timestamps[i];
    if (histogram != batch.histograms.end() && histogram->index == i) {
      sample.histogram = &*histogram;
      sample.value =
          histogram->is_float ? histogram->float_histogram.sum : histogram->histogram.sum;
      ++histogram;
    }
    Refusal refusal = Refusal::kNone;
    bool repeated = false;
    uint64_t reference = batch.refs[i];
    if (reference == 0) {
      refusal = definition_refusals_[next_definition++];
      if (sample.slot != kNoSlot) reference = head_->table_.cold(sample.slot).reference;
    }
    const bool samples_come = without_sample == batch.without_sample.end() || *without_sample != i;
    if (!samples_come) ++without_sample;
    if (refusal == Refusal::kNone && !samples_come) continue;
    if (refusal == Refusal::kNone) {
      if (sample.timestamp > time_max || sample.timestamp < time_min) {
        refusal = Refusal::kOutOfBounds;
      } else if (sample.histogram != nullptr && !IsValid(*sample.histogram)) {
        refusal = Refusal::kInvalidHistogram;
      } else {
        if (sample.histogram == nullptr && IsStale(sample.value)) MakeStale(&sample);
        refusal = CheckSample(sample, &repeated);
      }
    }
    if (refusal == Refusal::kOutOfOrder) {
      OooSample late;
      late.slot = sample.slot;
      late.timestamp = sample.timestamp;
      late.start_timestamp = sample.start;
      late.value = sample.value;
      if (sample.histogram != nullptr) {
        if (sample.histogram->is_float) {
          late.float_histogram = &sample.histogram->float_histogram;
        } else {
          late.histogram = &sample.histogram->histogram;
        }
      }
      refusal = CheckLate(late, &repeated);
      const bool too_old = refusal == Refusal::kOutOfOrder || refusal == Refusal::kTooOld;
      if (too_old && IsRepeatOfBlock(i, late)) refusal = Refusal::kNone;
      if (refusal == Refusal::kNone) continue;
    }
    if (refusal != Refusal::kNone) {
      ++result->refused[static_cast<size_t>(refusal)];
      result->refused_samples.push_back({i, refusal});
      continue;
    }
    if (!repeated) Accept(sample, reference);
  }
}

void HeadAppender::CheckMetadata(const AppendBatch& batch) {
  metadata_.clear();
  for (const AppendBatch::MetadataEntry& entry : batch.metadata) {
    const Slot slot = slots_[entry.index];
    if (slot == kNoSlot || !head_->metadata_.IsNews(slot, entry.type, entry.help, entry.unit)) {
      continue;
    }
    metadata_.push_back(&entry);
    records_.AddMetadata({head_->table_.cold(slot).reference, entry.type, entry.unit, entry.help});
  }
}

void HeadAppender::CheckExemplars(const AppendBatch& batch) {
  for (const AppendBatch::ExemplarEntry& entry : batch.exemplars) {
    const Slot slot = slots_[entry.index];
    // What is refused is counted when it is added.
    if (slot != kNoSlot &&
        head_->exemplars_.Check(slot, entry.timestamp, entry.value, entry.labels) ==
            ExemplarStore::Outcome::kStored) {
      records_.AddExemplar(
          {head_->table_.cold(slot).reference, entry.timestamp, entry.value, entry.labels});
    }
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

bool HeadAppender::IsRepeatOfBlock(size_t index, const OooSample& sample) {
  if (!head_->answer_repeats_ || sample.timestamp >= head_->blocks_end_.load()) return false;
  if (asked_) {
    const auto at = std::lower_bound(
        questions_.begin(), questions_.end(), index,
        [](const RepeatQuestion& question, size_t i) { return question.index < i; });
    const bool repeated = at != questions_.end() && at->index == index && at->repeated;
    if (repeated) ++repeats_;
    return repeated;
  }
  RepeatQuestion& question = questions_.emplace_back();
  question.index = index;
  question.reference = head_->table_.cold(sample.slot).reference;
  question.sample = sample;
  return false;
}

void HeadAppender::NoteLabelsOfQuestions() {
  question_labels_.clear();
  for (const RepeatQuestion& question : questions_) {
    const Slot slot = question.sample.slot;
    if (!question_labels_.contains(slot)) {
      question_labels_.emplace(slot, head_->index_.LabelsOf(slot));
    }
  }
  for (RepeatQuestion& question : questions_) {
    question.labels = &question_labels_.at(question.sample.slot);
  }
}

void HeadAppender::ForgetPending() {
  for (const Head::Accepted& sample : accepted_) head_->table_.hot(sample.slot).pending = 0;
}

absl::Status HeadAppender::LogLocked(Sender* sender, uint64_t sequence) {
  if (head_->log_ == nullptr) return Unavailable("the log is not open");
  const std::string_view sender_id = sender == nullptr ? std::string_view() : sender->id;
  std::optional<wal::LogPlace> late;
  if (!late_.empty()) {
    NARTHEX_RETURN_IF_ERROR(
        head_->ooo_.Log(late_, sender_id, sequence, head_->isolation_.SeenByAll()));
    if (records_.empty() && sender == nullptr) return absl::OkStatus();
    late = head_->ooo_.log_place();
  }
  return head_->log_->Log(records_.Finish(sender_id, sequence, late));
}

absl::Status HeadAppender::Append(const AppendBatch& batch, Sender* sender, uint64_t sequence,
                                  AppendResult* result, AppendMode mode) {
  asked_ = false;
  questions_.clear();
  const absl::Status status = TryAppend(batch, sender, sequence, result, mode);
  if (asked_ || questions_.empty()) return status;
  // Rare: something is older than what the head has. Blocks are looked at while others append; what
  // moves to a block just then is refused this once, as ever.
  head_->answer_repeats_(questions_);
  asked_ = true;
  return TryAppend(batch, sender, sequence, result, mode);
}

absl::Status HeadAppender::TryAppend(const AppendBatch& batch, Sender* sender, uint64_t sequence,
                                     AppendResult* result, AppendMode mode) {
  result->Clear();
  repeats_ = 0;
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
  if (!asked_ && !questions_.empty()) {
    NoteLabelsOfQuestions();
    ForgetPending();
    return absl::OkStatus();
  }
  if (const absl::Status passed = head_->CheckFenceLocked(accepted_); !passed.ok()) {
    ForgetPending();
    return passed;
  }
  CheckMetadata(batch);
  CheckExemplars(batch);
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
  head_->ApplyLocked({accepted_, histograms_, starts_, late_});
  for (const AppendBatch::MetadataEntry* const entry : metadata_) {
    head_->metadata_.Set(slots_[entry->index], entry->type, entry->help, entry->unit);
  }
  for (size_t i = 0; i < batch.exemplars.size(); ++i) {
    const AppendBatch::ExemplarEntry& entry = batch.exemplars[i];
    const Slot slot = slots_[entry.index];
    using Outcome = ExemplarStore::Outcome;
    const Outcome outcome =
        slot == kNoSlot ? Outcome::kStored
                        : head_->exemplars_.Add(slot, entry.timestamp, entry.value, entry.labels);
    if (slot == kNoSlot || outcome != Outcome::kStored) {
      result->refused_exemplars.push_back({i, outcome});
    }
  }
  if (sender != nullptr) sender->applied = sequence;
  counters.batches.fetch_add(1, std::memory_order_relaxed);
  if (repeats_ > 0) {
    counters.samples_repeated_in_blocks.fetch_add(repeats_, std::memory_order_relaxed);
  }
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
