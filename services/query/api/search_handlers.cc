#include "services/query/api/search_handlers.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "lib/base/strings.h"
#include "lib/json/writer.h"
#include "services/query/api/name_search.h"
#include "services/query/api/params.h"

namespace narthex::query_api {
namespace {

constexpr std::string_view kContentType = "application/x-ndjson; charset=utf-8";
constexpr size_t kLimitDefault = 100;
constexpr size_t kBatchDefault = 100;

struct Found {
  std::string name;
  double score = 1;
};

struct SearchParams {
  Timestamp start = 0;
  Timestamp end = 0;
  std::vector<std::vector<Matcher>> matcher_sets;
  std::vector<std::string> terms;
  NameSearch::Algorithm algorithm = NameSearch::Algorithm::kSubsequence;
  double threshold = 0;
  bool case_sensitive = true;
  bool include_score = false;
  bool include_metadata = false;
  std::string sort_by;
  bool descending = false;
  size_t limit = kLimitDefault;
  size_t batch_size = kBatchDefault;
};

absl::Status ParseBool(const http::Params& params, std::string_view name, bool* value) {
  const std::string_view text = params.Get(name);
  if (text.empty()) return absl::OkStatus();
  const absl::StatusOr<bool> parsed = ParseGoBool(text);
  if (!parsed.ok()) return InvalidArgument("invalid ", name, " ", Quote(text), ": must be boolean");
  *value = *parsed;
  return absl::OkStatus();
}

// Zero stands for the default.
absl::Status ParseCount(const http::Params& params, std::string_view name, size_t* value) {
  const std::string_view text = params.Get(name);
  if (text.empty()) return absl::OkStatus();
  const absl::StatusOr<int64_t> parsed = ParseGoInt(text);
  if (!parsed.ok() || *parsed < 0) {
    return InvalidArgument("invalid ", name, " ", Quote(text), ": must be non-negative integer");
  }
  if (*parsed > 0) *value = static_cast<size_t>(*parsed);
  return absl::OkStatus();
}

absl::Status ParseOrder(const http::Params& params, SearchParams* out) {
  out->sort_by = std::string(params.Get("sort_by"));
  const std::string_view direction = params.Get("sort_dir");
  if (!out->sort_by.empty() && out->sort_by != "alpha" && out->sort_by != "score") {
    return InvalidArgument("invalid sort_by ", Quote(out->sort_by),
                           ": must be \"alpha\" or \"score\"");
  }
  if (!direction.empty() && out->sort_by.empty()) {
    return InvalidArgument("sort_dir is only valid when sort_by is set");
  }
  if (!direction.empty() && out->sort_by == "score") {
    return InvalidArgument("sort_dir is not supported for sort_by=score");
  }
  if (!direction.empty() && direction != "asc" && direction != "dsc") {
    return InvalidArgument("invalid sort_dir ", Quote(direction), ": must be \"asc\" or \"dsc\"");
  }
  out->descending = direction == "dsc";
  if (out->sort_by == "score" && out->terms.empty()) {
    return InvalidArgument("sort_by=score requires search[] to be set");
  }
  return absl::OkStatus();
}

absl::Status ParseFuzziness(const http::Params& params, SearchParams* out) {
  if (const std::string_view text = params.Get("fuzz_threshold"); !text.empty()) {
    const absl::StatusOr<int64_t> threshold = ParseGoInt(text);
    if (!threshold.ok() || *threshold < 0 || *threshold > 100) {
      return InvalidArgument("invalid fuzz_threshold ", Quote(text), ": must be 0-100");
    }
    out->threshold = static_cast<double>(*threshold) / 100;
  }
  const std::string_view algorithm = params.Get("fuzz_alg");
  if (algorithm == "jarowinkler") {
    out->algorithm = NameSearch::Algorithm::kJaroWinkler;
  } else if (!algorithm.empty() && algorithm != "subsequence") {
    return InvalidArgument("unsupported fuzz_alg ", Quote(algorithm),
                           ": must be one of [subsequence jarowinkler]");
  }
  return absl::OkStatus();
}

absl::StatusOr<SearchParams> Parse(const http::Params& params, absl::Time now) {
  SearchParams out;
  const absl::StatusOr<Timestamp> start =
      TimeParam(params, "start", ToTimestamp(now - absl::Hours(1)));
  if (!start.ok()) return start.status();
  const absl::StatusOr<Timestamp> end = TimeParam(params, "end", ToTimestamp(now));
  if (!end.ok()) return end.status();
  out.start = *start;
  out.end = *end;
  absl::StatusOr<std::vector<std::vector<Matcher>>> matcher_sets = MatchParams(params);
  if (!matcher_sets.ok()) return matcher_sets.status();
  out.matcher_sets = *std::move(matcher_sets);
  out.terms = params.All("search[]");
  for (const absl::Status& status :
       {ParseFuzziness(params, &out), ParseBool(params, "case_sensitive", &out.case_sensitive),
        ParseBool(params, "include_score", &out.include_score),
        ParseBool(params, "include_metadata", &out.include_metadata), ParseOrder(params, &out),
        ParseCount(params, "limit", &out.limit),
        ParseCount(params, "batch_size", &out.batch_size)}) {
    if (!status.ok()) return status;
  }
  return out;
}

// The names that fit, in the order asked for.
std::vector<Found> Fit(std::vector<std::string> names, const SearchParams& params) {
  const NameSearch search(params.terms, params.algorithm, params.threshold, params.case_sensitive);
  std::vector<Found> found;
  for (std::string& name : names) {
    if (const std::optional<double> score = search.Score(name); score.has_value()) {
      found.push_back({std::move(name), *score});
    }
  }
  // They come sorted by name.
  if (params.sort_by == "score") {
    std::stable_sort(found.begin(), found.end(),
                     [](const Found& a, const Found& b) { return a.score > b.score; });
  } else if (params.descending) {
    std::reverse(found.begin(), found.end());
  }
  return found;
}

void AppendStrings(std::string_view key, const std::vector<std::string>& texts,
                   json::Writer* writer) {
  if (texts.empty()) return;
  writer->Key(key);
  writer->BeginArray();
  for (const std::string& text : texts) writer->String(text);
  writer->EndArray();
}

}  // namespace

http::ServerResponse SearchHandlers::MetricNames(const http::ServerRequest& request) {
  return Search(What::kMetricNames, request);
}

http::ServerResponse SearchHandlers::LabelNames(const http::ServerRequest& request) {
  return Search(What::kLabelNames, request);
}

http::ServerResponse SearchHandlers::LabelValues(const http::ServerRequest& request) {
  return Search(What::kLabelValues, request);
}

http::ServerResponse SearchHandlers::Search(What what, const http::ServerRequest& request) {
  if (!options_.enabled) {
    return ToResponse(Answer::Error(ErrorType::kSwitchedOff, "search API disabled"));
  }
  absl::StatusOr<SearchParams> params = Parse(request.params, clock_->Now());
  if (!params.ok()) return ToResponse(Answer::Error(params.status()));
  if (options_.limit_max > 0) params->limit = std::min(params->limit, options_.limit_max);
  std::string label(kMetricName);
  if (what == What::kLabelValues) {
    label = UnescapeName(request.params.Get("label"));
    if (label.empty()) {
      return ToResponse(Answer::Error(ErrorType::kBadData, "missing required parameter \"label\""));
    }
  }
  std::vector<std::string> warnings;
  absl::StatusOr<std::vector<std::string>> names =
      what == What::kLabelNames
          ? querier_->LabelNames(params->matcher_sets, params->start, params->end, &warnings)
          : querier_->LabelValues(label, params->matcher_sets, params->start, params->end,
                                  &warnings);
  if (!names.ok()) return ToResponse(Answer::Error(names.status()));
  std::vector<Found> found = Fit(*std::move(names), *params);
  const bool has_more = found.size() > params->limit;
  if (has_more) found.resize(params->limit);
  std::map<std::string, rpc::MetricMetadata> metadata;
  if (what == What::kMetricNames && params->include_metadata && !found.empty()) {
    metadata = metadata_->FirstMetadata(request, &warnings);
  }

  http::ServerResponse response;
  response.content_type = std::string(kContentType);
  for (size_t begin = 0; begin == 0 || begin < found.size(); begin += params->batch_size) {
    const size_t end = std::min(found.size(), begin + params->batch_size);
    json::Writer line(&response.body);
    line.BeginObject();
    line.Key("results");
    line.BeginArray();
    for (size_t i = begin; i < end; ++i) {
      line.BeginObject();
      line.Key("name");
      line.String(found[i].name);
      if (params->include_score) {
        line.Key("score");
        line.Double(found[i].score);
      }
      if (const auto known = metadata.find(found[i].name); known != metadata.end()) {
        for (const auto& [key, text] :
             {std::pair<std::string_view, std::string_view>("type", known->second.type),
              {"help", known->second.help},
              {"unit", known->second.unit}}) {
          if (text.empty()) continue;
          line.Key(key);
          line.String(text);
        }
      }
      line.EndObject();
    }
    line.EndArray();
    if (begin == 0) AppendStrings("warnings", warnings, &line);
    line.EndObject();
    response.body.push_back('\n');
  }
  StrAppend(&response.body, "{\"status\":\"success\",\"has_more\":", has_more ? "true" : "false",
            "}\n");
  return response;
}

}  // namespace narthex::query_api
