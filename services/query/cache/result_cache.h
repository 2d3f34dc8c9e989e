#ifndef NARTHEX_SERVICES_QUERY_CACHE_RESULT_CACHE_H_
#define NARTHEX_SERVICES_QUERY_CACHE_RESULT_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "lib/base/mutex.h"
#include "lib/metrics/registry.h"
#include "lib/storage/storage.h"
#include "services/query/cache/cache_scope.h"
#include "services/query/promql/engine.h"

namespace narthex::query_cache {

// Results of range queries, kept by expression, step and phase (start modulo step), so that a
// dashboard that refreshes pays for the steps that are new. Only what is still right is answered
// from it: storage tells with each revision how old the oldest sample is that was written or
// deleted since (storage::DataChanges), and steps that may have seen such a sample are computed
// again. An answer is therefore the same as without the cache, late samples and deletions included;
// only infos and warnings of steps that are kept beyond the ones asked for come along.
//
// Not kept: expressions whose value depends on the bounds of the query (see ScopeOf), answers that
// storage warned of, those of storages that name no revision, and large ones that were asked once
// only. The least recently used go when there is no room.
//
// Thread safety: all methods may be called from any thread.
class ResultCache {
 public:
  // `engine`, `querier` and `registry` must outlive the cache. 0 bytes: nothing is kept.
  ResultCache(size_t bytes_max, promql::Engine* engine, storage::Querier* querier,
              metrics::Registry* registry);
  ~ResultCache();
  ResultCache(const ResultCache&) = delete;
  ResultCache& operator=(const ResultCache&) = delete;

  // As Engine::Range(); `expr` is the parsed `query`. The stats of the result are those of what was
  // computed now.
  absl::StatusOr<promql::Result> Range(std::string_view query, const promql::Expr& expr,
                                       Timestamp start, Timestamp end, int64_t step_ms,
                                       const promql::QueryOptions& options);

  // Forgets all, because the engine answers otherwise from now on.
  void Clear();

  size_t bytes() const;
  size_t entries() const;

 private:
  struct Metrics;
  // Steps from `from` to `to` of one expression. All but what `mu_` guards is constant.
  struct Entry {
    Timestamp from = 0;
    promql::Matrix matrix;
    std::vector<std::string> warnings;
    std::vector<std::string> infos;
    size_t bytes = 0;
    // Guarded by mu_: with `revision`, the steps up to `to` hold.
    Timestamp to = 0;
    std::string revision;
    std::list<std::string>::iterator use;
  };
  struct Request {
    std::string key;
    std::string_view query;
    Timestamp start;
    Timestamp last;  // The last step.
    int64_t step_ms;
    const promql::QueryOptions* options;
    CacheScope scope;
    uint64_t generation = 0;
  };
  struct Found {
    std::shared_ptr<Entry> entry;  // Null: there is none.
    Timestamp to = 0;
    std::string revision;
  };

  Found Find(const std::string& key, uint64_t* generation);
  absl::StatusOr<promql::Result> Compute(const Request& request);
  absl::StatusOr<promql::Result> Extend(const Request& request, const Found& found,
                                        const std::string& revision, Timestamp valid_to);
  // Keeps `matrix`, which holds the steps from…to.
  void Keep(const Request& request, const std::string& revision, Timestamp from, Timestamp to,
            promql::Matrix matrix, const promql::Result& result);
  // Whether something of this size is worth its room.
  bool Admits(const Request& request, size_t bytes);
  void EvictLocked(size_t bytes_max) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RemoveLocked(const std::string& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const size_t bytes_max_;
  promql::Engine* const engine_;
  storage::Querier* const querier_;
  const std::unique_ptr<Metrics> metrics_;

  mutable Mutex mu_;
  absl::flat_hash_map<std::string, std::shared_ptr<Entry>> entries_ ABSL_GUARDED_BY(mu_);
  std::list<std::string> uses_ ABSL_GUARDED_BY(mu_);  // Keys, the last used first.
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t generation_ ABSL_GUARDED_BY(mu_) = 0;              // Counts Clear().
  absl::flat_hash_set<uint64_t> asked_ ABSL_GUARDED_BY(mu_);  // Keys of large answers seen once.
};

}  // namespace narthex::query_cache

#endif  // NARTHEX_SERVICES_QUERY_CACHE_RESULT_CACHE_H_
