#include "services/storage/tsdb/series_index.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/hash.h"
#include "lib/base/strings.h"

namespace narthex::tsdb {
namespace {

uint32_t HashPairs(std::span<const PairId> pairs) {
  return static_cast<uint32_t>(
      FastHash({reinterpret_cast<const char*>(pairs.data()), pairs.size() * sizeof(PairId)}));
}

uint32_t HashValue(uint32_t name, std::string_view value) {
  return static_cast<uint32_t>(FastHash(value)) + name * 0x9E3779B1u;
}

std::vector<std::string> SortedTexts(std::vector<std::string_view> texts) {
  std::sort(texts.begin(), texts.end());
  return {texts.begin(), texts.end()};
}

// A text in an arena: its length in a byte, or 255 and its length in four, then the bytes.
constexpr uint8_t kLongText = 255;

size_t StoredSize(std::string_view text) {
  return text.size() + (text.size() < kLongText ? 1 : 1 + sizeof(uint32_t));
}

std::vector<PairId> NoPairs() { return {}; }

void AppendBits(const SlotBits& bits, std::vector<Slot>* slots) {
  for (size_t word = 0; word < bits.size(); ++word) {
    for (uint64_t left = bits[word]; left != 0; left &= left - 1) {
      slots->push_back(static_cast<Slot>(word * 64 + static_cast<size_t>(std::countr_zero(left))));
    }
  }
}

}  // namespace

std::string_view SeriesIndex::TextOf(PieceArena::Piece text) const {
  const uint8_t* const at = pieces_.At(text);
  if (at[0] < kLongText) return {reinterpret_cast<const char*>(at + 1), at[0]};
  uint32_t size;
  std::memcpy(&size, at + 1, sizeof size);
  return {reinterpret_cast<const char*>(at + 1 + sizeof size), size};
}

std::span<const PairId> SeriesIndex::PairsOf(Slot slot) const {
  const SeriesCold& cold = table_->cold(slot);
  if (cold.label_count == 0) return {};
  return {reinterpret_cast<const PairId*>(pieces_.At(cold.labels)), cold.label_count};
}

size_t SeriesIndex::PairHash::operator()(PairId pair) const { return index->pairs_[pair].hash; }
bool SeriesIndex::PairEqual::operator()(PairId pair, const PairKey& key) const {
  const Pair& entry = index->pairs_[pair];
  return entry.hash == key.hash && entry.name == key.name && index->TextOf(entry.text) == key.value;
}
size_t SeriesIndex::SlotHash::operator()(Slot slot) const { return index->table_->cold(slot).hash; }
bool SeriesIndex::SlotEqual::operator()(Slot slot, const LabelKey& key) const {
  if (index->table_->cold(slot).hash != key.hash) return false;
  const std::span<const PairId> pairs = index->PairsOf(slot);
  return std::equal(key.pairs.begin(), key.pairs.end(), pairs.begin(), pairs.end());
}

SeriesIndex::SeriesIndex(SeriesTable* table)
    : table_(table),
      pair_ids_(0, PairHash{this}, PairEqual{this}),
      series_(0, SlotHash{this}, SlotEqual{this}) {}

SeriesIndex::~SeriesIndex() = default;

// --- Series come and go ---

bool SeriesIndex::FindPairLocked(std::string_view name, std::string_view value,
                                 PairId* pair) const {
  const auto number = name_numbers_.find(name);
  if (number == name_numbers_.end()) return false;
  const auto found =
      pair_ids_.find(PairKey{HashValue(number->second, value), number->second, value});
  if (found == pair_ids_.end()) return false;
  *pair = *found;
  return true;
}

PairId SeriesIndex::InternLocked(const LabelView& label) {
  uint32_t name;
  if (const auto found = name_numbers_.find(label.name); found != name_numbers_.end()) {
    name = found->second;
  } else {
    if (free_names_.empty()) {
      name = static_cast<uint32_t>(names_.Extend());
    } else {
      name = free_names_.back();
      free_names_.pop_back();
    }
    names_[name].text = label.name;
    text_bytes_ += label.name.size();
    name_numbers_.emplace(names_[name].text, name);
  }
  const PairKey key{HashValue(name, label.value), name, label.value};
  if (const auto found = pair_ids_.find(key); found != pair_ids_.end()) return *found;

  PairId id;
  if (free_pairs_.empty()) {
    id = static_cast<PairId>(pairs_.Extend());
  } else {
    id = free_pairs_.back();
    free_pairs_.pop_back();
  }
  Pair& pair = pairs_[id];
  Name& of = names_[name];
  pair.name = name;
  pair.hash = key.hash;
  pair.position = static_cast<uint32_t>(of.pairs.size());
  pair.text = pieces_.Allocate(StoredSize(label.value));
  uint8_t* out = pieces_.At(pair.text);
  if (label.value.size() < kLongText) {
    *out++ = static_cast<uint8_t>(label.value.size());
  } else {
    *out++ = kLongText;
    const auto size = static_cast<uint32_t>(label.value.size());
    std::memcpy(out, &size, sizeof size);
    out += sizeof size;
  }
  std::memcpy(out, label.value.data(), label.value.size());
  text_bytes_ += label.value.size();
  of.pairs.push_back(id);
  ++of.users;
  pair_ids_.insert(id);
  return id;
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
  const PieceArena::Piece array = pieces_.Allocate(labels.size() * sizeof(PairId));
  PairId* const pairs = reinterpret_cast<PairId*>(pieces_.At(array));
  for (size_t i = 0; i < labels.size(); ++i) pairs[i] = InternLocked(labels[i]);
  return AddLocked(reference, array, labels.size());
}

Slot SeriesIndex::AddLocked(uint64_t reference, PieceArena::Piece array, size_t size) {
  const std::span<const PairId> pairs(reinterpret_cast<const PairId*>(pieces_.At(array)), size);
  const Slot slot = table_->New(reference);
  SeriesCold& cold = table_->cold(slot);
  cold.labels = array;
  cold.label_count = size & 0xffffff;
  cold.hash = HashPairs(pairs);
  series_.insert(slot);
  for (const PairId pair : pairs) pairs_[pair].postings.Add(slot, &postings_bytes_);
  return slot;
}

void SeriesIndex::Intern(std::span<const LabelView> labels, std::vector<PairId>* pairs) {
  WriterMutexLock lock(&mu_);
  for (const LabelView& label : labels) pairs->push_back(InternLocked(label));
}

void SeriesIndex::AddAll(std::span<const NumberedSeries> series, std::vector<Slot>* slots) {
  slots->clear();
  WriterMutexLock lock(&mu_);
  for (const NumberedSeries& one : series) {
    const auto found = series_.find(LabelKey{HashPairs(one.pairs), one.pairs});
    if (found != series_.end()) {
      slots->push_back(*found);
      continue;
    }
    const PieceArena::Piece array = pieces_.Allocate(one.pairs.size_bytes());
    std::memcpy(pieces_.At(array), one.pairs.data(), one.pairs.size_bytes());
    slots->push_back(AddLocked(one.reference, array, one.pairs.size()));
  }
}

void SeriesIndex::Reserve(size_t series) {
  WriterMutexLock lock(&mu_);
  series_.reserve(series);
}

void SeriesIndex::RetirePairLocked(PairId id, RetiredSeries* retired) {
  pair_ids_.erase(id);
  const Pair& pair = pairs_[id];
  Name& name = names_[pair.name];
  const PairId last = name.pairs.back();
  name.pairs[pair.position] = last;
  pairs_[last].position = pair.position;
  name.pairs.pop_back();
  ++name.removals;
  retired->pairs.push_back(id);
}

void SeriesIndex::Remove(std::span<const Slot> slots, RetiredSeries* retired) {
  WriterMutexLock lock(&mu_);
  for (const Slot slot : slots) {
    series_.erase(slot);
    for (const PairId pair : PairsOf(slot)) {
      pairs_[pair].postings.Remove(slot, &postings_bytes_);
      if (pairs_[pair].postings.empty()) RetirePairLocked(pair, retired);
    }
  }
}

void SeriesIndex::Recycle(const RetiredSeries& retired) {
  WriterMutexLock lock(&mu_);
  for (const Slot slot : retired.slots) {
    const SeriesCold& cold = table_->cold(slot);
    pieces_.Free(cold.labels, cold.label_count * sizeof(PairId));
  }
  for (const PairId id : retired.pairs) {
    Pair& pair = pairs_[id];
    const std::string_view text = TextOf(pair.text);
    text_bytes_ -= text.size();
    pieces_.Free(pair.text, StoredSize(text));
    free_pairs_.push_back(id);
    Name& name = names_[pair.name];
    if (--name.users > 0) continue;
    name_numbers_.erase(name.text);
    text_bytes_ -= name.text.size();
    name.text.clear();
    ++name.removals;
    free_names_.push_back(pair.name);
  }
}

// --- Matchers ---

SeriesIndex::Term SeriesIndex::AllValues(std::string_view name, bool subtract) const {
  Term term;
  term.subtract = subtract;
  ReaderMutexLock lock(&mu_);
  const auto found = name_numbers_.find(name);
  term.pairs = std::make_shared<const std::vector<PairId>>(
      found == name_numbers_.end() ? NoPairs() : names_[found->second].pairs);
  return term;
}

std::shared_ptr<const std::vector<PairId>> SeriesIndex::Scan(
    const Matcher& matcher, const std::function<bool(std::string_view)>& wanted) const {
  std::string key(1, static_cast<char>(matcher.type()));
  key.append(matcher.name()).push_back('\0');
  key.append(matcher.value());
  SeriesMatchCache::Entry known;
  const bool hit = matches_.Get(key, &known);
  // Their texts stay where they are while there is a reader.
  std::vector<PairId> candidates;
  {
    ReaderMutexLock lock(&mu_);
    const auto found = name_numbers_.find(matcher.name());
    if (found == name_numbers_.end()) return std::make_shared<const std::vector<PairId>>();
    const Name& name = names_[found->second];
    if (!hit || known.name != found->second || known.removals != name.removals) {
      known = {found->second, name.removals, 0, nullptr};
    }
    candidates.assign(name.pairs.begin() + static_cast<ptrdiff_t>(known.tried), name.pairs.end());
    known.tried = name.pairs.size();
  }
  if (candidates.empty() && known.pairs != nullptr) return known.pairs;
  std::vector<PairId> pairs;
  if (known.pairs != nullptr) pairs = *known.pairs;
  for (const PairId pair : candidates) {
    if (wanted(TextOf(pairs_[pair].text))) pairs.push_back(pair);
  }
  known.pairs = std::make_shared<const std::vector<PairId>>(std::move(pairs));
  matches_.Put(key, known);
  return known.pairs;
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
    std::vector<PairId> pairs;
    ReaderMutexLock lock(&mu_);
    for (const std::string& value : values) {
      PairId pair;
      if (!value.empty() && FindPairLocked(matcher.name(), value, &pair)) pairs.push_back(pair);
    }
    // An expression may name a value twice.
    std::sort(pairs.begin(), pairs.end());
    pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
    term.pairs = std::make_shared<const std::vector<PairId>>(std::move(pairs));
    return term;
  }
  if (matcher.value() == ".*" || matcher.value() == ".+") {
    // All values match: =~".*" takes nothing away, !~".+" takes away all.
    const bool takes_none = !negative && matches_empty;
    const bool selects_none = negative && !matches_empty;
    if (!takes_none && !selects_none) return AllValues(matcher.name(), matches_empty);
    term.pairs = std::make_shared<const std::vector<PairId>>();
    return term;
  }
  const std::string_view prefix = matcher.regex().prefix();
  term.pairs = Scan(matcher, [&](std::string_view value) {
    const bool listed = value.starts_with(prefix) && matcher.Matches(value) != negative;
    return listed == wants_listed;
  });
  return term;
}

std::vector<Slot> SeriesIndex::AllLocked() const {
  std::vector<Slot> slots;
  slots.reserve(series_.size());
  const size_t end = table_->slots_end();
  if (series_.size() == end) {
    slots.resize(end);
    for (size_t i = 0; i < end; ++i) slots[i] = static_cast<Slot>(i);
    return slots;
  }
  SlotBits bits((end + 63) / 64);
  for (const Slot slot : series_) bits[slot / 64] |= uint64_t{1} << slot % 64;
  AppendBits(bits, &slots);
  return slots;
}

std::vector<Slot> SeriesIndex::UnionLocked(const Term& term) const {
  std::vector<Slot> slots;
  const std::vector<PairId>& pairs = *term.pairs;
  if (pairs.size() == 1) {
    pairs_[pairs.front()].postings.AppendTo(&slots);
    return slots;
  }
  // The lists have no series in common: a series has one value of a name.
  constexpr size_t kSortMax = 256;
  if (term.postings <= kSortMax) {
    for (const PairId pair : pairs) pairs_[pair].postings.AppendTo(&slots);
    std::sort(slots.begin(), slots.end());
    return slots;
  }
  SlotBits bits((table_->slots_end() + 63) / 64);
  for (const PairId pair : pairs) pairs_[pair].postings.SetIn(&bits);
  slots.reserve(term.postings);
  AppendBits(bits, &slots);
  return slots;
}

void SeriesIndex::NarrowLocked(const Term& term, std::vector<Slot>* slots) const {
  const std::vector<PairId>& pairs = *term.pairs;
  if (pairs.size() == 1) {
    pairs_[pairs.front()].postings.Narrow(term.subtract, slots);
    return;
  }
  // With few series left it is cheaper to look at their labels than to join the lists.
  constexpr size_t kLabelsFactor = 4;
  if (slots->size() * kLabelsFactor >= term.postings) {
    IntersectSlots(UnionLocked(term), term.subtract, slots);
    return;
  }
  std::vector<uint64_t> wanted((pairs_.size() + 63) / 64);
  for (const PairId pair : pairs) wanted[pair / 64] |= uint64_t{1} << pair % 64;
  std::erase_if(*slots, [&](Slot slot) {
    const std::span<const PairId> of_slot = PairsOf(slot);
    const bool has = std::any_of(of_slot.begin(), of_slot.end(), [&](PairId pair) {
      return (wanted[pair / 64] >> pair % 64 & 1) != 0;
    });
    return has == term.subtract;
  });
}

std::vector<Slot> SeriesIndex::Select(std::span<const Matcher> matchers) const {
  std::vector<Term> terms;
  for (const Matcher& matcher : matchers) terms.push_back(TermOf(matcher));

  ReaderMutexLock lock(&mu_);
  for (Term& term : terms) {
    for (const PairId pair : *term.pairs) term.postings += pairs_[pair].postings.size();
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
    slots = AllLocked();
  }
  for (const Term& term : rest) {
    if (slots.empty()) break;
    NarrowLocked(term, &slots);
  }
  return slots;
}

void SeriesIndex::SortByLabels(std::vector<Slot>* slots) const {
  // Few sets are compared by their texts, where they differ.
  constexpr size_t kFew = 256;
  if (slots->size() <= kFew) {
    std::sort(slots->begin(), slots->end(), [&](Slot a, Slot b) {
      const std::span<const PairId> of_a = PairsOf(a);
      const std::span<const PairId> of_b = PairsOf(b);
      const auto [at_a, at_b] = std::mismatch(of_a.begin(), of_a.end(), of_b.begin(), of_b.end());
      if (at_b == of_b.end()) return false;
      return at_a == of_a.end() || LabelOf(*at_a) < LabelOf(*at_b);
    });
    return;
  }
  // Every pair that occurs gets its rank among them, so that sets compare as runs of numbers.
  std::vector<PairId> pairs;
  std::vector<uint32_t> ranks;  // By pair.
  for (const Slot slot : *slots) {
    for (const PairId pair : PairsOf(slot)) {
      if (pair >= ranks.size()) ranks.resize(std::max<size_t>(pair + 1, ranks.size() * 2));
      if (std::exchange(ranks[pair], 1) == 0) pairs.push_back(pair);
    }
  }
  std::vector<std::pair<LabelView, PairId>> texts(pairs.size());
  for (size_t i = 0; i < pairs.size(); ++i) texts[i] = {LabelOf(pairs[i]), pairs[i]};
  std::sort(texts.begin(), texts.end());
  for (size_t i = 0; i < texts.size(); ++i) ranks[texts[i].second] = static_cast<uint32_t>(i) + 1;

  // Most sets differ in the first two.
  struct Key {
    uint64_t first_ranks;
    Slot slot;
  };
  std::vector<Key> keys;
  keys.reserve(slots->size());
  for (const Slot slot : *slots) {
    const std::span<const PairId> of_slot = PairsOf(slot);
    const uint64_t first = of_slot.empty() ? 0 : ranks[of_slot[0]];
    const uint64_t second = of_slot.size() < 2 ? 0 : ranks[of_slot[1]];
    keys.push_back({first << 32 | second, slot});
  }
  std::sort(keys.begin(), keys.end(), [&](const Key& a, const Key& b) {
    if (a.first_ranks != b.first_ranks) return a.first_ranks < b.first_ranks;
    const std::span<const PairId> of_a = PairsOf(a.slot);
    const std::span<const PairId> of_b = PairsOf(b.slot);
    return std::lexicographical_compare(of_a.begin(), of_a.end(), of_b.begin(), of_b.end(),
                                        [&](PairId x, PairId y) { return ranks[x] < ranks[y]; });
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
  for (size_t i = 0; i < slots.size(); ++i) {
    views.clear();
    if (slots[i] != kNoSlot) {
      for (const PairId pair : PairsOf(slots[i])) views.push_back(LabelOf(pair));
    }
    visit(i, views);
  }
}

std::vector<std::string> SeriesIndex::Names(const Keep& keep) const {
  std::vector<std::string_view> texts;
  ReaderMutexLock lock(&mu_);
  for (const auto& [text, name] : name_numbers_) {
    const std::vector<PairId>& pairs = names_[name].pairs;
    const bool any = std::any_of(pairs.begin(), pairs.end(),
                                 [&](PairId pair) { return pairs_[pair].postings.Any(keep); });
    if (any) texts.push_back(text);
  }
  return SortedTexts(std::move(texts));
}

std::vector<std::string> SeriesIndex::Values(std::string_view name, const Keep& keep) const {
  std::vector<std::string_view> texts;
  ReaderMutexLock lock(&mu_);
  const auto found = name_numbers_.find(name);
  if (found == name_numbers_.end()) return {};
  for (const PairId pair : names_[found->second].pairs) {
    if (pairs_[pair].postings.Any(keep)) texts.push_back(TextOf(pairs_[pair].text));
  }
  return SortedTexts(std::move(texts));
}

std::vector<std::string> SeriesIndex::NamesOf(std::span<const Slot> slots) const {
  absl::flat_hash_set<uint32_t> seen;
  for (const Slot slot : slots) {
    for (const PairId pair : PairsOf(slot)) seen.insert(pairs_[pair].name);
  }
  std::vector<std::string_view> texts;
  for (const uint32_t name : seen) texts.push_back(names_[name].text);
  return SortedTexts(std::move(texts));
}

std::vector<std::string> SeriesIndex::ValuesOf(std::string_view name,
                                               std::span<const Slot> slots) const {
  absl::flat_hash_set<PairId> seen;
  uint32_t number;
  {
    ReaderMutexLock lock(&mu_);
    const auto found = name_numbers_.find(name);
    if (found == name_numbers_.end()) return {};
    number = found->second;
  }
  for (const Slot slot : slots) {
    for (const PairId pair : PairsOf(slot)) {
      if (pairs_[pair].name == number) seen.insert(pair);
    }
  }
  std::vector<std::string_view> texts;
  for (const PairId pair : seen) texts.push_back(TextOf(pairs_[pair].text));
  return SortedTexts(std::move(texts));
}

size_t SeriesIndex::SeriesWith(std::string_view name, std::string_view value) const {
  ReaderMutexLock lock(&mu_);
  PairId pair;
  return FindPairLocked(name, value, &pair) ? pairs_[pair].postings.size() : 0;
}

size_t SeriesIndex::pairs() const {
  ReaderMutexLock lock(&mu_);
  return pair_ids_.size();
}

size_t SeriesIndex::symbols_bytes() const {
  ReaderMutexLock lock(&mu_);
  return text_bytes_;
}

SeriesIndex::Memory SeriesIndex::memory() const {
  Memory memory;
  ReaderMutexLock lock(&mu_);
  memory.symbols = text_bytes_;
  // The lists of a name's pairs are counted as if they had no room to spare.
  memory.pairs = pairs_.memory_bytes() + pairs_.size() * sizeof(PairId) +
                 pair_ids_.capacity() * (sizeof(PairId) + 1) + matches_.memory_bytes();
  memory.postings = postings_bytes_;
  memory.series = pieces_.memory_bytes() - text_bytes_ + series_.capacity() * (sizeof(Slot) + 1);
  return memory;
}

}  // namespace narthex::tsdb
