#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_WRITE_SESSION_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_WRITE_SESSION_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "lib/base/clock.h"
#include "services/storage/remote/series_cache.h"
#include "services/storage/remote/write_columns.h"
#include "services/storage/tsdb/head_appender.h"

namespace narthex::storage_remote {

// How one protocol treats what cannot be stored.
struct WritePolicy {
  // A refused sample takes the whole request back (1.0), or only itself.
  tsdb::AppendMode mode = tsdb::AppendMode::kPartial;
  // A series without a metric name, or with text that is not UTF-8, is the sender's mistake and
  // said in the answer; else it is only passed over and counted.
  bool invalid_series_are_problems = true;
  // An exemplar that is older than the newest of its series likewise.
  bool late_exemplars_are_problems = false;
};

// What became of a request.
struct WriteReport {
  // Stored, repeated samples among them. As upstream counts them, so are exemplars where none are
  // kept, because the sender is not to complain of that.
  uint64_t samples = 0;
  uint64_t histograms = 0;
  uint64_t exemplars = 0;
  uint64_t invalid_samples = 0;  // Of series that were passed over.
  // What the sender did wrong; the first few in words ("out of order sample for series {…}").
  uint64_t problems = 0;
  std::vector<std::string> problem_texts;
  // A problem that took everything back: nothing is stored.
  bool rolled_back = false;

  void Clear();
  // The problems in lines.
  std::string ProblemText() const;
};

// Writes the columns of a request into the head: finds the references of its series, defines those
// that are new, and appends all in one batch. One a request at a time, reused for its memory.
//
// Thread safety: none; several sessions may work on one head and one cache at the same time.
class WriteSession {
 public:
  // The pointees must outlive it.
  WriteSession(tsdb::Head* head, SeriesCache* cache, SeriesCache* metadata_cache, Clock* clock)
      : appender_(head), cache_(cache), metadata_cache_(metadata_cache), clock_(clock) {}

  // An error says that nothing is stored and that the request may be sent again. What the sender
  // did wrong is in the report.
  absl::Status Write(WriteColumns* columns, LabelSource* labels, const WritePolicy& policy,
                     WriteReport* report);

 private:
  absl::Status WriteColumnsOnce(bool* again);
  // Finds samples that are too far ahead, and histograms that are none; drops them, or takes the
  // request back.
  void CheckSamples();
  void FindReferences();
  absl::Status DefineMissing();
  void RefuseSeries(size_t series, std::string reason);
  // Takes the series out that are marked, and their entries.
  void DropRefused();
  void FillReferences();
  // Takes metadata out that the head has had with the same words.
  void DropKnownMetadata();
  void ForgetUnknown();
  void ReportRefused();
  void CountStored();
  void AddProblem(std::string_view what, size_t series);
  std::string LabelsText(size_t series);

  tsdb::HeadAppender appender_;
  SeriesCache* const cache_;
  // From the hash of a series and its metadata to the reference that has it.
  SeriesCache* const metadata_cache_;
  Clock* const clock_;

  // Of the request in work.
  WriteColumns* columns_ = nullptr;
  LabelSource* source_ = nullptr;
  WritePolicy policy_;
  WriteReport* report_ = nullptr;
  Timestamp now_ = 0;
  std::vector<Hash128> keys_;  // By series, as the next three.
  std::vector<storage::SeriesRef> references_;
  std::vector<bool> refused_;
  // What DefineMissing() asks for.
  storage::AppendBatch definitions_;
  std::vector<size_t> defined_;  // Series, by definition.
  tsdb::AppendResult result_;
  // Of the metadata that goes to the head.
  std::vector<Hash128> metadata_keys_;
  std::vector<storage::SeriesRef> metadata_references_;
};

}  // namespace narthex::storage_remote

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_WRITE_SESSION_H_
