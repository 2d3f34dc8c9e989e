#ifndef NARTHEX_LIB_RPC_LABEL_CACHE_H_
#define NARTHEX_LIB_RPC_LABEL_CACHE_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/mutex.h"
#include "lib/labels/labels.h"

namespace narthex::rpc {

// The label sets behind the series ids of one storage node, bounded in bytes. Ids mean something
// only within a reference space, so the cache holds those of one space and forgets them all when
// another one is inserted.
//
// Two generations stand in for an exact order of use: when the young one holds half the bound, the
// old one is dropped and the young one takes its place; what is asked for again moves to the young
// one.
//
// Thread safety: all methods may be called from any thread.
class LabelCache {
 public:
  explicit LabelCache(size_t bytes_max) : bytes_max_(bytes_max) {}

  // Sets (*labels)[i] for each ids[i] that is known (id 0 is skipped) and appends the positions of
  // the others to *missing. REQUIRES: labels->size() == ids.size().
  void Find(std::string_view space, std::span<const uint64_t> ids, std::vector<Labels>* labels,
            std::vector<size_t>* missing);
  void Insert(std::string_view space, std::span<const uint64_t> ids,
              std::span<const Labels> labels);
  size_t size() const;
  size_t bytes() const;  // About.

 private:
  using Map = absl::flat_hash_map<uint64_t, Labels>;
  void InsertLocked(uint64_t id, const Labels& labels) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const size_t bytes_max_;

  mutable Mutex mu_;
  std::string space_ ABSL_GUARDED_BY(mu_);
  Map young_ ABSL_GUARDED_BY(mu_);
  Map old_ ABSL_GUARDED_BY(mu_);
  size_t young_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  size_t old_bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace narthex::rpc

#endif  // NARTHEX_LIB_RPC_LABEL_CACHE_H_
