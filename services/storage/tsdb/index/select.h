#ifndef NARTHEX_SERVICES_STORAGE_TSDB_INDEX_SELECT_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_INDEX_SELECT_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "lib/base/mutex.h"
#include "lib/labels/matcher.h"
#include "services/storage/tsdb/index/postings.h"
#include "services/storage/tsdb/index/reader.h"

namespace narthex::index {

// The postings of matchers that were dear to resolve, of one index; the least recently used go when
// they take more than so many bytes. Thread-safe.
class PostingsCache {
 public:
  explicit PostingsCache(size_t bytes_max) : bytes_max_(bytes_max) {}
  using Entry = std::shared_ptr<const SeriesList>;
  Entry Find(std::string_view key);  // Null when it is not there.
  // Lists that take more than a quarter of the whole are not kept.
  void Insert(std::string_view key, Entry list);
  size_t size_bytes() const;

 private:
  struct Item {
    std::string key;
    Entry list;
    size_t bytes = 0;
  };

  // Constant after construction.
  const size_t bytes_max_;

  mutable Mutex mu_;
  std::list<Item> items_ ABSL_GUARDED_BY(mu_);  // Recently used first.
  absl::flat_hash_map<std::string_view, std::list<Item>::iterator> by_key_ ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

// The series for which all matchers hold, ascending; no matcher is all series. A label that is not
// there is empty. `cache` may be null.
absl::StatusOr<SeriesList> Select(const Reader& reader, std::span<const Matcher> matchers,
                                  PostingsCache* cache);

}  // namespace narthex::index

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_INDEX_SELECT_H_
