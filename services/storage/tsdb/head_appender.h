#ifndef NARTHEX_SERVICES_STORAGE_TSDB_HEAD_APPENDER_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_HEAD_APPENDER_H_

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "lib/labels/labels.h"
#include "lib/storage/append_batch.h"
#include "lib/storage/storage.h"
#include "services/storage/tsdb/head.h"
#include "services/storage/tsdb/head_records.h"

namespace narthex::tsdb {

// What became of a batch.
struct AppendResult {
  enum class Outcome {
    kApplied,            // Logged and visible, but for refused samples.
    kSkipped,            // Its sequence was applied before.
    kUnknownReferences,  // Nothing was done.
    kRolledBack,         // Something was refused of a batch that is all or nothing.
  };
  struct NewReference {
    storage::SeriesNumber number = 0;
    storage::SeriesRef reference = 0;  // 0: the series was refused.
  };
  Outcome outcome = Outcome::kApplied;
  std::vector<NewReference> new_references;
  std::vector<storage::SeriesRef> unknown_references;  // Each once.
  std::array<uint64_t, storage::kRefusalCount> refused = {};
  // The refused samples by their index in the batch, ascending.
  struct RefusedSample {
    size_t index = 0;
    storage::Refusal reason = storage::Refusal::kNone;
  };
  std::vector<RefusedSample> refused_samples;
  // The exemplars that were not kept, by their index among those of the batch, ascending.
  struct RefusedExemplar {
    size_t index = 0;
    // Why, as the store said; kStored where its series was refused.
    ExemplarStore::Outcome outcome = ExemplarStore::Outcome::kStored;
  };
  std::vector<RefusedExemplar> refused_exemplars;

  void Clear();
};

// What a refused sample means for the others of its batch.
enum class AppendMode {
  kPartial,       // Nothing: they are stored.
  kAllOrNothing,  // None is stored. Series that the batch defined stay, without samples.
};

// Writes batches into the head: checks every sample against the newest of its series, logs what is
// accepted, then makes it visible at once. One a stream or caller; the memory of its columns is
// reused, and a sample costs no allocation, hash or virtual call.
//
// Thread safety: none; several appenders on one head may work at the same time.
class HeadAppender {
 public:
  explicit HeadAppender(Head* head) : head_(head) {}
  HeadAppender(const HeadAppender&) = delete;
  HeadAppender& operator=(const HeadAppender&) = delete;

  // Applies one batch as `sequence` of `sender`; without a sender the sequence means nothing. An
  // error says that nothing of the batch is stored; it may be sent again.
  absl::Status Append(const storage::AppendBatch& batch, Sender* sender, uint64_t sequence,
                      AppendResult* result, AppendMode mode = AppendMode::kPartial);

  // Notes a sequence as applied without any samples: a batch that was passed over.
  absl::Status Skip(Sender* sender, uint64_t sequence);

 private:
  // A sample of the batch as it is checked.
  struct Incoming {
    Slot slot = kNoSlot;
    Timestamp timestamp = 0;
    double value = 0;  // Of a histogram its sum.
    const storage::AppendBatch::HistogramEntry* histogram = nullptr;
    Timestamp start = 0;
  };

  absl::Status TryAppend(const storage::AppendBatch& batch, Sender* sender, uint64_t sequence,
                         AppendResult* result, AppendMode mode);
  // Of a sample that the head refuses for its age: true when a block is known to have it; else the
  // question is noted, unless it was asked already.
  bool IsRepeatOfBlock(size_t index, const OooSample& sample)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(head_->append_mu_);
  void NoteLabelsOfQuestions() ABSL_EXCLUSIVE_LOCKS_REQUIRED(head_->append_mu_);
  bool FindSlots(const storage::AppendBatch& batch, AppendResult* result);
  void DefineSeries(const storage::AppendBatch& batch, AppendResult* result)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(head_->append_mu_);
  // Of a series that is not known.
  storage::Refusal CheckLimits(const storage::AppendBatch::Definition& definition,
                               bool* by_job) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(head_->append_mu_);
  storage::Refusal DefineOne(const storage::AppendBatch::Definition& definition, Slot* slot)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(head_->append_mu_);
  void LogUnloggedSeries() ABSL_EXCLUSIVE_LOCKS_REQUIRED(head_->append_mu_);
  void CheckSamples(const storage::AppendBatch& batch, AppendResult* result)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(head_->append_mu_);
  // What becomes of a sample whose series is known; kNone with *repeated: it is there already.
  storage::Refusal CheckSample(const Incoming& sample, bool* repeated) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(head_->append_mu_);
  // Notes a sample that is accepted, for the log and the series.
  void Accept(const Incoming& sample, uint64_t reference)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(head_->append_mu_);
  // A series of histograms is marked as stale by a histogram, whatever the sender says.
  void MakeStale(Incoming* sample) ABSL_EXCLUSIVE_LOCKS_REQUIRED(head_->append_mu_);
  // Notes the metadata and exemplars for the log that are news of their series.
  void CheckMetadata(const storage::AppendBatch& batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(head_->append_mu_);
  void CheckExemplars(const storage::AppendBatch& batch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(head_->append_mu_);
  // Of a sample that is older than its series' newest: what the out-of-order head says. One that
  // belongs there is added to late_.
  storage::Refusal CheckLate(const OooSample& sample, bool* repeated)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(head_->append_mu_);
  absl::Status LogLocked(Sender* sender, uint64_t sequence)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(head_->append_mu_);
  void ForgetPending();
  void CountRefused(const AppendResult& result);

  Head* const head_;

  // Of the batch in work; kept for their memory.
  std::vector<Slot> slots_;  // Parallel to the batch; kNoSlot where the series was refused.
  std::vector<storage::Refusal> definition_refusals_;  // In order of the definitions.
  std::vector<Head::Accepted> accepted_;
  std::vector<const storage::AppendBatch::HistogramEntry*> histograms_;  // Of accepted ones.
  std::deque<storage::AppendBatch::HistogramEntry> stale_;               // Of our own making.
  bool keeps_starts_ = false;
  std::vector<Timestamp> starts_;  // Parallel to accepted_; empty when no start is kept.
  std::vector<const storage::AppendBatch::MetadataEntry*> metadata_;
  std::vector<OooSample> late_;
  absl::flat_hash_map<std::pair<Slot, Timestamp>, size_t> late_index_;  // Of late_.
  // Samples that blocks may have. Asked between two tries, without a lock.
  bool asked_ = false;
  std::vector<RepeatQuestion> questions_;  // By index.
  absl::flat_hash_map<Slot, Labels> question_labels_;
  uint64_t repeats_ = 0;  // Of the try.
  HeadRecords records_;
};

// A transaction of samples by labels, for writers that have no references. See storage::Appender.
class DbAppender : public storage::Appender {
 public:
  explicit DbAppender(Head* head) : head_(head) {}
  // Refusals are counted at Commit().
  storage::Refusal Append(const Labels& labels, Timestamp timestamp, double value) override;
  absl::Status Commit() override;
  void Rollback() override;
  const AppendResult& result() const { return result_; }

 private:
  Head* const head_;
  std::vector<Labels> labels_;  // Keeps what the batch's definitions point at.
  storage::AppendBatch batch_;
  AppendResult result_;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_HEAD_APPENDER_H_
