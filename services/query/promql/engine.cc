#include "services/query/promql/engine.h"

#include <algorithm>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/query/promql/eval_context.h"
#include "services/query/promql/plan.h"
#include "services/query/promql/row_operators.h"

namespace narthex::promql {

struct Engine::Metrics {
  explicit Metrics(metrics::Registry* registry)
      : running(registry->AddGauge("prometheus_engine_queries",
                                   "The current number of queries being executed or waiting.")),
        concurrency_max(registry->AddGauge("prometheus_engine_queries_concurrent_max",
                                           "The max number of concurrent queries.")),
        samples(registry->AddCounter("prometheus_engine_query_samples_total",
                                     "The total number of samples loaded by all queries.")),
        queue_time(Slice(registry, "queue_time")),
        prepare_time(Slice(registry, "prepare_time")),
        inner_eval(Slice(registry, "inner_eval")) {}

  static metrics::Summary* Slice(metrics::Registry* registry, const std::string& slice) {
    return registry->AddSummary("prometheus_engine_query_duration_seconds", "Query timings",
                                {0.5, 0.9, 0.99}, {{"slice", slice}});
  }

  metrics::Gauge* const running;
  metrics::Gauge* const concurrency_max;
  metrics::Counter* const samples;
  metrics::Summary* const queue_time;
  metrics::Summary* const prepare_time;
  metrics::Summary* const inner_eval;
};

// Waits for a free place; gives it back when destroyed.
class Engine::Place {
 public:
  explicit Place(Engine* engine) : engine_(engine) { engine_->metrics_->running->Add(1); }
  ~Place() {
    engine_->metrics_->running->Add(-1);
    if (!taken_) return;
    const MutexLock lock(&engine_->mu_);
    --engine_->running_;
    engine_->place_free_.Signal();
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  absl::Status Take(absl::Time deadline, const std::function<bool()>& cancelled) {
    // How often a waiting query looks whether its caller is still there.
    constexpr absl::Duration kLookInterval = absl::Milliseconds(100);
    const MutexLock lock(&engine_->mu_);
    while (engine_->running_ >= engine_->options_.concurrency_max) {
      const absl::Time now = engine_->clock_->Now();
      if (now >= deadline) return DeadlineExceeded("query timed out in query queue");
      if (cancelled && cancelled()) return Cancelled("query was canceled in query queue");
      engine_->clock_->WaitUntil(&engine_->mu_, &engine_->place_free_,
                                 std::min(deadline, now + kLookInterval));
    }
    ++engine_->running_;
    taken_ = true;
    return absl::OkStatus();
  }

 private:
  Engine* const engine_;
  bool taken_ = false;
};

Engine::Engine(EngineOptions options, Clock* clock, metrics::Registry* registry)
    : options_(std::move(options)),
      clock_(clock),
      metrics_(std::make_unique<Metrics>(registry)),
      subquery_step_default_(options_.subquery_step_default) {
  metrics_->concurrency_max->Set(options_.concurrency_max);
}

Engine::~Engine() = default;

absl::StatusOr<ExprPtr> Engine::Parse(std::string_view query) const {
  return ParseExpr(query, options_.parser);
}

void Engine::SetSubqueryStepDefault(absl::Duration step) {
  const MutexLock lock(&mu_);
  subquery_step_default_ = step;
}

namespace {

// Turns what operators give into the value of the whole query.
class ResultBuilder {
 public:
  ResultBuilder(EvalContext* context, const Grid& grid) : context_(context), grid_(grid) {}

  void TakeScalar(ScalarOperator* scalar, Value* value) const {
    std::vector<double> values;
    if (!scalar->Values(&values)) return;
    if (context_->options().instant) {
      *value = Scalar{grid_.start, values[0]};
      return;
    }
    Matrix matrix(1);
    for (size_t i = 0; i < values.size(); ++i) matrix[0].samples.Append(grid_.At(i), values[i]);
    *value = std::move(matrix);
  }

  void TakeVector(VectorOperatorPtr vector, Value* value) const {
    const EvalContext::Options& options = context_->options();
    if (options.delayed_name_removal) {
      vector = MakeMerge(context_, MakeRowMap(context_, std::move(vector), {}, [](Row* row, auto) {
                           if (!row->drop_name) return;
                           row->labels = WithoutName(row->labels);
                         }));
    }
    if (options.instant) {
      *value = ReadInstant(vector.get());
    } else {
      *value = ReadRange(vector.get());
    }
  }

  void TakeRange(RangeOperator* range, Value* value) const {
    Matrix matrix;
    RangeSeries source;
    const Timestamp first = range->windows().first_start();
    const Timestamp last = range->windows().last_end();
    while (range->Next(&source)) {
      Series series;
      for (size_t i = 0; i < source.samples.size(); ++i) {
        const Timestamp time = source.samples.timestamps()[i];
        if (time > first && time <= last) series.samples.AppendFrom(source.samples, i);
      }
      if (series.samples.empty()) continue;
      if (!context_->Hold(series.samples.size())) return;
      context_->stats().samples_queryable += series.samples.size();
      series.labels = source.drop_name ? WithoutName(source.labels) : std::move(source.labels);
      matrix.push_back(std::move(series));
    }
    Finish(&matrix);
    *value = std::move(matrix);
  }

 private:
  Vector ReadInstant(VectorOperator* vector) const {
    Vector result;
    Row row;
    while (vector->Next(&row)) {
      if (!row.PresentAt(0)) continue;
      if (!context_->Hold(SampleCount(row))) break;
      HistogramPtr histogram = row.has_histograms() ? std::move(row.histograms[0]) : nullptr;
      result.push_back({std::move(row.labels), grid_.start, row.values[0], std::move(histogram)});
    }
    return result;
  }

  Matrix ReadRange(VectorOperator* vector) const {
    Matrix matrix;
    Row row;
    while (vector->Next(&row)) {
      const size_t present = CountPresent(row);
      if (present == 0) continue;
      if (!context_->Hold(SampleCount(row))) break;
      Series series;
      series.labels = std::move(row.labels);
      series.samples.Reserve(present);
      for (size_t i = 0; i < row.values.size(); ++i) {
        if (const FloatHistogram* histogram = row.HistogramAt(i)) {
          series.samples.AppendFloatHistogram(grid_.At(i), *histogram);
        } else if (IsPresent(row.values[i])) {
          series.samples.Append(grid_.At(i), row.values[i]);
        }
      }
      matrix.push_back(std::move(series));
    }
    Finish(&matrix);
    return matrix;
  }

  void Finish(Matrix* matrix) const {
    std::sort(matrix->begin(), matrix->end(),
              [](const Series& a, const Series& b) { return a.labels < b.labels; });
    for (size_t i = 1; i < matrix->size(); ++i) {
      if ((*matrix)[i - 1].labels == (*matrix)[i].labels) {
        context_->Error("vector cannot contain metrics with the same labelset");
        return;
      }
    }
  }

  EvalContext* const context_;
  const Grid grid_;
};

struct Plan {
  ScalarOperatorPtr scalar;
  VectorOperatorPtr vector;
  RangeOperatorPtr range;
};

absl::Status Select(storage::Querier* querier, const std::vector<storage::Selector>& selectors,
                    const QueryOptions& query_options, EvalContext* context) {
  if (selectors.empty()) return absl::OkStatus();
  storage::SelectOptions options;
  options.series_max = query_options.series_max;
  options.deadline = context->options().deadline;
  options.cancelled = context->options().cancelled;
  NARTHEX_ASSIGN_OR_RETURN(storage::SelectResult selected, querier->Select(selectors, options));
  for (const std::string& warning : selected.warnings) {
    context->annotations().AddStorageWarning(warning);
  }
  context->SetSeriesSets(std::move(selected.sets));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Result> Engine::Instant(storage::Querier* querier, std::string_view query,
                                       Timestamp time, const QueryOptions& query_options) {
  NARTHEX_ASSIGN_OR_RETURN(const ExprPtr expr, Parse(query));
  return Run(querier, *expr, {query, time, time, 0, /*instant=*/true}, query_options);
}

absl::StatusOr<Result> Engine::Instant(storage::Querier* querier, const Expr& expr, Timestamp time,
                                       const QueryOptions& query_options) {
  return Run(querier, expr, {"", time, time, 0, /*instant=*/true}, query_options);
}

absl::StatusOr<Result> Engine::Range(storage::Querier* querier, std::string_view query,
                                     Timestamp start, Timestamp end, int64_t step_ms,
                                     const QueryOptions& query_options) {
  NARTHEX_ASSIGN_OR_RETURN(const ExprPtr expr, Parse(query));
  return Run(querier, *expr, {query, start, end, step_ms, /*instant=*/false}, query_options);
}

absl::StatusOr<Result> Engine::Range(storage::Querier* querier, const Expr& expr, Timestamp start,
                                     Timestamp end, int64_t step_ms,
                                     const QueryOptions& query_options) {
  return Run(querier, expr, {"", start, end, step_ms, /*instant=*/false}, query_options);
}

absl::StatusOr<Result> Engine::Run(storage::Querier* querier, const Expr& expr,
                                   const Bounds& bounds, const QueryOptions& query_options) {
  // Far from where sums of times overflow; the year 36,000,000 and its mirror.
  constexpr Timestamp kTimeMax = int64_t{1} << 60;
  if (std::min(bounds.start, bounds.end) < -kTimeMax ||
      std::max(bounds.start, bounds.end) > kTimeMax) {
    return InvalidArgument("query time is out of range");
  }
  if (!bounds.instant && (bounds.step_ms <= 0 || bounds.start > bounds.end)) {
    return InvalidArgument("invalid range: start must not be after end, and step must be positive");
  }
  const ValueType type = TypeOf(expr);
  if (!bounds.instant && type != ValueType::kScalar && type != ValueType::kVector) {
    return InvalidArgument("invalid expression type ", Quote(ValueTypeText(type)),
                           " for range query, must be Scalar or instant Vector");
  }

  const absl::Time started = clock_->Now();
  EvalContext::Options options;
  options.start = bounds.start;
  options.end = bounds.end;
  options.step_ms = bounds.step_ms;
  options.instant = bounds.instant;
  options.lookback_ms =
      ToMillis(query_options.lookback_delta > absl::ZeroDuration() ? query_options.lookback_delta
                                                                   : options_.lookback_delta);
  options.samples_max = options_.samples_max;
  options.delayed_name_removal = options_.delayed_name_removal;
  options.type_and_unit_labels = options_.type_and_unit_labels;
  options.deadline = started + std::min(options_.timeout, query_options.timeout);
  options.cancelled = query_options.cancelled;
  {
    const MutexLock lock(&mu_);
    options.subquery_step_ms = ToMillis(subquery_step_default_);
  }
  Place place(this);
  NARTHEX_RETURN_IF_ERROR(place.Take(options.deadline, options.cancelled));
  const absl::Time placed = clock_->Now();

  EvalContext context(std::move(options), clock_);
  Grid grid{bounds.start, bounds.step_ms, 1};
  if (!bounds.instant) {
    grid.count = static_cast<size_t>((bounds.end - bounds.start) / bounds.step_ms) + 1;
    // A row of all steps has to fit.
    if (context.Hold(grid.count)) context.Release(grid.count);
  }
  Result result;
  if (type == ValueType::kString) {
    result.value = String{bounds.start, As<StringLiteral>(Unparen(expr)).value};
    return result;
  }
  Plan plan;
  Planner planner(&context);
  if (context.ok()) {
    if (type == ValueType::kScalar) plan.scalar = planner.PlanScalar(expr, grid);
    if (type == ValueType::kVector) plan.vector = planner.PlanVector(expr, grid);
    if (type == ValueType::kMatrix) plan.range = planner.PlanRange(expr, grid);
  }
  NARTHEX_RETURN_IF_ERROR(context.status());
  NARTHEX_RETURN_IF_ERROR(Select(querier, planner.selectors(), query_options, &context));
  const absl::Time prepared = clock_->Now();

  const ResultBuilder builder(&context, grid);
  if (plan.scalar != nullptr) builder.TakeScalar(plan.scalar.get(), &result.value);
  if (plan.vector != nullptr) builder.TakeVector(std::move(plan.vector), &result.value);
  if (plan.range != nullptr) builder.TakeRange(plan.range.get(), &result.value);
  context.Look();
  metrics_->samples->Increment(static_cast<double>(context.stats().samples_queryable));
  NARTHEX_RETURN_IF_ERROR(context.status());

  result.warnings = context.annotations().Warnings(bounds.query);
  result.infos = context.annotations().Infos(bounds.query);
  result.stats = context.stats();
  result.stats.queue_time = placed - started;
  result.stats.preparation_time = prepared - placed;
  result.stats.evaluation_time = clock_->Now() - prepared;
  metrics_->queue_time->Observe(absl::ToDoubleSeconds(result.stats.queue_time));
  metrics_->prepare_time->Observe(absl::ToDoubleSeconds(result.stats.preparation_time));
  metrics_->inner_eval->Observe(absl::ToDoubleSeconds(result.stats.evaluation_time));
  return result;
}

ValueType TypeOf(const Value& value) {
  switch (value.index()) {
    case 0:
      return ValueType::kScalar;
    case 1:
      return ValueType::kString;
    case 2:
      return ValueType::kVector;
    default:
      return ValueType::kMatrix;
  }
}

}  // namespace narthex::promql
