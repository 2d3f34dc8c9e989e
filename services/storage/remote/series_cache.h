#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_SERIES_CACHE_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_SERIES_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/hash.h"
#include "lib/base/mutex.h"
#include "lib/model/timestamp.h"
#include "lib/storage/append_batch.h"

namespace narthex::storage_remote {

// From the hash of what a request says of a series (its label bytes as they are) to the reference
// in the head: a series that comes again costs no labels. 16 bytes an entry; a series that has not
// come for an hour or two goes when the table fills.
//
// Hashes are made with a secret seed and 80 of their bits are compared, so that neither chance nor
// malice takes two series for one.
//
// Thread safety: all methods may be called from any thread.
class SeriesCache {
 public:
  // At most about `entries_max`; beyond it those that rest go, then any.
  explicit SeriesCache(size_t entries_max = size_t{1} << 26);

  uint64_t seed() const { return seed_; }

  // references[i] becomes that of keys[i], or 0. REQUIRES: same sizes.
  void Find(std::span<const Hash128> keys, Timestamp now,
            std::span<storage::SeriesRef> references) const;
  // Overwrites; reference 0 forgets the key.
  void Insert(std::span<const Hash128> keys, std::span<const storage::SeriesRef> references,
              Timestamp now);

  size_t size() const;
  size_t memory_bytes() const;

 private:
  struct Entry {
    uint64_t low = 0;
    // The reference << 24 | 16 bits of the key's high half << 8 | the period in which it was used
    // last. 0: the place is free.
    uint64_t value = 0;
  };

  static size_t FindPlace(std::span<const Entry> entries, const Hash128& key);
  void MakeRoomLocked(size_t more, uint64_t period) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  const size_t entries_max_;
  const uint64_t seed_;

  mutable Mutex mu_;
  // A power of two of places; the entry of a key is at its place or among those that follow.
  // Readers renew the period within `value`, as one word.
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mu_);
  size_t used_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace narthex::storage_remote

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_SERIES_CACHE_H_
