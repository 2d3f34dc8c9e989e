#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/check.h"
#include "services/query/promql/parser.h"
#include "services/query/promql/printer.h"

// Any text parses or is refused; what parses prints in a form that parses to the same tree.
namespace narthex::promql {
namespace {

// Beyond, "@" as seconds has not the digits for each millisecond.
bool HasHugeTime(const Expr& expr) {
  constexpr Timestamp kExact = int64_t{1} << 50;
  const TimeModifiers* time = nullptr;
  if (expr.kind == ExprKind::kVectorSelector) time = &As<VectorSelector>(expr).time;
  if (expr.kind == ExprKind::kSubquery) time = &As<Subquery>(expr).time;
  if (time != nullptr && time->at.has_value() && (*time->at > kExact || *time->at < -kExact)) {
    return true;
  }
  for (const Expr* child : Children(expr)) {
    if (HasHugeTime(*child)) return true;
  }
  return false;
}

void RunOne(std::string_view text) {
  const ParserOptions all = {true, true, true};
  (void)ParseExpr(text);
  (void)ParseMetric(text);
  (void)ParseMetricSelector(text);
  const absl::StatusOr<ExprPtr> expr = ParseExpr(text, all);
  if (!expr.ok() || HasHugeTime(**expr)) return;
  NARTHEX_CHECK(Equal(**expr, *Clone(**expr)));
  for (const std::string& printed : {ToString(**expr), Prettify(**expr)}) {
    const absl::StatusOr<ExprPtr> again = ParseExpr(printed, all);
    NARTHEX_CHECK(again.ok());
    NARTHEX_CHECK(Equal(**expr, **again));
  }
}

}  // namespace
}  // namespace narthex::promql

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  narthex::promql::RunOne({reinterpret_cast<const char*>(data), size});
  return 0;
}
