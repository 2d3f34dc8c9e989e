#ifndef NARTHEX_LIB_STORAGE_STORAGE_H_
#define NARTHEX_LIB_STORAGE_STORAGE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/labels/labels.h"
#include "lib/labels/matcher.h"
#include "lib/model/sample_buffer.h"
#include "lib/model/timestamp.h"

// The two seams between engines and whatever stores samples: Appender to write and Querier to read.
// Implemented by the TSDB head (services/storage/tsdb), by gRPC clients (lib/rpc/remote_storage),
// and by MemoryStorage in the tests, which is also the model that the other two are checked
// against.
namespace narthex::storage {

// Why a sample was refused. These are outcomes, not errors.
enum class Refusal : uint8_t {
  kNone = 0,
  kOutOfOrder = 1,   // Older than the newest sample of its series.
  kDuplicate = 2,    // Same timestamp, another value.
  kOutOfBounds = 3,  // Outside the time that the head accepts (too old, or too far in the future).
  kTooOld = 4,       // Outside the out-of-order window.
  kInvalidLabels = 5,
  kSeriesLimit = 6,
  kInvalidHistogram = 7,  // Its buckets do not go with its spans or its count.
};
inline constexpr int kRefusalCount = 8;
std::string_view RefusalName(Refusal refusal);  // "out_of_order", "duplicate", …

// One transaction of samples; nothing is visible before Commit(). An Appender is used once. Thread
// safety: none.
class Appender {
 public:
  virtual ~Appender() = default;
  // A refused sample does not disturb the others. An append with the timestamp and value of a
  // sample that is there is accepted and changes nothing. A store that learns of refusals only at
  // Commit() returns kNone here and counts them itself.
  virtual Refusal Append(const Labels& labels, Timestamp timestamp, double value) = 0;
  // After an error nothing of the transaction is stored.
  virtual absl::Status Commit() = 0;
  virtual void Rollback() = 0;
};

// What the query needs of a selection; a store may use it to do less, never to answer otherwise.
struct SelectHints {
  Timestamp start = 0;   // Inclusive. Samples outside start…end are not returned.
  Timestamp end = 0;     // Inclusive.
  int64_t step_ms = 0;   // 0 for an instant query.
  int64_t range_ms = 0;  // Width of the range selector; 0 for an instant selector.
  // Only the newest sample at or before `end` is wanted (instant selector of an instant query).
  bool newest_only = false;
  bool labels_only = false;  // No samples wanted (series API).
  std::string function;      // The surrounding function or aggregation; empty if none.
  std::vector<std::string> grouping;
  bool by = false;
  size_t limit = 0;  // Series; 0 is no limit.
};

struct Selector {
  std::vector<Matcher> matchers;
  SelectHints hints;
};

// What of a store's data changed since an earlier answer: what makes a cache of results correct.
//
// A result that was computed from an answer with revision R is still right at every step whose
// samples are all older than the `oldest_change` of a later answer that was asked with R as the
// known revision, and from then on counts as one of the later revision. (The other way round
// nothing is lost: what an answer has read may be newer than the revision it names, never older.)
struct DataChanges {
  // Names the state of the data; opaque, and good for this Querier only. Empty: the store cannot
  // say, and nothing that was read may be kept.
  std::string revision;
  // Samples at this time and later may have been written or deleted since the known revision;
  // before it all is as it was. kMaxTimestamp: nothing changed. kMinTimestamp: anything may have,
  // for no revision was given, or the store does not know it any more (it remembers an hour, and
  // starts anew when its process does).
  Timestamp oldest_change = kMinTimestamp;
};

// Bounds of one Select, and how it answers.
struct SelectOptions {
  bool sorted = false;      // Series in label order.
  uint64_t series_max = 0;  // Over all selectors; 0 is no limit. Passing it is ResourceExhausted.
  uint64_t samples_max = 0;
  uint64_t bytes_max = 0;
  absl::Time deadline = absl::InfiniteFuture();
  // Polled between series; true ends the work with Cancelled. May be empty.
  std::function<bool()> cancelled;
  std::string known_revision;  // Of an earlier answer; see DataChanges. Empty: none.
};

// The series of one selector, read once from front to back. Thread safety: none.
class SeriesSet {
 public:
  virtual ~SeriesSet() = default;
  // Goes to the next series; false at the end or on an error (see status()).
  virtual bool Next() = 0;
  // REQUIRES: the last Next() returned true.
  virtual const Labels& labels() const = 0;
  // Appends the samples of the current series within hints.start…hints.end to `out`, in time order,
  // each timestamp once, staleness markers included. May be called once a series.
  virtual absl::Status ReadSamples(SampleBuffer* out) = 0;
  virtual absl::Status status() const = 0;
};

// What one Select read, at one moment.
struct SelectResult {
  std::vector<std::unique_ptr<SeriesSet>> sets;  // One a selector, in the order of the request.
  std::vector<std::string> warnings;             // Partial answers of several stores.
  DataChanges changes;                           // Since options.known_revision.
};

// Reads. Thread safety: all methods may be called from any thread. The SeriesSets must not outlive
// the Querier.
class Querier {
 public:
  virtual ~Querier() = default;
  // All selectors of a query are read under one isolation state: no transaction is seen in part,
  // and all of them see the same transactions. The sets may be read in any order, but reading them
  // in request order needs the least memory.
  virtual absl::StatusOr<SelectResult> Select(std::span<const Selector> selectors,
                                              const SelectOptions& options) = 0;
  // What changed since `known_revision` (which may be empty), without a look at the data: much
  // cheaper than a Select. A store that keeps no account of it answers an empty revision.
  virtual absl::StatusOr<DataChanges> Changes(std::string_view known_revision);
  // Sorted, unique. An empty `matcher_sets` means all series; several sets are joined (OR). The
  // time range is inclusive.
  virtual absl::StatusOr<std::vector<std::string>> LabelNames(
      std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
      Timestamp max_time) = 0;
  virtual absl::StatusOr<std::vector<std::string>> LabelValues(
      std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
      Timestamp max_time) = 0;
};

}  // namespace narthex::storage

#endif  // NARTHEX_LIB_STORAGE_STORAGE_H_
