#include "services/alertmanager/config/print.h"

#include <utility>

#include "lib/base/duration.h"
#include "lib/base/strings.h"
#include "lib/config/codec.h"
#include "lib/config/url.h"
#include "lib/yaml/writer.h"
#include "services/alertmanager/alerts/matchers.h"
#include "services/alertmanager/config/integration_fields.h"

namespace narthex::alertmanager_config {
namespace {

using gotemplate::Kind;
using gotemplate::Value;
using yaml::EncodeYaml;
using yaml::MappingWriter;
using yaml::Policy;
using yaml::Tree;

constexpr std::string_view kSecretText = "<secret>";

Tree EncodeFields(std::span<const FieldSpec> specs, const Value& object);

Tree EncodeAny(const Value& value, std::string_view key = {}) {
  switch (value.kind()) {
    case Kind::kBool:
      return EncodeYaml(value.bool_value());
    case Kind::kInt:
      return EncodeYaml(value.int_value());
    case Kind::kFloat:
      return EncodeYaml(value.float_value());
    case Kind::kString:
      // The secrets of blocks that are kept as they were written.
      if ((key == "key" || key == "secret_key") && !value.string_value().empty()) {
        return EncodeYaml(kSecretText);
      }
      return EncodeYaml(value.string_value());
    case Kind::kList: {
      Tree tree{.kind = Tree::Kind::kSequence, .empty = value.list().empty()};
      for (const Value& element : value.list()) tree.items.push_back(EncodeAny(element));
      return tree;
    }
    case Kind::kMap: {
      Tree tree{.kind = Tree::Kind::kMapping, .empty = value.map().empty()};
      for (const auto& [name, element] : value.map()) {
        tree.entries.push_back({yaml::QuoteScalar(name), EncodeAny(element, name)});
      }
      return tree;
    }
    case Kind::kNil:
    case Kind::kUint:
    case Kind::kComplex:
    case Kind::kStruct:
    case Kind::kTime:
      break;
  }
  return yaml::Scalar("null", true);
}

Tree EncodeField(const FieldSpec& spec, const Value& value) {
  switch (spec.type) {
    case FieldType::kSecret:
    case FieldType::kSecretUrl:
    case FieldType::kTemplateUrl:
      return EncodeYaml(value.string_value().empty() ? std::string_view() : kSecretText);
    case FieldType::kUrl:
      return EncodeYaml(config::RedactUrl(value.string_value()));
    case FieldType::kOptionalBool: {
      Tree tree = EncodeYaml(value.bool_value());
      tree.empty = false;
      return tree;
    }
    case FieldType::kDuration:
      return EncodeYaml(value.duration_value());
    case FieldType::kGoDuration:
      return yaml::Scalar(FormatGoDuration(value.duration_value()),
                          value.duration_value() == absl::ZeroDuration());
    case FieldType::kObject:
      return EncodeFields(spec.object->fields, value);
    case FieldType::kObjects: {
      Tree tree{.kind = Tree::Kind::kSequence, .empty = value.list().empty()};
      for (const Value& object : value.list()) {
        tree.items.push_back(EncodeFields(spec.object->fields, object));
      }
      return tree;
    }
    case FieldType::kText:
    case FieldType::kHostPort:
    case FieldType::kBool:
    case FieldType::kInt:
    case FieldType::kUint:
    case FieldType::kTextMap:
    case FieldType::kTextList:
    case FieldType::kPath:
    case FieldType::kAny:
    case FieldType::kTls:
    case FieldType::kSigV4:
      break;
  }
  return EncodeAny(value);
}

// The zero of a field that is printed though nobody set it.
Value ZeroOf(const FieldSpec& spec) {
  if (spec.type == FieldType::kBool) return Value::Bool(false);
  if (spec.type == FieldType::kUint || spec.type == FieldType::kInt) return Value::Int(0);
  if (spec.type == FieldType::kGoDuration) return Value::Duration(absl::ZeroDuration());
  return Value::MakeMap({});
}

template <typename Find>
void WriteFields(MappingWriter* writer, std::span<const FieldSpec> specs, const Find& find) {
  for (const FieldSpec& spec : specs) {
    const Value* value = find(spec.key);
    if (value == nullptr && !spec.always) continue;
    writer->Add(spec.key, EncodeField(spec, value != nullptr ? *value : ZeroOf(spec)),
                spec.always ? Policy::kAlways : Policy::kOmitEmpty);
  }
}

Tree EncodeFields(std::span<const FieldSpec> specs, const Value& object) {
  MappingWriter writer;
  WriteFields(&writer, specs, [&object](std::string_view key) { return object.Find(key); });
  return writer.Take();
}

Tree EncodeHttpConfig(const config::HttpClientConfig& config) {
  MappingWriter writer;
  config::HttpClientConfig copy = config;
  config::HttpClientFields(writer, copy);
  return writer.Take();
}

Tree EncodeMatchers(const std::vector<Matcher>& matchers) {
  std::vector<std::string> texts;
  for (const Matcher& matcher : matchers) texts.push_back(alerts::MatcherText(matcher));
  return EncodeYaml(texts);
}

Tree EncodeRoute(const RouteConfig& route) {
  MappingWriter writer;
  writer("receiver", route.receiver);
  writer("group_by", route.group_by);
  writer("match", route.match);
  writer("match_re", route.match_re);
  writer.Add("matchers", EncodeMatchers(route.matchers));
  writer("mute_time_intervals", route.mute_time_intervals);
  writer("active_time_intervals", route.active_time_intervals);
  writer("continue", route.continue_matching, Policy::kAlways);
  writer("labels", route.labels);
  Tree routes{.kind = Tree::Kind::kSequence, .empty = route.routes.empty()};
  for (const RouteConfig& child : route.routes) routes.items.push_back(EncodeRoute(child));
  writer.Add("routes", std::move(routes));
  writer("group_wait", route.group_wait);
  writer("group_interval", route.group_interval);
  writer("repeat_interval", route.repeat_interval);
  return writer.Take();
}

Tree EncodeInhibitRule(const InhibitRuleConfig& rule) {
  MappingWriter writer;
  writer("name", rule.name);
  writer("source_match", rule.source_match);
  writer("source_match_re", rule.source_match_re);
  writer.Add("source_matchers", EncodeMatchers(rule.source_matchers));
  writer("target_match", rule.target_match);
  writer("target_match_re", rule.target_match_re);
  writer.Add("target_matchers", EncodeMatchers(rule.target_matchers));
  writer("equal", rule.equal);
  return writer.Take();
}

Tree EncodeReceiver(const ReceiverConfig& receiver) {
  MappingWriter writer;
  writer("name", receiver.name, Policy::kAlways);
  writer("labels", receiver.labels);
  for (const IntegrationSpec& spec : Integrations()) {
    Tree list{.kind = Tree::Kind::kSequence, .empty = true};
    for (const IntegrationConfig& integration : receiver.integrations) {
      if (integration.kind != spec.kind) continue;
      MappingWriter fields;
      fields("send_resolved", integration.send_resolved, Policy::kAlways);
      if (integration.http_client.has_value()) {
        fields.Add("http_config", EncodeHttpConfig(*integration.http_client));
      }
      WriteFields(&fields, spec.fields,
                  [&](std::string_view key) { return integration.fields.Find(key); });
      list.items.push_back(fields.Take());
      list.empty = false;
    }
    writer.Add(StrCat(spec.kind, "_configs"), std::move(list));
  }
  return writer.Take();
}

template <typename T, typename Text>
Tree EncodeRanges(const std::vector<T>& ranges, const Text& text) {
  std::vector<std::string> texts;
  for (const T& range : ranges) texts.push_back(text(range));
  return EncodeYaml(texts);
}

Tree EncodeInterval(const timeinterval::TimeInterval& interval) {
  MappingWriter writer;
  Tree times{.kind = Tree::Kind::kSequence, .empty = interval.times.empty()};
  for (const timeinterval::TimeRange& range : interval.times) {
    MappingWriter time;
    time("start_time", timeinterval::ClockText(range.begin_minute));
    time("end_time", timeinterval::ClockText(range.end_minute));
    times.items.push_back(time.Take());
  }
  writer.Add("times", std::move(times));
  writer.Add("weekdays", EncodeRanges(interval.weekdays, timeinterval::WeekdaysText));
  writer.Add("days_of_month", EncodeRanges(interval.days_of_month, timeinterval::RangeText));
  writer.Add("months", EncodeRanges(interval.months, timeinterval::MonthsText));
  writer.Add("years", EncodeRanges(interval.years, timeinterval::RangeText));
  writer("location", interval.location);
  return writer.Take();
}

Tree EncodeIntervals(const std::vector<NamedInterval>& intervals) {
  Tree list{.kind = Tree::Kind::kSequence, .empty = intervals.empty()};
  for (const NamedInterval& named : intervals) {
    MappingWriter writer;
    writer("name", named.name, Policy::kAlways);
    Tree elements{.kind = Tree::Kind::kSequence, .empty = named.intervals.empty()};
    for (const auto& interval : named.intervals) elements.items.push_back(EncodeInterval(interval));
    writer.Add("time_intervals", std::move(elements), Policy::kAlways);
    list.items.push_back(writer.Take());
  }
  return list;
}

}  // namespace

std::string PrintConfig(const Config& config) {
  MappingWriter global;
  global("resolve_timeout", config.resolve_timeout);
  global.Add("http_config", EncodeHttpConfig(config.http_client));
  WriteFields(&global, GlobalFields(),
              [&config](std::string_view key) { return config.global.Find(key); });

  MappingWriter writer;
  writer.Add("global", global.Take());
  writer.Add("route", EncodeRoute(config.route));
  Tree rules{.kind = Tree::Kind::kSequence, .empty = config.inhibit_rules.empty()};
  for (const InhibitRuleConfig& rule : config.inhibit_rules) {
    rules.items.push_back(EncodeInhibitRule(rule));
  }
  writer.Add("inhibit_rules", std::move(rules));
  Tree receivers{.kind = Tree::Kind::kSequence, .empty = config.receivers.empty()};
  for (const ReceiverConfig& receiver : config.receivers) {
    receivers.items.push_back(EncodeReceiver(receiver));
  }
  writer.Add("receivers", std::move(receivers));
  writer("templates", config.templates, Policy::kAlways);
  writer.Add("mute_time_intervals", EncodeIntervals(config.mute_time_intervals));
  writer.Add("time_intervals", EncodeIntervals(config.time_intervals));
  if (config.has_tracing) writer.Add("tracing", EncodeAny(config.tracing));
  if (config.has_event_recorder) writer.Add("event_recorder", EncodeAny(config.event_recorder));
  return yaml::Render(writer.Take());
}

}  // namespace narthex::alertmanager_config
