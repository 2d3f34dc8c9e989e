#include "services/alertmanager/notify/webhook/webhook.h"

#include <algorithm>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/gotemplate/go_time.h"
#include "lib/json/writer.h"

namespace narthex::notify {
namespace {

// Of an answer that is an error, this much goes into the message.
constexpr size_t kErrorBodyBytesMax = 512;

std::string TimeText(absl::Time time) {
  return gotemplate::FormatTime({time, absl::UTCTimeZone()}, "2006-01-02T15:04:05.999999999Z07:00");
}

void WritePairs(json::Writer* writer, std::string_view key, const Pairs& pairs) {
  writer->Key(key);
  writer->BeginObject();
  for (const auto& [name, value] : pairs) {
    writer->Key(name);
    writer->String(value);
  }
  writer->EndObject();
}

void WriteText(json::Writer* writer, std::string_view key, std::string_view value) {
  writer->Key(key);
  writer->String(value);
}

void WriteAlert(json::Writer* writer, const alerts::Alert& alert) {
  const bool firing = IsFiring(alert);
  writer->BeginObject();
  WriteText(writer, "status", firing ? "firing" : "resolved");
  writer->Key("labels");
  writer->BeginObject();
  for (const LabelView label : alert.labels) {
    writer->Key(label.name);
    writer->String(label.value);
  }
  writer->EndObject();
  WritePairs(writer, "annotations", alert.annotations);
  WriteText(writer, "startsAt", TimeText(alert.starts_at));
  WriteText(writer, "endsAt", TimeText(firing ? gotemplate::ZeroTime() : alert.ends_at));
  WriteText(writer, "generatorURL", alert.generator_url);
  WriteText(writer, "fingerprint", alerts::FingerprintText(alert.fingerprint()));
  writer->EndObject();
}

}  // namespace

std::string WebhookPayload(const NotificationData& data, std::string_view group_key,
                           uint64_t truncated_alerts) {
  std::string out;
  json::Writer writer(&out);
  writer.BeginObject();
  WriteText(&writer, "receiver", data.receiver);
  WriteText(&writer, "status", data.status);
  writer.Key("alerts");
  writer.BeginArray();
  for (const alerts::AlertPtr& alert : data.alerts) WriteAlert(&writer, *alert);
  writer.EndArray();
  WriteText(&writer, "notification_reason", data.reason);
  WritePairs(&writer, "groupLabels", data.group_labels);
  WritePairs(&writer, "commonLabels", data.common_labels);
  WritePairs(&writer, "commonAnnotations", data.common_annotations);
  WritePairs(&writer, "routeLabels", {});
  WriteText(&writer, "externalURL", data.external_url);
  WriteText(&writer, "version", "4");
  WriteText(&writer, "groupKey", group_key);
  writer.Key("truncatedAlerts");
  writer.Uint(truncated_alerts);
  writer.EndObject();
  out.push_back('\n');
  return out;
}

Outcome OutcomeOf(const absl::StatusOr<http::ClientResponse>& response) {
  if (!response.ok()) {
    Outcome outcome = {response.status(), true, Failure::kOther};
    if (absl::IsDeadlineExceeded(response.status())) {
      outcome.failure = Failure::kContextDeadlineExceeded;
    }
    if (absl::IsCancelled(response.status())) outcome.failure = Failure::kContextCanceled;
    return outcome;
  }
  const int code = response->status;
  if (code / 100 == 2) return {absl::OkStatus(), false, Failure::kOther};
  Outcome outcome;
  outcome.retry = code / 100 == 5;
  if (code == 401 || code == 403) {
    outcome.failure = Failure::kAuthError;
  } else if (code == 429) {
    outcome.failure = Failure::kRateLimited;
  } else if (code / 100 == 4) {
    outcome.failure = Failure::kClientError;
  } else if (code / 100 == 5) {
    outcome.failure = Failure::kServerError;
  }
  const std::string_view body =
      TrimSpace(std::string_view(response->body).substr(0, kErrorBodyBytesMax));
  outcome.status = Unavailable("unexpected status code ", code, body.empty() ? "" : ": ", body);
  return outcome;
}

absl::StatusOr<std::string> Webhook::Url(const NotificationData& data) const {
  std::string text = options_.url;
  if (text.empty()) {
    NARTHEX_ASSIGN_OR_RETURN(const std::string content,
                             env_.file_system->ReadFile(options_.url_file));
    text = TrimSpace(content);
  }
  if (text.find("{{") == std::string::npos) return text;
  NARTHEX_ASSIGN_OR_RETURN(const std::string expanded,
                           env_.templates->Expand(text, ToTemplateValue(data)));
  if (TrimSpace(expanded).empty()) return InvalidArgument("webhook url is empty after templating");
  return std::string(TrimSpace(expanded));
}

void Webhook::Notify(const Notification& notification, Reason reason,
                     const std::vector<alerts::AlertPtr>& alerts,
                     std::function<void(Outcome)> done) {
  std::vector<alerts::AlertPtr> told = alerts;
  if (options_.max_alerts > 0 && told.size() > options_.max_alerts) {
    told.resize(static_cast<size_t>(options_.max_alerts));
  }
  const NotificationData data = MakeData(notification, reason, told, env_.external_url);
  absl::StatusOr<std::string> url = Url(data);
  if (!url.ok()) return done({url.status(), false, Failure::kOther});

  http::ClientRequest request;
  request.method = "POST";
  request.url = *std::move(url);
  request.headers.Set("Content-Type", "application/json");
  request.headers.Set("User-Agent", env_.user_agent);
  request.body = WebhookPayload(data, notification.group_key, alerts.size() - told.size());
  request.timeout = notification.deadline - env_.clock->Now();
  if (options_.timeout > absl::ZeroDuration()) {
    request.timeout = std::min(request.timeout, options_.timeout);
  }
  request.body_bytes_max = size_t{1} << 20;
  request.config = options_.client_config;
  env_.client->FetchAsync(std::move(request),
                          [done = std::move(done)](absl::StatusOr<http::ClientResponse> response) {
                            done(OutcomeOf(response));
                          });
}

}  // namespace narthex::notify
