#include "services/alertmanager/config/load.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "lib/base/duration.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/relabel/name_validation.h"
#include "lib/yaml/decoder.h"
#include "services/alertmanager/config/field_decoder.h"
#include "services/alertmanager/config/integration_fields.h"

namespace narthex::alertmanager_config {
namespace {

using TextMap = std::map<std::string, std::string>;

// What decoding needs besides the document.
struct Context {
  const LoadOptions& options;
  std::string file;
  std::vector<std::string>* warnings;
  NameValidationScheme scheme;
};

Place PlaceOf(const Context& context, const yaml::Value& value) {
  return {context.file, value.line(), value.column(), value.path()};
}

// Matchers and maps of matches.

absl::Status DecodeMatchers(const Context& context, const yaml::Value& value,
                            std::vector<Matcher>* out) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value> items, value.Items("[]string"));
  for (const yaml::Value& item : items) {
    std::string text;
    NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(item, &text));
    absl::StatusOr<std::vector<Matcher>> matchers =
        alerts::ParseMatchers(text, context.options.matcher_mode, context.warnings);
    if (!matchers.ok()) return item.Error(Message(matchers.status()));
    out->insert(out->end(), matchers->begin(), matchers->end());
  }
  alerts::SortMatchers(out);
  return absl::OkStatus();
}

absl::Status DecodeMatch(const Context& context, const yaml::Value& value, bool is_regex,
                         TextMap* out) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value::Entry> entries, value.Entries("map"));
  for (const yaml::Value::Entry& entry : entries) {
    const std::string& name = entry.key.text();
    if (!IsValidLabelName(name, context.scheme)) {
      return entry.key.Error("invalid label name ", Quote(name));
    }
    if (is_regex && entry.value.is_null())
      return entry.value.Error("invalid regexp value for ", Quote(name));
    std::string text;
    NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(entry.value, &text));
    if (is_regex) {
      const absl::Status status = Matcher::Create(MatchType::kRegex, name, text).status();
      if (!status.ok()) return entry.value.Error(Message(status));
    }
    out->insert_or_assign(name, text);
  }
  return absl::OkStatus();
}

void MatchField(yaml::Mapping& fields, const Context& context, std::string_view key, bool is_regex,
                TextMap* out) {
  fields.Each(key, [&](const yaml::Value& value) {
    if (!value.is_null()) {
      context.warnings->push_back(
          StrCat("line ", value.line(), ": ", key, " is deprecated; use matchers"));
    }
    return DecodeMatch(context, value, is_regex, out);
  });
}

void MatchersField(yaml::Mapping& fields, const Context& context, std::string_view key,
                   std::vector<Matcher>* out) {
  fields.Each(key, [&](const yaml::Value& value) { return DecodeMatchers(context, value, out); });
}

// Routes.

absl::Status CheckGroupBy(const Context& context, const yaml::Mapping& fields,
                          const std::vector<std::string>& group_by) {
  std::set<std::string> seen;
  for (const std::string& name : group_by) {
    if (name == "...") {
      if (group_by.size() == 1) continue;
      return fields.ErrorAt(
          "group_by", "cannot have wildcard group_by (`...`) and other labels at the same time");
    }
    if (!IsValidLabelName(name, context.scheme)) {
      return fields.ErrorAt("group_by",
                            StrCat("invalid label name ", Quote(name), " in group_by list"));
    }
    if (!seen.insert(name).second) {
      return fields.ErrorAt("group_by", StrCat("duplicated label ", Quote(name), " in group_by"));
    }
  }
  return absl::OkStatus();
}

absl::Status DecodeRoute(const Context& context, const yaml::Value& value, RouteConfig* out) {
  yaml::Mapping fields(value, "config.plain");
  out->place = PlaceOf(context, value);
  fields("receiver", out->receiver);
  if (const yaml::Value* group_by = fields.Find("group_by"); group_by != nullptr) {
    out->has_group_by = !group_by->is_null();
  }
  fields("group_by", out->group_by);
  MatchField(fields, context, "match", false, &out->match);
  MatchField(fields, context, "match_re", true, &out->match_re);
  MatchersField(fields, context, "matchers", &out->matchers);
  fields("mute_time_intervals", out->mute_time_intervals);
  fields("active_time_intervals", out->active_time_intervals);
  fields("continue", out->continue_matching);
  fields("labels", out->labels);
  fields("group_wait", out->group_wait);
  fields("group_interval", out->group_interval);
  fields("repeat_interval", out->repeat_interval);
  fields.Each("routes", [&](const yaml::Value& routes) -> absl::Status {
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value> items, routes.Items("[]*config.Route"));
    for (const yaml::Value& item : items) {
      RouteConfig child;
      NARTHEX_RETURN_IF_ERROR(DecodeRoute(context, item, &child));
      out->routes.push_back(std::move(child));
    }
    return absl::OkStatus();
  });
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  if (out->receiver.has_value() && out->receiver->empty()) out->receiver.reset();
  NARTHEX_RETURN_IF_ERROR(CheckGroupBy(context, fields, out->group_by));
  if (out->group_interval == absl::ZeroDuration()) {
    return fields.ErrorAt("group_interval", "group_interval cannot be zero");
  }
  if (out->repeat_interval == absl::ZeroDuration()) {
    return fields.ErrorAt("repeat_interval", "repeat_interval cannot be zero");
  }
  return absl::OkStatus();
}

// Inhibition.

absl::Status DecodeInhibitRule(const Context& context, const yaml::Value& value,
                               InhibitRuleConfig* out) {
  yaml::Mapping fields(value, "config.plain");
  fields("name", out->name);
  MatchField(fields, context, "source_match", false, &out->source_match);
  MatchField(fields, context, "source_match_re", true, &out->source_match_re);
  MatchersField(fields, context, "source_matchers", &out->source_matchers);
  MatchField(fields, context, "target_match", false, &out->target_match);
  MatchField(fields, context, "target_match_re", true, &out->target_match_re);
  MatchersField(fields, context, "target_matchers", &out->target_matchers);
  fields("equal", out->equal);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  for (const std::string& name : out->equal) {
    if (!IsValidLabelName(name, context.scheme)) {
      return fields.ErrorAt("equal", StrCat("invalid label name ", Quote(name), " in equal list"));
    }
  }
  return absl::OkStatus();
}

// Time intervals.

template <typename T, typename Parse>
void RangesField(yaml::Mapping& fields, std::string_view key, std::vector<T>* out,
                 const Parse& parse) {
  fields.Each(key, [&](const yaml::Value& value) -> absl::Status {
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value> items, value.Items("list"));
    for (const yaml::Value& item : items) {
      std::string text;
      NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(item, &text));
      const absl::StatusOr<T> range = parse(text);
      if (!range.ok()) return item.Error(Message(range.status()));
      out->push_back(*range);
    }
    return absl::OkStatus();
  });
}

absl::Status DecodeTimes(const yaml::Value& value, std::vector<timeinterval::TimeRange>* out) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value> items, value.Items("list"));
  for (const yaml::Value& item : items) {
    yaml::Mapping fields(item, "timeinterval.yamlTimeRange");
    std::string start;
    std::string end;
    fields("start_time", start);
    fields("end_time", end);
    NARTHEX_RETURN_IF_ERROR(fields.Finish());
    const absl::StatusOr<timeinterval::TimeRange> range = timeinterval::ParseTimeRange(start, end);
    if (!range.ok()) return item.Error(Message(range.status()));
    out->push_back(*range);
  }
  return absl::OkStatus();
}

absl::Status DecodeInterval(const yaml::Value& value, timeinterval::TimeInterval* out) {
  yaml::Mapping fields(value, "timeinterval.TimeInterval");
  fields.Each("times", [out](const yaml::Value& times) { return DecodeTimes(times, &out->times); });
  RangesField(fields, "weekdays", &out->weekdays, timeinterval::ParseWeekdays);
  RangesField(fields, "days_of_month", &out->days_of_month, timeinterval::ParseDaysOfMonth);
  RangesField(fields, "months", &out->months, timeinterval::ParseMonths);
  RangesField(fields, "years", &out->years, timeinterval::ParseYears);
  fields("location", out->location);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  const absl::StatusOr<absl::TimeZone> zone = timeinterval::ParseLocation(out->location);
  if (!zone.ok()) return fields.ErrorAt("location", Message(zone.status()));
  out->zone = *zone;
  return absl::OkStatus();
}

absl::Status DecodeNamedIntervals(const yaml::Value& value, std::set<std::string>* names,
                                  std::vector<NamedInterval>* out) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value> items, value.Items("list"));
  for (const yaml::Value& item : items) {
    NamedInterval named;
    yaml::Mapping fields(item, "config.plain");
    fields("name", named.name);
    fields.Each("time_intervals", [&named](const yaml::Value& intervals) -> absl::Status {
      NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value> elements, intervals.Items("list"));
      for (const yaml::Value& element : elements) {
        NARTHEX_RETURN_IF_ERROR(DecodeInterval(element, &named.intervals.emplace_back()));
      }
      return absl::OkStatus();
    });
    NARTHEX_RETURN_IF_ERROR(fields.Finish());
    if (named.name.empty()) return fields.ErrorAt("name", "missing name in time interval");
    if (!names->insert(named.name).second) {
      return fields.ErrorAt("name", StrCat("time interval ", Quote(named.name), " is not unique"));
    }
    out->push_back(std::move(named));
  }
  return absl::OkStatus();
}

// Receivers.

absl::Status DecodeIntegration(const Context& context, const yaml::Value& value,
                               const IntegrationSpec& spec, const Config& config,
                               IntegrationConfig* out) {
  yaml::Mapping fields(value, spec.type);
  out->kind = spec.kind;
  out->place = PlaceOf(context, value);
  out->send_resolved = spec.send_resolved;
  fields("send_resolved", out->send_resolved);
  if (spec.has_http_config) {
    fields.Each("http_config", [out](const yaml::Value& http) -> absl::Status {
      if (http.is_null()) return absl::OkStatus();
      return DecodeHttpConfig(http, &out->http_client.emplace());
    });
  }
  DecodeFields(fields, spec.fields, &out->fields);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  for (const auto& [key, file_key] : spec.exclusive) {
    NARTHEX_RETURN_IF_ERROR(CheckExclusive(fields, out->fields, key, file_key));
  }
  absl::Status status = absl::OkStatus();
  if (spec.validate != nullptr) status = spec.validate(out);
  if (status.ok() && spec.resolve != nullptr) status = spec.resolve(out, config.global);
  if (!status.ok()) return value.Error(Message(status));
  // The whole block of global, or the integration's own: never a mixture.
  if (spec.has_http_config && !out->http_client.has_value()) out->http_client = config.http_client;
  return absl::OkStatus();
}

absl::Status DecodeReceiver(const Context& context, const yaml::Value& value, const Config& config,
                            ReceiverConfig* out) {
  yaml::Mapping fields(value, "config.plain");
  out->place = PlaceOf(context, value);
  fields("name", out->name);
  fields("labels", out->labels);
  for (const IntegrationSpec& spec : Integrations()) {
    fields.Each(StrCat(spec.kind, "_configs"), [&](const yaml::Value& list) -> absl::Status {
      NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value> items, list.Items("list"));
      for (const yaml::Value& item : items) {
        NARTHEX_RETURN_IF_ERROR(
            DecodeIntegration(context, item, spec, config, &out->integrations.emplace_back()));
      }
      return absl::OkStatus();
    });
  }
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  if (out->name.empty()) return fields.ErrorAt("name", "missing name in receiver");
  return absl::OkStatus();
}

// The rest.

absl::Status DecodeGlobal(const yaml::Value& value, Config* out) {
  yaml::Mapping fields(value, "config.plain");
  fields("resolve_timeout", out->resolve_timeout);
  fields.Each("http_config", [out](const yaml::Value& http) -> absl::Status {
    return http.is_null() ? absl::OkStatus() : DecodeHttpConfig(http, &out->http_client);
  });
  DecodeFields(fields, GlobalFields(), &out->global);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  for (const FieldSpec& spec : GlobalFields()) {
    constexpr std::string_view kFileSuffix = "_file";
    if (!spec.key.ends_with(kFileSuffix)) continue;
    const std::string_view key = spec.key.substr(0, spec.key.size() - kFileSuffix.size());
    NARTHEX_RETURN_IF_ERROR(CheckExclusive(fields, out->global, key, spec.key));
  }
  const FieldValues& global = out->global;
  const bool slack_token = global.IsSet("slack_app_token") || global.IsSet("slack_app_token_file");
  const bool slack_url = global.IsSet("slack_api_url") || global.IsSet("slack_api_url_file");
  if (slack_token && slack_url &&
      !IsSlackAppUrl(global.Text("slack_api_url"), global.Text("slack_app_url"))) {
    return fields.ErrorAt("slack_api_url",
                          "at most one of slack_app_token/slack_app_token_file & "
                          "slack_api_url/slack_api_url_file must be configured");
  }
  return absl::OkStatus();
}

absl::Status DecodeTracing(const yaml::Value& value, Config* out) {
  static constexpr FieldSpec kFields[] = {
      {"client_type", FieldType::kText},      {"endpoint", FieldType::kText},
      {"sampling_fraction", FieldType::kAny}, {"insecure", FieldType::kBool},
      {"tls_config", FieldType::kTls},        {"headers", FieldType::kAny},
      {"compression", FieldType::kText},      {"timeout", FieldType::kDuration}};
  if (value.is_null()) return absl::OkStatus();
  yaml::Mapping fields(value, "tracing.TracingConfig");
  FieldValues values;
  DecodeFields(fields, kFields, &values);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  const std::string& client = values.Text("client_type");
  if (!client.empty() && client != "http" && client != "grpc") {
    return fields.ErrorAt(
        "client_type",
        StrCat("expected tracing client type to be one of http, grpc but got ", client));
  }
  if (!values.IsSet("endpoint")) return fields.ErrorAt("endpoint", "tracing endpoint must be set");
  out->has_tracing = true;
  NARTHEX_ASSIGN_OR_RETURN(out->tracing, DecodeAny(value));
  return absl::OkStatus();
}

// Checks that need the whole configuration.

absl::Status CheckRoute(const RouteConfig& route, const std::set<std::string>& receivers,
                        const std::set<std::string>& intervals) {
  if (route.receiver.has_value() && !receivers.contains(*route.receiver)) {
    return route.place.Error(
        StrCat("undefined receiver ", Quote(*route.receiver), " used in route"));
  }
  for (const auto* names : {&route.mute_time_intervals, &route.active_time_intervals}) {
    for (const std::string& name : *names) {
      if (intervals.contains(name)) continue;
      return route.place.Error(StrCat("undefined time interval ", Quote(name), " used in route"));
    }
  }
  for (const RouteConfig& child : route.routes) {
    NARTHEX_RETURN_IF_ERROR(CheckRoute(child, receivers, intervals));
  }
  return absl::OkStatus();
}

absl::Status CheckRootRoute(const RouteConfig& root) {
  const auto error = [&root](std::string_view reason) { return root.place.Error(reason); };
  if (!root.receiver.has_value()) return error("root route must specify a default receiver");
  if (!root.AllMatchers().empty()) return error("root route must not have any matchers");
  if (!root.mute_time_intervals.empty()) {
    return error("root route must not have any mute time intervals");
  }
  if (!root.active_time_intervals.empty()) {
    return error("root route must not have any active time intervals");
  }
  if (root.continue_matching) return error("cannot have continue in root route");
  return absl::OkStatus();
}

// Warns of intervals that do not work together.
void WarnOfIntervals(const RouteConfig& route, absl::Duration group_interval,
                     absl::Duration repeat_interval, const LoadOptions& options,
                     std::vector<std::string>* warnings) {
  group_interval = route.group_interval.value_or(group_interval);
  repeat_interval = route.repeat_interval.value_or(repeat_interval);
  if (route.repeat_interval.has_value() || route.group_interval.has_value()) {
    const auto warn = [&](std::string_view what) {
      warnings->push_back(StrCat("line ", route.place.line, ": ", what));
    };
    if (repeat_interval > options.data_retention) {
      warn(
          "repeat_interval is greater than the data retention period; notifications can be "
          "repeated more often than expected");
    }
    if (repeat_interval < group_interval) {
      warn(
          "repeat_interval is less than group_interval; notifications will not repeat until the "
          "next group_interval");
    }
  }
  for (const RouteConfig& child : route.routes) {
    WarnOfIntervals(child, group_interval, repeat_interval, options, warnings);
  }
}

absl::Status CheckConfig(const yaml::Mapping& fields, const LoadOptions& options, Config* config) {
  std::set<std::string> receivers;
  for (const ReceiverConfig& receiver : config->receivers) {
    if (!receivers.insert(receiver.name).second) {
      return receiver.place.Error(
          StrCat("notification config name ", Quote(receiver.name), " is not unique"));
    }
  }
  if (!fields.Has("route")) return fields.ErrorAt("route", "no route provided in config");
  NARTHEX_RETURN_IF_ERROR(CheckRootRoute(config->route));
  std::set<std::string> intervals;
  for (const auto* list : {&config->mute_time_intervals, &config->time_intervals}) {
    for (const NamedInterval& named : *list) intervals.insert(named.name);
  }
  NARTHEX_RETURN_IF_ERROR(CheckRoute(config->route, receivers, intervals));
  constexpr absl::Duration kGroupInterval = absl::Minutes(5);
  constexpr absl::Duration kRepeatInterval = absl::Hours(4);
  WarnOfIntervals(config->route, kGroupInterval, kRepeatInterval, options, &config->warnings);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Config> LoadText(std::string_view text, const std::string& file_name,
                                const LoadOptions& options) {
  NARTHEX_ASSIGN_OR_RETURN(
      const yaml::Document document,
      yaml::Document::Parse(text, file_name, yaml::Document::MoreDocuments::kIgnore));
  Config config;
  const Context context = {options, file_name, &config.warnings,
                           options.matcher_mode == alerts::MatcherMode::kClassic
                               ? NameValidationScheme::kLegacy
                               : NameValidationScheme::kUtf8};
  if (document.second_document_line() != 0) {
    config.warnings.push_back(StrCat("line ", document.second_document_line(),
                                     ": a second document in the file is ignored"));
  }
  const yaml::Value root = document.root();
  yaml::Mapping fields(root, "config.plain");

  // Defaults first; a section that is there but empty has them too.
  {
    NARTHEX_ASSIGN_OR_RETURN(const yaml::Document empty, yaml::Document::Parse("", file_name));
    NARTHEX_RETURN_IF_ERROR(DecodeGlobal(empty.root(), &config));
  }
  fields.Each("global", [&](const yaml::Value& value) { return DecodeGlobal(value, &config); });
  fields.Each("route",
              [&](const yaml::Value& value) { return DecodeRoute(context, value, &config.route); });
  fields.Each("inhibit_rules", [&](const yaml::Value& value) -> absl::Status {
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value> items, value.Items("list"));
    for (const yaml::Value& item : items) {
      // Upstream takes an empty element and so do we: a rule that says nothing is none.
      if (item.is_null()) continue;
      NARTHEX_RETURN_IF_ERROR(
          DecodeInhibitRule(context, item, &config.inhibit_rules.emplace_back()));
    }
    return absl::OkStatus();
  });
  fields.Each("receivers", [&](const yaml::Value& value) -> absl::Status {
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value> items, value.Items("list"));
    for (const yaml::Value& item : items) {
      NARTHEX_RETURN_IF_ERROR(
          DecodeReceiver(context, item, config, &config.receivers.emplace_back()));
    }
    return absl::OkStatus();
  });
  fields("templates", config.templates, yaml::Policy::kPath);
  std::set<std::string> interval_names;
  fields.Each("mute_time_intervals", [&](const yaml::Value& value) {
    return DecodeNamedIntervals(value, &interval_names, &config.mute_time_intervals);
  });
  fields.Each("time_intervals", [&](const yaml::Value& value) {
    return DecodeNamedIntervals(value, &interval_names, &config.time_intervals);
  });
  fields.Each("tracing", [&](const yaml::Value& value) { return DecodeTracing(value, &config); });
  fields.Each("event_recorder", [&](const yaml::Value& value) -> absl::Status {
    config.has_event_recorder = !value.is_null();
    NARTHEX_ASSIGN_OR_RETURN(config.event_recorder, DecodeAny(value));
    return absl::OkStatus();
  });
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  NARTHEX_RETURN_IF_ERROR(CheckConfig(fields, options, &config));
  return config;
}

absl::StatusOr<Config> LoadFile(io::FileSystem* file_system, const std::string& path,
                                const LoadOptions& options) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string text, file_system->ReadFile(path));
  return LoadText(text, path, options);
}

}  // namespace narthex::alertmanager_config
