#include "services/query/promql/engine.h"

#include <algorithm>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "services/query/promql/eval_context.h"
#include "services/query/promql/plan.h"
#include "services/query/promql/printer.h"
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
        samples_read(registry->AddCounter("prometheus_engine_query_samples_read_total",
                                          "The total number of samples read from storage.")),
        log_enabled(
            registry->AddGauge("prometheus_engine_query_log_enabled", "State of the query log.")),
        log_failures(registry->AddCounter("prometheus_engine_query_log_failures_total",
                                          "The number of query log failures.")),
        memory_peak(registry->AddHistogram("narthex_query_memory_peak_bytes",
                                           "What a query held in memory at most.",
                                           {1 << 16, 1 << 20, 1 << 23, 1 << 26, 1 << 28, 1 << 30})),
        queue_time(registry, "queue_time"),
        prepare_time(registry, "prepare_time"),
        inner_eval(registry, "inner_eval"),
        result_sort(registry, "result_sort") {}

  // A part of the time that queries take, as a summary and as a histogram.
  class Slice {
   public:
    Slice(metrics::Registry* registry, const std::string& slice)
        : summary_(registry->AddSummary("prometheus_engine_query_duration_seconds", "Query timings",
                                        {0.5, 0.9, 0.99}, {{"slice", slice}})),
          histogram_(registry->AddHistogram("prometheus_engine_query_duration_histogram_seconds",
                                            "The duration of various parts of PromQL query "
                                            "execution.",
                                            {.01, .1, 1, 10}, {{"slice", slice}})) {}
    void Observe(absl::Duration duration) {
      const double seconds = absl::ToDoubleSeconds(duration);
      summary_->Observe(seconds);
      histogram_->Observe(seconds);
    }

   private:
    metrics::Summary* const summary_;
    metrics::Histogram* const histogram_;
  };

  metrics::Gauge* const running;
  metrics::Gauge* const concurrency_max;
  metrics::Counter* const samples;
  metrics::Counter* const samples_read;
  metrics::Gauge* const log_enabled;
  metrics::Counter* const log_failures;
  metrics::Histogram* const memory_peak;
  Slice queue_time;
  Slice prepare_time;
  Slice inner_eval;
  Slice result_sort;
};

// Waits for a free place; gives it back when destroyed. A query with a place is an active one.
class Engine::Place {
 public:
  explicit Place(Engine* engine) : engine_(engine) { engine_->metrics_->running->Add(1); }
  ~Place() {
    engine_->metrics_->running->Add(-1);
    if (!taken_) return;
    if (engine_->options_.active_queries != nullptr) {
      engine_->options_.active_queries->Remove(slot_);
    }
    const MutexLock lock(&engine_->mu_);
    --engine_->running_;
    engine_->place_free_.Signal();
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  absl::Status Take(std::string_view text, absl::Time deadline,
                    const std::function<bool()>& cancelled) {
    NARTHEX_RETURN_IF_ERROR(Wait(deadline, cancelled));
    if (engine_->options_.active_queries != nullptr) {
      slot_ = engine_->options_.active_queries->Insert(text);
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Wait(absl::Time deadline, const std::function<bool()>& cancelled) {
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

  Engine* const engine_;
  bool taken_ = false;
  int slot_ = -1;
};

Engine::Engine(EngineOptions options, Clock* clock, metrics::Registry* registry)
    : options_(std::move(options)),
      clock_(clock),
      metrics_(std::make_unique<Metrics>(registry)),
      read_ahead_(options_.read_ahead_threads > 0
                      ? std::make_unique<ReadAheadPool>(options_.read_ahead_threads)
                      : nullptr),
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

absl::Status Engine::SetQueryLog(io::FileSystem* file_system, const std::string& path) {
  std::shared_ptr<QueryLog> log;
  if (!path.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(log, QueryLog::Open(file_system, path));
  }
  metrics_->log_enabled->Set(log == nullptr ? 0 : 1);
  const MutexLock lock(&mu_);
  query_log_.swap(log);
  return absl::OkStatus();
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
      if (!HoldSeries(series, series.samples.size())) return;
      context_->CountQueryable(grid_, series.samples.size());
      if (context_->counts_steps()) context_->CountStep(grid_, 0, series.samples.size());
      series.labels = source.drop_name ? WithoutName(source.labels) : std::move(source.labels);
      matrix.push_back(std::move(series));
    }
    Finish(&matrix);
    *value = std::move(matrix);
  }

 private:
  // The result is not given back: it lives as long as the query.
  bool HoldSeries(const Series& series, size_t samples) const {
    return context_->Hold(samples, sizeof(series) + series.samples.memory_bytes());
  }

  Vector ReadInstant(VectorOperator* vector) const {
    Vector result;
    Row row;
    while (vector->Next(&row)) {
      if (!row.PresentAt(0)) continue;
      if (!context_->Hold(SampleCount(row), sizeof(VectorSample) + MemoryBytes(row))) break;
      HistogramPtr histogram = row.has_histograms() ? std::move(row.histograms[0]) : nullptr;
      const double value = histogram == nullptr ? row.values[0] : 0;
      result.push_back({std::move(row.labels), grid_.start, value, std::move(histogram)});
    }
    return result;
  }

  Matrix ReadRange(VectorOperator* vector) const {
    Matrix matrix;
    Row row;
    while (vector->Next(&row)) {
      const size_t present = CountPresent(row);
      if (present == 0) continue;
      const size_t samples = SampleCount(row);
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
      if (!HoldSeries(series, samples)) break;
      matrix.push_back(std::move(series));
    }
    Finish(&matrix);
    return matrix;
  }

  void Finish(Matrix* matrix) const {
    const absl::Time started = context_->clock()->Now();
    Sort(matrix);
    context_->stats().sort_time = context_->clock()->Now() - started;
  }

  void Sort(Matrix* matrix) const {
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

// One of them, by the type of the expression; a string has none.
struct Operators {
  const StringLiteral* string = nullptr;
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

// Plans, and sends storage what the plan wants to read.
absl::Status Prepare(storage::Querier* querier, const Expr& expr, const Grid& grid,
                     const QueryOptions& query_options, EvalContext* context,
                     Operators* operators) {
  // A row of all steps has to fit.
  context->Hold(grid.count, grid.count * sizeof(double));
  context->Release(grid.count, grid.count * sizeof(double));
  NARTHEX_RETURN_IF_ERROR(context->status());
  Planner planner(context);
  planner.FindRepeats(expr);
  switch (TypeOf(expr)) {
    case ValueType::kScalar:
      operators->scalar = planner.PlanScalar(expr, grid);
      break;
    case ValueType::kVector:
      operators->vector = planner.PlanVector(expr, grid);
      break;
    case ValueType::kMatrix:
      operators->range = planner.PlanRange(expr, grid);
      break;
    case ValueType::kString:
      operators->string = &As<StringLiteral>(Unparen(expr));
      break;
    case ValueType::kNone:
      break;
  }
  NARTHEX_RETURN_IF_ERROR(context->status());
  return Select(querier, planner.selectors(), query_options, context);
}

absl::Status Compute(Operators* operators, const Grid& grid, EvalContext* context, Value* value) {
  const ResultBuilder builder(context, grid);
  if (operators->string != nullptr) *value = String{grid.start, operators->string->value};
  if (operators->scalar != nullptr) builder.TakeScalar(operators->scalar.get(), value);
  if (operators->vector != nullptr) builder.TakeVector(std::move(operators->vector), value);
  if (operators->range != nullptr) builder.TakeRange(operators->range.get(), value);
  context->Look();
  return context->status();
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

  Result result;
  const std::string text = TextOf(expr, bounds, query_options);
  const absl::Status status = Evaluate(querier, expr, bounds, query_options, text, &result);
  Log(text, bounds, query_options, status, result.stats);
  if (!status.ok()) return status;
  return result;
}

// Text for people: only made where one looks.
std::string Engine::TextOf(const Expr& expr, const Bounds& bounds,
                           const QueryOptions& query_options) {
  if (!query_options.text.empty()) return query_options.text;
  if (!bounds.query.empty()) return std::string(bounds.query);
  if (options_.active_queries == nullptr) {
    const MutexLock lock(&mu_);
    if (query_log_ == nullptr) return "";
  }
  return ToString(expr);
}

EvalContext::Options Engine::ContextOptions(const Bounds& bounds, size_t steps,
                                            const QueryOptions& query_options) {
  EvalContext::Options options;
  options.start = bounds.start;
  options.end = bounds.end;
  options.step_ms = bounds.step_ms;
  options.instant = bounds.instant;
  options.lookback_ms =
      ToMillis(query_options.lookback_delta > absl::ZeroDuration() ? query_options.lookback_delta
                                                                   : options_.lookback_delta);
  options.samples_max = options_.samples_max;
  options.memory_max = options_.memory_max;
  options.read_ahead = read_ahead_.get();
  options.read_ahead_samples_min = options_.read_ahead_samples_min;
  if (options_.per_step_stats && query_options.step_stats) options.counted_steps = steps;
  options.delayed_name_removal = options_.delayed_name_removal;
  options.type_and_unit_labels = options_.type_and_unit_labels;
  options.use_start_timestamps = options_.use_start_timestamps;
  options.deadline = clock_->Now() + std::min(options_.timeout, query_options.timeout);
  options.cancelled = query_options.cancelled;
  const MutexLock lock(&mu_);
  options.subquery_step_ms = ToMillis(subquery_step_default_);
  return options;
}

absl::Status Engine::Evaluate(storage::Querier* querier, const Expr& expr, const Bounds& bounds,
                              const QueryOptions& query_options, std::string_view text,
                              Result* result) {
  Grid grid{bounds.start, bounds.step_ms, 1};
  if (!bounds.instant) {
    grid.count = static_cast<size_t>((bounds.end - bounds.start) / bounds.step_ms) + 1;
  }
  EvalContext context(ContextOptions(bounds, grid.count, query_options), clock_);
  QueryStats& stats = context.stats();
  stats.first_step = bounds.start;
  stats.step_ms = bounds.step_ms;
  const absl::Time started = clock_->Now();
  Place place(this);
  absl::Status status = place.Take(text, context.options().deadline, context.options().cancelled);
  const absl::Time placed = clock_->Now();
  stats.queue_time = placed - started;
  metrics_->queue_time.Observe(stats.queue_time);
  Operators operators;
  if (status.ok()) {
    status = Prepare(querier, expr, grid, query_options, &context, &operators);
    stats.preparation_time = clock_->Now() - placed;
    metrics_->prepare_time.Observe(stats.preparation_time);
  }
  if (status.ok()) {
    const absl::Time prepared = clock_->Now();
    status = Compute(&operators, grid, &context, &result->value);
    stats.evaluation_time = clock_->Now() - prepared - stats.sort_time;
    metrics_->inner_eval.Observe(stats.evaluation_time);
    if (std::holds_alternative<Matrix>(result->value)) {
      metrics_->result_sort.Observe(stats.sort_time);
    }
  }
  metrics_->samples->Increment(static_cast<double>(stats.samples_queryable));
  metrics_->samples_read->Increment(static_cast<double>(stats.samples_read));
  metrics_->memory_peak->Observe(static_cast<double>(stats.memory_peak));
  result->warnings = context.annotations().Warnings(bounds.query);
  result->infos = context.annotations().Infos(bounds.query);
  if (context.counts_steps()) stats.samples_per_step.resize(context.options().counted_steps);
  result->stats = std::move(stats);
  return status;
}

void Engine::Log(std::string_view text, const Bounds& bounds, const QueryOptions& query_options,
                 const absl::Status& status, const QueryStats& stats) {
  std::shared_ptr<QueryLog> log;
  {
    const MutexLock lock(&mu_);
    log = query_log_;
  }
  if (log == nullptr) return;
  QueryLogEntry entry;
  entry.time = clock_->Now();
  entry.query = text;
  entry.start = bounds.start;
  entry.end = bounds.end;
  entry.step_ms = bounds.step_ms;
  entry.status = status;
  entry.stats = &stats;
  entry.origin = &query_options.origin;
  if (const absl::Status written = log->Write(entry); !written.ok()) {
    metrics_->log_failures->Increment();
    options_.logger.Error("can't log query", {{"err", written}});
  }
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
