#include <algorithm>
#include <optional>
#include <utility>

#include "lib/labels/labels_builder.h"
#include "services/query/promql/binary.h"
#include "services/query/promql/binary_histogram.h"
#include "services/query/promql/binary_number.h"
#include "services/query/promql/row_operators.h"

// Arithmetic and comparison of two instant vectors: which element of one side belongs to which of
// the other.
namespace narthex::promql {
namespace {

using Cardinality = VectorMatching::Cardinality;

// Both sides are sorted into match groups. Of the "one" side (the right one but for group_right)
// each group has at most one element at a step; it is kept in memory. The "many" side streams
// through.
class VectorBinary : public VectorOperator {
 public:
  VectorBinary(EvalContext* context, const BinaryArguments& arguments,
               const VectorMatching& matching, VectorOperatorPtr left, VectorOperatorPtr right,
               size_t count)
      : context_(context),
        arguments_(arguments),
        matching_(matching),
        swapped_(matching.cardinality == Cardinality::kOneToMany),
        one_(std::move(swapped_ ? left : right)),
        many_(std::move(swapped_ ? right : left)),
        // With group_right, too: upstream exchanges the sides but not what fills them.
        fill_one_(matching.fill_right),
        fill_many_(matching.fill_left),
        count_(count),
        grouper_(matching.labels, matching.on),
        one_rows_(context) {}

  bool Next(Row* row) override {
    if (one_ != nullptr && !ReadOneSide()) return false;
    while (ready_.empty()) {
      if (!context_->ok() || !Advance()) return false;
    }
    *row = std::move(ready_.back());
    ready_.pop_back();
    return true;
  }

 private:
  struct Group {
    std::vector<Row*> rows;  // Of the "one" side; a single one unless their labels are wanted.
    // Steps at which an element of the "many" side found its counterpart; made when the first does.
    std::vector<bool> matched;
    // With group_left and group_right: the same for each result.
    absl::flat_hash_map<Labels, std::vector<bool>> matched_results;
  };
  // Two elements of one group at one step.
  struct Conflict {
    const Row* first = nullptr;
    const Row* second = nullptr;
  };

  bool grouped() const { return matching_.cardinality != Cardinality::kOneToOne; }

  size_t GroupOf(const Labels& labels) {
    bool added = false;
    const size_t group = grouper_.Find(labels, &added);
    if (added) groups_.emplace_back();
    return group;
  }

  bool ReadOneSide() {
    const VectorOperatorPtr one = std::move(one_);
    if (!one_rows_.ReadAll(one.get())) return false;
    for (Row& row : one_rows_.rows()) groups_[GroupOf(row.labels)].rows.push_back(&row);
    for (Group& group : groups_) {
      if (group.rows.size() < 2) continue;
      FindConflicts(group);
      if (matching_.include.empty()) JoinRows(&group);
    }
    // Without the other side there is nothing wrong, unless missing elements are filled in.
    const bool fills = fill_one_.has_value() || fill_many_.has_value();
    if (!fills) return true;
    for (const Conflict& conflict : conflicts_) {
      if (conflict.first != nullptr) return Report(conflict);
    }
    return true;
  }

  void FindConflicts(const Group& group) {
    for (size_t i = 0; i < count_; ++i) {
      const Row* first = nullptr;
      for (const Row* row : group.rows) {
        if (!row->PresentAt(i)) continue;
        if (first != nullptr) {
          conflicts_.resize(count_);
          if (conflicts_[i].first == nullptr) conflicts_[i] = {first, row};
          break;
        }
        first = row;
      }
    }
  }

  static void JoinRows(Group* group) {
    Row* joined = group->rows.front();
    for (const Row* row : group->rows) {
      if (row == joined) continue;
      for (size_t i = 0; i < row->size(); ++i) {
        if (row->PresentAt(i) && !joined->PresentAt(i)) joined->CopyAt(i, *row);
      }
    }
    group->rows.resize(1);
  }

  bool Report(const Conflict& conflict) {
    context_->Error(
        "found duplicate series for the match group ",
        grouper_.GroupLabels(conflict.second->labels).ToString(), " on the ",
        swapped_ ? "left" : "right", " hand-side of the operation: [",
        conflict.second->labels.ToString(), ", ", conflict.first->labels.ToString(),
        "];many-to-many matching not allowed: matching labels must be unique on one side");
    return false;
  }

  // Adds to ready_ what the next row of the "many" side gives; after the last, what filling in
  // gives. False when nothing is left.
  bool Advance() {
    Row many;
    if (!many_done_) {
      if (many_->Next(&many)) return context_->Tick(count_) && Match(many);
      many_done_ = true;
      if (!context_->ok()) return false;
    }
    if (!fill_many_.has_value() || filled_ == groups_.size()) return false;
    const Group& group = groups_[filled_++];
    for (const Row* one : group.rows) FillMany(group, *one);
    return true;
  }

  bool Match(const Row& many) {
    for (size_t i = 0; i < conflicts_.size(); ++i) {
      if (conflicts_[i].first != nullptr && many.PresentAt(i)) return Report(conflicts_[i]);
    }
    const size_t number =
        fill_one_.has_value() ? GroupOf(many.labels) : grouper_.Lookup(many.labels);
    if (number >= groups_.size()) return true;
    Group& group = groups_[number];
    if (group.matched.empty()) group.matched.assign(count_, false);
    for (const Row* one : group.rows) {
      if (!Combine(&group, many, *one)) return false;
    }
    if (!fill_one_.has_value()) return true;
    Row missing;
    missing.labels = grouper_.GroupLabels(many.labels);
    missing.values.assign(count_, *fill_one_);
    for (const Row* one : group.rows) {
      for (size_t i = 0; i < count_; ++i) {
        if (one->PresentAt(i)) missing.values[i] = Absent();
      }
    }
    return Combine(&group, many, missing);
  }

  bool Combine(Group* group, const Row& many, const Row& one) {
    Row out;
    out.labels = ResultLabels(many.labels, one.labels);
    std::vector<bool> calculated;
    Calculate(many, one, &out, &calculated);
    if (!MarkMatched(group, out.labels, many, one, calculated)) return false;
    ready_.push_back(std::move(out));
    return true;
  }

  // Notes the steps at which both sides are there; an error where one was noted before. A filter
  // that drops the result changes nothing about that, but what cannot be calculated does not
  // count: `calculated` tells of that, unless it is empty.
  bool MarkMatched(Group* group, const Labels& result, const Row& many, const Row& one,
                   const std::vector<bool>& calculated) {
    std::vector<bool>* results = nullptr;
    if (grouped()) {
      results = &group->matched_results[result];
      if (results->empty()) results->assign(count_, false);
    }
    std::vector<bool>& taken = grouped() ? *results : group->matched;
    for (size_t i = 0; i < count_; ++i) {
      if (calculated.empty() ? IsAbsent(many.values[i]) || IsAbsent(one.values[i])
                             : !calculated[i]) {
        continue;
      }
      if (taken[i]) {
        context_->Error(
            grouped() ? "multiple matches for labels: grouping labels must ensure unique matches"
                      : "multiple matches for labels: many-to-one matching must be explicit "
                        "(group_left/group_right)");
        return false;
      }
      taken[i] = true;
      group->matched[i] = true;
    }
    return true;
  }

  void FillMany(const Group& group, const Row& one) {
    Row out;
    out.labels = ResultLabels(grouper_.GroupLabels(one.labels), one.labels);
    Row missing;
    missing.values.assign(count_, *fill_many_);
    for (size_t i = 0; i < group.matched.size(); ++i) {
      if (group.matched[i]) missing.values[i] = Absent();
    }
    std::vector<bool> calculated;
    Calculate(missing, one, &out, &calculated);
    ready_.push_back(std::move(out));
  }

  // `*calculated` stays empty where all that is there can be calculated.
  void Calculate(const Row& many, const Row& one, Row* out, std::vector<bool>* calculated) {
    if (many.has_histograms() || one.has_histograms() || IsTrim(arguments_.op)) {
      CalculateSteps(many, one, out, calculated);
    } else {
      CalculateNumbers(many, one, out);
    }
    if (arguments_.return_bool) DropName(out, context_->options());
  }

  void CalculateSteps(const Row& many, const Row& one, Row* out, std::vector<bool>* calculated) {
    out->Reset(count_);
    calculated->assign(count_, false);
    for (size_t i = 0; i < count_; ++i) {
      if (!many.PresentAt(i) || !one.PresentAt(i)) continue;
      const Operand left = OperandAt(swapped_ ? one : many, i);
      const Operand right = OperandAt(swapped_ ? many : one, i);
      BinaryResult result = CalculateOne(context_, arguments_, left, right);
      (*calculated)[i] = !result.incompatible;
      WriteResult(arguments_, std::move(result), i, out);
    }
  }

  void CalculateNumbers(const Row& many, const Row& one, Row* out) {
    out->values.resize(count_);
    const auto many_at = [&many](size_t i) { return many.values[i]; };
    const auto one_at = [&one](size_t i) { return one.values[i]; };
    const auto write = [out](size_t i, double value) { out->values[i] = value; };
    if (swapped_) {
      ApplyBinary(arguments_.op, arguments_.return_bool, count_, one_at, many_at, one_at, write);
    } else {
      ApplyBinary(arguments_.op, arguments_.return_bool, count_, many_at, one_at, many_at, write);
    }
  }

  Labels ResultLabels(const Labels& many, const Labels& one) {
    if (KeepsName(arguments_.op)) {
      builder_.Reset(many);
    } else {
      builder_.Reset(WithoutName(many));
    }
    if (!grouped()) {
      if (matching_.on) {
        builder_.Keep(matching_.labels);
      } else {
        builder_.Drop(matching_.labels);
      }
    }
    for (const std::string& name : matching_.include) builder_.Set(name, one.Get(name));
    return builder_.Build();
  }

  EvalContext* const context_;
  const BinaryArguments arguments_;
  const VectorMatching matching_;
  const bool swapped_;
  VectorOperatorPtr one_;  // Null once read.
  const VectorOperatorPtr many_;
  const std::optional<double> fill_one_;
  const std::optional<double> fill_many_;
  const size_t count_;
  LabelGrouper grouper_;
  RowBuffer one_rows_;
  std::vector<Group> groups_;
  std::vector<Conflict> conflicts_;  // One a step, or empty when there is none.
  std::vector<Row> ready_;
  bool many_done_ = false;
  size_t filled_ = 0;
  LabelsBuilder builder_;
};

}  // namespace

VectorOperatorPtr MakeVectorBinary(EvalContext* context, const BinaryArguments& arguments,
                                   const VectorMatching& matching, VectorOperatorPtr left,
                                   VectorOperatorPtr right, size_t count) {
  return std::make_unique<VectorBinary>(context, arguments, matching, std::move(left),
                                        std::move(right), count);
}

}  // namespace narthex::promql
