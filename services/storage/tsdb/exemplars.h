#ifndef NARTHEX_SERVICES_STORAGE_TSDB_EXEMPLARS_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_EXEMPLARS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "lib/base/mutex.h"
#include "lib/labels/labels.h"
#include "lib/model/exemplar.h"
#include "lib/model/timestamp.h"
#include "services/storage/tsdb/series.h"

namespace narthex::tsdb {

struct ExemplarCounters {
  std::atomic<uint64_t> appended{0};
  std::atomic<uint64_t> out_of_order{0};
  std::atomic<uint64_t> repeated{0};
  std::atomic<uint64_t> invalid{0};  // Labels too long, or not of the allowed kind.
};

// The newest exemplars of all series together, in a ring of a fixed number; the oldest make room.
// They are in memory and in the log, not in blocks.
//
// Thread safety: all methods may be called from any thread.
class ExemplarStore {
 public:
  // Upstream's bound on the characters of names and values together.
  static constexpr size_t kLabelCharactersMax = 128;

  explicit ExemplarStore(size_t exemplars_max) : exemplars_max_(exemplars_max) {}

  // 0 keeps none. Making it smaller drops the oldest.
  void Resize(size_t exemplars_max);
  size_t exemplars_max() const;

  enum class Outcome { kStored, kOff, kRepeated, kOutOfOrder, kInvalid };
  // Whether the exemplar would be stored, without storing or counting.
  Outcome Check(Slot slot, Timestamp timestamp, double value,
                std::span<const LabelView> labels) const;
  // Checks and stores.
  Outcome Add(Slot slot, Timestamp timestamp, double value, std::span<const LabelView> labels);

  // Of one series within min_time…max_time (inclusive), oldest first.
  std::vector<Exemplar> Select(Slot slot, Timestamp min_time, Timestamp max_time) const;
  // A series with exemplars must keep its slot.
  bool Has(Slot slot) const;
  // All, in the order in which they were added.
  void Visit(const std::function<void(Slot, const Exemplar&)>& visit) const;

  size_t size() const;            // Exemplars kept.
  size_t series() const;          // With exemplars.
  Timestamp oldest_time() const;  // Of the oldest one kept; kMaxTimestamp when there is none.
  const ExemplarCounters& counters() const { return counters_; }
  size_t memory_bytes() const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Entry {
    Exemplar exemplar;
    Slot slot = kNoSlot;
    uint32_t next = kNone;  // The next newer one of the series.
  };
  struct Ends {
    uint32_t oldest = kNone;
    uint32_t newest = kNone;
  };
  Outcome CheckLocked(Slot slot, Timestamp timestamp, double value,
                      std::span<const LabelView> labels) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void AddLocked(Slot slot, Exemplar exemplar) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropOldestLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  size_t exemplars_max_ ABSL_GUARDED_BY(mu_);
  std::vector<Entry> ring_ ABSL_GUARDED_BY(mu_);  // Grows to exemplars_max_.
  size_t first_ ABSL_GUARDED_BY(mu_) = 0;         // The oldest, once the ring is full.
  size_t size_ ABSL_GUARDED_BY(mu_) = 0;
  size_t text_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  absl::flat_hash_map<Slot, Ends> series_ ABSL_GUARDED_BY(mu_);
  ExemplarCounters counters_;  // Synchronise themselves.
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_EXEMPLARS_H_
