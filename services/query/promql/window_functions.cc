#include "services/query/promql/window_functions.h"

#include <algorithm>
#include <string>
#include <utility>

#include "services/query/promql/mixed_windows.h"
#include "services/query/promql/row_operators.h"

namespace narthex::promql {
namespace {

bool HasCounterSuffix(std::string_view name) {
  for (std::string_view suffix : {"_total", "_sum", "_count", "_bucket"}) {
    if (name.ends_with(suffix)) return true;
  }
  return false;
}

class WindowFunctionOperator : public VectorOperator {
 public:
  WindowFunctionOperator(EvalContext* context, const WindowFunction& function,
                         RangeOperatorPtr range, std::vector<ScalarOperatorPtr> params,
                         PositionRange position)
      : context_(context),
        function_(function),
        range_(std::move(range)),
        params_(std::move(params)),
        position_(position) {}

  bool Next(Row* row) override {
    const WindowSpec& spec = range_->windows();
    if (!EvaluateParams()) return false;
    while (range_->Next(&series_)) {
      const size_t used = PlaceWindows(spec, series_.samples.timestamps(), &windows_);
      CountSamples(used);
      if (!context_->Tick(used)) return false;
      if (used == 0) continue;
      row->Reset(spec.grid.count);
      const WindowInput input{context_,
                              &spec,
                              windows_,
                              series_.samples.timestamps(),
                              series_.samples.values(),
                              param_values_,
                              position_,
                              &series_.samples,
                              series_.labels.metric_name()};
      RunKernel(input, row);
      if (!context_->ok()) return false;
      row->labels = std::move(series_.labels);
      row->drop_name = series_.drop_name;
      if (function_.wants_counter && HasNumbers(*row)) CheckCounter(row->labels);
      if (!function_.keeps_name) DropName(row, context_->options());
      return true;
    }
    return false;
  }

 private:
  void RunKernel(const WindowInput& input, Row* row) const {
    const bool extended = input.spec->extended();
    const WindowKernel kernel = extended ? function_.extended_kernel : function_.kernel;
    const bool starts = function_.uses_start_timestamps &&
                        context_->options().use_start_timestamps &&
                        !input.samples->start_timestamps().empty();
    if (!starts && (!input.samples->has_histograms() || function_.any_kind)) {
      kernel(input, row->values);
      return;
    }
    const MixedWindowKernel mixed =
        extended ? function_.extended_mixed_kernel : function_.mixed_kernel;
    if (mixed != nullptr) {
      mixed(input, row);
    } else {
      IgnoreHistograms(kernel, input, row);
    }
  }

  // Of a row without histograms it is taken for granted.
  static bool HasNumbers(const Row& row) {
    return !row.has_histograms() || CountPresent(row.values) > 0;
  }

  bool EvaluateParams() {
    if (param_values_.size() == params_.size()) return true;
    param_values_.resize(params_.size());
    for (size_t i = 0; i < params_.size(); ++i) {
      if (!params_[i]->Values(&param_values_[i])) return false;
    }
    return true;
  }

  void CountSamples(size_t used) {
    const Grid& grid = range_->windows().grid;
    context_->CountQueryable(grid, used);
    if (!context_->counts_steps()) return;
    for (size_t i = 0; i < windows_.size(); ++i) context_->CountStep(grid, i, windows_[i].size());
  }

  void CheckCounter(const Labels& labels) {
    const std::string_view name = labels.metric_name();
    if (name.empty()) return;
    if (context_->options().type_and_unit_labels) {
      const std::string_view type = labels.Get("__type__");
      if (type == "counter" || type == "histogram") return;
      context_->annotations().Inform(
          StrCat("metric might not be a counter, __type__ label is not set to \"counter\" or "
                 "\"histogram\", got ",
                 Quote(type), ": ", Quote(name)),
          position_);
      return;
    }
    if (HasCounterSuffix(name)) return;
    context_->annotations().Inform(
        StrCat("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ",
               Quote(name)),
        position_);
  }

  EvalContext* const context_;
  const WindowFunction function_;
  const RangeOperatorPtr range_;
  const std::vector<ScalarOperatorPtr> params_;
  const PositionRange position_;
  std::vector<std::vector<double>> param_values_;
  RangeSeries series_;
  std::vector<Window> windows_;
};

}  // namespace

VectorOperatorPtr MakeWindowFunction(EvalContext* context, const WindowFunction& function,
                                     RangeOperatorPtr range, std::vector<ScalarOperatorPtr> params,
                                     PositionRange position) {
  return std::make_unique<WindowFunctionOperator>(context, function, std::move(range),
                                                  std::move(params), position);
}

}  // namespace narthex::promql
