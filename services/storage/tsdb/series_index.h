#ifndef NARTHEX_SERVICES_STORAGE_TSDB_SERIES_INDEX_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_SERIES_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "lib/base/mutex.h"
#include "lib/labels/labels.h"
#include "lib/labels/matcher.h"
#include "lib/labels/symbols.h"
#include "services/storage/tsdb/arena.h"
#include "services/storage/tsdb/index_statistics.h"
#include "services/storage/tsdb/postings_list.h"
#include "services/storage/tsdb/segmented_array.h"
#include "services/storage/tsdb/series.h"

namespace narthex::tsdb {

// From labels to series and back, in memory: each different label pair is kept once, with the
// series that have it, and a series keeps the numbers of its pairs.
//
// Thread safety: FindOrAdd() may be called by one thread at a time (the head's append lock);
// everything const may be called from any thread. Readers hold the lock for copies and merges of
// numbers only: expressions are matched and label sets are sorted outside of it.
class SeriesIndex {
 public:
  // `table` must outlive the index.
  explicit SeriesIndex(SeriesTable* table);
  SeriesIndex(const SeriesIndex&) = delete;
  SeriesIndex& operator=(const SeriesIndex&) = delete;
  ~SeriesIndex();

  // kNoSlot when there is no such series. REQUIRES (both): labels are sorted by name, unique, not
  // empty.
  Slot Find(std::span<const LabelView> labels) const;
  // Makes the series, with `reference`, when there is none; *added says so.
  Slot FindOrAdd(std::span<const LabelView> labels, uint64_t reference, bool* added);

  // The series for which all matchers hold, ascending. No matcher is all series.
  std::vector<Slot> Select(std::span<const Matcher> matchers) const;
  // Sorts by labels, in the order of Labels.
  void SortByLabels(std::vector<Slot>* slots) const;

  Labels LabelsOf(Slot slot) const;
  // Calls `visit(i, labels of slots[i])` for each; kNoSlot has none. Slow visitors hold up new
  // series, so give it a bounded piece.
  void VisitLabels(std::span<const Slot> slots,
                   const std::function<void(size_t, std::span<const LabelView>)>& visit) const;

  // Names (or values of `name`) of those series that `keep` accepts, sorted.
  using Keep = std::function<bool(Slot)>;
  std::vector<std::string> Names(const Keep& keep) const;
  std::vector<std::string> Values(std::string_view name, const Keep& keep) const;
  std::vector<std::string> NamesOf(std::span<const Slot> slots) const;
  std::vector<std::string> ValuesOf(std::string_view name, std::span<const Slot> slots) const;

  // The `limit` greatest of each list; growth counts series with references above
  // `reference_before`. Takes the lock for pieces of the work.
  IndexStatistics Statistics(size_t limit, uint64_t reference_before) const;

  size_t pairs() const;
  size_t symbols_bytes() const;
  struct Memory {
    size_t symbols = 0;
    size_t pairs = 0;  // With their lookup tables.
    size_t postings = 0;
    size_t series = 0;  // Label arrays and the lookup table.
  };
  Memory memory() const;

 private:
  struct Pair {
    Symbol name = 0;
    Symbol value = 0;
    PostingsList postings;
  };
  struct LabelKey {
    uint32_t hash;
    std::span<const PairId> pairs;
  };
  struct SlotHash {
    using is_transparent = void;
    const SeriesTable* table;
    size_t operator()(Slot slot) const;
    size_t operator()(const LabelKey& key) const;
  };
  struct SlotEqual {
    using is_transparent = void;
    const SeriesTable* table;
    bool operator()(Slot a, Slot b) const { return a == b; }
    bool operator()(Slot slot, const LabelKey& key) const;
    bool operator()(const LabelKey& key, Slot slot) const { return (*this)(slot, key); }
  };

  // A matcher as a set of label pairs of its name: series that have one of them (or, subtracted,
  // that have none of them).
  struct Term {
    std::vector<PairId> pairs;
    bool subtract = false;
    size_t postings = 0;  // Of all pairs together.
  };
  struct Candidate {
    PairId pair;
    std::string_view value;
  };

  Term TermOf(const Matcher& matcher) const;
  Term AllValues(std::string_view name, bool subtract) const;
  std::vector<Candidate> CandidatesOf(const Matcher& matcher) const;
  bool FindPairLocked(std::string_view name, std::string_view value, PairId* pair) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  PairId InternLocked(const LabelView& label) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<Slot> UnionLocked(const Term& term) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void NarrowLocked(const Term& term, std::vector<Slot>* slots) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  LabelView TextLocked(PairId pair) const ABSL_SHARED_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  SeriesTable* const table_;

  mutable Mutex mu_;
  SymbolTable symbols_ ABSL_GUARDED_BY(mu_);
  SegmentedArray<Pair> pairs_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<uint64_t, PairId> pair_ids_ ABSL_GUARDED_BY(mu_);  // By name << 32 | value.
  absl::flat_hash_map<Symbol, std::vector<PairId>> names_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<Slot, SlotHash, SlotEqual> series_ ABSL_GUARDED_BY(mu_);
  Arena label_arrays_ ABSL_GUARDED_BY(mu_);
  size_t postings_bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_SERIES_INDEX_H_
