#ifndef NARTHEX_SERVICES_QUERY_PROMQL_INSTANT_FUNCTIONS_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_INSTANT_FUNCTIONS_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "services/query/promql/eval_context.h"
#include "services/query/promql/operator.h"

// Functions of instant vectors, as operators. The planner knows their arguments; the parts below
// know what they do.
namespace narthex::promql {

// functions_math.cc: one number to one number. Null when there is no such function.
using NumberFunction = double (*)(double value);
NumberFunction FindMathFunction(std::string_view name);
// round, clamp, clamp_min, clamp_max: with scalar arguments, by name.
VectorOperatorPtr MakeRound(EvalContext* context, VectorOperatorPtr child,
                            ScalarOperatorPtr nearest);
VectorOperatorPtr MakeClamp(EvalContext* context, VectorOperatorPtr child, ScalarOperatorPtr least,
                            ScalarOperatorPtr most);
// Applies `function` to every value and drops the name.
VectorOperatorPtr MakeNumberMap(EvalContext* context, VectorOperatorPtr child,
                                NumberFunction function);

// functions_time.cc: of seconds since the epoch, in UTC. Null when there is no such function.
NumberFunction FindTimeFunction(std::string_view name);
// The times of the steps in seconds.
ScalarOperatorPtr MakeTime(const Grid& grid);
// timestamp() of what is no bare selector: the time of the step.
VectorOperatorPtr MakeStepTimes(EvalContext* context, VectorOperatorPtr child, const Grid& grid);

// functions_label.cc. Fail with an execution error where a name or expression is wrong.
struct LabelReplaceArguments {
  std::string destination;
  std::string replacement;
  std::string source;
  std::string regex;
};
VectorOperatorPtr MakeLabelReplace(EvalContext* context, VectorOperatorPtr child,
                                   LabelReplaceArguments arguments);
VectorOperatorPtr MakeLabelJoin(EvalContext* context, VectorOperatorPtr child,
                                std::string destination, std::string separator,
                                std::vector<std::string> sources);

// functions_histogram.cc: of native histograms and, but for the first, of classic ones.
using HistogramNumber = double (*)(const FloatHistogram& histogram);
// histogram_count, _sum, _avg, _stddev and _stdvar. Null when there is no such function.
HistogramNumber FindHistogramNumber(std::string_view name);
VectorOperatorPtr MakeHistogramNumber(EvalContext* context, VectorOperatorPtr child,
                                      HistogramNumber number);
struct HistogramArguments {
  // Gets the quantile of each result; may be empty.
  std::string label;
  // Where the arguments stand.
  PositionRange first;
  PositionRange vector;
  std::vector<PositionRange> quantiles;
};
// histogram_quantile and histogram_quantiles.
VectorOperatorPtr MakeHistogramQuantiles(EvalContext* context, VectorOperatorPtr child,
                                         std::vector<ScalarOperatorPtr> quantiles, const Grid& grid,
                                         HistogramArguments arguments);
VectorOperatorPtr MakeHistogramFraction(EvalContext* context, VectorOperatorPtr child,
                                        ScalarOperatorPtr lower, ScalarOperatorPtr upper,
                                        const Grid& grid, HistogramArguments arguments);

// functions_misc.cc.
VectorOperatorPtr MakeVector(ScalarOperatorPtr scalar);
ScalarOperatorPtr MakeScalar(EvalContext* context, VectorOperatorPtr child, size_t count);
// One series labelled `labels` at the steps where the child has none.
VectorOperatorPtr MakeAbsent(EvalContext* context, VectorOperatorPtr child, Labels labels,
                             size_t count);
VectorOperatorPtr MakeSort(EvalContext* context, VectorOperatorPtr child, bool descending);
VectorOperatorPtr MakeSortByLabel(EvalContext* context, VectorOperatorPtr child,
                                  std::vector<std::string> labels, bool descending);

// info.cc: adds labels of info series to those of the child.
struct InfoArguments {
  // Of __name__; what an info series is called. Never empty.
  std::vector<Matcher> name_matchers;
  // Which labels are wanted, and what they must be. Empty: all.
  std::vector<Matcher> data_matchers;
};
// `info` gives the sample times of the info series.
VectorOperatorPtr MakeInfo(EvalContext* context, VectorOperatorPtr child, VectorOperatorPtr info,
                           InfoArguments arguments, size_t count);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_INSTANT_FUNCTIONS_H_
