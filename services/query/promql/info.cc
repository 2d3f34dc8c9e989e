#include <algorithm>
#include <map>
#include <utility>

#include "lib/labels/labels_builder.h"
#include "services/query/promql/instant_functions.h"
#include "services/query/promql/row_operators.h"

// info(): the labels of info series (target_info, …) joined to other series.
namespace narthex::promql {
namespace {

// Both sides belong together when these are equal.
const std::vector<std::string>& IdentifyingLabels() {
  static const std::vector<std::string> kLabels = {"instance", "job"};
  return kLabels;
}

bool MatchesAll(const std::vector<Matcher>& matchers, std::string_view value) {
  return std::all_of(matchers.begin(), matchers.end(),
                     [value](const Matcher& matcher) { return matcher.Matches(value); });
}

class Info : public VectorOperator {
 public:
  Info(EvalContext* context, VectorOperatorPtr child, VectorOperatorPtr info,
       InfoArguments arguments, size_t count)
      : context_(context),
        child_(std::move(child)),
        info_(std::move(info)),
        arguments_(std::move(arguments)),
        count_(count),
        info_rows_(context),
        grouper_(IdentifyingLabels(), /*by=*/true) {
    drops_unmatched_ = std::any_of(arguments_.data_matchers.begin(), arguments_.data_matchers.end(),
                                   [](const Matcher& matcher) { return !matcher.MatchesEmpty(); });
  }

  bool Next(Row* row) override {
    if (info_ != nullptr && !ReadInfo()) return false;
    while (ready_.empty()) {
      Row base;
      if (!child_->Next(&base) || !context_->Tick(count_)) return false;
      if (!Enrich(std::move(base))) return false;
    }
    *row = std::move(ready_.back());
    ready_.pop_back();
    return true;
  }

 private:
  using InfoRows = std::vector<const Row*>;

  bool ReadInfo() {
    const VectorOperatorPtr info = std::move(info_);
    if (!info_rows_.ReadAll(info.get())) return false;
    for (const Row& row : info_rows_.rows()) {
      bool added = false;
      const size_t group = grouper_.Find(row.labels, &added);
      if (added) groups_.emplace_back();
      groups_[group].push_back(&row);
    }
    return true;
  }

  // Splits a series by the labels that it gets at each step.
  bool Enrich(Row base) {
    const bool is_info = MatchesAll(arguments_.name_matchers, base.labels.metric_name());
    const bool identified = base.labels.Has("instance") || base.labels.Has("job");
    const size_t group = grouper_.Lookup(base.labels);
    if (is_info || (!drops_unmatched_ && (!identified || group >= groups_.size()))) {
      ready_.push_back(std::move(base));
      return true;
    }
    static const InfoRows kNone;
    const InfoRows& candidates = identified && group < groups_.size() ? groups_[group] : kNone;
    std::map<Labels, Row> results;
    std::vector<const Row*> chosen;
    std::vector<const Row*> last_chosen;
    Row* target = nullptr;
    for (size_t i = 0; i < count_; ++i) {
      if (!base.PresentAt(i)) continue;
      if (!Choose(candidates, i, &chosen)) return false;
      if (target == nullptr || chosen != last_chosen) {
        Labels labels;
        if (!Join(base.labels, chosen, &labels)) return false;
        target = &results[labels];
        target->labels = labels;
        target->drop_name = base.drop_name;
        if (target->values.empty()) target->Reset(count_);
        last_chosen = chosen;
      }
      if (!chosen.empty() || !drops_unmatched_) target->CopyAt(i, base);
    }
    for (auto& [labels, row] : results) ready_.push_back(std::move(row));
    return true;
  }

  // Of each info metric the series with the newest sample.
  bool Choose(const InfoRows& candidates, size_t step, std::vector<const Row*>* chosen) {
    chosen->clear();
    for (const Row* candidate : candidates) {
      if (IsAbsent(candidate->values[step])) continue;
      const auto same = std::find_if(chosen->begin(), chosen->end(), [&](const Row* other) {
        return other->labels.metric_name() == candidate->labels.metric_name();
      });
      if (same == chosen->end()) {
        chosen->push_back(candidate);
      } else if ((*same)->values[step] == candidate->values[step]) {
        context_->Error("found duplicate series for info metric: existing ",
                        (*same)->labels.ToString(), ", new ", candidate->labels.ToString());
        return false;
      } else if ((*same)->values[step] < candidate->values[step]) {
        *same = candidate;
      }
    }
    return true;
  }

  bool Wanted(std::string_view label) const {
    if (label == kMetricName) return false;
    const auto& identifying = IdentifyingLabels();
    if (std::find(identifying.begin(), identifying.end(), label) != identifying.end()) return false;
    if (arguments_.data_matchers.empty()) return true;
    return std::any_of(arguments_.data_matchers.begin(), arguments_.data_matchers.end(),
                       [label](const Matcher& matcher) { return matcher.name() == label; });
  }

  bool Join(const Labels& base, const std::vector<const Row*>& chosen, Labels* out) {
    builder_.Reset(base);
    std::map<std::string_view, std::string_view> given;
    for (const Row* info : chosen) {
      for (const LabelView& label : info->labels) {
        if (!Wanted(label.name)) continue;
        const auto [it, added] = given.try_emplace(label.name, label.value);
        if (!added && it->second != label.value) {
          context_->Error("conflicting label: ", label.name);
          return false;
        }
        if (added && !base.Has(label.name)) builder_.Set(label.name, label.value);
      }
    }
    *out = builder_.Build();
    return true;
  }

  EvalContext* const context_;
  const VectorOperatorPtr child_;
  VectorOperatorPtr info_;  // Null once read.
  const InfoArguments arguments_;
  const size_t count_;
  bool drops_unmatched_ = false;
  RowBuffer info_rows_;
  LabelGrouper grouper_;
  std::vector<InfoRows> groups_;
  std::vector<Row> ready_;
  LabelsBuilder builder_;
};

}  // namespace

VectorOperatorPtr MakeInfo(EvalContext* context, VectorOperatorPtr child, VectorOperatorPtr info,
                           InfoArguments arguments, size_t count) {
  return MakeMerge(context, std::make_unique<Info>(context, std::move(child), std::move(info),
                                                   std::move(arguments), count));
}

}  // namespace narthex::promql
