#ifndef NARTHEX_SERVICES_STORAGE_TSDB_SERIES_MATCH_CACHE_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_SERIES_MATCH_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/mutex.h"
#include "services/storage/tsdb/series.h"

namespace narthex::tsdb {

// Which label pairs an expression matches, of those that were asked of so far. Dashboards ask the
// same again and again; values that came since are the only ones left to try.
//
// Thread safety: all methods may be called from any thread.
class SeriesMatchCache {
 public:
  struct Entry {
    // What the values were at: a name that lost one since must be tried anew.
    uint32_t name = 0;
    uint64_t removals = 0;
    size_t tried = 0;  // The first values of the name, in order of arrival.
    std::shared_ptr<const std::vector<PairId>> pairs;
  };

  bool Get(const std::string& key, Entry* entry) {
    MutexLock lock(&mu_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return false;
    order_.splice(order_.begin(), order_, found->second);
    *entry = found->second->second;
    return true;
  }
  void Put(const std::string& key, Entry entry) {
    if (entry.pairs->size() > kPairsMax / 4) return;
    MutexLock lock(&mu_);
    if (const auto found = entries_.find(key); found != entries_.end()) {
      pairs_ += entry.pairs->size() - found->second->second.pairs->size();
      found->second->second = std::move(entry);
    } else {
      pairs_ += entry.pairs->size();
      order_.emplace_front(key, std::move(entry));
      entries_.emplace(key, order_.begin());
    }
    while (order_.size() > kEntriesMax || pairs_ > kPairsMax) {
      pairs_ -= order_.back().second.pairs->size();
      entries_.erase(order_.back().first);
      order_.pop_back();
    }
  }
  size_t memory_bytes() const {
    MutexLock lock(&mu_);
    return pairs_ * sizeof(PairId);
  }

 private:
  static constexpr size_t kEntriesMax = 256;
  static constexpr size_t kPairsMax = size_t{1} << 20;  // Of all entries: 4 MiB.

  mutable Mutex mu_;
  using Order = std::list<std::pair<std::string, Entry>>;
  Order order_ ABSL_GUARDED_BY(mu_);  // The last used first.
  absl::flat_hash_map<std::string, Order::iterator> entries_ ABSL_GUARDED_BY(mu_);
  size_t pairs_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_SERIES_MATCH_CACHE_H_
