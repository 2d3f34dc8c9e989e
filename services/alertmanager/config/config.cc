#include "services/alertmanager/config/config.h"

#include <algorithm>
#include <set>

#include "lib/base/strings.h"
#include "lib/labels/matcher.h"

namespace narthex::alertmanager_config {
namespace {

// Equal matchers of one map and regular expressions of another, then the list. The maps were
// validated when they were read.
std::vector<Matcher> JoinMatchers(const std::map<std::string, std::string>& match,
                                  const std::map<std::string, std::string>& match_re,
                                  const std::vector<Matcher>& matchers) {
  std::vector<Matcher> all;
  for (const auto& [name, value] : match) all.push_back(Matcher::Equal(name, value));
  for (const auto& [name, value] : match_re) {
    absl::StatusOr<Matcher> matcher = Matcher::Create(MatchType::kRegex, name, value);
    if (matcher.ok()) all.push_back(*std::move(matcher));
  }
  all.insert(all.end(), matchers.begin(), matchers.end());
  return all;
}

void CollectReceivers(const RouteConfig& route, std::set<std::string>* names) {
  if (route.receiver.has_value()) names->insert(*route.receiver);
  for (const RouteConfig& child : route.routes) CollectReceivers(child, names);
}

bool HasRouteLabels(const RouteConfig& route) {
  return !route.labels.empty() ||
         std::any_of(route.routes.begin(), route.routes.end(), HasRouteLabels);
}

}  // namespace

const gotemplate::Value* FieldValues::Find(std::string_view key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

void FieldValues::Set(std::string_view key, gotemplate::Value value) {
  values_.insert_or_assign(std::string(key), std::move(value));
}

bool FieldValues::IsSet(std::string_view key) const {
  const gotemplate::Value* value = Find(key);
  return value != nullptr && value->Truth();
}

const std::string& FieldValues::Text(std::string_view key) const {
  static const std::string kEmpty;
  const gotemplate::Value* value = Find(key);
  return value == nullptr ? kEmpty : value->string_value();
}

bool FieldValues::Bool(std::string_view key) const {
  const gotemplate::Value* value = Find(key);
  return value != nullptr && value->bool_value();
}

int64_t FieldValues::Int(std::string_view key) const {
  const gotemplate::Value* value = Find(key);
  return value == nullptr ? 0 : value->int_value();
}

absl::Duration FieldValues::Duration(std::string_view key) const {
  const gotemplate::Value* value = Find(key);
  return value == nullptr ? absl::ZeroDuration() : value->duration_value();
}

absl::Status Place::Error(std::string_view reason) const {
  return InvalidArgument(file, ":", line, ":", column, ": ", path, path.empty() ? "" : ": ",
                         reason);
}

std::vector<Matcher> RouteConfig::AllMatchers() const {
  return JoinMatchers(match, match_re, matchers);
}

std::vector<Matcher> InhibitRuleConfig::AllSourceMatchers() const {
  return JoinMatchers(source_match, source_match_re, source_matchers);
}

std::vector<Matcher> InhibitRuleConfig::AllTargetMatchers() const {
  return JoinMatchers(target_match, target_match_re, target_matchers);
}

std::vector<std::string> UsedReceivers(const Config& config) {
  std::set<std::string> names;
  CollectReceivers(config.route, &names);
  return {names.begin(), names.end()};
}

std::vector<std::string> UnusedSections(const Config& config) {
  std::set<std::string> unused;
  const std::vector<std::string> used = UsedReceivers(config);
  for (const ReceiverConfig& receiver : config.receivers) {
    if (!std::binary_search(used.begin(), used.end(), receiver.name)) continue;
    for (const IntegrationConfig& integration : receiver.integrations) {
      if (integration.kind != "webhook") {
        unused.insert(StrCat("receivers: ", integration.kind, "_configs"));
      } else if (integration.fields.IsSet("payload")) {
        unused.insert("receivers: webhook_configs payload");
      }
    }
    if (!receiver.labels.empty()) unused.insert("receivers: labels");
  }
  if (HasRouteLabels(config.route)) unused.insert("route: labels");
  if (config.has_tracing) unused.insert("tracing");
  if (config.has_event_recorder) unused.insert("event_recorder");
  return {unused.begin(), unused.end()};
}

}  // namespace narthex::alertmanager_config
