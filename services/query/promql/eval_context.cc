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

}  // namespace narthex::promql
