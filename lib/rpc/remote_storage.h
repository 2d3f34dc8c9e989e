#ifndef NARTHEX_LIB_RPC_REMOTE_STORAGE_H_
#define NARTHEX_LIB_RPC_REMOTE_STORAGE_H_

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/storage/storage.h"

namespace narthex::rpc {

struct RemoteQuerierOptions {
  std::string endpoint;  // host:port or unix:/path
  // Label sets that are kept from query to query.
  size_t label_cache_bytes_max = size_t{256} << 20;
  // Bound on the encoded frames that one Select holds (a set that is read after a later one), when
  // the caller names none.
  uint64_t buffer_bytes_max = uint64_t{1} << 30;
  // Time for LabelNames, LabelValues and Reload, which take no deadline of their own.
  absl::Duration call_timeout = absl::Minutes(2);
  // A node from which nothing is heard for so long while it is waited for is DeadlineExceeded.
  absl::Duration silence_max = absl::Seconds(30);
};

// One storage node over gRPC. A Select is one question whose answer has the frames of all its
// selectors, on a stream that is kept for the next; it returns with the first of them, so that an
// answer of less than a megabyte is complete by then. The sets decode the chunks straight into the
// caller's columns. Frames of sets that are read later wait, encoded, within a bound of bytes
// (ResourceExhausted beyond it). Labels are asked for once a series and kept.
//
// While it waits for the node, a Select polls the caller's `cancelled` every 20 ms; destroying the
// sets ends the call at once. Errors name the node: no connection, a node that starts, or one that
// goes away in the middle is Unavailable
// ("storage 127.0.0.1:10901: …"); codes otherwise are the node's.
//
// Thread safety: all methods may be called from any thread. The sets of one Select share its
// stream: they belong to one thread.
class RemoteQuerier : public storage::Querier {
 public:
  explicit RemoteQuerier(RemoteQuerierOptions options);
  ~RemoteQuerier() override;

  absl::StatusOr<storage::SelectResult> Select(std::span<const storage::Selector> selectors,
                                               const storage::SelectOptions& options) override;
  absl::StatusOr<storage::DataChanges> Changes(std::string_view known_revision) override;
  absl::StatusOr<std::vector<std::string>> LabelNames(
      std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
      Timestamp max_time) override;
  absl::StatusOr<std::vector<std::string>> LabelValues(
      std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
      Timestamp max_time) override;

  // Those of the node's configuration, which no answer has; as of its last answer.
  absl::StatusOr<Labels> ExternalLabels();

  // Asks the node to read its configuration again; InvalidArgument carries its reason.
  absl::Status Reload();

  const std::string& endpoint() const;
  size_t cached_labels() const;

 private:
  class Node;
  class Stream;
  class Set;
  const std::shared_ptr<Node> node_;
};

}  // namespace narthex::rpc

#endif  // NARTHEX_LIB_RPC_REMOTE_STORAGE_H_
