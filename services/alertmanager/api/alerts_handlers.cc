#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "lib/base/regex.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/json/writer.h"
#include "services/alertmanager/api/answers.h"
#include "services/alertmanager/api/api.h"

namespace narthex::alertmanager_api {
namespace {

using http::ServerRequest;
using http::ServerResponse;

void WriteStrings(json::Writer* writer, std::string_view key,
                  const std::vector<std::string>& values) {
  writer->Key(key);
  writer->BeginArray();
  for (const std::string& value : values) writer->String(value);
  writer->EndArray();
}

void WriteText(json::Writer* writer, std::string_view key, std::string_view value) {
  writer->Key(key);
  writer->String(value);
}

void WriteLabels(json::Writer* writer, const Labels& labels) {
  writer->BeginObject();
  for (const LabelView label : labels) WriteText(writer, label.name, label.value);
  writer->EndObject();
}

void WriteReceiver(json::Writer* writer, std::string_view name) {
  writer->BeginObject();
  WriteText(writer, "name", name);
  writer->EndObject();
}

void WriteAlert(json::Writer* writer, const alerts::Alert& alert,
                const std::vector<std::string>& receivers, const AlertStatus& status) {
  writer->BeginObject();
  writer->Key("annotations");
  writer->BeginObject();
  for (const auto& [name, value] : alert.annotations) WriteText(writer, name, value);
  writer->EndObject();
  WriteText(writer, "endsAt", TimeText(alert.ends_at));
  WriteText(writer, "fingerprint", alerts::FingerprintText(alert.fingerprint()));
  writer->Key("receivers");
  writer->BeginArray();
  for (const std::string& receiver : receivers) WriteReceiver(writer, receiver);
  writer->EndArray();
  WriteText(writer, "startsAt", TimeText(alert.starts_at));
  writer->Key("status");
  writer->BeginObject();
  WriteStrings(writer, "inhibitedBy", status.inhibited_by);
  WriteStrings(writer, "mutedBy", status.muted_by);
  WriteStrings(writer, "silencedBy", status.silenced_by);
  WriteText(writer, "state", status.suppressed() ? "suppressed" : "active");
  writer->EndObject();
  WriteText(writer, "updatedAt", TimeText(alert.updated_at));
  if (!alert.generator_url.empty()) WriteText(writer, "generatorURL", alert.generator_url);
  writer->Key("labels");
  WriteLabels(writer, alert.labels);
  writer->EndObject();
}

// Posted alerts.

// Copies a JSON object of texts; the message when it is none.
std::string ReadTexts(const json::Value& object, std::string_view field,
                      std::vector<std::pair<std::string, std::string>>* out) {
  if (object.is_null()) return "";
  const auto type_name = [](const json::Value& value) -> std::string_view {
    if (value.is_bool()) return "bool";
    if (value.is_number()) return "number";
    if (value.is_array()) return "array";
    return value.is_object() ? "object" : "string";
  };
  if (!object.is_object()) {
    return StrCat("json: cannot unmarshal ", type_name(object), " into Go struct field ", field,
                  " of type models.LabelSet");
  }
  for (const auto& [name, value] : object.object) {
    if (!value.is_string() && !value.is_null()) {
      return StrCat("json: cannot unmarshal ", type_name(value), " into Go struct field ", field,
                    " of type string");
    }
    out->emplace_back(name, value.text);
  }
  return "";
}

std::string ReadTime(const json::Value& object, std::string_view key, absl::Time* out) {
  const json::Value* value = object.Find(key);
  if (value == nullptr || value->is_null() || (value->is_string() && value->text.empty()))
    return "";
  if (!value->is_string()) return StrCat("json: cannot unmarshal ", key, " into a date-time");
  const absl::StatusOr<absl::Time> time = ParseTime(value->text);
  if (!time.ok()) return std::string(Message(time.status()));
  // Go's zero time is what clients send for "not set".
  static const absl::Time kZero = absl::FromCivil(absl::CivilSecond(1, 1, 1), absl::UTCTimeZone());
  if (*time != kZero) *out = *time;
  return "";
}

// Go's url.ParseRequestURI: an absolute URL or an absolute path.
bool IsUri(std::string_view text) {
  if (text.find_first_of(" \t\n\r") != std::string_view::npos) return false;
  if (text.starts_with('/')) return true;
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  return std::all_of(text.begin(), text.begin() + static_cast<ptrdiff_t>(colon), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '-' || c == '.';
  });
}

std::string ReadAlert(const json::Value& object, alerts::PostedAlert* out) {
  if (!object.is_object())
    return "json: cannot unmarshal into Go value of type models.PostableAlert";
  std::string error;
  if (const json::Value* labels = object.Find("labels")) {
    error = ReadTexts(*labels, "Alert.labels", &out->labels);
  }
  const json::Value* annotations = object.Find("annotations");
  if (error.empty() && annotations != nullptr) {
    error = ReadTexts(*annotations, "PostableAlert.annotations", &out->annotations);
  }
  if (error.empty()) error = ReadTime(object, "startsAt", &out->starts_at);
  if (error.empty()) error = ReadTime(object, "endsAt", &out->ends_at);
  const json::Value* url = object.Find("generatorURL");
  if (error.empty() && url != nullptr && !url->is_null()) {
    if (!url->is_string()) {
      return "json: cannot unmarshal into Go struct field Alert.generatorURL of type strfmt.URI";
    }
    out->generator_url = url->text;
  }
  return error;
}

}  // namespace

// The parameters that GET alerts and GET alerts/groups share.
struct Api::AlertFilter {
  bool active = true;
  bool silenced = true;
  bool inhibited = true;
  bool muted = true;
  std::vector<Matcher> matchers;
  std::optional<Regex> receiver;

  bool PassesReceiver(const std::string& name) const {
    return !receiver.has_value() || receiver->Contains(name);
  }
  bool Passes(const alerts::Alert& alert, const AlertStatus& status, absl::Time now) const {
    if (alert.ends_at < now) return false;
    if (!active && !status.suppressed()) return false;
    if (!silenced && !status.silenced_by.empty()) return false;
    if (!inhibited && !status.inhibited_by.empty()) return false;
    if (!muted && !status.muted_by.empty()) return false;
    return PassesFilters(matchers, alert.labels);
  }
};

absl::StatusOr<std::vector<Matcher>> Api::ParseFilters(const ServerRequest& request) const {
  std::vector<Matcher> matchers;
  for (const std::string& text : request.params.All("filter")) {
    NARTHEX_ASSIGN_OR_RETURN(Matcher matcher,
                             alerts::ParseMatcher(text, options_.matcher_mode, nullptr));
    matchers.push_back(std::move(matcher));
  }
  return matchers;
}

absl::StatusOr<Api::AlertFilter> Api::ParseAlertFilter(const ServerRequest& request) const {
  AlertFilter filter;
  filter.active = BoolParam(request, "active", true);
  filter.silenced = BoolParam(request, "silenced", true);
  filter.inhibited = BoolParam(request, "inhibited", true);
  filter.muted = BoolParam(request, "muted", true);
  NARTHEX_ASSIGN_OR_RETURN(filter.matchers, ParseFilters(request));
  const std::string_view receiver = request.params.Get("receiver");
  if (!receiver.empty()) {
    // Anchored by hand, because the error shows the anchors.
    absl::StatusOr<Regex> regex = Regex::CompileUnanchored(StrCat("^(?:", receiver, ")$"));
    if (!regex.ok()) return Annotate(regex.status(), "failed to parse receiver param");
    filter.receiver = *std::move(regex);
  }
  return filter;
}

AlertStatus Api::StatusOf(const View& view, const Labels& labels) const {
  AlertStatus status;
  for (const uint64_t fingerprint : view.inhibitor->InhibitedBy(labels)) {
    status.inhibited_by.push_back(alerts::FingerprintText(fingerprint));
  }
  status.silenced_by = options_.silences->SilencedBy(labels);
  return status;
}

void Api::CountAlerts(size_t* active, size_t* suppressed) const {
  *active = *suppressed = 0;
  const std::shared_ptr<const View> view = options_.view();
  if (view == nullptr) return;
  const absl::Time now = options_.clock->Now();
  for (const alerts::AlertPtr& alert : options_.store->All()) {
    if (alert->ResolvedAt(now)) continue;
    ++*(StatusOf(*view, alert->labels).suppressed() ? suppressed : active);
  }
}

http::ServerResponse Api::GetAlerts(const ServerRequest& request) const {
  const absl::StatusOr<AlertFilter> filter = ParseAlertFilter(request);
  if (!filter.ok()) return TextError(400, Message(filter.status()));
  const std::shared_ptr<const View> view = options_.view();
  const absl::Time now = options_.clock->Now();
  std::vector<std::pair<std::string, alerts::AlertPtr>> sorted;
  for (alerts::AlertPtr& alert : options_.store->All()) {
    std::string fingerprint = alerts::FingerprintText(alert->fingerprint());
    sorted.emplace_back(std::move(fingerprint), std::move(alert));
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });

  std::string out;
  json::Writer writer(&out);
  writer.BeginArray();
  for (const auto& [fingerprint, alert] : sorted) {
    std::vector<std::string> receivers;
    for (const dispatch::Route* route : view->dispatcher->root().Match(alert->labels)) {
      receivers.push_back(route->receiver());
    }
    const bool wanted = std::any_of(
        receivers.begin(), receivers.end(),
        [&filter](const std::string& receiver) { return filter->PassesReceiver(receiver); });
    if (!wanted) continue;
    const AlertStatus status = StatusOf(*view, alert->labels);
    if (filter->Passes(*alert, status, now)) WriteAlert(&writer, *alert, receivers, status);
  }
  writer.EndArray();
  return JsonAnswer(std::move(out));
}

http::ServerResponse Api::GetGroups(const ServerRequest& request) const {
  const absl::StatusOr<AlertFilter> filter = ParseAlertFilter(request);
  if (!filter.ok()) return TextError(400, Message(filter.status()));
  const std::shared_ptr<const View> view = options_.view();
  const absl::Time now = options_.clock->Now();

  // Why a route does not notify now.
  const auto muted_by = [&](const dispatch::Route& route) {
    std::vector<std::string> names;
    const auto holds = [&](const std::string& name) {
      return !notify::FindInterval(*view->intervals, {name}, now).empty();
    };
    for (const std::string& name : route.mute_time_intervals()) {
      if (holds(name)) names.push_back(name);
    }
    const auto& active = route.active_time_intervals();
    if (!active.empty() && std::none_of(active.begin(), active.end(), holds)) {
      names.insert(names.end(), active.begin(), active.end());
    }
    return names;
  };
  std::vector<dispatch::GroupView> groups = view->dispatcher->Groups(
      [&](const dispatch::Route& route) { return filter->PassesReceiver(route.receiver()); },
      [](const alerts::Alert&) { return true; });
  std::map<uint64_t, std::set<std::string>> receivers;
  for (dispatch::GroupView& group : groups) {
    const std::vector<std::string> muted = muted_by(*group.route);
    std::erase_if(group.alerts, [&](const alerts::AlertPtr& alert) {
      AlertStatus status = StatusOf(*view, alert->labels);
      status.muted_by = muted;
      return !filter->Passes(*alert, status, now);
    });
    alerts::SortForNotification(&group.alerts);
    for (const alerts::AlertPtr& alert : group.alerts) {
      receivers[alert->fingerprint()].insert(group.route->receiver());
    }
  }

  std::string out;
  json::Writer writer(&out);
  writer.BeginArray();
  for (const dispatch::GroupView& group : groups) {
    if (group.alerts.empty()) continue;
    const std::vector<std::string> muted = muted_by(*group.route);
    writer.BeginObject();
    writer.Key("alerts");
    writer.BeginArray();
    for (const alerts::AlertPtr& alert : group.alerts) {
      AlertStatus status = StatusOf(*view, alert->labels);
      status.muted_by = muted;
      const std::set<std::string>& names = receivers[alert->fingerprint()];
      WriteAlert(&writer, *alert, {names.begin(), names.end()}, status);
    }
    writer.EndArray();
    writer.Key("labels");
    WriteLabels(&writer, group.labels);
    writer.Key("receiver");
    WriteReceiver(&writer, group.route->receiver());
    writer.EndObject();
  }
  writer.EndArray();
  return JsonAnswer(std::move(out));
}

http::ServerResponse Api::PostAlerts(const ServerRequest& request) const {
  json::Value body;
  if (std::optional<ServerResponse> error = ParseBody(request, "alerts", &body)) return *error;
  ServerResponse ok;
  ok.body.clear();
  if (body.is_null()) return ok;
  if (!body.is_array()) {
    const std::string_view type = body.is_object()   ? "object"
                                  : body.is_string() ? "string"
                                  : body.is_bool()   ? "bool"
                                                     : "number";
    return BodyError("alerts", StrCat("json: cannot unmarshal ", type,
                                      " into Go value of type models.PostableAlerts"));
  }
  std::vector<alerts::PostedAlert> posted;
  posted.reserve(body.array.size());
  for (const json::Value& object : body.array) {
    if (object.is_null()) continue;
    const std::string error = ReadAlert(object, &posted.emplace_back());
    if (!error.empty()) return BodyError("alerts", error);
  }
  // Validation comes after all of it was read, as upstream's framework does it.
  for (size_t i = 0; i < body.array.size(); ++i) {
    if (body.array[i].is_null()) continue;
    const json::Value* labels = body.array[i].Find("labels");
    if (labels == nullptr || labels->is_null()) {
      return FrameworkError(602, StrCat(i, ".labels in body is required"));
    }
    const json::Value* url = body.array[i].Find("generatorURL");
    if (url != nullptr && url->is_string() && !url->text.empty() && !IsUri(url->text)) {
      return FrameworkError(
          601, StrCat(i, ".generatorURL in body must be of type uri: ", Quote(url->text)));
    }
  }
  const alerts::IngestResult result = options_.ingestion->Post(std::move(posted));
  if (result.errors.empty()) return ok;
  std::vector<std::string> messages;
  for (const auto& [index, message] : result.errors) messages.push_back(message);
  return TextError(400, Join(messages, "; "));
}

}  // namespace narthex::alertmanager_api
