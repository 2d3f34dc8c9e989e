#include "services/query/api/query_handlers.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "lib/base/strings.h"
#include "lib/json/writer.h"
#include "services/query/api/params.h"
#include "services/query/api/parse_query.h"
#include "services/query/api/value_writer.h"
#include "services/query/promql/printer.h"

namespace narthex::query_api {
namespace {

// Points per series that one range query may ask for: a week at a minute, or a year at an hour.
constexpr uint64_t kPointsMax = 11'000;

// Longer answers are sent while they are written.
constexpr size_t kStreamBytesMin = 1 << 20;

// An answer that says what was wrong with a parameter, or nothing.
using Refusal = std::optional<Answer>;

// timeout and lookback_delta.
Refusal ParseOptions(const http::ServerRequest& request, promql::QueryOptions* options) {
  options->cancelled = request.cancelled;
  options->text = std::string(request.params.Get("query"));
  options->step_stats = request.params.Get("stats") == "all";
  const std::string_view address = request.remote_address;
  options->origin.client_ip = std::string(address.substr(0, address.rfind(':')));
  options->origin.method = request.method;
  options->origin.path = request.path;
  if (const std::string_view text = request.params.Get("timeout"); !text.empty()) {
    const absl::StatusOr<absl::Duration> timeout = ParseApiDuration(text);
    if (!timeout.ok()) return Answer::BadParameter("timeout", timeout.status());
    options->timeout = *timeout;
  }
  if (const std::string_view text = request.params.Get("lookback_delta"); !text.empty()) {
    const absl::StatusOr<absl::Duration> delta = ParseApiDuration(text);
    if (!delta.ok()) {
      return Answer::Error(ErrorType::kBadData, StrCat("error parsing lookback delta duration: ",
                                                       Message(delta.status())));
    }
    options->lookback_delta = std::max(*delta, absl::ZeroDuration());
  }
  return std::nullopt;
}

bool Truncate(size_t limit, promql::Value* value) {
  const auto cut = [limit](auto* list) {
    if (list == nullptr || list->size() <= limit) return false;
    list->erase(list->begin() + static_cast<ptrdiff_t>(limit), list->end());
    return true;
  };
  return limit > 0 &&
         (cut(std::get_if<promql::Vector>(value)) || cut(std::get_if<promql::Matrix>(value)));
}

Answer ToAnswer(const http::ServerRequest& request, size_t limit,
                absl::StatusOr<promql::Result> result) {
  // The expression has been parsed; the engine refuses only a type that cannot be asked as a range.
  if (absl::IsInvalidArgument(result.status())) {
    return Answer::BadParameter("query", result.status());
  }
  if (!result.ok()) return Answer::Error(result.status());
  Answer answer;
  answer.warnings = std::move(result->warnings);
  answer.infos = std::move(result->infos);
  if (Truncate(limit, &result->value)) {
    answer.warnings.push_back("results truncated due to limit");
  }
  const std::string_view stats = request.params.Get("stats");
  const bool with_stats = !stats.empty();
  if (with_stats && stats != "true" && stats != "all") {
    answer.warnings.push_back(
        StrCat("unknown value ", Quote(stats), " of the parameter \"stats\", taken as \"true\""));
  }
  // The closure is copied where the result must not be.
  const auto kept = std::make_shared<const promql::Result>(*std::move(result));
  answer.write_data = [kept, with_stats](std::string* out, const Drain& drain) {
    json::Writer writer(out);
    writer.BeginObject();
    if (!WriteValue(kept->value, &writer, out, drain)) return false;
    if (with_stats) {
      writer.Key("stats");
      WriteStats(kept->stats, &writer);
    }
    writer.EndObject();
    return true;
  };
  const size_t bytes = EstimateJsonBytes(kept->value);
  if (bytes < kStreamBytesMin) {
    answer.data.reserve(bytes);
    answer.write_data(&answer.data, nullptr);
    answer.write_data = nullptr;
  }
  return answer;
}

}  // namespace

Answer QueryHandlers::Instant(const http::ServerRequest& request) {
  const http::Params& params = request.params;
  const absl::StatusOr<size_t> limit = LimitParam(params);
  if (!limit.ok()) return Answer::BadParameter("limit", limit.status());
  const absl::StatusOr<Timestamp> time = TimeParam(params, "time", ToTimestamp(clock_->Now()));
  if (!time.ok()) return Answer::BadParameter("time", time.status());
  promql::QueryOptions options;
  if (Refusal refusal = ParseOptions(request, &options)) return *std::move(refusal);
  const absl::StatusOr<promql::ExprPtr> expr = engine_->Parse(params.Get("query"));
  if (!expr.ok()) return Answer::BadParameter("query", expr.status());
  // The text, because annotations name places in it.
  return ToAnswer(request, *limit, engine_->Instant(querier_, params.Get("query"), *time, options));
}

Answer QueryHandlers::Range(const http::ServerRequest& request) {
  const http::Params& params = request.params;
  const absl::StatusOr<size_t> limit = LimitParam(params);
  if (!limit.ok()) return Answer::BadParameter("limit", limit.status());
  const absl::StatusOr<Timestamp> start = ParseTime(params.Get("start"));
  if (!start.ok()) return Answer::BadParameter("start", start.status());
  const absl::StatusOr<Timestamp> end = ParseTime(params.Get("end"));
  if (!end.ok()) return Answer::BadParameter("end", end.status());
  if (*end < *start) {
    return Answer::BadParameter("end", "end timestamp must not be before start time");
  }
  const absl::StatusOr<absl::Duration> step = ParseApiDuration(params.Get("step"));
  if (!step.ok()) return Answer::BadParameter("step", step.status());
  // The engine counts in milliseconds; a shorter step would not advance.
  const int64_t step_ms = ToMillis(*step);
  if (step_ms <= 0) {
    return Answer::BadParameter("step",
                                "zero or negative query resolution step widths are not accepted. "
                                "Try a positive integer");
  }
  // The bounds of time are further apart than an int64 holds.
  const uint64_t range_ms = static_cast<uint64_t>(*end) - static_cast<uint64_t>(*start);
  if (range_ms / static_cast<uint64_t>(step_ms) > kPointsMax) {
    return Answer::Error(ErrorType::kBadData,
                         "exceeded maximum resolution of 11,000 points per timeseries. Try "
                         "decreasing the query resolution (?step=XX)");
  }
  promql::QueryOptions options;
  if (Refusal refusal = ParseOptions(request, &options)) return *std::move(refusal);
  const absl::StatusOr<promql::ExprPtr> expr = engine_->Parse(params.Get("query"));
  if (!expr.ok()) return Answer::BadParameter("query", expr.status());
  const std::string_view query = params.Get("query");
  const bool bypass = params.Get("nocache") == "1" || !params.Get("stats").empty();
  return ToAnswer(request, *limit,
                  bypass ? engine_->Range(querier_, query, *start, *end, step_ms, options)
                         : cache_->Range(query, **expr, *start, *end, step_ms, options));
}

Answer QueryHandlers::Format(const http::ServerRequest& request) {
  const absl::StatusOr<promql::ExprPtr> expr = engine_->Parse(request.params.Get("query"));
  if (!expr.ok()) return Answer::BadParameter("query", expr.status());
  std::string json;
  json::AppendQuoted(&json, promql::Prettify(**expr));
  return Answer::Data(std::move(json));
}

Answer QueryHandlers::Parse(const http::ServerRequest& request) {
  const absl::StatusOr<promql::ExprPtr> expr = engine_->Parse(request.params.Get("query"));
  if (!expr.ok()) return Answer::BadParameter("query", expr.status());
  Answer answer;
  json::Writer writer(&answer.data);
  WriteAst(**expr, &writer);
  return answer;
}

}  // namespace narthex::query_api
