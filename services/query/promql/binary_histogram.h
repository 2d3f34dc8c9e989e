#ifndef NARTHEX_SERVICES_QUERY_PROMQL_BINARY_HISTOGRAM_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_BINARY_HISTOGRAM_H_

#include "services/query/promql/binary.h"

// Binary operators of which at least one side may be a histogram.
namespace narthex::promql {

// One operand: a number, a histogram, or neither.
struct Operand {
  double number = Absent();
  HistogramPtr histogram;
  bool present() const { return histogram != nullptr || IsPresent(number); }
};

struct BinaryResult {
  Operand value;
  // A comparison that is false.
  bool filtered = false;
  // The kinds do not go together; there is no value.
  bool incompatible = false;
};

inline Operand OperandAt(const Row& row, size_t step) {
  return {row.values[step], row.has_histograms() ? row.histograms[step] : nullptr};
}
// Writes what `result` gives at `step`, which may be nothing.
void WriteResult(const BinaryArguments& arguments, BinaryResult result, size_t step, Row* out);

// Calculates, or compares, and says what was wrong. The value of a comparison is its left side.
// REQUIRES: both are present.
BinaryResult CalculateOne(EvalContext* context, const BinaryArguments& arguments,
                          const Operand& left, const Operand& right);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_BINARY_HISTOGRAM_H_
