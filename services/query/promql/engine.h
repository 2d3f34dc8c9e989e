#ifndef NARTHEX_SERVICES_QUERY_PROMQL_ENGINE_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_ENGINE_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "lib/storage/storage.h"
#include "services/query/promql/active_queries.h"
#include "services/query/promql/ast.h"
#include "services/query/promql/eval_context.h"
#include "services/query/promql/parser.h"
#include "services/query/promql/query_log.h"
#include "services/query/promql/value.h"

namespace narthex::promql {

struct EngineOptions {
  uint64_t samples_max = 50'000'000;  // Held by one query at once.
  // Bytes held by one query at once: rows, groups, ranges and results. 0 is no limit.
  uint64_t memory_max = uint64_t{1} << 30;
  absl::Duration timeout = absl::Minutes(2);
  absl::Duration lookback_delta = absl::Minutes(5);
  int concurrency_max = 20;  // Further queries wait for a place.
  // The step of a subquery that names none: global.evaluation_interval.
  absl::Duration subquery_step_default = absl::Minutes(1);
  ParserOptions parser;
  bool delayed_name_removal = false;
  bool type_and_unit_labels = false;
  // Start timestamps tell of counter resets, and where a counter began (a feature of upstream).
  bool use_start_timestamps = false;
  bool per_step_stats = false;  // QueryOptions::step_stats is heard.
  // Threads that read and decode for queries that are long, beside the thread of each query.
  int read_ahead_threads = 0;
  // Only from so many samples of a selector on: handing them from core to core costs a tenth more.
  uint64_t read_ahead_samples_min = uint64_t{1} << 22;
  // Where the running queries are written down; may be null. Must outlive the engine.
  ActiveQueries* active_queries = nullptr;
  Logger logger;
};

struct QueryOptions {
  absl::Duration lookback_delta = absl::ZeroDuration();  // Zero: the engine's.
  absl::Duration timeout = absl::InfiniteDuration();     // Only lowers the engine's.
  // Polled while the query waits and runs, by several threads if the engine reads ahead; true ends
  // it with Cancelled. May be empty.
  std::function<bool()> cancelled;
  uint64_t series_max = 0;  // Handed to Select; 0 is no limit.
  // Counts the samples of each step (stats=all), if EngineOptions::per_step_stats is on.
  bool step_stats = false;
  // What the logs of active and of all queries show; the expression's own text when empty.
  std::string text;
  QueryOrigin origin;
};

// Evaluates PromQL over a storage::Querier. Made once in App::Create; it holds no query state
// between calls, only the places of running queries and its metrics.
//
// Errors: InvalidArgument for an expression that does not parse or cannot be asked as a range (the
// HTTP API's bad_data), DeadlineExceeded, Cancelled, ResourceExhausted (too many samples) and
// FailedPrecondition (execution errors); what the Querier answered is passed on with its code.
//
// Thread safety: all methods may be called from any thread; each query runs on its caller's thread.
class Engine {
 public:
  // `clock` and `registry` must outlive the engine.
  Engine(EngineOptions options, Clock* clock, metrics::Registry* registry);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const EngineOptions& options() const { return options_; }
  // ParseExpr with the engine's switches.
  absl::StatusOr<ExprPtr> Parse(std::string_view query) const;
  // From the next query on; a reload calls it with global.evaluation_interval.
  void SetSubqueryStepDefault(absl::Duration step);
  // Writes every query to the end of `path` from now on (global.query_log_file); "" ends it. Opens
  // the file anew each time, so that a reload follows one that was moved away. After an error the
  // log before stays.
  absl::Status SetQueryLog(io::FileSystem* file_system, const std::string& path);

  // At one moment: any type of value.
  absl::StatusOr<Result> Instant(storage::Querier* querier, std::string_view query, Timestamp time,
                                 const QueryOptions& query_options = {});
  absl::StatusOr<Result> Instant(storage::Querier* querier, const Expr& expr, Timestamp time,
                                 const QueryOptions& query_options = {});

  // At start, start + step, … up to and with `end`: always a Matrix. REQUIRES: start <= end,
  // step_ms > 0.
  absl::StatusOr<Result> Range(storage::Querier* querier, std::string_view query, Timestamp start,
                               Timestamp end, int64_t step_ms,
                               const QueryOptions& query_options = {});
  absl::StatusOr<Result> Range(storage::Querier* querier, const Expr& expr, Timestamp start,
                               Timestamp end, int64_t step_ms,
                               const QueryOptions& query_options = {});

 private:
  class Place;  // One of concurrency_max, held while a query runs.
  struct Metrics;
  struct Bounds {
    std::string_view query;  // For the places in annotations; may be empty.
    Timestamp start;
    Timestamp end;
    int64_t step_ms;
    bool instant;
  };
  absl::StatusOr<Result> Run(storage::Querier* querier, const Expr& expr, const Bounds& bounds,
                             const QueryOptions& query_options);
  std::string TextOf(const Expr& expr, const Bounds& bounds, const QueryOptions& query_options);
  EvalContext::Options ContextOptions(const Bounds& bounds, size_t steps,
                                      const QueryOptions& query_options);
  // Fills result->stats even after an error.
  absl::Status Evaluate(storage::Querier* querier, const Expr& expr, const Bounds& bounds,
                        const QueryOptions& query_options, std::string_view text, Result* result);
  void Log(std::string_view text, const Bounds& bounds, const QueryOptions& query_options,
           const absl::Status& status, const QueryStats& stats);

  const EngineOptions options_;
  Clock* const clock_;
  const std::unique_ptr<Metrics> metrics_;
  const std::unique_ptr<ReadAheadPool> read_ahead_;  // Null without threads.

  Mutex mu_;
  CondVar place_free_;
  int running_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Duration subquery_step_default_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<QueryLog> query_log_ ABSL_GUARDED_BY(mu_);  // Null when there is none.
};

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_ENGINE_H_
