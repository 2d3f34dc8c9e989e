#include "services/storage/remote/write_session.h"

#include <algorithm>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/model/histogram.h"

namespace narthex::storage_remote {
namespace {

using storage::Refusal;

// Upstream's bound for what comes from clocks that are not ours.
constexpr absl::Duration kAheadMax = absl::Minutes(10);
constexpr size_t kProblemTextsMax = 20;
// A series can leave the head between the moment that its reference is found and the append.
constexpr int kAttemptsMax = 5;

std::string_view RefusalText(Refusal refusal) {
  switch (refusal) {
    case Refusal::kOutOfOrder:
      return "out of order sample";
    case Refusal::kDuplicate:
      return "duplicate sample for timestamp";
    case Refusal::kOutOfBounds:
      return "out of bounds";
    case Refusal::kTooOld:
      return "too old sample";
    case Refusal::kInvalidLabels:
      return "invalid labels";
    case Refusal::kSeriesLimit:
      return "the limit of series is reached";
    case Refusal::kInvalidHistogram:
      return "invalid histogram";
    case Refusal::kNone:
      break;
  }
  return "refused";
}

// Finer schemas than the head knows become its finest.
absl::Status CheckHistogram(storage::AppendBatch::HistogramEntry* entry) {
  const auto check = [](auto* histogram) {
    NARTHEX_RETURN_IF_ERROR(Validate(*histogram));
    if (histogram->schema > kExponentialSchemaMax) {
      ReduceResolution(kExponentialSchemaMax, histogram);
    }
    return absl::OkStatus();
  };
  return entry->is_float ? check(&entry->float_histogram) : check(&entry->histogram);
}

}  // namespace

void WriteReport::Clear() { *this = {}; }

std::string WriteReport::ProblemText() const {
  std::string text = Join(problem_texts, "\n");
  if (problems > problem_texts.size()) {
    StrAppend(&text, "\nand ", problems - problem_texts.size(), " more");
  }
  return text;
}

absl::Status WriteSession::Write(WriteColumns* columns, LabelSource* labels,
                                 const WritePolicy& policy, WriteReport* report) {
  columns_ = columns;
  source_ = labels;
  policy_ = policy;
  report_ = report;
  report->Clear();
  now_ = ToTimestamp(clock_->Now());
  NARTHEX_CHECK(columns->batch.timestamps.size() == columns->entries());
  if (!columns->batch.start_timestamps.empty()) {
    columns->batch.start_timestamps.resize(columns->entries(), 0);
  }
  for (const WriteColumns::Problem& problem : columns->problems) {
    AddProblem(problem.text, problem.series);
  }
  CheckSamples();
  if (report->rolled_back) return absl::OkStatus();
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    bool again = false;
    NARTHEX_RETURN_IF_ERROR(WriteColumnsOnce(&again));
    if (!again) return absl::OkStatus();
  }
  return Unavailable("series leave the head as fast as they come");
}

void WriteSession::CheckSamples() {
  const Timestamp time_max = now_ + ToMillis(kAheadMax);
  storage::AppendBatch& batch = columns_->batch;
  std::vector<bool> dropped;
  const auto drop = [&](size_t entry, std::string_view why) {
    dropped.resize(batch.values.size(), false);
    if (!dropped[entry]) AddProblem(why, columns_->SeriesOf(entry));
    dropped[entry] = true;
  };
  const std::vector<Timestamp>& times = batch.timestamps;
  if (!times.empty() && *std::max_element(times.begin(), times.end()) > time_max) {
    for (size_t i = 0; i < times.size(); ++i) {
      if (times[i] > time_max) drop(i, RefusalText(Refusal::kOutOfBounds));
    }
  }
  for (storage::AppendBatch::HistogramEntry& entry : batch.histograms) {
    const absl::Status valid = CheckHistogram(&entry);
    if (!valid.ok()) drop(entry.index, Message(valid));
  }
  if (dropped.empty()) return;
  if (policy_.mode == tsdb::AppendMode::kAllOrNothing) {
    report_->rolled_back = true;
    return;
  }
  columns_->DropEntries(dropped);
}

absl::Status WriteSession::WriteColumnsOnce(bool* again) {
  FindReferences();
  NARTHEX_RETURN_IF_ERROR(DefineMissing());
  if (report_->rolled_back) return absl::OkStatus();
  DropRefused();
  if (columns_->entries() == 0) return absl::OkStatus();
  FillReferences();
  NARTHEX_RETURN_IF_ERROR(appender_.Append(columns_->batch, nullptr, 0, &result_, policy_.mode));
  switch (result_.outcome) {
    case tsdb::AppendResult::Outcome::kUnknownReferences:
      ForgetUnknown();
      *again = true;
      return absl::OkStatus();
    case tsdb::AppendResult::Outcome::kRolledBack:
      report_->rolled_back = true;
      ReportRefused();
      return absl::OkStatus();
    case tsdb::AppendResult::Outcome::kApplied:
    case tsdb::AppendResult::Outcome::kSkipped:
      break;
  }
  ReportRefused();
  CountStored();
  if (!metadata_keys_.empty()) metadata_cache_->Insert(metadata_keys_, metadata_references_, now_);
  return absl::OkStatus();
}

void WriteSession::FindReferences() {
  const size_t count = columns_->series.size();
  keys_.resize(count);
  for (size_t i = 0; i < count; ++i) keys_[i] = columns_->series[i].key;
  references_.resize(count);
  refused_.assign(count, false);
  cache_->Find(keys_, now_, references_);
}

absl::Status WriteSession::DefineMissing() {
  definitions_.definitions.clear();
  definitions_.refs.clear();
  definitions_.values.clear();
  definitions_.without_sample.clear();
  defined_.clear();
  for (size_t i = 0; i < references_.size(); ++i) {
    if (references_[i] != 0 || columns_->series[i].begin == columns_->end_of(i)) continue;
    storage::AppendBatch::Definition definition;
    const LabelsVerdict verdict =
        source_->MakeLabels(columns_->series[i].source, &definition.labels);
    switch (verdict) {
      case LabelsVerdict::kGood:
        break;
      case LabelsVerdict::kNoName:
      case LabelsVerdict::kInvalid:
        RefuseSeries(
            i, StrCat("invalid metric name or labels, got ", FormatLabels(definition.labels)));
        continue;
      case LabelsVerdict::kDuplicate:
      case LabelsVerdict::kMalformed: {
        const bool duplicate = verdict == LabelsVerdict::kDuplicate;
        AddProblem(duplicate ? "a label name twice" : "malformed labels", i);
        refused_[i] = true;
        if (policy_.mode == tsdb::AppendMode::kAllOrNothing) {
          report_->rolled_back = true;
          return absl::OkStatus();
        }
        continue;
      }
    }
    defined_.push_back(i);
    definition.number = defined_.size();
    definitions_.definitions.push_back(std::move(definition));
  }
  if (defined_.empty()) return absl::OkStatus();
  definitions_.base_timestamp = now_;
  definitions_.refs.assign(defined_.size(), 0);
  definitions_.values.assign(defined_.size(), 0);
  for (size_t i = 0; i < defined_.size(); ++i) definitions_.without_sample.push_back(i);
  NARTHEX_RETURN_IF_ERROR(appender_.Append(definitions_, nullptr, 0, &result_));
  std::vector<Hash128> keys;
  std::vector<storage::SeriesRef> references;
  for (const tsdb::AppendResult::NewReference& made : result_.new_references) {
    NARTHEX_CHECK(made.number >= 1 && made.number <= defined_.size());
    const size_t series = defined_[made.number - 1];
    references_[series] = made.reference;
    keys.push_back(keys_[series]);
    references.push_back(made.reference);
  }
  cache_->Insert(keys, references, now_);
  for (const tsdb::AppendResult::RefusedSample& one : result_.refused_samples) {
    const size_t series = defined_[one.index];
    refused_[series] = true;
    AddProblem(RefusalText(one.reason), series);
  }
  return absl::OkStatus();
}

void WriteSession::RefuseSeries(size_t series, std::string reason) {
  refused_[series] = true;
  report_->invalid_samples += columns_->end_of(series) - columns_->series[series].begin;
  if (!policy_.invalid_series_are_problems) return;
  ++report_->problems;
  if (report_->problem_texts.size() < kProblemTextsMax) {
    report_->problem_texts.push_back(std::move(reason));
  }
}

void WriteSession::DropRefused() {
  if (std::find(refused_.begin(), refused_.end(), true) == refused_.end()) return;
  std::vector<bool> dropped(columns_->entries(), false);
  for (size_t i = 0; i < refused_.size(); ++i) {
    if (!refused_[i]) continue;
    for (size_t entry = columns_->series[i].begin; entry < columns_->end_of(i); ++entry) {
      dropped[entry] = true;
    }
  }
  columns_->DropEntries(dropped);
}

void WriteSession::FillReferences() {
  std::vector<storage::SeriesRef>& refs = columns_->batch.refs;
  refs.resize(columns_->entries());
  for (size_t i = 0; i < references_.size(); ++i) {
    const size_t end = columns_->end_of(i);
    for (size_t entry = columns_->series[i].begin; entry < end; ++entry) {
      refs[entry] = references_[i];
    }
  }
}

void WriteSession::DropKnownMetadata() {
  metadata_keys_.clear();
  metadata_references_.clear();
  std::vector<storage::AppendBatch::MetadataEntry>& metadata = columns_->batch.metadata;
  if (metadata.empty()) return;
  std::string text;
  for (const storage::AppendBatch::MetadataEntry& entry : metadata) {
    const Hash128& series = columns_->series[columns_->SeriesOf(entry.index)].key;
    text.assign(reinterpret_cast<const char*>(&series), sizeof series);
    text.push_back(static_cast<char>(entry.type));
    AppendLengthPrefixed(&text, entry.unit);
    text.append(entry.help);
    metadata_keys_.push_back(FastHash128(text, metadata_cache_->seed()));
  }
  metadata_references_.resize(metadata.size());
  metadata_cache_->Find(metadata_keys_, now_, metadata_references_);
  size_t kept = 0;
  for (size_t i = 0; i < metadata.size(); ++i) {
    const storage::SeriesRef reference = columns_->batch.refs[metadata[i].index];
    if (metadata_references_[i] == reference) continue;
    metadata[kept] = metadata[i];
    metadata_keys_[kept] = metadata_keys_[i];
    metadata_references_[kept++] = reference;
  }
  metadata.resize(kept);
  metadata_keys_.resize(kept);
  metadata_references_.resize(kept);
}

void WriteSession::ForgetUnknown() {
  std::vector<Hash128> keys;
  for (size_t i = 0; i < references_.size(); ++i) {
    if (std::binary_search(result_.unknown_references.begin(), result_.unknown_references.end(),
                           references_[i])) {
      keys.push_back(keys_[i]);
    }
  }
  const std::vector<storage::SeriesRef> none(keys.size(), 0);
  cache_->Insert(keys, none, now_);
}

void WriteSession::ReportRefused() {
  for (const tsdb::AppendResult::RefusedSample& one : result_.refused_samples) {
    AddProblem(RefusalText(one.reason), columns_->SeriesOf(one.index));
  }
  if (!policy_.late_exemplars_are_problems) return;
  for (const tsdb::AppendResult::RefusedExemplar& one : result_.refused_exemplars) {
    if (one.outcome != tsdb::ExemplarStore::Outcome::kOutOfOrder) continue;
    AddProblem("out of order exemplar",
               columns_->SeriesOf(columns_->batch.exemplars[one.index].index));
  }
}

void WriteSession::CountStored() {
  const storage::AppendBatch& batch = columns_->batch;
  using Outcome = tsdb::ExemplarStore::Outcome;
  report_->exemplars = batch.exemplars.size();
  for (const tsdb::AppendResult::RefusedExemplar& one : result_.refused_exemplars) {
    const bool counts = one.outcome == Outcome::kRepeated || one.outcome == Outcome::kOff;
    if (!counts) --report_->exemplars;
  }
  report_->histograms = batch.histograms.size();
  report_->samples = batch.values.size() - batch.histograms.size() - batch.without_sample.size();
  auto histogram = batch.histograms.begin();
  for (const tsdb::AppendResult::RefusedSample& one : result_.refused_samples) {
    while (histogram != batch.histograms.end() && histogram->index < one.index) ++histogram;
    const bool is_histogram = histogram != batch.histograms.end() && histogram->index == one.index;
    --(is_histogram ? report_->histograms : report_->samples);
  }
}

void WriteSession::AddProblem(std::string_view what, size_t series) {
  ++report_->problems;
  if (report_->problem_texts.size() >= kProblemTextsMax) return;
  report_->problem_texts.push_back(StrCat(what, " for series ", LabelsText(series)));
}

std::string WriteSession::LabelsText(size_t series) {
  std::vector<LabelView> labels;
  source_->MakeLabels(columns_->series[series].source, &labels);
  return FormatLabels(labels);
}

}  // namespace narthex::storage_remote
