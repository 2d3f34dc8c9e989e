#include "services/query/api/features.h"

#include <string_view>

#include "lib/base/strings.h"
#include "services/query/promql/functions.h"

namespace narthex::query_api {
namespace {

constexpr std::string_view kOperators[] = {
    "!=",           "!~",    "%",   "*",   "+",  "-",        "/",      "<",      "<=",      "==",
    "=~",           ">",     ">=",  "@",   "^",  "and",      "atan2",  "avg",    "bottomk", "count",
    "count_values", "group", "max", "min", "or", "quantile", "stddev", "stdvar", "sum",     "topk",
    "unless"};
constexpr std::string_view kLanguage[] = {"at_modifier",
                                          "bool",
                                          "by",
                                          "group_left",
                                          "group_right",
                                          "ignoring",
                                          "negative_offset",
                                          "offset",
                                          "on",
                                          "per_query_lookback_delta",
                                          "subqueries",
                                          "without",
                                          "duration_expr"};
constexpr std::string_view kTemplateFunctions[] = {"args",
                                                   "externalURL",
                                                   "first",
                                                   "graphLink",
                                                   "humanize",
                                                   "humanize1024",
                                                   "humanizeDuration",
                                                   "humanizePercentage",
                                                   "humanizeTimestamp",
                                                   "label",
                                                   "match",
                                                   "now",
                                                   "parseDuration",
                                                   "pathPrefix",
                                                   "query",
                                                   "reReplaceAll",
                                                   "safeHtml",
                                                   "sortByLabel",
                                                   "stripDomain",
                                                   "stripPort",
                                                   "strvalue",
                                                   "tableLink",
                                                   "title",
                                                   "toDuration",
                                                   "toLower",
                                                   "toTime",
                                                   "toUpper",
                                                   "urlQueryEscape",
                                                   "value"};

}  // namespace

Features CollectFeatures(const promql::EngineOptions& engine, bool enable_admin,
                         bool enable_lifecycle, bool enable_search) {
  Features features;
  features["api"] = {
      {"admin", enable_admin},         {"exclude_alerts", true},    {"label_values_match", true},
      {"lifecycle", enable_lifecycle}, {"query_stats", true},       {"query_warnings", true},
      {"search", enable_search},       {"time_range_labels", true}, {"time_range_series", true}};
  features["prometheus"] = {{"agent_mode", false}, {"server_mode", true}};
  auto& language = features["promql"];
  for (const std::string_view name : kLanguage) language[std::string(name)] = true;
  language["anchored"] = language["smoothed"] = engine.parser.extended_range_selectors;
  language["fill"] = language["fill_left"] = language["fill_right"] = engine.parser.fill_modifiers;
  language["delayed_name_removal"] = engine.delayed_name_removal;
  language["type_and_unit_labels"] = engine.type_and_unit_labels;
  auto& operators = features["promql_operators"];
  for (const std::string_view name : kOperators) operators[std::string(name)] = true;
  operators["limitk"] = operators["limit_ratio"] = engine.parser.experimental_functions;
  for (const promql::FunctionSignature& function : promql::AllFunctions()) {
    features["promql_functions"][std::string(function.name)] =
        !function.experimental || engine.parser.experimental_functions;
  }
  features["rules"] = {{"keep_firing_for", true}, {"query_offset", true}};
  for (const std::string_view name : kTemplateFunctions) {
    features["templating_functions"][std::string(name)] = true;
  }
  features["ui"] = {{"ui_v2", false}, {"ui_v3", false}};
  return features;
}

std::string FeaturesJson(const Features& features) {
  std::string json = "{";
  for (const auto& [category, members] : features) {
    StrAppend(&json, json.size() > 1 ? "," : "", "\"", category, "\":{");
    bool first = true;
    for (const auto& [name, on] : members) {
      StrAppend(&json, first ? "" : ",", "\"", name, "\":", on ? "true" : "false");
      first = false;
    }
    json.push_back('}');
  }
  json.push_back('}');
  return json;
}

}  // namespace narthex::query_api
