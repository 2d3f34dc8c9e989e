#ifndef NARTHEX_SERVICES_STORAGE_TSDB_METADATA_STORE_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_METADATA_STORE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "lib/base/mutex.h"
#include "lib/model/metadata.h"
#include "services/storage/tsdb/segmented_array.h"
#include "services/storage/tsdb/series.h"

namespace narthex::tsdb {

// What is known of the series beside their samples: type, help and unit. Series of one metric share
// one entry, and a series costs four bytes.
//
// Thread safety: all methods may be called from any thread.
class MetadataStore {
 public:
  MetadataStore() = default;
  MetadataStore(const MetadataStore&) = delete;
  MetadataStore& operator=(const MetadataStore&) = delete;

  // True when that is news of the series, which then must be logged.
  bool Set(Slot slot, MetricType type, std::string_view help, std::string_view unit);
  // Whether Set() would return true.
  bool IsNews(Slot slot, MetricType type, std::string_view help, std::string_view unit) const;
  // False when nothing is known.
  bool Get(Slot slot, Metadata* metadata) const;
  // The series are gone.
  void Forget(std::span<const Slot> slots);
  // Every different one of the series, with how many of them it is for.
  std::vector<std::pair<Metadata, size_t>> Distinct(std::span<const Slot> slots) const;
  // All series with metadata; under the lock, so it must be quick.
  void Visit(const std::function<void(Slot, const Metadata&)>& visit) const;

  size_t entries() const;
  size_t memory_bytes() const;

 private:
  struct Key {
    MetricType type;
    std::string_view help;
    std::string_view unit;
  };
  struct Entry {
    Metadata metadata;
    uint32_t series = 0;
  };
  struct Hash {
    using is_transparent = void;
    const SegmentedArray<Entry, 6>* entries;
    size_t operator()(uint32_t entry) const;
    size_t operator()(const Key& key) const;
  };
  struct Equal {
    using is_transparent = void;
    const SegmentedArray<Entry, 6>* entries;
    bool operator()(uint32_t a, uint32_t b) const { return a == b; }
    bool operator()(uint32_t entry, const Key& key) const;
    bool operator()(const Key& key, uint32_t entry) const { return (*this)(entry, key); }
  };
  uint32_t* FindLocked(Slot slot) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void ReleaseLocked(uint32_t entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  SegmentedArray<Entry, 6> entries_ ABSL_GUARDED_BY(mu_);
  std::vector<uint32_t> free_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<uint32_t, Hash, Equal> numbers_ ABSL_GUARDED_BY(mu_){0, Hash{&entries_},
                                                                           Equal{&entries_}};
  // 1 + entry of each slot; 0 is none.
  std::vector<std::unique_ptr<uint32_t[]>> slots_ ABSL_GUARDED_BY(mu_);
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_METADATA_STORE_H_
