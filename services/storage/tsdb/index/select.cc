#include "services/storage/tsdb/index/select.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

// A matcher is a set of values of its label, given by a condition that the empty value does not
// meet: series with one of them are kept, or, where the matcher holds for the empty value, taken
// out. Single values are looked up and intersected first, the shortest list leading. What is left
// of conditions is then asked of each series, where few are left, or of each value, whose lists are
// united and remembered.
namespace narthex::index {
namespace {

// To read one label of a series takes about as long as to run an expression on two values.
constexpr size_t kValuesPerSeries = 2;
// Below that many values a union is not worth remembering.
constexpr size_t kValuesRememberedMin = 64;

// How a matcher narrows a selection.
struct Term {
  const Matcher* matcher = nullptr;
  bool subtract = false;  // Takes out the series with the values; else keeps them.
  // Exactly these values; else all for which Wanted() holds.
  std::optional<std::vector<std::string>> values;
  std::string_view prefix;  // All values begin so.
  size_t cost = 0;          // Values to look at.

  bool Wanted(std::string_view value) const { return matcher->Matches(value) != subtract; }
};

bool IsRegex(const Matcher& matcher) {
  return matcher.type() == MatchType::kRegex || matcher.type() == MatchType::kNotRegex;
}

// Whether the set of values is what matcher's value or expression describes (not its complement).
bool IsPositive(const Matcher& matcher, bool subtract) {
  const bool negated =
      matcher.type() == MatchType::kNotEqual || matcher.type() == MatchType::kNotRegex;
  return negated == subtract;
}

Term MakeTerm(const Reader& reader, const Matcher& matcher) {
  Term term;
  term.matcher = &matcher;
  term.subtract = matcher.MatchesEmpty();
  term.cost = reader.values(matcher.name());
  if (!IsPositive(matcher, term.subtract)) return term;
  if (!IsRegex(matcher)) {
    term.values = {matcher.value()};
  } else if (matcher.regex().literals()) {
    term.values = *matcher.regex().literals();
  } else {
    term.prefix = matcher.regex().prefix();
  }
  if (term.values) term.cost = std::min(term.cost, term.values->size());
  return term;
}

// The lists of the term's values.
absl::Status ListsOf(const Reader& reader, const Term& term, std::vector<PostingsView>* lists) {
  const std::string& name = term.matcher->name();
  if (term.values) {
    for (const std::string& value : *term.values) {
      if (value.empty()) continue;
      NARTHEX_ASSIGN_OR_RETURN(const PostingsView list, reader.Postings(name, value));
      if (!list.empty()) lists->push_back(list);
    }
    return absl::OkStatus();
  }
  absl::Status status;
  const absl::Status visited =
      reader.VisitValues(name, term.prefix, [&](std::string_view value, uint64_t offset) {
        if (!term.Wanted(value)) return true;
        const auto list = reader.PostingsAt(offset);
        if (!list.ok()) {
          status = list.status();
          return false;
        }
        lists->push_back(*list);
        return true;
      });
  return status.ok() ? visited : status;
}

// Narrows *series, of which nothing is all of them, still.
class Narrower {
 public:
  Narrower(const Reader& reader, PostingsCache* cache, std::optional<SeriesList>* series)
      : reader_(reader), cache_(cache), series_(series) {}

  absl::Status Apply(const Term& term) {
    const bool remember = cache_ != nullptr && term.cost >= kValuesRememberedMin;
    std::string key;
    PostingsCache::Entry united;
    if (remember) {
      key =
          StrCat(term.matcher->name(), MatchTypeText(term.matcher->type()), term.matcher->value());
      united = cache_->Find(key);
    }
    if (united == nullptr) {
      std::vector<PostingsView> lists;
      NARTHEX_RETURN_IF_ERROR(ListsOf(reader_, term, &lists));
      // Alone, a list need not be copied.
      if (lists.size() == 1 && !remember) return ApplyList(lists[0], term.subtract);
      united = std::make_shared<const SeriesList>(Union(lists));
      if (remember) cache_->Insert(key, united);
    }
    return ApplyList(std::span<const uint32_t>(*united), term.subtract);
  }

 private:
  static SeriesList Copied(PostingsView list) { return Copy(list); }
  static SeriesList Copied(std::span<const uint32_t> list) { return {list.begin(), list.end()}; }

  template <typename List>
  absl::Status ApplyList(const List& list, bool subtract) {
    if (!*series_ && !subtract) {
      *series_ = Copied(list);
      return absl::OkStatus();
    }
    if (!*series_) {
      NARTHEX_ASSIGN_OR_RETURN(const PostingsView all, reader_.AllPostings());
      *series_ = Copy(all);
    }
    if (subtract) {
      Subtract(list, &**series_);
    } else {
      Intersect(list, &**series_);
    }
    return absl::OkStatus();
  }

  const Reader& reader_;
  PostingsCache* const cache_;
  std::optional<SeriesList>* const series_;
};

// Asks the label of each series; neighbours mostly have the same value.
absl::Status FilterSeries(const Reader& reader, const Matcher& matcher, SeriesList* series) {
  size_t out = 0;
  const char* last_value = nullptr;
  bool last_holds = false;
  for (const uint32_t one : *series) {
    NARTHEX_ASSIGN_OR_RETURN(const std::string_view value, reader.LabelValue(one, matcher.name()));
    if (value.data() == nullptr || value.data() != last_value) {
      last_holds = matcher.Matches(value);
      last_value = value.data();
    }
    if (last_holds) (*series)[out++] = one;
  }
  series->resize(out);
  return absl::OkStatus();
}

}  // namespace

PostingsCache::Entry PostingsCache::Find(std::string_view key) {
  MutexLock lock(&mu_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  items_.splice(items_.begin(), items_, found->second);
  return found->second->list;
}

void PostingsCache::Insert(std::string_view key, Entry list) {
  const size_t bytes = list->size() * sizeof(uint32_t) + key.size() + sizeof(Item);
  if (bytes > bytes_max_ / 4) return;
  MutexLock lock(&mu_);
  if (by_key_.contains(key)) return;
  items_.push_front({std::string(key), std::move(list), bytes});
  by_key_.emplace(items_.front().key, items_.begin());
  bytes_ += bytes;
  while (bytes_ > bytes_max_) {
    by_key_.erase(items_.back().key);
    bytes_ -= items_.back().bytes;
    items_.pop_back();
  }
}

size_t PostingsCache::size_bytes() const {
  MutexLock lock(&mu_);
  return bytes_;
}

absl::StatusOr<SeriesList> Select(const Reader& reader, std::span<const Matcher> matchers,
                                  PostingsCache* cache) {
  std::vector<PostingsView> single;  // To intersect.
  std::vector<Term> terms;
  for (const Matcher& matcher : matchers) {
    // `x=~".*"` holds for everything.
    if (matcher.type() == MatchType::kRegex && matcher.value() == ".*") continue;
    Term term = MakeTerm(reader, matcher);
    if (term.subtract || !term.values || term.values->size() != 1) {
      terms.push_back(std::move(term));
      continue;
    }
    NARTHEX_ASSIGN_OR_RETURN(const PostingsView list,
                             reader.Postings(matcher.name(), term.values->front()));
    if (list.empty()) return SeriesList();
    single.push_back(list);
  }

  std::sort(single.begin(), single.end(),
            [](PostingsView a, PostingsView b) { return a.size() < b.size(); });
  std::optional<SeriesList> series;  // Nothing: all of them, still.
  for (const PostingsView list : single) {
    if (!series) {
      series = Copy(list);
    } else {
      Intersect(list, &*series);
    }
    if (series->empty()) return SeriesList();
  }

  // Those that keep go before those that take out, the cheap before the dear.
  std::stable_sort(terms.begin(), terms.end(), [](const Term& a, const Term& b) {
    return a.subtract != b.subtract ? b.subtract : a.cost < b.cost;
  });
  Narrower narrower(reader, cache, &series);
  for (const Term& term : terms) {
    if (series && series->size() * kValuesPerSeries < term.cost) {
      NARTHEX_RETURN_IF_ERROR(FilterSeries(reader, *term.matcher, &*series));
      continue;
    }
    NARTHEX_RETURN_IF_ERROR(narrower.Apply(term));
  }
  if (series) return *std::move(series);
  NARTHEX_ASSIGN_OR_RETURN(const PostingsView all, reader.AllPostings());
  return Copy(all);
}

}  // namespace narthex::index
