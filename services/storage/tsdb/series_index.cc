#include "services/storage/tsdb/series_index.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/hash.h"

namespace narthex::tsdb {
namespace {

uint64_t PairKey(Symbol name, Symbol value) { return uint64_t{name} << 32 | value; }

uint32_t HashPairs(std::span<const PairId> pairs) {
  return static_cast<uint32_t>(
      FastHash({reinterpret_cast<const char*>(pairs.data()), pairs.size() * sizeof(PairId)}));
}

std::vector<std::string> SortedTexts(std::vector<std::string_view> texts) {
  std::sort(texts.begin(), texts.end());
  return {texts.begin(), texts.end()};
}

}  // namespace

size_t SeriesIndex::SlotHash::operator()(Slot slot) const { return table->cold(slot).hash; }
size_t SeriesIndex::SlotHash::operator()(const LabelKey& key) const { return key.hash; }
bool SeriesIndex::SlotEqual::operator()(Slot slot, const LabelKey& key) const {
  const SeriesCold& cold = table->cold(slot);
  return cold.hash == key.hash && std::equal(key.pairs.begin(), key.pairs.end(), cold.labels,
                                             cold.labels + cold.label_count);
}

SeriesIndex::SeriesIndex(SeriesTable* table)
    : table_(table), series_(0, SlotHash{table}, SlotEqual{table}) {}

SeriesIndex::~SeriesIndex() = default;

bool SeriesIndex::FindPairLocked(std::string_view name, std::string_view value,
                                 PairId* pair) const {
  Symbol name_symbol;
  Symbol value_symbol;
  if (!symbols_.Find(name, &name_symbol) || !symbols_.Find(value, &value_symbol)) return false;
  const auto found = pair_ids_.find(PairKey(name_symbol, value_symbol));
  if (found == pair_ids_.end()) return false;
  *pair = found->second;
  return true;
}

PairId SeriesIndex::InternLocked(const LabelView& label) {
  const Symbol name = symbols_.Intern(label.name);
  const Symbol value = symbols_.Intern(label.value);
  const auto [at, added] = pair_ids_.try_emplace(PairKey(name, value));
  if (added) {
    const size_t pair = pairs_.Extend();
    pairs_[pair].name = name;
    pairs_[pair].value = value;
    at->second = static_cast<PairId>(pair);
    names_[name].push_back(static_cast<PairId>(pair));
  }
  return at->second;
}

LabelView SeriesIndex::TextLocked(PairId pair) const {
  return {symbols_.Text(pairs_[pair].name), symbols_.Text(pairs_[pair].value)};
}

Slot SeriesIndex::Find(std::span<const LabelView> labels) const {
  ReaderMutexLock lock(&mu_);
  std::vector<PairId> pairs(labels.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    if (!FindPairLocked(labels[i].name, labels[i].value, &pairs[i])) return kNoSlot;
  }
  const auto found = series_.find(LabelKey{HashPairs(pairs), pairs});
  return found == series_.end() ? kNoSlot : *found;
}

Slot SeriesIndex::FindOrAdd(std::span<const LabelView> labels, uint64_t reference, bool* added) {
  // Known series are the common case, after each restart of a sender; they disturb no reader.
  if (const Slot found = Find(labels); found != kNoSlot) {
    *added = false;
    return found;
  }
  *added = true;
  WriterMutexLock lock(&mu_);
  const size_t bytes = labels.size() * sizeof(PairId);
  PairId* const pairs = reinterpret_cast<PairId*>(label_arrays_.Allocate(bytes));
  for (size_t i = 0; i < labels.size(); ++i) pairs[i] = InternLocked(labels[i]);

  const Slot slot = table_->New(reference);
  SeriesCold& cold = table_->cold(slot);
  cold.labels = pairs;
  cold.label_count = labels.size() & 0xffffff;
  cold.hash = HashPairs(cold.label_pairs());
  series_.insert(slot);
  for (const PairId pair : cold.label_pairs()) {
    PostingsList& postings = pairs_[pair].postings;
    postings_bytes_ -= postings.heap_bytes();
    postings.Add(slot);
    postings_bytes_ += postings.heap_bytes();
  }
  return slot;
}

SeriesIndex::Term SeriesIndex::AllValues(std::string_view name, bool subtract) const {
  Term term;
  term.subtract = subtract;
  ReaderMutexLock lock(&mu_);
  Symbol symbol;
  if (!symbols_.Find(name, &symbol)) return term;
  if (const auto found = names_.find(symbol); found != names_.end()) term.pairs = found->second;
  return term;
}

std::vector<SeriesIndex::Candidate> SeriesIndex::CandidatesOf(const Matcher& matcher) const {
  std::vector<Candidate> candidates;
  ReaderMutexLock lock(&mu_);
  Symbol name;
  if (!symbols_.Find(matcher.name(), &name)) return candidates;
  const auto found = names_.find(name);
  if (found == names_.end()) return candidates;
  candidates.reserve(found->second.size());
  for (const PairId pair : found->second) {
    candidates.push_back({pair, symbols_.Text(pairs_[pair].value)});
  }
  return candidates;
}

SeriesIndex::Term SeriesIndex::TermOf(const Matcher& matcher) const {
  const bool equality =
      matcher.type() == MatchType::kEqual || matcher.type() == MatchType::kNotEqual;
  const bool negative =
      matcher.type() == MatchType::kNotEqual || matcher.type() == MatchType::kNotRegex;
  // A matcher that the empty value satisfies also selects the series without the label. Such a one
  // takes away the series with a value that it does not match.
  const bool matches_empty = matcher.MatchesEmpty();
  if (matcher.value().empty() && equality) return AllValues(matcher.name(), !negative);
  Term term;
  term.subtract = matches_empty;

  // The listed values are those that the condition itself matches; whether they are selected or
  // taken away: a negative matcher that matches the empty value takes away just these.
  const bool wants_listed = negative == matches_empty;
  const auto& literals = matcher.regex().literals();
  if (equality || (literals.has_value() && wants_listed)) {
    const std::vector<std::string> values =
        equality ? std::vector<std::string>{matcher.value()} : *literals;
    ReaderMutexLock lock(&mu_);
    for (const std::string& value : values) {
      PairId pair;
      if (!value.empty() && FindPairLocked(matcher.name(), value, &pair)) {
        term.pairs.push_back(pair);
      }
    }
    return term;
  }
  if (matcher.value() == ".*" || matcher.value() == ".+") {
    // All values match: =~".*" takes nothing away, !~".+" takes away all.
    const bool takes_none = !negative && matches_empty;
    const bool selects_none = negative && !matches_empty;
    if (takes_none || selects_none) return term;
    return AllValues(matcher.name(), matches_empty);
  }
  const std::string_view prefix = matcher.regex().prefix();
  for (const Candidate& candidate : CandidatesOf(matcher)) {
    const bool listed =
        candidate.value.starts_with(prefix) && matcher.Matches(candidate.value) != negative;
    if (listed == wants_listed) term.pairs.push_back(candidate.pair);
  }
  return term;
}

std::vector<Slot> SeriesIndex::UnionLocked(const Term& term) const {
  std::vector<Slot> slots;
  if (term.pairs.size() == 1) {
    const std::span<const Slot> postings = pairs_[term.pairs.front()].postings.slots();
    return {postings.begin(), postings.end()};
  }
  // The lists have no series in common: a series has one value of a name.
  constexpr size_t kSortMax = 256;
  if (term.postings <= kSortMax) {
    slots.reserve(term.postings);
    for (const PairId pair : term.pairs) {
      const std::span<const Slot> postings = pairs_[pair].postings.slots();
      slots.insert(slots.end(), postings.begin(), postings.end());
    }
    std::sort(slots.begin(), slots.end());
    return slots;
  }
  std::vector<uint64_t> bits((table_->size() + 63) / 64);
  for (const PairId pair : term.pairs) {
    for (const Slot slot : pairs_[pair].postings.slots())
      bits[slot / 64] |= uint64_t{1} << slot % 64;
  }
  slots.reserve(term.postings);
  for (size_t word = 0; word < bits.size(); ++word) {
    for (uint64_t left = bits[word]; left != 0; left &= left - 1) {
      slots.push_back(static_cast<Slot>(word * 64 + static_cast<size_t>(std::countr_zero(left))));
    }
  }
  return slots;
}

void SeriesIndex::NarrowLocked(const Term& term, std::vector<Slot>* slots) const {
  if (term.pairs.size() == 1) {
    IntersectSlots(pairs_[term.pairs.front()].postings.slots(), term.subtract, slots);
    return;
  }
  // With few series left it is cheaper to look at their labels than to join the lists.
  constexpr size_t kLabelsFactor = 4;
  if (slots->size() * kLabelsFactor >= term.postings) {
    IntersectSlots(UnionLocked(term), term.subtract, slots);
    return;
  }
  const absl::flat_hash_set<PairId> wanted(term.pairs.begin(), term.pairs.end());
  std::erase_if(*slots, [&](Slot slot) {
    const std::span<const PairId> pairs = table_->cold(slot).label_pairs();
    const bool has =
        std::any_of(pairs.begin(), pairs.end(), [&](PairId pair) { return wanted.contains(pair); });
    return has == term.subtract;
  });
}

std::vector<Slot> SeriesIndex::Select(std::span<const Matcher> matchers) const {
  std::vector<Term> terms;
  for (const Matcher& matcher : matchers) terms.push_back(TermOf(matcher));

  ReaderMutexLock lock(&mu_);
  for (Term& term : terms) {
    for (const PairId pair : term.pairs) term.postings += pairs_[pair].postings.size();
  }
  // What selects before what takes away, the shortest first.
  std::sort(terms.begin(), terms.end(), [](const Term& a, const Term& b) {
    return std::pair(a.subtract, a.postings) < std::pair(b.subtract, b.postings);
  });
  std::vector<Slot> slots;
  std::span<const Term> rest = terms;
  if (!terms.empty() && !terms.front().subtract) {
    slots = UnionLocked(terms.front());
    rest = rest.subspan(1);
  } else {
    slots.resize(series_.size());
    for (size_t i = 0; i < slots.size(); ++i) slots[i] = static_cast<Slot>(i);
  }
  for (const Term& term : rest) {
    if (slots.empty()) break;
    NarrowLocked(term, &slots);
  }
  return slots;
}

void SeriesIndex::SortByLabels(std::vector<Slot>* slots) const {
  // Every pair that occurs gets its rank among them, so that sets compare as runs of numbers.
  std::vector<PairId> pairs;
  for (const Slot slot : *slots) {
    const std::span<const PairId> of_slot = table_->cold(slot).label_pairs();
    pairs.insert(pairs.end(), of_slot.begin(), of_slot.end());
  }
  std::sort(pairs.begin(), pairs.end());
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  std::vector<std::pair<LabelView, PairId>> texts(pairs.size());
  {
    ReaderMutexLock lock(&mu_);
    for (size_t i = 0; i < pairs.size(); ++i) texts[i] = {TextLocked(pairs[i]), pairs[i]};
  }
  std::sort(texts.begin(), texts.end());
  absl::flat_hash_map<PairId, uint32_t> ranks;
  ranks.reserve(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) ranks[texts[i].second] = static_cast<uint32_t>(i);

  struct Key {
    size_t begin;
    size_t end;
    Slot slot;
  };
  std::vector<uint32_t> all_ranks;
  std::vector<Key> keys;
  keys.reserve(slots->size());
  for (const Slot slot : *slots) {
    const size_t begin = all_ranks.size();
    for (const PairId pair : table_->cold(slot).label_pairs()) all_ranks.push_back(ranks[pair]);
    keys.push_back({begin, all_ranks.size(), slot});
  }
  std::sort(keys.begin(), keys.end(), [&](const Key& a, const Key& b) {
    const uint32_t* const r = all_ranks.data();
    return std::lexicographical_compare(r + a.begin, r + a.end, r + b.begin, r + b.end);
  });
  for (size_t i = 0; i < keys.size(); ++i) (*slots)[i] = keys[i].slot;
}

Labels SeriesIndex::LabelsOf(Slot slot) const {
  Labels labels;
  VisitLabels(std::span(&slot, 1), [&](size_t, std::span<const LabelView> views) {
    labels = Labels::FromSorted(views);
  });
  return labels;
}

void SeriesIndex::VisitLabels(
    std::span<const Slot> slots,
    const std::function<void(size_t, std::span<const LabelView>)>& visit) const {
  std::vector<LabelView> views;
  ReaderMutexLock lock(&mu_);
  for (size_t i = 0; i < slots.size(); ++i) {
    views.clear();
    if (slots[i] != kNoSlot) {
      for (const PairId pair : table_->cold(slots[i]).label_pairs()) {
        views.push_back(TextLocked(pair));
      }
    }
    visit(i, views);
  }
}

std::vector<std::string> SeriesIndex::Names(const Keep& keep) const {
  std::vector<std::string_view> texts;
  ReaderMutexLock lock(&mu_);
  for (const auto& [name, pairs] : names_) {
    for (const PairId pair : pairs) {
      const std::span<const Slot> slots = pairs_[pair].postings.slots();
      if (!std::any_of(slots.begin(), slots.end(), keep)) continue;
      texts.push_back(symbols_.Text(name));
      break;
    }
  }
  return SortedTexts(std::move(texts));
}

std::vector<std::string> SeriesIndex::Values(std::string_view name, const Keep& keep) const {
  std::vector<std::string_view> texts;
  ReaderMutexLock lock(&mu_);
  Symbol symbol;
  if (!symbols_.Find(name, &symbol)) return {};
  const auto found = names_.find(symbol);
  if (found == names_.end()) return {};
  for (const PairId pair : found->second) {
    const std::span<const Slot> slots = pairs_[pair].postings.slots();
    if (std::any_of(slots.begin(), slots.end(), keep)) {
      texts.push_back(symbols_.Text(pairs_[pair].value));
    }
  }
  return SortedTexts(std::move(texts));
}

std::vector<std::string> SeriesIndex::NamesOf(std::span<const Slot> slots) const {
  absl::flat_hash_set<PairId> seen;
  for (const Slot slot : slots) {
    const std::span<const PairId> pairs = table_->cold(slot).label_pairs();
    seen.insert(pairs.begin(), pairs.end());
  }
  absl::flat_hash_set<std::string_view> texts;
  ReaderMutexLock lock(&mu_);
  for (const PairId pair : seen) texts.insert(symbols_.Text(pairs_[pair].name));
  return SortedTexts({texts.begin(), texts.end()});
}

std::vector<std::string> SeriesIndex::ValuesOf(std::string_view name,
                                               std::span<const Slot> slots) const {
  absl::flat_hash_set<PairId> seen;
  ReaderMutexLock lock(&mu_);
  Symbol symbol;
  if (!symbols_.Find(name, &symbol)) return {};
  for (const Slot slot : slots) {
    for (const PairId pair : table_->cold(slot).label_pairs()) {
      if (pairs_[pair].name == symbol) seen.insert(pair);
    }
  }
  std::vector<std::string_view> texts;
  for (const PairId pair : seen) texts.push_back(symbols_.Text(pairs_[pair].value));
  return SortedTexts(std::move(texts));
}

size_t SeriesIndex::pairs() const {
  ReaderMutexLock lock(&mu_);
  return pairs_.size();
}

size_t SeriesIndex::symbols_bytes() const {
  ReaderMutexLock lock(&mu_);
  return symbols_.memory_bytes();
}

SeriesIndex::Memory SeriesIndex::memory() const {
  Memory memory;
  ReaderMutexLock lock(&mu_);
  memory.symbols = symbols_.memory_bytes();
  // The lists of a name's pairs are counted as if they had no room to spare.
  memory.pairs = pairs_.memory_bytes() + pairs_.size() * sizeof(PairId) +
                 pair_ids_.capacity() * (sizeof(uint64_t) * 2 + 1);
  memory.postings = postings_bytes_;
  memory.series = label_arrays_.memory_bytes() + series_.capacity() * (sizeof(Slot) + 1);
  return memory;
}

}  // namespace narthex::tsdb
