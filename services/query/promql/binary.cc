#include "services/query/promql/binary.h"

#include <algorithm>
#include <utility>

#include "services/query/promql/binary_histogram.h"
#include "services/query/promql/binary_number.h"
#include "services/query/promql/histogram_math.h"
#include "services/query/promql/instant_functions.h"
#include "services/query/promql/row_operators.h"

namespace narthex::promql {
namespace {

// Keeps the steps of rows by what the other side has in the same group.
class SetOperator : public VectorOperator {
 public:
  SetOperator(EvalContext* context, BinaryOp op, const VectorMatching& matching,
              VectorOperatorPtr left, VectorOperatorPtr right, size_t count)
      : context_(context),
        op_(op),
        left_(std::move(left)),
        right_(std::move(right)),
        count_(count),
        grouper_(matching.labels, matching.on) {}

  bool Next(Row* row) override { return op_ == BinaryOp::kOr ? NextOr(row) : NextFiltered(row); }

 private:
  using Steps = std::vector<bool>;

  // The left rows as they are, then what the right side has where the left has nothing.
  bool NextOr(Row* row) {
    if (!left_done_) {
      if (left_->Next(row)) {
        MarkPresent(*row);
        return context_->Tick(count_);
      }
      left_done_ = true;
    }
    if (!context_->ok() || !right_->Next(row)) return false;
    if (const Steps* seen = Find(row->labels)) {
      for (size_t i = 0; i < count_; ++i) {
        if ((*seen)[i]) row->RemoveAt(i);
      }
    }
    return context_->Tick(count_);
  }

  bool NextFiltered(Row* row) {
    if (!right_done_) {
      right_done_ = true;
      while (right_->Next(row)) {
        MarkPresent(*row);
        if (!context_->Tick(count_)) return false;
      }
    }
    if (!context_->ok() || !left_->Next(row)) return false;
    const Steps* seen = Find(row->labels);
    const bool keep_seen = op_ == BinaryOp::kAnd;
    for (size_t i = 0; i < count_; ++i) {
      if ((seen != nullptr && (*seen)[i]) != keep_seen) row->RemoveAt(i);
    }
    return context_->Tick(count_);
  }

  void MarkPresent(const Row& row) {
    bool added = false;
    const size_t group = grouper_.Find(row.labels, &added);
    if (added) seen_.emplace_back(count_, false);
    for (size_t i = 0; i < count_; ++i) {
      if (row.PresentAt(i)) seen_[group][i] = true;
    }
  }

  const Steps* Find(const Labels& labels) {
    const size_t group = grouper_.Lookup(labels);
    return group < seen_.size() ? &seen_[group] : nullptr;
  }

  EvalContext* const context_;
  const BinaryOp op_;
  const VectorOperatorPtr left_;
  const VectorOperatorPtr right_;
  const size_t count_;
  LabelGrouper grouper_;
  std::vector<Steps> seen_;  // One a group.
  bool left_done_ = false;
  bool right_done_ = false;
};

}  // namespace

namespace {

void CalculateNumbers(const BinaryArguments& arguments, const std::vector<double>& number,
                      bool swapped, Row* row) {
  const auto vector_at = [&](size_t i) { return row->values[i]; };
  const auto scalar_at = [&](size_t i) { return number[i]; };
  const auto write = [&](size_t i, double value) { row->values[i] = value; };
  if (swapped) {
    ApplyBinary(arguments.op, arguments.return_bool, row->size(), scalar_at, vector_at, vector_at,
                write);
  } else {
    ApplyBinary(arguments.op, arguments.return_bool, row->size(), vector_at, scalar_at, vector_at,
                write);
  }
}

// Step by step, whatever is there.
void CalculateSteps(EvalContext* context, const BinaryArguments& arguments,
                    const std::vector<double>& number, bool swapped, Row* row) {
  for (size_t i = 0; i < row->size(); ++i) {
    const Operand vector = OperandAt(*row, i);
    if (!vector.present()) continue;
    const Operand scalar{number[i], nullptr};
    BinaryResult result = swapped ? CalculateOne(context, arguments, scalar, vector)
                                  : CalculateOne(context, arguments, vector, scalar);
    // A comparison keeps the side that is a vector.
    if (swapped && IsComparison(arguments.op)) result.value = vector;
    WriteResult(arguments, std::move(result), i, row);
  }
}

}  // namespace

bool IsTrim(BinaryOp op) { return op == BinaryOp::kTrimUpper || op == BinaryOp::kTrimLower; }

bool KeepsName(BinaryOp op) { return IsComparison(op) || IsTrim(op); }

ScalarOperatorPtr MakeScalarBinary(EvalContext* context, const BinaryArguments& arguments,
                                   ScalarOperatorPtr left, ScalarOperatorPtr right, size_t count) {
  if (IsTrim(arguments.op)) {
    context->Error("operator ", Quote(BinaryOpText(arguments.op)),
                   " not allowed for Scalar operations");
    return nullptr;
  }
  std::vector<ScalarOperatorPtr> params;
  params.push_back(std::move(left));
  params.push_back(std::move(right));
  return MakeScalarFunction(
      std::move(params), count,
      [op = arguments.op](std::span<const std::vector<double>> sides, std::vector<double>* out) {
        const auto left_at = [&](size_t i) { return sides[0][i]; };
        ApplyBinary(
            op, /*return_bool=*/true, out->size(), left_at, [&](size_t i) { return sides[1][i]; },
            left_at, [&](size_t i, double value) { (*out)[i] = value; });
      });
}

VectorOperatorPtr MakeVectorScalarBinary(EvalContext* context, const BinaryArguments& arguments,
                                         VectorOperatorPtr vector, ScalarOperatorPtr scalar,
                                         bool swapped) {
  std::vector<ScalarOperatorPtr> params;
  params.push_back(std::move(scalar));
  return MakeRowMap(context, std::move(vector), std::move(params),
                    [=](Row* row, std::span<const std::vector<double>> values) {
                      if (row->has_histograms() || IsTrim(arguments.op)) {
                        CalculateSteps(context, arguments, values[0], swapped, row);
                      } else {
                        CalculateNumbers(arguments, values[0], swapped, row);
                      }
                      if (!KeepsName(arguments.op) || arguments.return_bool)
                        DropName(row, context->options());
                    });
}

VectorOperatorPtr MakeSetOperator(EvalContext* context, BinaryOp op, const VectorMatching& matching,
                                  VectorOperatorPtr left, VectorOperatorPtr right, size_t count) {
  return std::make_unique<SetOperator>(context, op, matching, std::move(left), std::move(right),
                                       count);
}

VectorOperatorPtr MakeNegation(EvalContext* context, VectorOperatorPtr child) {
  return MakeRowMap(context, std::move(child), {},
                    [context](Row* row, std::span<const std::vector<double>>) {
                      for (double& value : row->values) {
                        if (IsPresent(value)) value = -value;
                      }
                      for (HistogramPtr& histogram : row->histograms) {
                        if (histogram == nullptr) continue;
                        histogram = std::make_shared<FloatHistogram>(Multiply(*histogram, -1));
                      }
                      DropName(row, context->options());
                    });
}

}  // namespace narthex::promql
