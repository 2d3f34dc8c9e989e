#ifndef NARTHEX_SERVICES_QUERY_PROMQL_AGGREGATE_HISTOGRAMS_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_AGGREGATE_HISTOGRAMS_H_

#include <optional>
#include <string>
#include <vector>

#include "services/query/promql/aggregate.h"
#include "services/query/promql/histogram_fold.h"

namespace narthex::promql {

// What an aggregation says of a histogram that it leaves out.
void InformOfIgnoredInAggregation(EvalContext* context, AggregateOp op, PositionRange position);

// The histograms among the rows of an aggregation that folds row by row: the part that the
// accumulators of numbers do not see. Thread safety: none.
class HistogramAggregate {
 public:
  HistogramAggregate(EvalContext* context, const AggregateArguments& arguments, size_t count)
      : context_(context), arguments_(arguments), count_(count) {}

  // A row with histograms of a group.
  void Add(size_t group, const Row& row);
  // Joins them with `row`, which holds the result of the numbers.
  void Finish(size_t group, Row* row) const;

 private:
  struct Cell {
    std::optional<HistogramFold> fold;
    bool apart = false;  // Histograms that have nothing in common.
    uint32_t count = 0;
  };
  bool folds() const {
    return arguments_.op == AggregateOp::kSum || arguments_.op == AggregateOp::kAvg;
  }
  AnnotationSite Site(const Row& row) const;
  void FinishFold(const Cell& cell, size_t step, Row* row) const;

  EvalContext* const context_;
  const AggregateArguments& arguments_;
  const size_t count_;
  std::vector<std::vector<Cell>> groups_;  // One cell a step, or none at all.
};

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_AGGREGATE_HISTOGRAMS_H_
