#ifndef NARTHEX_SERVICES_STORAGE_TSDB_SERIES_INDEX_H_
#define NARTHEX_SERVICES_STORAGE_TSDB_SERIES_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "lib/base/mutex.h"
#include "lib/labels/labels.h"
#include "lib/labels/matcher.h"
#include "services/storage/tsdb/arena.h"
#include "services/storage/tsdb/index_statistics.h"
#include "services/storage/tsdb/postings_list.h"
#include "services/storage/tsdb/segmented_array.h"
#include "services/storage/tsdb/series.h"
#include "services/storage/tsdb/series_match_cache.h"

namespace narthex::tsdb {

// From labels to series and back, in memory: each different label pair is kept once, with the
// series that have it, and a series keeps the numbers of its pairs.
//
// Thread safety: FindOrAdd(), Remove() and Recycle() may be called by one thread at a time (the
// head's append lock); everything const may be called from any thread that holds a HeadReader (or
// the append lock), which keeps what it finds in place. Readers hold the lock for copies and merges
// of numbers only: expressions are matched and label sets are sorted outside of it.
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

  // For a start, which makes many series at once whose labels it has as numbered pairs.
  //
  // The number of each pair, made where there is none. REQUIRES: each is of a series that follows.
  void Intern(std::span<const LabelView> labels, std::vector<PairId>* pairs);
  struct NumberedSeries {
    uint64_t reference = 0;
    std::span<const PairId> pairs;  // Sorted by name, unique, not empty.
  };
  // Makes each series, or finds it where there is one with its labels. (*slots)[i] is that of
  // series[i].
  void AddAll(std::span<const NumberedSeries> series, std::vector<Slot>* slots);
  // Room for so many series.
  void Reserve(size_t series);

  // The series are found no longer. Pairs that no other series has go to *retired.
  void Remove(std::span<const Slot> slots, RetiredSeries* retired);
  // Nobody looks at these any more. To be called before SeriesTable::Recycle().
  void Recycle(const RetiredSeries& retired);

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

  // How many series have this label.
  size_t SeriesWith(std::string_view name, std::string_view value) const;

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
    uint32_t name = 0;
    uint32_t hash = 0;
    PieceArena::Piece text = 0;  // Of the value, with its length.
    uint32_t position = 0;       // Among the pairs of the name.
    PostingsList postings;
  };
  static_assert(sizeof(Pair) == 32);
  struct Name {
    std::string text;
    std::vector<PairId> pairs;  // New ones at the end.
    uint64_t removals = 0;
    uint32_t users = 0;  // Pairs that are not recycled.
  };
  struct PairKey {
    uint32_t hash;
    uint32_t name;
    std::string_view value;
  };
  struct PairHash {
    using is_transparent = void;
    const SeriesIndex* index;
    size_t operator()(PairId pair) const;
    size_t operator()(const PairKey& key) const { return key.hash; }
  };
  struct PairEqual {
    using is_transparent = void;
    const SeriesIndex* index;
    bool operator()(PairId a, PairId b) const { return a == b; }
    bool operator()(PairId pair, const PairKey& key) const;
    bool operator()(const PairKey& key, PairId pair) const { return (*this)(pair, key); }
  };
  struct LabelKey {
    uint32_t hash;
    std::span<const PairId> pairs;
  };
  struct SlotHash {
    using is_transparent = void;
    const SeriesIndex* index;
    size_t operator()(Slot slot) const;
    size_t operator()(const LabelKey& key) const { return key.hash; }
  };
  struct SlotEqual {
    using is_transparent = void;
    const SeriesIndex* index;
    bool operator()(Slot a, Slot b) const { return a == b; }
    bool operator()(Slot slot, const LabelKey& key) const;
    bool operator()(const LabelKey& key, Slot slot) const { return (*this)(slot, key); }
  };

  // A matcher as a set of label pairs of its name: series that have one of them (or, subtracted,
  // that have none of them).
  struct Term {
    std::shared_ptr<const std::vector<PairId>> pairs;
    bool subtract = false;
    size_t postings = 0;  // Of all pairs together.
  };

  // Of a series that is in the index.
  std::span<const PairId> PairsOf(Slot slot) const;
  std::string_view TextOf(PieceArena::Piece text) const;
  LabelView LabelOf(PairId pair) const { return {NameOf(pair), TextOf(pairs_[pair].text)}; }
  std::string_view NameOf(PairId pair) const { return names_[pairs_[pair].name].text; }

  Term TermOf(const Matcher& matcher) const;
  Term AllValues(std::string_view name, bool subtract) const;
  // The pairs of the matcher's name for whose value `wanted` holds.
  std::shared_ptr<const std::vector<PairId>> Scan(
      const Matcher& matcher, const std::function<bool(std::string_view)>& wanted) const;
  bool FindPairLocked(std::string_view name, std::string_view value, PairId* pair) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);
  PairId InternLocked(const LabelView& label) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // A series with the pairs in that array, of which there is none yet.
  Slot AddLocked(uint64_t reference, PieceArena::Piece array, size_t size)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RetirePairLocked(PairId pair, RetiredSeries* retired) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::vector<Slot> AllLocked() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  std::vector<Slot> UnionLocked(const Term& term) const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  void NarrowLocked(const Term& term, std::vector<Slot>* slots) const
      ABSL_SHARED_LOCKS_REQUIRED(mu_);

  // Constant after construction.
  SeriesTable* const table_;

  // Elements never move and are read by those who found them, without the lock; which there are,
  // and which lists they are in, is guarded by mu_.
  PieceArena pieces_;
  SegmentedArray<Pair> pairs_;
  SegmentedArray<Name, 6> names_;

  mutable SeriesMatchCache matches_;  // Synchronises itself.

  mutable Mutex mu_;
  std::vector<PairId> free_pairs_ ABSL_GUARDED_BY(mu_);
  std::vector<uint32_t> free_names_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string_view, uint32_t> name_numbers_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<PairId, PairHash, PairEqual> pair_ids_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<Slot, SlotHash, SlotEqual> series_ ABSL_GUARDED_BY(mu_);
  size_t postings_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  size_t text_bytes_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace narthex::tsdb

#endif  // NARTHEX_SERVICES_STORAGE_TSDB_SERIES_INDEX_H_
