#include "tests/support/memory_storage.h"

#include <algorithm>
#include <bit>
#include <set>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "lib/model/sample.h"

namespace narthex::testing {
namespace {

using storage::Refusal;
using storage::SelectHints;

bool MatchesAll(const Labels& labels, const std::vector<Matcher>& matchers) {
  return std::all_of(matchers.begin(), matchers.end(), [&](const Matcher& matcher) {
    return matcher.Matches(labels.Get(matcher.name()));
  });
}

bool MatchesAny(const Labels& labels, std::span<const std::vector<Matcher>> matcher_sets) {
  return matcher_sets.empty() ||
         std::any_of(matcher_sets.begin(), matcher_sets.end(),
                     [&](const auto& matchers) { return MatchesAll(labels, matchers); });
}

bool HasSampleWithin(const std::map<Timestamp, double>& samples, Timestamp min_time,
                     Timestamp max_time) {
  const auto first = samples.lower_bound(min_time);
  return first != samples.end() && first->first <= max_time;
}

// A copied answer.
class CopiedSeriesSet : public storage::SeriesSet {
 public:
  struct Series {
    Labels labels;
    SampleBuffer samples;
  };

  void Add(Labels labels, SampleBuffer samples) {
    series_.push_back({std::move(labels), std::move(samples)});
  }

  bool Next() override {
    if (next_ == series_.size()) return false;
    ++next_;
    return true;
  }
  const Labels& labels() const override { return current().labels; }
  absl::Status ReadSamples(SampleBuffer* out) override {
    const SampleBuffer& samples = current().samples;
    for (size_t i = 0; i < samples.size(); ++i) {
      out->Append(samples.timestamps()[i], samples.values()[i]);
    }
    return absl::OkStatus();
  }
  absl::Status status() const override { return absl::OkStatus(); }

 private:
  const Series& current() const {
    NARTHEX_CHECK(next_ > 0);
    return series_[next_ - 1];
  }

  std::vector<Series> series_;
  size_t next_ = 0;
};

// The samples that `hints` asks of one series.
SampleBuffer Pick(const std::map<Timestamp, double>& samples, const SelectHints& hints) {
  SampleBuffer out;
  if (hints.labels_only) return out;
  for (auto i = samples.lower_bound(hints.start); i != samples.end() && i->first <= hints.end;
       ++i) {
    if (hints.newest_only) out.Clear();
    out.Append(i->first, i->second);
  }
  return out;
}

// Counts an answer against the limits of its options.
class Budget {
 public:
  explicit Budget(const storage::SelectOptions& options, Clock* clock)
      : options_(options), clock_(clock) {}

  absl::Status Spend(const Labels& labels, const SampleBuffer& samples) {
    ++series_;
    samples_ += samples.size();
    for (const LabelView label : labels) bytes_ += label.name.size() + label.value.size();
    bytes_ += samples.size() * sizeof(Sample);
    if (options_.cancelled && options_.cancelled()) return Cancelled("select cancelled");
    if (clock_ != nullptr && clock_->Now() >= options_.deadline) {
      return DeadlineExceeded("select took longer than its deadline");
    }
    if (Passed(series_, options_.series_max)) {
      return ResourceExhausted("more than ", options_.series_max, " series selected");
    }
    if (Passed(samples_, options_.samples_max)) {
      return ResourceExhausted("more than ", options_.samples_max, " samples selected");
    }
    if (Passed(bytes_, options_.bytes_max)) {
      return ResourceExhausted("more than ", options_.bytes_max, " bytes selected");
    }
    return absl::OkStatus();
  }

 private:
  static bool Passed(uint64_t count, uint64_t limit) { return limit > 0 && count > limit; }

  const storage::SelectOptions& options_;
  Clock* const clock_;
  uint64_t series_ = 0;
  uint64_t samples_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace

// Keeps its samples to itself until Commit().
class MemoryStorage::MemoryAppender : public storage::Appender {
 public:
  explicit MemoryAppender(MemoryStorage* storage) : storage_(storage) {}

  Refusal Append(const Labels& labels, Timestamp timestamp, double value) override {
    NARTHEX_CHECK(!finished_);
    MutexLock lock(&storage_->mu_);
    const auto stored = storage_->series_.find(labels);
    if (stored != storage_->series_.end() && Repeats(stored->second, timestamp, value)) {
      return Refusal::kNone;
    }
    const Refusal refusal = CheckLocked(labels, timestamp, value);
    if (refusal == Refusal::kNone) {
      pending_[labels][timestamp] = value;
    } else {
      ++storage_->refused_[static_cast<size_t>(refusal)];
    }
    return refusal;
  }

  absl::Status Commit() override {
    NARTHEX_CHECK(!finished_);
    finished_ = true;
    MutexLock lock(&storage_->mu_);
    Timestamp oldest = kMaxTimestamp;
    for (const auto& [labels, samples] : pending_) {
      auto& stored = storage_->series_[labels];
      for (const auto& [timestamp, value] : samples) {
        // Another transaction may have committed since Append().
        if (Repeats(stored, timestamp, value)) continue;
        const auto* newest = stored.empty() ? nullptr : &*stored.rbegin();
        const Refusal refusal = Check(newest, timestamp, value);
        if (refusal == Refusal::kNone) {
          stored[timestamp] = value;
          oldest = std::min(oldest, timestamp);
        } else {
          ++storage_->refused_[static_cast<size_t>(refusal)];
        }
      }
    }
    if (oldest != kMaxTimestamp) storage_->changes_.push_back(oldest);
    return absl::OkStatus();
  }

  void Rollback() override {
    finished_ = true;
    pending_.clear();
  }

 private:
  Refusal CheckLocked(const Labels& labels, Timestamp timestamp, double value)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(storage_->mu_) {
    if (labels.empty()) return Refusal::kInvalidLabels;
    if (const auto own = pending_.find(labels); own != pending_.end()) {
      return Check(&*own->second.rbegin(), timestamp, value);
    }
    const auto stored = storage_->series_.find(labels);
    const bool has_samples = stored != storage_->series_.end() && !stored->second.empty();
    return Check(has_samples ? &*stored->second.rbegin() : nullptr, timestamp, value);
  }

  MemoryStorage* const storage_;
  SeriesMap pending_;
  bool finished_ = false;
};

bool MemoryStorage::Repeats(const std::map<Timestamp, double>& stored, Timestamp timestamp,
                            double value) {
  const auto found = stored.find(timestamp);
  return found != stored.end() &&
         std::bit_cast<uint64_t>(found->second) == std::bit_cast<uint64_t>(value);
}

Refusal MemoryStorage::Check(const std::pair<const Timestamp, double>* newest, Timestamp timestamp,
                             double value) {
  if (newest == nullptr || timestamp > newest->first) return Refusal::kNone;
  if (timestamp < newest->first) return Refusal::kOutOfOrder;
  const bool same = std::bit_cast<uint64_t>(value) == std::bit_cast<uint64_t>(newest->second);
  return same ? Refusal::kNone : Refusal::kDuplicate;
}

std::unique_ptr<storage::Appender> MemoryStorage::NewAppender() {
  return std::make_unique<MemoryAppender>(this);
}

Refusal MemoryStorage::Append(const Labels& labels, Timestamp timestamp, double value) {
  MemoryAppender appender(this);
  const Refusal refusal = appender.Append(labels, timestamp, value);
  NARTHEX_CHECK_OK(appender.Commit());
  return refusal;
}

void MemoryStorage::Put(const Labels& labels, Timestamp timestamp, double value) {
  MutexLock lock(&mu_);
  series_[labels][timestamp] = value;
  changes_.push_back(timestamp);
}

void MemoryStorage::Delete(const Labels& labels, Timestamp min_time, Timestamp max_time) {
  MutexLock lock(&mu_);
  auto& samples = series_[labels];
  samples.erase(samples.lower_bound(min_time), samples.upper_bound(max_time));
  changes_.push_back(min_time);
}

absl::StatusOr<storage::SelectResult> MemoryStorage::Select(
    std::span<const storage::Selector> selectors, const storage::SelectOptions& options) {
  storage::SelectResult result;
  Budget budget(options, clock_);
  MutexLock lock(&mu_);
  result.changes = ChangesLocked(options.known_revision);
  for (const storage::Selector& selector : selectors) {
    const SelectHints& hints = selector.hints;
    auto set = std::make_unique<CopiedSeriesSet>();
    size_t count = 0;
    for (const auto& [labels, samples] : series_) {
      if (hints.limit > 0 && count == hints.limit) break;
      if (!MatchesAll(labels, selector.matchers)) continue;
      if (!HasSampleWithin(samples, hints.start, hints.end)) continue;
      SampleBuffer picked = Pick(samples, hints);
      if (absl::Status status = budget.Spend(labels, picked); !status.ok()) return status;
      set->Add(labels, std::move(picked));
      ++count;
    }
    result.sets.push_back(std::move(set));
  }
  return result;
}

absl::StatusOr<storage::DataChanges> MemoryStorage::Changes(std::string_view known_revision) {
  MutexLock lock(&mu_);
  return ChangesLocked(known_revision);
}

storage::DataChanges MemoryStorage::ChangesLocked(std::string_view known_revision) const {
  storage::DataChanges changes;
  changes.revision = StrCat(changes_.size());
  for (size_t known = 0; known <= changes_.size(); ++known) {
    if (StrCat(known) != known_revision) continue;
    changes.oldest_change = kMaxTimestamp;
    for (size_t i = known; i < changes_.size(); ++i) {
      changes.oldest_change = std::min(changes.oldest_change, changes_[i]);
    }
  }
  return changes;
}

absl::StatusOr<std::vector<std::string>> MemoryStorage::LabelNames(
    std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time, Timestamp max_time) {
  std::set<std::string> names;
  MutexLock lock(&mu_);
  for (const auto& [labels, samples] : series_) {
    if (!HasSampleWithin(samples, min_time, max_time)) continue;
    if (!MatchesAny(labels, matcher_sets)) continue;
    for (const LabelView label : labels) names.emplace(label.name);
  }
  return std::vector<std::string>(names.begin(), names.end());
}

absl::StatusOr<std::vector<std::string>> MemoryStorage::LabelValues(
    std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
    Timestamp max_time) {
  std::set<std::string> values;
  MutexLock lock(&mu_);
  for (const auto& [labels, samples] : series_) {
    if (!labels.Has(name) || !HasSampleWithin(samples, min_time, max_time)) continue;
    if (MatchesAny(labels, matcher_sets)) values.emplace(labels.Get(name));
  }
  return std::vector<std::string>(values.begin(), values.end());
}

size_t MemoryStorage::series() const {
  MutexLock lock(&mu_);
  return series_.size();
}

size_t MemoryStorage::samples() const {
  MutexLock lock(&mu_);
  size_t count = 0;
  for (const auto& [labels, samples] : series_) count += samples.size();
  return count;
}

std::map<Timestamp, double> MemoryStorage::SamplesOf(const Labels& labels) const {
  MutexLock lock(&mu_);
  const auto found = series_.find(labels);
  return found == series_.end() ? std::map<Timestamp, double>() : found->second;
}

uint64_t MemoryStorage::refused(Refusal reason) const {
  MutexLock lock(&mu_);
  return refused_[static_cast<size_t>(reason)];
}

}  // namespace narthex::testing
