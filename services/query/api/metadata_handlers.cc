#include "services/query/api/metadata_handlers.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/strings.h"
#include "lib/base/utf8.h"
#include "lib/json/writer.h"
#include "services/query/api/params.h"
#include "services/query/api/value_writer.h"

namespace narthex::query_api {
namespace {

constexpr std::string_view kTruncated = "results truncated due to limit";

// What the three endpoints have in common.
struct SelectionParams {
  Timestamp start = 0;
  Timestamp end = 0;
  size_t limit = 0;
  std::vector<std::vector<Matcher>> matcher_sets;
};

// An answer that says what was wrong with a parameter, or nothing.
std::optional<Answer> Parse(const http::Params& params, SelectionParams* out) {
  const absl::StatusOr<size_t> limit = LimitParam(params);
  if (!limit.ok()) return Answer::BadParameter("limit", limit.status());
  const absl::StatusOr<Timestamp> start = TimeParam(params, "start", kApiMinTime);
  if (!start.ok()) return Answer::BadParameter("start", start.status());
  const absl::StatusOr<Timestamp> end = TimeParam(params, "end", kApiMaxTime);
  if (!end.ok()) return Answer::BadParameter("end", end.status());
  absl::StatusOr<std::vector<std::vector<Matcher>>> matcher_sets = MatchParams(params);
  if (!matcher_sets.ok()) return Answer::BadParameter("match[]", matcher_sets.status());
  *out = {*start, *end, *limit, *std::move(matcher_sets)};
  return std::nullopt;
}

Answer StringsAnswer(absl::StatusOr<std::vector<std::string>> strings, size_t limit,
                     std::vector<std::string> warnings) {
  if (!strings.ok()) return Answer::Error(strings.status());
  if (limit > 0 && strings->size() > limit) {
    strings->resize(limit);
    warnings.emplace_back(kTruncated);
  }
  Answer answer;
  answer.warnings = std::move(warnings);
  json::Writer writer(&answer.data);
  writer.BeginArray();
  for (const std::string& text : *strings) writer.String(text);
  writer.EndArray();
  return answer;
}

}  // namespace

Answer MetadataHandlers::LabelNames(const http::ServerRequest& request) {
  SelectionParams params;
  if (std::optional<Answer> refusal = Parse(request.params, &params)) return *std::move(refusal);
  std::vector<std::string> warnings;
  auto names = querier_->LabelNames(params.matcher_sets, params.start, params.end, &warnings);
  return StringsAnswer(std::move(names), params.limit, std::move(warnings));
}

Answer MetadataHandlers::LabelValues(const http::ServerRequest& request) {
  const std::string name = UnescapeName(request.PathParam("name"));
  if (name.empty() || !IsValidUtf8(name)) {
    return Answer::Error(ErrorType::kBadData, StrCat("invalid label name: ", Quote(name)));
  }
  SelectionParams params;
  if (std::optional<Answer> refusal = Parse(request.params, &params)) return *std::move(refusal);
  std::vector<std::string> warnings;
  auto values =
      querier_->LabelValues(name, params.matcher_sets, params.start, params.end, &warnings);
  return StringsAnswer(std::move(values), params.limit, std::move(warnings));
}

Answer MetadataHandlers::Series(const http::ServerRequest& request) {
  if (!request.params.Has("match[]")) {
    return Answer::Error(ErrorType::kBadData, "no match[] parameter provided");
  }
  SelectionParams params;
  if (std::optional<Answer> refusal = Parse(request.params, &params)) return *std::move(refusal);
  std::vector<storage::Selector> selectors;
  for (std::vector<Matcher>& matchers : params.matcher_sets) {
    storage::Selector& selector = selectors.emplace_back();
    selector.matchers = std::move(matchers);
    selector.hints.start = params.start;
    selector.hints.end = params.end;
    selector.hints.labels_only = true;
    selector.hints.function = "series";
    // One more than is shown tells that there are more.
    if (params.limit > 0) selector.hints.limit = params.limit + 1;
  }
  storage::SelectOptions options;
  options.deadline = clock_->Now() + timeout_;
  options.cancelled = request.cancelled;
  absl::StatusOr<storage::SelectResult> result = querier_->Select(selectors, options);
  if (!result.ok()) return Answer::Error(result.status());
  std::vector<Labels> found;
  for (const std::unique_ptr<storage::SeriesSet>& set : result->sets) {
    while (set->Next()) found.push_back(set->labels());
    if (!set->status().ok()) return Answer::Error(set->status());
  }
  // In order, and each once, however many selectors match it.
  if (!std::is_sorted(found.begin(), found.end())) std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  Answer answer;
  answer.warnings = std::move(result->warnings);
  json::Writer writer(&answer.data);
  writer.BeginArray();
  size_t written = 0;
  for (const Labels& labels : found) {
    if (params.limit > 0 && written == params.limit) {
      answer.warnings.emplace_back(kTruncated);
      break;
    }
    WriteLabels(labels, &writer);
    ++written;
  }
  writer.EndArray();
  return answer;
}

}  // namespace narthex::query_api
