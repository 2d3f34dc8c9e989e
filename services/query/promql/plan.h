#ifndef NARTHEX_SERVICES_QUERY_PROMQL_PLAN_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_PLAN_H_

#include <string>
#include <vector>

#include "lib/storage/storage.h"
#include "services/query/promql/eval_context.h"
#include "services/query/promql/operator.h"
#include "services/query/promql/selectors.h"
#include "services/query/promql/shared_rows.h"

namespace narthex::promql {

// True when the value is the same at every step: all that reads storage has "@", and no function
// looks at the time.
bool IsStepInvariant(const Expr& expr);
// True when no two series of the result can become equal by losing their names.
bool IsUniqueWithoutName(const Expr& expr, const EvalContext::Options& options);

// Turns a tree into operators, and gathers on the way every selector of the query with its time
// range and hints, so that one Select reads them all. Durations, @ and offsets are computed, and
// what is the same at every step is evaluated once.
//
// The methods return null after an error, which is in the context. Thread safety: none.
class Planner {
 public:
  explicit Planner(EvalContext* context) : context_(context) {}

  // Called first, with the whole query: finds what can be evaluated once for several places.
  void FindRepeats(const Expr& root) { repeats_.Find(root); }

  VectorOperatorPtr PlanVector(const Expr& expr, const Grid& grid);
  ScalarOperatorPtr PlanScalar(const Expr& expr, const Grid& grid);
  RangeOperatorPtr PlanRange(const Expr& expr, const Grid& grid);

  const std::vector<storage::Selector>& selectors() const { return selectors_; }

 private:
  // What stands around the next selector, for its hints.
  struct Surroundings {
    std::string function;
    std::vector<std::string> grouping;
    bool by = false;
  };
  struct Place {
    int64_t offset_ms = 0;
    bool fixed = false;
    Timestamp fixed_time = 0;
  };

  VectorOperatorPtr PlanShared(const Expr& expr, const std::string& text, const Grid& grid);
  VectorOperatorPtr PlanVectorNode(const Expr& expr, const Grid& grid);
  ScalarOperatorPtr PlanScalarNode(const Expr& expr, const Grid& grid);
  VectorOperatorPtr PlanSelector(const VectorSelector& selector, const Grid& grid,
                                 InstantSelection::Reads reads, bool labels_unused = false,
                                 bool numbers_only = false);
  RangeOperatorPtr PlanMatrixSelector(const MatrixSelector& matrix, const Grid& grid);
  RangeOperatorPtr PlanSubquery(const Subquery& subquery, const Grid& grid);
  VectorOperatorPtr PlanBinary(const Binary& binary, const Grid& grid);
  VectorOperatorPtr PlanAggregate(const Aggregate& aggregate, const Grid& grid);

  VectorOperatorPtr PlanCall(const Call& call, const Grid& grid, bool name_unused);
  VectorOperatorPtr PlanWindowCall(const Call& call, const Grid& grid, bool name_unused);
  VectorOperatorPtr PlanTimeCall(const Call& call, const Grid& grid);
  VectorOperatorPtr PlanTimestamp(const Call& call, const Grid& grid);
  VectorOperatorPtr PlanStartTimestamp(const Call& call, const Grid& grid);
  VectorOperatorPtr PlanAbsent(const Call& call, const Grid& grid);
  VectorOperatorPtr PlanLabelCall(const Call& call, const Grid& grid);
  VectorOperatorPtr PlanHistogramCall(const Call& call, const Grid& grid);
  VectorOperatorPtr PlanNumberCall(const Call& call, const Grid& grid);
  VectorOperatorPtr PlanSort(const Call& call, const Grid& grid);
  VectorOperatorPtr PlanInfo(const Call& call, const Grid& grid);

  // Whether the selectors that are planned now are read for the counts and sums of histograms.
  bool detects_resets() const { return reads_counts_ && !reads_buckets_; }

  VectorOperatorPtr MergeUnlessUnique(const Expr& source, VectorOperatorPtr child);
  size_t AddSelector(const VectorSelector& selector, Timestamp start, Timestamp end,
                     const Grid& grid, int64_t range_ms);
  bool Resolve(const TimeModifiers& time, Place* place);
  bool ResolveDuration(const DurationValue& value, bool positive, int64_t* ms);
  bool EvaluateDuration(const DurationExpr& expr, double* seconds);

  EvalContext* const context_;
  std::vector<storage::Selector> selectors_;
  Repeats repeats_;
  absl::flat_hash_map<std::string, std::shared_ptr<SharedRows>> shared_;
  Surroundings surroundings_;
  // The next node's parent does not look at metric names, so that taking them away is work for
  // nothing.
  bool name_unused_ = false;
  // Nor at any label.
  bool labels_unused_ = false;
  // Around the next node stands histogram_count, histogram_sum or histogram_avg; or something that
  // needs whole histograms.
  bool reads_counts_ = false;
  bool reads_buckets_ = false;
};

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_PLAN_H_
