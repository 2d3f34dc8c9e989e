#include "services/alertmanager/notify/template_data.h"

#include <algorithm>

#include "lib/base/strings.h"
#include "lib/gotemplate/go_time.h"
#include "lib/json/writer.h"

namespace narthex::notify {
namespace {

using gotemplate::Kind;
using gotemplate::Type;
using gotemplate::Value;
using Args = std::span<const Value>;
using Result = absl::StatusOr<Value>;

Pairs PairsOf(const Labels& labels) {
  Pairs pairs;
  for (const LabelView label : labels) pairs.emplace_back(label.name, label.value);
  return pairs;
}

// Keeps what is in both; both are sorted by name.
void Intersect(Pairs* common, const Pairs& other) {
  std::erase_if(*common, [&other](const auto& pair) {
    return !std::binary_search(other.begin(), other.end(), pair);
  });
}

const Type* PairType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "template.Pair";
    made->kind = Kind::kStruct;
    made->fields = {"Name", "Value"};
    return made;
  }();
  return type;
}

// The names or values of a list of pairs.
Value FieldsOf(const Value& pairs, size_t field) {
  std::vector<std::string> texts;
  for (const Value& pair : pairs.list()) texts.push_back(pair.list()[field].string_value());
  return Value::MakeStrings(texts);
}

// name=value, name=value
std::string PairsText(const Value& pairs) {
  std::string out;
  for (const Value& pair : pairs.list()) {
    if (!out.empty()) out.append(", ");
    StrAppend(&out, pair.list()[0].string_value(), "=", pair.list()[1].string_value());
  }
  return out;
}

const Type* PairsType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "template.Pairs";
    made->kind = Kind::kList;
    made->element = PairType();
    made->print = PairsText;
    made->methods = {
        {"Names", {}, [](const Value& self, Args) -> Result { return FieldsOf(self, 0); }},
        {"Values", {}, [](const Value& self, Args) -> Result { return FieldsOf(self, 1); }},
        {"String",
         {},
         [](const Value& self, Args) -> Result { return Value::String(PairsText(self)); }},
    };
    return made;
  }();
  return type;
}

// By name, but alertname first.
Value SortedPairs(const Value& map) {
  Value::List pairs;
  const auto add = [&pairs](const std::string& name, const Value& value) {
    pairs.push_back(Value::MakeStruct(PairType(), {Value::String(name), value}));
  };
  if (const Value* alertname = map.Find("alertname")) add("alertname", *alertname);
  for (const auto& [name, value] : map.map()) {
    if (name != "alertname") add(name, value);
  }
  return Value::MakeList(std::move(pairs), PairsType());
}

const Type* KvType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "template.KV";
    made->kind = Kind::kMap;
    made->element = gotemplate::StringType();
    made->underlying = "map[string]string";
    made->print = [](const Value& self) { return PairsText(SortedPairs(self)); };
    made->methods = {
        {"SortedPairs", {}, [](const Value& self, Args) -> Result { return SortedPairs(self); }},
        {"Remove",
         {{gotemplate::StringListType()}, false},
         [](const Value& self, Args args) -> Result {
           Value::Map left = self.map();
           for (const Value& name : args[0].list()) left.erase(name.string_value());
           return Value::MakeMap(std::move(left), self.type());
         }},
        {"Names",
         {},
         [](const Value& self, Args) -> Result { return FieldsOf(SortedPairs(self), 0); }},
        {"Values",
         {},
         [](const Value& self, Args) -> Result { return FieldsOf(SortedPairs(self), 1); }},
        {"String",
         {},
         [](const Value& self, Args) -> Result {
           return Value::String(PairsText(SortedPairs(self)));
         }},
    };
    return made;
  }();
  return type;
}

const Type* AlertType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "template.Alert";
    made->kind = Kind::kStruct;
    made->fields = {"Status", "Labels",       "Annotations", "StartsAt",
                    "EndsAt", "GeneratorURL", "Fingerprint"};
    return made;
  }();
  return type;
}

const Type* AlertListType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "[]template.Alert";
    made->kind = Kind::kList;
    made->element = AlertType();
    return made;
  }();
  return type;
}

Result FilterAlerts(const Value& self, std::string_view status) {
  Value::List kept;
  for (const Value& alert : self.list()) {
    if (alert.list()[0].string_value() == status) kept.push_back(alert);
  }
  return Value::MakeList(std::move(kept), AlertListType());
}

const Type* AlertsType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "template.Alerts";
    made->kind = Kind::kList;
    made->element = AlertType();
    made->methods = {
        {"Firing", {}, [](const Value& self, Args) { return FilterAlerts(self, "firing"); }},
        {"Resolved", {}, [](const Value& self, Args) { return FilterAlerts(self, "resolved"); }},
    };
    return made;
  }();
  return type;
}

const Type* DataType() {
  static const Type* const type = [] {
    auto* made = new Type();
    made->name = "template.Data";
    made->kind = Kind::kStruct;
    made->fields = {"Receiver",           "Status",      "Alerts",
                    "NotificationReason", "GroupLabels", "CommonLabels",
                    "CommonAnnotations",  "RouteLabels", "ExternalURL"};
    return made;
  }();
  return type;
}

// "StartsAt" is "startsAt" in JSON; the fields of pairs have no names of their own.
std::string JsonName(const Type* type, std::string_view field) {
  std::string name(field);
  if (type == PairType()) return name;
  if (name == "NotificationReason") return "notification_reason";
  name[0] = static_cast<char>(name[0] | 0x20);
  return name;
}

bool WriteJson(json::Writer* writer, const Value& value) {
  switch (value.kind()) {
    case Kind::kNil:
      writer->Null();
      return true;
    case Kind::kBool:
      writer->Bool(value.bool_value());
      return true;
    case Kind::kInt:
      writer->Int(value.int_value());
      return true;
    case Kind::kUint:
      writer->Uint(value.uint_value());
      return true;
    case Kind::kFloat:
      if (value.float_value() - value.float_value() != 0) return false;
      writer->Double(value.float_value());
      return true;
    case Kind::kComplex:
      return false;
    case Kind::kString:
      writer->String(value.string_value());
      return true;
    case Kind::kTime:
      writer->String(
          gotemplate::FormatTime(value.time_value(), "2006-01-02T15:04:05.999999999Z07:00"));
      return true;
    case Kind::kList: {
      writer->BeginArray();
      for (const Value& element : value.list()) {
        if (!WriteJson(writer, element)) return false;
      }
      writer->EndArray();
      return true;
    }
    case Kind::kMap: {
      writer->BeginObject();
      for (const auto& [key, element] : value.map()) {
        writer->Key(key);
        if (!WriteJson(writer, element)) return false;
      }
      writer->EndObject();
      return true;
    }
    case Kind::kStruct: {
      writer->BeginObject();
      for (size_t i = 0; i < value.list().size(); ++i) {
        writer->Key(JsonName(value.type(), value.type()->fields[i]));
        if (!WriteJson(writer, value.list()[i])) return false;
      }
      writer->EndObject();
      return true;
    }
  }
  return false;
}

}  // namespace

std::string QuoteMeta(std::string_view text) {
  static constexpr std::string_view kSpecial = "\\.+*?()|[]{}^$";
  std::string out;
  for (const char c : text) {
    if (kSpecial.find(c) != std::string_view::npos) out.push_back('\\');
    out.push_back(c);
  }
  return out;
}

NotificationData MakeData(const Notification& notification, Reason reason,
                          const std::vector<alerts::AlertPtr>& alerts,
                          std::string_view external_url) {
  NotificationData data;
  data.receiver = QuoteMeta(notification.receiver);
  const bool any_firing = std::any_of(
      alerts.begin(), alerts.end(), [](const alerts::AlertPtr& alert) { return IsFiring(*alert); });
  data.status = any_firing ? "firing" : "resolved";
  data.alerts = alerts;
  data.reason = ReasonText(reason);
  data.group_labels = PairsOf(notification.group_labels);
  data.external_url = external_url;
  for (size_t i = 0; i < alerts.size(); ++i) {
    const Pairs labels = PairsOf(alerts[i]->labels);
    if (i == 0) {
      data.common_labels = labels;
      data.common_annotations = alerts[i]->annotations;
    } else {
      Intersect(&data.common_labels, labels);
      Intersect(&data.common_annotations, alerts[i]->annotations);
    }
  }
  return data;
}

gotemplate::Value ToTemplateValue(const NotificationData& data) {
  const auto kv = [](const Pairs& pairs) { return Value::MakeStringMap(pairs, KvType()); };
  Value::List alerts;
  for (const alerts::AlertPtr& alert : data.alerts) {
    const bool firing = IsFiring(*alert);
    alerts.push_back(Value::MakeStruct(
        AlertType(), {Value::String(firing ? "firing" : "resolved"), kv(PairsOf(alert->labels)),
                      kv(alert->annotations), Value::Time({alert->starts_at}),
                      Value::Time({firing ? gotemplate::ZeroTime() : alert->ends_at}),
                      Value::String(alert->generator_url),
                      Value::String(alerts::FingerprintText(alert->fingerprint()))}));
  }
  return Value::MakeStruct(
      DataType(), {Value::String(data.receiver), Value::String(data.status),
                   Value::MakeList(std::move(alerts), AlertsType()), Value::String(data.reason),
                   kv(data.group_labels), kv(data.common_labels), kv(data.common_annotations),
                   kv({}), Value::String(data.external_url)});
}

bool AppendJson(std::string* out, const gotemplate::Value& value) {
  json::Writer writer(out);
  return WriteJson(&writer, value);
}

}  // namespace narthex::notify
