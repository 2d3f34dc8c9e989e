#include "services/query/api/rule_handlers.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/float_format.h"
#include "lib/base/hash.h"
#include "lib/base/strings.h"
#include "lib/json/writer.h"
#include "services/query/api/params.h"
#include "services/query/api/value_writer.h"

namespace narthex::query_api {
namespace {

using GroupPtr = std::shared_ptr<const rules::Group>;

// What a request asks of the rules.
struct RulesFilter {
  bool alerting = true;
  bool recording = true;
  bool with_alerts = true;
  std::set<std::string> rule_names;
  std::set<std::string> group_names;
  std::set<std::string> files;
  std::vector<std::vector<Matcher>> matcher_sets;
  size_t group_limit = 0;
  std::string next_token;

  bool Takes(const rules::Rule& rule) const {
    const rules::RuleDefinition& definition = rule.definition();
    if (!(definition.alerting ? alerting : recording)) return false;
    if (!rule_names.empty() && !rule_names.contains(definition.name)) return false;
    if (matcher_sets.empty()) return true;
    return std::any_of(matcher_sets.begin(), matcher_sets.end(), [&](const auto& matchers) {
      return std::all_of(matchers.begin(), matchers.end(), [&](const Matcher& matcher) {
        for (const auto& [name, value] : definition.labels) {
          if (name == matcher.name()) return matcher.Matches(value);
        }
        return matcher.Matches("");
      });
    });
  }
};

std::set<std::string> NamesParam(const http::Params& params, std::string_view name) {
  const std::vector<std::string> all = params.All(name);
  return {all.begin(), all.end()};
}

// An answer that says what was wrong with a parameter, or nothing.
std::optional<Answer> Parse(const http::Params& params, RulesFilter* filter) {
  filter->rule_names = NamesParam(params, "rule_name[]");
  filter->group_names = NamesParam(params, "rule_group[]");
  filter->files = NamesParam(params, "file[]");
  absl::StatusOr<std::vector<std::vector<Matcher>>> matcher_sets = MatchParams(params);
  if (!matcher_sets.ok()) return Answer::BadParameter("match[]", matcher_sets.status());
  filter->matcher_sets = *std::move(matcher_sets);
  const std::string type = ToLowerAscii(params.Get("type"));
  if (!type.empty() && type != "alert" && type != "record") {
    return Answer::BadParameter("type", StrCat("not supported value ", Quote(type)));
  }
  filter->alerting = type != "record";
  filter->recording = type != "alert";
  if (const std::string_view text = params.Get("exclude_alerts"); !text.empty()) {
    const absl::StatusOr<bool> exclude = ParseGoBool(text);
    if (!exclude.ok()) {
      return Answer::BadParameter(
          "exclude_alerts", StrCat("error converting exclude_alerts: ", Message(exclude.status())));
    }
    filter->with_alerts = !*exclude;
  }
  const std::string_view limit_text = params.Get("group_limit");
  filter->next_token = std::string(params.Get("group_next_token"));
  if (limit_text.empty()) {
    if (filter->next_token.empty()) return std::nullopt;
    return Answer::BadParameter(
        "group_limit", "group_limit needs to be present in order to paginate over the groups");
  }
  const absl::StatusOr<int64_t> limit = ParseGoInt(limit_text);
  if (!limit.ok()) {
    return Answer::BadParameter(
        "group_limit", StrCat("group_limit needs to be a valid number: ", Message(limit.status())));
  }
  if (*limit <= 0) {
    return Answer::BadParameter("group_limit", "group_limit needs to be greater than 0");
  }
  filter->group_limit = static_cast<size_t>(*limit);
  return std::nullopt;
}

// Where the page after a group begins: an opaque name of the group.
std::string TokenOf(const rules::Group& group) {
  return absl::StrCat(absl::Hex(StableHash(group.definition().key()), absl::kZeroPad16));
}

// "1e+00"
std::string AlertValue(double value) {
  std::string text;
  AppendFloatE(&text, value);
  return text;
}

void WritePairs(const rules::TextPairs& pairs, json::Writer* writer) {
  writer->BeginObject();
  for (const auto& [name, value] : pairs) {
    writer->Key(name);
    writer->String(value);
  }
  writer->EndObject();
}

void WriteAlert(const rules::ActiveAlert& alert, json::Writer* writer) {
  writer->BeginObject();
  writer->Key("labels");
  WriteLabels(alert.labels, writer);
  writer->Key("annotations");
  WriteLabels(alert.annotations, writer);
  writer->Key("state");
  writer->String(rules::AlertStateName(alert.state));
  writer->Key("activeAt");
  writer->String(FormatApiTime(alert.active_at));
  if (alert.keep_firing_since != absl::InfinitePast()) {
    writer->Key("keepFiringSince");
    writer->String(FormatApiTime(alert.keep_firing_since));
  }
  writer->Key("value");
  writer->String(AlertValue(alert.value));
  writer->EndObject();
}

void WriteRule(const rules::Rule& rule, bool with_alerts, json::Writer* writer) {
  const rules::RuleDefinition& definition = rule.definition();
  const auto text = [writer](std::string_view key, std::string_view value) {
    writer->Key(key);
    writer->String(value);
  };
  const auto seconds = [writer](std::string_view key, absl::Duration duration) {
    writer->Key(key);
    writer->Double(absl::ToDoubleSeconds(duration));
  };
  writer->BeginObject();
  if (definition.alerting) {
    const auto& alerting = static_cast<const rules::AlertingRule&>(rule);
    text("state", rules::AlertStateName(alerting.state()));
    text("name", definition.name);
    text("query", definition.expression);
    seconds("duration", definition.hold);
    seconds("keepFiringFor", definition.keep_firing_for);
    writer->Key("labels");
    WritePairs(definition.labels, writer);
    writer->Key("annotations");
    WritePairs(definition.annotations, writer);
    writer->Key("alerts");
    writer->BeginArray();
    if (with_alerts) {
      for (const rules::ActiveAlert& alert : alerting.alerts()) WriteAlert(alert, writer);
    }
    writer->EndArray();
  } else {
    text("name", definition.name);
    text("query", definition.expression);
    writer->Key("labels");
    WritePairs(definition.labels, writer);
  }
  const rules::RuleStatus status = rule.status();
  text("health", rules::RuleHealthName(status.health));
  if (!status.last_error.empty()) text("lastError", status.last_error);
  seconds("evaluationTime", status.evaluation_duration);
  text("lastEvaluation", FormatApiTime(status.last_evaluation));
  text("type", definition.alerting ? "alerting" : "recording");
  writer->EndObject();
}

void WriteGroup(const rules::Group& group, const std::vector<const rules::Rule*>& rules,
                bool with_alerts, json::Writer* writer) {
  const rules::GroupDefinition& definition = group.definition();
  writer->BeginObject();
  writer->Key("name");
  writer->String(definition.name);
  writer->Key("file");
  writer->String(definition.file);
  writer->Key("rules");
  writer->BeginArray();
  for (const rules::Rule* rule : rules) WriteRule(*rule, with_alerts, writer);
  writer->EndArray();
  writer->Key("interval");
  writer->Double(absl::ToDoubleSeconds(definition.interval));
  writer->Key("limit");
  writer->Uint(definition.limit);
  writer->Key("evaluationTime");
  writer->Double(absl::ToDoubleSeconds(group.evaluation_duration()));
  writer->Key("lastEvaluation");
  writer->String(FormatApiTime(group.last_evaluation()));
  writer->EndObject();
}

}  // namespace

Answer RuleHandlers::Rules(const http::ServerRequest& request) {
  RulesFilter filter;
  if (std::optional<Answer> refusal = Parse(request.params, &filter)) return *std::move(refusal);
  const std::vector<GroupPtr> groups = manager_->groups();
  auto begin = groups.begin();
  if (!filter.next_token.empty()) {
    begin = std::find_if(groups.begin(), groups.end(), [&](const GroupPtr& group) {
      return TokenOf(*group) == filter.next_token;
    });
    if (begin == groups.end()) {
      return Answer::BadParameter(
          "group_next_token",
          StrCat("invalid group_next_token '", filter.next_token, "'. were rule groups changed?"));
    }
  }
  Answer answer;
  json::Writer writer(&answer.data);
  writer.BeginObject();
  writer.Key("groups");
  writer.BeginArray();
  size_t written = 0;
  std::string next_token;
  for (auto it = begin; it != groups.end(); ++it) {
    const rules::Group& group = **it;
    const rules::GroupDefinition& definition = group.definition();
    if (!filter.group_names.empty() && !filter.group_names.contains(definition.name)) continue;
    if (!filter.files.empty() && !filter.files.contains(definition.file)) continue;
    std::vector<const rules::Rule*> rules;
    for (const std::unique_ptr<rules::Rule>& rule : group.rules()) {
      if (filter.Takes(*rule)) rules.push_back(rule.get());
    }
    if (rules.empty()) continue;
    if (filter.group_limit > 0 && written == filter.group_limit) {
      next_token = TokenOf(group);
      break;
    }
    WriteGroup(group, rules, filter.with_alerts, &writer);
    ++written;
  }
  writer.EndArray();
  if (!next_token.empty()) {
    writer.Key("groupNextToken");
    writer.String(next_token);
  }
  writer.EndObject();
  return answer;
}

Answer RuleHandlers::Alerts(const http::ServerRequest&) {
  Answer answer;
  json::Writer writer(&answer.data);
  writer.BeginObject();
  writer.Key("alerts");
  writer.BeginArray();
  for (const GroupPtr& group : manager_->groups()) {
    for (const std::unique_ptr<rules::Rule>& rule : group->rules()) {
      if (!rule->definition().alerting) continue;
      const auto& alerting = static_cast<const rules::AlertingRule&>(*rule);
      for (const rules::ActiveAlert& alert : alerting.alerts()) WriteAlert(alert, &writer);
    }
  }
  writer.EndArray();
  writer.EndObject();
  return answer;
}

Answer RuleHandlers::Alertmanagers(const http::ServerRequest&) {
  Answer answer;
  json::Writer writer(&answer.data);
  const auto urls = [&writer](std::string_view key, const std::vector<std::string>& list) {
    writer.Key(key);
    writer.BeginArray();
    for (const std::string& url : list) {
      writer.BeginObject();
      writer.Key("url");
      writer.String(url);
      writer.EndObject();
    }
    writer.EndArray();
  };
  writer.BeginObject();
  urls("activeAlertmanagers", notifier_->active_urls());
  urls("droppedAlertmanagers", notifier_->dropped_urls());
  writer.EndObject();
  return answer;
}

}  // namespace narthex::query_api
