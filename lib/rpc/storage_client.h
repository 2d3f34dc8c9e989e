#ifndef NARTHEX_LIB_RPC_STORAGE_CLIENT_H_
#define NARTHEX_LIB_RPC_STORAGE_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/labels/labels.h"
#include "lib/labels/matcher.h"
#include "lib/model/exemplar.h"
#include "lib/model/timestamp.h"
#include "lib/rpc/scraper_client.h"

namespace narthex::rpc {

struct SeriesExemplars {
  Labels labels;
  std::vector<Exemplar> exemplars;  // In order of time.
};

struct NamedCount {
  std::string name;
  uint64_t count = 0;
  friend bool operator==(const NamedCount&, const NamedCount&) = default;
};

// What the series in the memory of a storage node are made of. Lists: the greatest first.
struct StorageStatistics {
  uint64_t series = 0;
  uint64_t label_pairs = 0;
  uint64_t chunks = 0;
  Timestamp min_time = kMaxTimestamp;
  Timestamp max_time = kMinTimestamp;
  std::vector<NamedCount> series_by_metric_name;
  std::vector<NamedCount> values_by_label_name;
  std::vector<NamedCount> bytes_by_label_name;
  std::vector<NamedCount> series_by_label_pair;
  std::vector<NamedCount> growth_by_metric_name;  // New series within the window.
  absl::Duration growth_window;
};

// A request of remote write or OTLP as it came over HTTP, and what is answered to it.
struct IngestCall {
  enum class Protocol { kRemoteWrite, kOtlp } protocol = Protocol::kRemoteWrite;
  std::string_view content_type;
  std::string_view content_encoding;
  std::string_view body;
};
struct IngestAnswer {
  int status = 500;
  std::string content_type;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

enum class StorageState { kStarting, kReady, kReadOnly, kFailed };

struct StorageStatus {
  StorageState state = StorageState::kStarting;
  std::string reason;
  uint64_t segment_first = 0;
  uint64_t segment_last = 0;
  uint64_t segment_current = 0;
  std::vector<std::string> blocks;  // Each a meta.json, by min_time.
  std::string retention;
  uint64_t corruptions = 0;
};

// What a storage node says of itself, and what it is told by hand, over gRPC. Samples are read by
// RemoteQuerier and written by AppendClient.
//
// Errors name the node; one that is down is Unavailable ("storage 127.0.0.1:10901: …").
// `cancelled`, which may be empty, is polled every 20 ms by what streams and ends it with
// Cancelled.
//
// Thread safety: all methods may be called from any thread.
class StorageClient {
 public:
  struct Options {
    std::string endpoint;  // host:port or unix:/path
    absl::Duration call_timeout = absl::Minutes(2);
    absl::Duration status_timeout = absl::Seconds(5);
    // Changes of the data may rewrite all of it.
    absl::Duration admin_timeout = absl::Hours(1);
  };
  explicit StorageClient(Options options);
  ~StorageClient();

  // Of the series that one of the matcher sets matches, in label order.
  absl::StatusOr<std::vector<SeriesExemplars>> Exemplars(
      std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time, Timestamp max_time,
      std::function<bool()> cancelled);
  // Of one metric family, or of all when `metric` is empty; `limit` families, 0 is all.
  absl::StatusOr<std::vector<MetricMetadata>> Metadata(std::string_view metric, size_t limit,
                                                       std::function<bool()> cancelled);
  absl::StatusOr<StorageStatistics> Statistics(size_t limit);
  absl::StatusOr<StorageStatus> Status();

  // The node's own handler answers; an error says that the request may not have come to it.
  absl::StatusOr<IngestAnswer> Ingest(const IngestCall& call);

  // FailedPrecondition when the node does not let itself be changed.
  absl::Status DeleteSeries(std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
                            Timestamp max_time);
  absl::Status CleanTombstones();
  absl::StatusOr<std::string> Snapshot(bool skip_head);  // The name of its folder.
  absl::Status Compact();

  const std::string& endpoint() const { return options_.endpoint; }

 private:
  struct Rep;
  const Options options_;
  const std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::rpc

#endif  // NARTHEX_LIB_RPC_STORAGE_CLIENT_H_
