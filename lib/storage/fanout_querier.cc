#include "lib/storage/fanout_querier.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/coding.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/thread.h"
#include "lib/storage/changed_labels.h"
#include "lib/storage/merge.h"

namespace narthex::storage {
namespace {

// Calls ask(i) for each i below `count`, each on a thread of its own, the first one on this thread.
template <typename Result>
std::vector<absl::StatusOr<Result>> AskAll(
    size_t count, const std::function<absl::StatusOr<Result>(size_t)>& ask) {
  std::vector<absl::StatusOr<Result>> results(count);
  std::vector<Thread> threads;
  for (size_t i = 1; i < count; ++i) {
    threads.emplace_back("fanout", [&, i] { results[i] = ask(i); });
  }
  results[0] = ask(0);
  for (Thread& thread : threads) thread.Join();
  return results;
}

bool IsAway(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

// OK when some store answered and every other one is merely away: those are named in *warnings.
template <typename Result>
absl::Status Judge(const std::vector<absl::StatusOr<Result>>& results,
                   std::vector<std::string>* warnings) {
  size_t answered = 0;
  for (const absl::StatusOr<Result>& result : results) {
    if (result.ok()) {
      ++answered;
    } else if (IsAway(result.status())) {
      warnings->emplace_back(Message(result.status()));
    } else {
      return result.status();
    }
  }
  return answered > 0 ? absl::OkStatus() : results[0].status();
}

// A revision of several stores is one part a store, in their order.
std::vector<std::string> SplitRevision(std::string_view revision, size_t stores) {
  std::vector<std::string> parts;
  ByteReader reader(revision);
  std::string_view part;
  while (!reader.done() && reader.ReadLengthPrefixed(&part)) parts.emplace_back(part);
  if (parts.size() != stores) parts.assign(stores, "");
  return parts;
}

void AddChanges(const DataChanges& of_store, DataChanges* all) {
  AppendLengthPrefixed(&all->revision, of_store.revision);
  all->oldest_change = std::min(all->oldest_change, of_store.oldest_change);
}

void SortUnique(std::vector<std::string>* strings) {
  std::sort(strings->begin(), strings->end());
  strings->erase(std::unique(strings->begin(), strings->end()), strings->end());
}

// Leaves out series whose own label of the matcher's name does not match.
class OwnLabelSet : public SeriesSet {
 public:
  OwnLabelSet(std::unique_ptr<SeriesSet> set, Matcher matcher)
      : set_(std::move(set)), matcher_(std::move(matcher)) {}
  bool Next() override {
    while (set_->Next()) {
      const std::string_view own = set_->labels().Get(matcher_.name());
      if (own.empty() || matcher_.Matches(own)) return true;
    }
    return false;
  }
  const Labels& labels() const override { return set_->labels(); }
  absl::Status ReadSamples(SampleBuffer* out) override { return set_->ReadSamples(out); }
  absl::Status status() const override { return set_->status(); }

 private:
  const std::unique_ptr<SeriesSet> set_;
  const Matcher matcher_;
};

}  // namespace

// One store with the labels that tell it from the others.
class FanoutQuerier::View {
 public:
  View() = default;
  View(Querier* querier, std::vector<std::pair<std::string, std::string>> labels,
       const std::vector<std::string>* replica_labels)
      : querier_(querier), labels_(std::move(labels)), replica_labels_(replica_labels) {}

  Querier* querier() const { return querier_; }
  const std::vector<std::pair<std::string, std::string>>& labels() const { return labels_; }

  absl::StatusOr<SelectResult> Select(std::span<const Selector> selectors,
                                      SelectOptions options) const {
    options.sorted = true;
    std::vector<Selector> inner(selectors.begin(), selectors.end());
    std::vector<std::vector<Matcher>> own(selectors.size());
    for (size_t i = 0; i < inner.size(); ++i) {
      inner[i].matchers = Inner(selectors[i].matchers, &own[i]);
      // A limit holds for what is left in the end.
      if (!own[i].empty()) inner[i].hints.limit = 0;
    }
    NARTHEX_ASSIGN_OR_RETURN(SelectResult result, querier_->Select(inner, options));
    for (size_t i = 0; i < inner.size(); ++i) {
      std::unique_ptr<SeriesSet>& set = result.sets[i];
      for (Matcher& matcher : own[i]) {
        set = std::make_unique<OwnLabelSet>(std::move(set), std::move(matcher));
      }
      for (const auto& [name, value] : labels_) set = WithLabel(std::move(set), name, value);
      for (const std::string& name : *replica_labels_) set = WithoutLabel(std::move(set), name);
    }
    return result;
  }

  Strings LabelNames(std::span<const std::vector<Matcher>> sets, Timestamp min_time,
                     Timestamp max_time) const {
    NARTHEX_ASSIGN_OR_RETURN(std::vector<std::string> names,
                             querier_->LabelNames(Inner(sets), min_time, max_time));
    if (names.empty()) return names;
    for (const auto& [name, value] : labels_) names.push_back(name);
    std::erase_if(names, [&](const std::string& name) { return IsReplicaLabel(name); });
    return names;
  }

  Strings LabelValues(std::string_view name, std::span<const std::vector<Matcher>> sets,
                      Timestamp min_time, Timestamp max_time) const {
    if (IsReplicaLabel(name)) return std::vector<std::string>();
    const std::vector<std::vector<Matcher>> inner = Inner(sets);
    NARTHEX_ASSIGN_OR_RETURN(std::vector<std::string> values,
                             querier_->LabelValues(name, inner, min_time, max_time));
    for (const auto& [own_name, value] : labels_) {
      if (own_name != name) continue;
      NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> any,
                               querier_->LabelNames(inner, min_time, max_time));
      if (!any.empty()) values.push_back(value);
    }
    return values;
  }

 private:
  bool IsReplicaLabel(std::string_view name) const {
    return std::find(replica_labels_->begin(), replica_labels_->end(), name) !=
           replica_labels_->end();
  }

  // The matchers as the store understands them. Where one asks for a label that the store's series
  // get here, it holds for those without one of their own or it does not: in the first case it
  // remains to be asked of the others (*own, which may be null), in the second only the others are
  // wanted.
  std::vector<Matcher> Inner(const std::vector<Matcher>& matchers,
                             std::vector<Matcher>* own) const {
    std::vector<Matcher> inner;
    for (const Matcher& matcher : matchers) {
      const auto label = std::find_if(labels_.begin(), labels_.end(),
                                      [&](const auto& one) { return one.first == matcher.name(); });
      if (label == labels_.end()) {
        inner.push_back(matcher);
      } else if (matcher.Matches(label->second)) {
        if (own != nullptr) own->push_back(matcher);
      } else {
        inner.push_back(matcher);
        inner.push_back(Matcher::Create(MatchType::kNotEqual, matcher.name(), "").value());
      }
    }
    return inner;
  }
  std::vector<std::vector<Matcher>> Inner(std::span<const std::vector<Matcher>> sets) const {
    std::vector<std::vector<Matcher>> inner;
    inner.reserve(sets.size());
    for (const std::vector<Matcher>& matchers : sets) inner.push_back(Inner(matchers, nullptr));
    return inner;
  }

  Querier* querier_ = nullptr;
  // External labels that this store's series get; no replica labels.
  std::vector<std::pair<std::string, std::string>> labels_;
  const std::vector<std::string>* replica_labels_ = nullptr;
};

FanoutQuerier::FanoutQuerier(std::vector<Querier*> stores)
    : FanoutQuerier(
          [&] {
            std::vector<FanoutStore> plain;
            for (Querier* const store : stores) plain.push_back({store, nullptr});
            return plain;
          }(),
          {}) {}

FanoutQuerier::FanoutQuerier(std::vector<FanoutStore> stores,
                             std::vector<std::string> replica_labels)
    : stores_(std::move(stores)),
      replica_labels_(std::move(replica_labels)),
      simple_(stores_.size() == 1 && replica_labels_.empty()) {
  NARTHEX_CHECK(!stores_.empty());
}

std::vector<absl::StatusOr<FanoutQuerier::View>> FanoutQuerier::Views() const {
  const std::vector<absl::StatusOr<Labels>> known =
      AskAll<Labels>(stores_.size(), [&](size_t i) -> absl::StatusOr<Labels> {
        return stores_[i].external_labels ? stores_[i].external_labels() : Labels();
      });
  // The values of each label; a store without it has the empty one.
  std::map<std::string, std::set<std::string>> values;
  size_t answered = 0;
  for (const absl::StatusOr<Labels>& labels : known) answered += labels.ok() ? 1 : 0;
  std::map<std::string, size_t> counts;
  for (const absl::StatusOr<Labels>& labels : known) {
    if (!labels.ok()) continue;
    for (const LabelView label : *labels) {
      values[std::string(label.name)].emplace(label.value);
      ++counts[std::string(label.name)];
    }
  }
  std::vector<absl::StatusOr<View>> views;
  for (size_t i = 0; i < stores_.size(); ++i) {
    if (!known[i].ok()) {
      views.emplace_back(known[i].status());
      continue;
    }
    std::vector<std::pair<std::string, std::string>> labels;
    for (const LabelView label : *known[i]) {
      const std::string name(label.name);
      const bool differs = values[name].size() > 1 || counts[name] < answered;
      const bool replica =
          std::find(replica_labels_.begin(), replica_labels_.end(), name) != replica_labels_.end();
      if (differs && !replica) labels.emplace_back(name, label.value);
    }
    views.emplace_back(View(stores_[i].querier, std::move(labels), &replica_labels_));
  }
  return views;
}

absl::StatusOr<SelectResult> FanoutQuerier::Select(std::span<const Selector> selectors,
                                                   const SelectOptions& options) {
  if (simple_) return stores_[0].querier->Select(selectors, options);
  const std::vector<std::string> known = SplitRevision(options.known_revision, stores_.size());
  const std::vector<absl::StatusOr<View>> views = Views();
  std::vector<absl::StatusOr<SelectResult>> results =
      AskAll<SelectResult>(views.size(), [&](size_t i) -> absl::StatusOr<SelectResult> {
        if (!views[i].ok()) return views[i].status();
        SelectOptions of_store = options;
        of_store.known_revision = known[i];
        return views[i]->Select(selectors, std::move(of_store));
      });
  SelectResult joined;
  NARTHEX_RETURN_IF_ERROR(Judge(results, &joined.warnings));
  for (size_t selector = 0; selector < selectors.size(); ++selector) {
    std::vector<std::unique_ptr<SeriesSet>> sets;
    for (absl::StatusOr<SelectResult>& result : results) {
      if (result.ok()) sets.push_back(std::move(result->sets[selector]));
    }
    joined.sets.push_back(replica_labels_.empty() ? MergeSeriesSets(std::move(sets))
                                                  : MergeReplicaSets(std::move(sets)));
  }
  joined.changes.oldest_change = kMaxTimestamp;
  for (const absl::StatusOr<SelectResult>& result : results) {
    AddChanges(result.ok() ? result->changes : DataChanges(), &joined.changes);
    if (!result.ok()) continue;
    joined.warnings.insert(joined.warnings.end(), result->warnings.begin(), result->warnings.end());
  }
  return joined;
}

absl::StatusOr<DataChanges> FanoutQuerier::Changes(std::string_view known_revision) {
  if (simple_) return stores_[0].querier->Changes(known_revision);
  const std::vector<std::string> known = SplitRevision(known_revision, stores_.size());
  const std::vector<absl::StatusOr<DataChanges>> results = AskAll<DataChanges>(
      stores_.size(), [&](size_t i) { return stores_[i].querier->Changes(known[i]); });
  std::vector<std::string> warnings;
  NARTHEX_RETURN_IF_ERROR(Judge(results, &warnings));
  DataChanges joined;
  joined.oldest_change = kMaxTimestamp;
  for (const absl::StatusOr<DataChanges>& result : results) {
    AddChanges(result.ok() ? *result : DataChanges(), &joined);
  }
  return joined;
}

FanoutQuerier::Strings FanoutQuerier::JoinStrings(const std::function<Strings(const View&)>& ask,
                                                  std::vector<std::string>* warnings) {
  const std::vector<absl::StatusOr<View>> views = Views();
  std::vector<Strings> results =
      AskAll<std::vector<std::string>>(views.size(), [&](size_t i) -> Strings {
        if (!views[i].ok()) return views[i].status();
        return ask(*views[i]);
      });
  NARTHEX_RETURN_IF_ERROR(Judge(results, warnings));
  std::vector<std::string> joined;
  for (Strings& result : results) {
    if (!result.ok()) continue;
    joined.insert(joined.end(), std::make_move_iterator(result->begin()),
                  std::make_move_iterator(result->end()));
  }
  SortUnique(&joined);
  return joined;
}

absl::StatusOr<std::vector<std::string>> FanoutQuerier::LabelNames(
    std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time, Timestamp max_time,
    std::vector<std::string>* warnings) {
  if (simple_) return stores_[0].querier->LabelNames(matcher_sets, min_time, max_time);
  return JoinStrings(
      [&](const View& view) { return view.LabelNames(matcher_sets, min_time, max_time); },
      warnings);
}

absl::StatusOr<std::vector<std::string>> FanoutQuerier::LabelValues(
    std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
    Timestamp max_time, std::vector<std::string>* warnings) {
  if (simple_) return stores_[0].querier->LabelValues(name, matcher_sets, min_time, max_time);
  return JoinStrings(
      [&](const View& view) { return view.LabelValues(name, matcher_sets, min_time, max_time); },
      warnings);
}

absl::StatusOr<std::vector<std::string>> FanoutQuerier::LabelNames(
    std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time, Timestamp max_time) {
  std::vector<std::string> warnings;
  return LabelNames(matcher_sets, min_time, max_time, &warnings);
}

absl::StatusOr<std::vector<std::string>> FanoutQuerier::LabelValues(
    std::string_view name, std::span<const std::vector<Matcher>> matcher_sets, Timestamp min_time,
    Timestamp max_time) {
  std::vector<std::string> warnings;
  return LabelValues(name, matcher_sets, min_time, max_time, &warnings);
}

}  // namespace narthex::storage
