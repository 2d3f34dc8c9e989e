#ifndef NARTHEX_SERVICES_QUERY_PROMQL_WINDOW_FUNCTIONS_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_WINDOW_FUNCTIONS_H_

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "services/query/promql/eval_context.h"
#include "services/query/promql/operator.h"
#include "services/query/promql/window_placement.h"

// Functions of range vectors (rate, sum_over_time, …): each computes all windows of one series in
// one pass.
namespace narthex::promql {

struct WindowInput {
  EvalContext* context = nullptr;
  const WindowSpec* spec = nullptr;
  std::span<const Window> windows;  // One a step.
  std::span<const Timestamp> timestamps;
  std::span<const double> values;
  std::span<const std::vector<double>> params;  // One column of steps a scalar argument.
  PositionRange position;                       // Of the first argument, for annotations.
  // All of the series, and its name.
  const SampleBuffer* samples = nullptr;
  std::string_view metric_name;
};

// Writes the result of each window to `out`; steps without one stay as they are, which is absent.
using WindowKernel = void (*)(const WindowInput& input, std::span<double> out);

// The same of a series with histograms or start timestamps; `out` has nothing at any step yet.
using MixedWindowKernel = void (*)(const WindowInput& input, Row* out);

struct WindowFunction {
  std::string_view name;
  WindowKernel kernel = nullptr;
  bool keeps_name = false;
  // Warns of metrics that by their name are no counters.
  bool wants_counter = false;
  // Of anchored and smoothed ranges; null where upstream refuses them.
  WindowKernel extended_kernel = nullptr;
  // What is done with histograms: by `kernel`, which looks at times only; or by these; or else they
  // are left out.
  bool any_kind = false;
  MixedWindowKernel mixed_kernel = nullptr;
  MixedWindowKernel extended_mixed_kernel = nullptr;
  // Looks at start timestamps, where the query does.
  bool uses_start_timestamps = false;
};

// Null when there is none of that name in the file.
const WindowFunction* FindRateFunction(std::string_view name);      // functions_rate.cc
const WindowFunction* FindOverTimeFunction(std::string_view name);  // functions_over_time.cc

// `params` are the scalar arguments in order.
VectorOperatorPtr MakeWindowFunction(EvalContext* context, const WindowFunction& function,
                                     RangeOperatorPtr range, std::vector<ScalarOperatorPtr> params,
                                     PositionRange position);

// Combines the samples of sliding windows in time linear in the samples: every sample enters two
// running results and is never subtracted again, so compensated sums stay exact. `lift(index)`
// makes a result of one sample, `combine(a, b)` joins results of neighbouring runs, `emit(step,
// result)` takes the result of a window that is not empty.
template <typename Result, typename Lift, typename Combine, typename Emit>
void SlideWindows(std::span<const Window> windows, Lift lift, Combine combine, Emit emit) {
  // A window is a tail of front (results of [k, middle) for each k) and the run [middle, back_end).
  std::vector<Result> front;
  size_t front_begin = 0;
  size_t middle = 0;
  size_t back_end = 0;
  Result back{};
  for (size_t step = 0; step < windows.size(); ++step) {
    const Window& window = windows[step];
    if (window.begin == window.end) continue;
    if (window.begin >= middle) {
      front_begin = window.begin;
      middle = back_end = window.end;
      front.resize(window.size());
      front.back() = lift(window.end - 1);
      for (size_t k = window.size() - 1; k-- > 0;) {
        front[k] = combine(lift(front_begin + k), front[k + 1]);
      }
      emit(step, front[0]);
      continue;
    }
    for (; back_end < window.end; ++back_end) {
      back = back_end == middle ? lift(back_end) : combine(back, lift(back_end));
    }
    const Result& tail = front[window.begin - front_begin];
    emit(step, back_end == middle ? tail : combine(tail, back));
  }
}

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_WINDOW_FUNCTIONS_H_
