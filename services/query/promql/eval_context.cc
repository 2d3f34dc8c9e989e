#include "services/query/promql/eval_context.h"

namespace narthex::promql {

bool EvalContext::Look() {
  if (!status_.ok()) return false;
  if (options_.cancelled && options_.cancelled()) {
    Fail(Cancelled("query was canceled in expression evaluation"));
  } else if (clock_->Now() >= options_.deadline) {
    Fail(DeadlineExceeded("query timed out in expression evaluation"));
  }
  return status_.ok();
}

bool EvalContext::Refuse() {
  if (held_samples_ > options_.samples_max) {
    Fail(ResourceExhausted(
        "query processing would load too many samples into memory in query execution"));
  } else {
    Fail(ResourceExhausted("query processing would need more than ", options_.memory_max,
                           " bytes of memory in query execution"));
  }
  return false;
}

void EvalContext::CountStep(const Grid& grid, size_t step, size_t samples) {
  if (grid.weight == 0) return;
  std::vector<uint64_t>& steps = stats_.samples_per_step;
  steps.resize(options_.counted_steps);
  if (grid.weight == 1) {
    steps[step] += samples;
    return;
  }
  for (uint64_t& count : steps) count += samples;
}

}  // namespace narthex::promql
