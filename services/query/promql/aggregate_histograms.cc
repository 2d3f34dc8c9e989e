#include "services/query/promql/aggregate_histograms.h"

#include <utility>

#include "lib/base/strings.h"

namespace narthex::promql {

void InformOfIgnoredInAggregation(EvalContext* context, AggregateOp op, PositionRange position) {
  context->annotations().Inform(
      StrCat("ignored histogram in ", AggregateOpText(op), " aggregation"), position);
}

AnnotationSite HistogramAggregate::Site(const Row& row) const {
  return {&context_->annotations(), row.labels.metric_name(), arguments_.expr_position};
}

void HistogramAggregate::Add(size_t group, const Row& row) {
  const bool counts = arguments_.op == AggregateOp::kCount || arguments_.op == AggregateOp::kGroup;
  if (!counts && !folds()) {
    if (CountPresent(row) > CountPresent(row.values)) {
      InformOfIgnoredInAggregation(context_, arguments_.op, arguments_.expr_position);
    }
    return;
  }
  if (group >= groups_.size()) groups_.resize(group + 1);
  std::vector<Cell>& cells = groups_[group];
  if (cells.empty()) cells.resize(count_);
  for (size_t i = 0; i < count_; ++i) {
    const FloatHistogram* histogram = row.HistogramAt(i);
    if (histogram == nullptr) continue;
    Cell& cell = cells[i];
    ++cell.count;
    if (counts || cell.apart) continue;
    if (!cell.fold.has_value()) cell.fold.emplace(arguments_.op == AggregateOp::kAvg);
    cell.apart = !cell.fold->Add(*histogram, Site(row));
  }
}

void HistogramAggregate::FinishFold(const Cell& cell, size_t step, Row* row) const {
  AnnotationSite site = Site(*row);
  if (IsPresent(row->values[step])) {
    site.annotations->Warn("encountered a mix of histograms and floats for aggregation",
                           site.position);
    row->RemoveAt(step);
    return;
  }
  cell.fold->Annotate(site);
  if (cell.apart) return;
  row->SetHistogram(step, std::make_shared<FloatHistogram>(cell.fold->Result()));
}

void HistogramAggregate::Finish(size_t group, Row* row) const {
  if (group >= groups_.size() || groups_[group].empty()) return;
  for (size_t i = 0; i < count_; ++i) {
    const Cell& cell = groups_[group][i];
    if (cell.count == 0) continue;
    if (folds()) {
      FinishFold(cell, i, row);
      continue;
    }
    const double floats = IsAbsent(row->values[i]) ? 0 : row->values[i];
    row->values[i] = arguments_.op == AggregateOp::kGroup ? 1 : floats + cell.count;
  }
}

}  // namespace narthex::promql
