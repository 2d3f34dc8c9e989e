#ifndef NARTHEX_SERVICES_QUERY_PROMQL_ROW_OPERATORS_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_ROW_OPERATORS_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "services/query/promql/eval_context.h"
#include "services/query/promql/operator.h"

// Operators and pieces that several parts of the engine are made of.
namespace narthex::promql {

// `labels` without the metric name, __type__ and __unit__, which all describe what the values are.
Labels WithoutName(const Labels& labels);
// Takes the name from a row now, or marks the row for the end of the evaluation.
void DropName(Row* row, const EvalContext::Options& options);

// All rows of an operator, kept in memory and counted. Lives as long as they are needed.
class RowBuffer {
 public:
  explicit RowBuffer(EvalContext* context) : context_(context), holding_(context) {}

  // Reads `source` to its end. False on an error.
  bool ReadAll(VectorOperator* source);
  // False when too much is held.
  bool Add(Row row);
  std::vector<Row>& rows() { return rows_; }

 private:
  EvalContext* const context_;
  std::vector<Row> rows_;
  Holding holding_;
};

// Joins rows with equal labels into one; two values at one step are upstream's error about the same
// labelset. Reads its child to the end first.
VectorOperatorPtr MakeMerge(EvalContext* context, VectorOperatorPtr child);

// Repeats the only value of each row for all `count` steps.
VectorOperatorPtr MakeBroadcast(EvalContext* context, VectorOperatorPtr child, size_t count);
ScalarOperatorPtr MakeScalarBroadcast(ScalarOperatorPtr child, size_t count);
ScalarOperatorPtr MakeConstant(double value, size_t count);

// Changes rows one by one. `change` sees the row and the values of `params` (one column of steps
// each).
using RowChange = std::function<void(Row* row, std::span<const std::vector<double>> params)>;
VectorOperatorPtr MakeRowMap(EvalContext* context, VectorOperatorPtr child,
                             std::vector<ScalarOperatorPtr> params, RowChange change);

// Gives rows that `make` computes from all rows of the child at once.
using RowsFunction = std::function<void(std::vector<Row> rows, std::vector<Row>* out)>;
VectorOperatorPtr MakeCollect(EvalContext* context, VectorOperatorPtr child, RowsFunction make);

// Computes `count` values from those of the children.
using ScalarFunction =
    std::function<void(std::span<const std::vector<double>> params, std::vector<double>* out)>;
ScalarOperatorPtr MakeScalarFunction(std::vector<ScalarOperatorPtr> params, size_t count,
                                     ScalarFunction make);

// Finds which group a series belongs to: by the values of some labels, or of all but some (the
// metric name never counts then). Groups are numbered in order of appearance.
class LabelGrouper {
 public:
  LabelGrouper(std::vector<std::string> names, bool by);
  // The number of the group of `labels`; `*added` tells whether it is new.
  size_t Find(const Labels& labels, bool* added);
  // Like Find() without making a group; SIZE_MAX when there is none.
  size_t Lookup(const Labels& labels);
  // The labels that make up the group of `labels`.
  Labels GroupLabels(const Labels& labels) const;
  size_t size() const { return groups_.size(); }

 private:
  void MakeKey(const Labels& labels);

  std::vector<std::string> names_;  // Sorted.
  const bool by_;
  std::string key_;
  absl::flat_hash_map<std::string, size_t, StringHash, StringEqual> groups_;
};

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_ROW_OPERATORS_H_
