#include <algorithm>
#include <cmath>
#include <utility>

#include "services/query/promql/instant_functions.h"
#include "services/query/promql/row_operators.h"

namespace narthex::promql {
namespace {

class VectorOfScalar : public VectorOperator {
 public:
  explicit VectorOfScalar(ScalarOperatorPtr scalar) : scalar_(std::move(scalar)) {}
  bool Next(Row* row) override {
    if (scalar_ == nullptr) return false;
    row->labels = Labels();
    row->drop_name = false;
    row->histograms.clear();
    const ScalarOperatorPtr scalar = std::move(scalar_);
    return scalar->Values(&row->values);
  }

 private:
  ScalarOperatorPtr scalar_;  // Null once given.
};

class ScalarOfVector : public ScalarOperator {
 public:
  ScalarOfVector(EvalContext* context, VectorOperatorPtr child, size_t count)
      : context_(context), child_(std::move(child)), count_(count) {}

  bool Values(std::vector<double>* values) override {
    values->assign(count_, Absent());
    std::vector<bool> several(count_, false);
    Row row;
    while (child_->Next(&row)) {
      for (size_t i = 0; i < count_; ++i) {
        if (IsAbsent(row.values[i])) continue;
        if (IsPresent((*values)[i])) several[i] = true;
        (*values)[i] = row.values[i];
      }
      if (!context_->Tick(count_)) return false;
    }
    for (size_t i = 0; i < count_; ++i) {
      if (several[i] || IsAbsent((*values)[i])) (*values)[i] = NormalNan();
    }
    return context_->ok();
  }

 private:
  EvalContext* const context_;
  const VectorOperatorPtr child_;
  const size_t count_;
};

class AbsentOperator : public VectorOperator {
 public:
  AbsentOperator(EvalContext* context, VectorOperatorPtr child, Labels labels, size_t count)
      : context_(context), child_(std::move(child)), labels_(std::move(labels)), count_(count) {}

  bool Next(Row* row) override {
    if (child_ == nullptr) return false;
    const VectorOperatorPtr child = std::move(child_);
    std::vector<double> values(count_, 1);
    while (child->Next(row)) {
      for (size_t i = 0; i < count_; ++i) {
        if (row->PresentAt(i)) values[i] = Absent();
      }
      if (!context_->Tick(count_)) return false;
    }
    row->labels = labels_;
    row->drop_name = false;
    row->histograms.clear();
    row->values = std::move(values);
    return context_->ok();
  }

 private:
  EvalContext* const context_;
  VectorOperatorPtr child_;  // Null once given.
  const Labels labels_;
  const size_t count_;
};

// Numbers within the texts compare as numbers: "a2" < "a10". Negative, zero or positive.
int CompareNatural(std::string_view a, std::string_view b) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto take_run = [&](std::string_view* text) {
    size_t length = 1;
    while (length < text->size() && is_digit((*text)[length]) == is_digit((*text)[0])) ++length;
    const std::string_view run = text->substr(0, length);
    text->remove_prefix(length);
    return run;
  };
  while (!a.empty() && !b.empty()) {
    const std::string_view x = take_run(&a);
    const std::string_view y = take_run(&b);
    int64_t m = 0;
    int64_t n = 0;
    const bool numbers = is_digit(x[0]) && is_digit(y[0]) && ParseInt64(x, &m) && ParseInt64(y, &n);
    if (numbers && m != n) return m < n ? -1 : 1;
    if (!numbers && x != y) return x < y ? -1 : 1;
  }
  if (a.empty() && b.empty()) return 0;
  return a.empty() ? -1 : 1;
}

}  // namespace

VectorOperatorPtr MakeVector(ScalarOperatorPtr scalar) {
  return std::make_unique<VectorOfScalar>(std::move(scalar));
}

ScalarOperatorPtr MakeScalar(EvalContext* context, VectorOperatorPtr child, size_t count) {
  return std::make_unique<ScalarOfVector>(context, std::move(child), count);
}

VectorOperatorPtr MakeAbsent(EvalContext* context, VectorOperatorPtr child, Labels labels,
                             size_t count) {
  return std::make_unique<AbsentOperator>(context, std::move(child), std::move(labels), count);
}

VectorOperatorPtr MakeSort(EvalContext* context, VectorOperatorPtr child, bool descending) {
  return MakeCollect(context, std::move(child),
                     [descending](std::vector<Row> rows, std::vector<Row>* out) {
                       std::erase_if(rows, [](const Row& row) { return IsAbsent(row.values[0]); });
                       std::stable_sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) {
                         const double x = a.values[0];
                         const double y = b.values[0];
                         if (std::isnan(x)) return false;
                         if (std::isnan(y)) return true;
                         return descending ? x > y : x < y;
                       });
                       *out = std::move(rows);
                     });
}

VectorOperatorPtr MakeSortByLabel(EvalContext* context, VectorOperatorPtr child,
                                  std::vector<std::string> labels, bool descending) {
  return MakeCollect(
      context, std::move(child),
      [labels = std::move(labels), descending](std::vector<Row> rows, std::vector<Row>* out) {
        const auto less = [&](const Row& a, const Row& b) {
          for (const std::string& label : labels) {
            const int order = CompareNatural(a.labels.Get(label), b.labels.Get(label));
            if (order != 0) return order < 0;
          }
          return a.labels < b.labels;
        };
        std::sort(rows.begin(), rows.end(),
                  [&](const Row& a, const Row& b) { return descending ? less(b, a) : less(a, b); });
        *out = std::move(rows);
      });
}

}  // namespace narthex::promql
