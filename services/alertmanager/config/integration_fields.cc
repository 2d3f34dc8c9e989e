#include "services/alertmanager/config/integration_fields.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::alertmanager_config {
namespace {

using gotemplate::Value;
using Pair = std::pair<std::string_view, std::string_view>;
constexpr auto kText = FieldType::kText;
constexpr auto kSecret = FieldType::kSecret;
constexpr auto kUrl = FieldType::kUrl;
constexpr auto kBool = FieldType::kBool;
constexpr auto kPath = FieldType::kPath;

// Helpers of the checks.

absl::Status Require(const FieldValues& fields, std::string_view key, std::string_view message) {
  return fields.IsSet(key) ? absl::OkStatus() : InvalidArgument(message);
}

// Copies a value of global unless the integration has one; the message when neither has.
absl::Status Inherit(FieldValues* fields, std::string_view key, const FieldValues& global,
                     std::string_view global_key, std::string_view message) {
  if (fields->IsSet(key)) return absl::OkStatus();
  if (!global.IsSet(global_key)) {
    return message.empty() ? absl::OkStatus() : InvalidArgument(message);
  }
  fields->Set(key, *global.Find(global_key));
  return absl::OkStatus();
}

// The same for X and X_file: the integration's pair, or the whole pair of global.
absl::Status InheritPair(FieldValues* fields, std::string_view key, const FieldValues& global,
                         std::string_view global_key, std::string_view message) {
  const std::string file = StrCat(key, "_file");
  const std::string global_file = StrCat(global_key, "_file");
  if (fields->IsSet(key) || fields->IsSet(file)) return absl::OkStatus();
  if (!global.IsSet(global_key) && !global.IsSet(global_file)) {
    return message.empty() ? absl::OkStatus() : InvalidArgument(message);
  }
  NARTHEX_RETURN_IF_ERROR(Inherit(fields, key, global, global_key, ""));
  return Inherit(fields, file, global, global_file, "");
}

absl::Status OneOf(const FieldValues& fields, std::string_view key, std::string_view message) {
  return fields.IsSet(key) || fields.IsSet(StrCat(key, "_file")) ? absl::OkStatus()
                                                                 : InvalidArgument(message);
}

// Webhook.

constexpr FieldSpec kWebhook[] = {
    {"url", FieldType::kTemplateUrl},
    {"url_file", kPath},
    {"max_alerts", FieldType::kUint, "", true},
    {"timeout", FieldType::kGoDuration, "", true},
    {"payload", FieldType::kAny},
};
constexpr Pair kWebhookExclusive[] = {{"url", "url_file"}};
absl::Status ValidateWebhook(IntegrationConfig* config) {
  return OneOf(config->fields, "url", "one of url or url_file must be configured");
}

// E-mail.

constexpr FieldSpec kThreading[] = {
    {"enabled", kBool},
    {"thread_by_date", kText, "daily"},
};
constexpr ObjectSpec kThreadingObject = {"config.ThreadingConfig", kThreading};
constexpr FieldSpec kEmail[] = {
    {"to", kText},
    {"from", kText},
    {"hello", kText},
    {"smarthost", FieldType::kHostPort},
    {"auth_username", kText},
    {"auth_password", kSecret},
    {"auth_password_file", kPath},
    {"auth_secret", kSecret},
    {"auth_secret_file", kPath},
    {"auth_identity", kText},
    {"headers", FieldType::kTextMap},
    {"html", kText, "{{ template \"email.default.html\" . }}"},
    {"text", kText},
    {"require_tls", FieldType::kOptionalBool},
    {"force_implicit_tls", FieldType::kOptionalBool},
    {"tls_config", FieldType::kTls},
    {"threading", FieldType::kObject, "", false, &kThreadingObject},
};
constexpr Pair kEmailExclusive[] = {{"auth_password", "auth_password_file"},
                                    {"auth_secret", "auth_secret_file"}};

// "x-MAILER" to "X-Mailer", as Go's MIME headers are.
std::string CanonicalHeader(std::string_view name) {
  std::string out;
  bool first = true;
  for (const char c : name) {
    const bool lower = c >= 'a' && c <= 'z';
    const bool upper = c >= 'A' && c <= 'Z';
    out.push_back(first && lower    ? static_cast<char>(c - 0x20)
                  : !first && upper ? static_cast<char>(c + 0x20)
                                    : c);
    first = c == '-';
  }
  return out;
}

absl::Status ValidateEmail(IntegrationConfig* config) {
  NARTHEX_RETURN_IF_ERROR(Require(config->fields, "to", "missing to address in email config"));
  Value::Map canonical;
  if (const Value* headers = config->fields.Find("headers")) {
    for (const auto& [name, value] : headers->map()) {
      if (!canonical.emplace(CanonicalHeader(name), value).second) {
        return InvalidArgument("duplicate header ", Quote(CanonicalHeader(name)),
                               " in email config");
      }
    }
  }
  if (!canonical.empty()) {
    config->fields.Set("headers",
                       Value::MakeMap(std::move(canonical), gotemplate::StringMapType()));
  }
  const Value* threading = config->fields.Find("threading");
  const Value* by_date = threading == nullptr ? nullptr : threading->Find("thread_by_date");
  if (by_date != nullptr && by_date->string_value() != "none" &&
      by_date->string_value() != "daily") {
    return InvalidArgument("threading.thread_by_date must be \"none\" or \"daily\"");
  }
  return absl::OkStatus();
}

absl::Status ResolveEmail(IntegrationConfig* config, const FieldValues& global) {
  FieldValues* fields = &config->fields;
  NARTHEX_RETURN_IF_ERROR(
      Inherit(fields, "smarthost", global, "smtp_smarthost", "no global SMTP smarthost set"));
  NARTHEX_RETURN_IF_ERROR(Inherit(fields, "from", global, "smtp_from", "no global SMTP from set"));
  NARTHEX_RETURN_IF_ERROR(Inherit(fields, "hello", global, "smtp_hello", ""));
  NARTHEX_RETURN_IF_ERROR(Inherit(fields, "auth_username", global, "smtp_auth_username", ""));
  NARTHEX_RETURN_IF_ERROR(InheritPair(fields, "auth_password", global, "smtp_auth_password", ""));
  NARTHEX_RETURN_IF_ERROR(InheritPair(fields, "auth_secret", global, "smtp_auth_secret", ""));
  NARTHEX_RETURN_IF_ERROR(Inherit(fields, "auth_identity", global, "smtp_auth_identity", ""));
  NARTHEX_RETURN_IF_ERROR(Inherit(fields, "tls_config", global, "smtp_tls_config", ""));
  if (!fields->Has("require_tls"))
    fields->Set("require_tls", Value::Bool(global.Bool("smtp_require_tls")));
  if (!fields->Has("force_implicit_tls") && global.Has("smtp_force_implicit_tls")) {
    fields->Set("force_implicit_tls", *global.Find("smtp_force_implicit_tls"));
  }
  // Every mail has these.
  Value::Map headers;
  if (const Value* written = fields->Find("headers")) headers = written->map();
  headers.emplace("Subject", Value::String("{{ template \"email.default.subject\" . }}"));
  headers.emplace("To", *fields->Find("to"));
  headers.emplace("From", *fields->Find("from"));
  fields->Set("headers", Value::MakeMap(std::move(headers), gotemplate::StringMapType()));
  return absl::OkStatus();
}

// PagerDuty.

constexpr FieldSpec kPagerdutyImage[] = {{"href", kText}, {"src", kText}, {"alt", kText}};
constexpr FieldSpec kPagerdutyLink[] = {{"href", kText}, {"text", kText}};
constexpr ObjectSpec kPagerdutyImageObject = {"config.PagerdutyImage", kPagerdutyImage};
constexpr ObjectSpec kPagerdutyLinkObject = {"config.PagerdutyLink", kPagerdutyLink};
constexpr FieldSpec kPagerduty[] = {
    {"service_key", kSecret},
    {"service_key_file", kPath},
    {"routing_key", kSecret},
    {"routing_key_file", kPath},
    {"url", kUrl},
    {"client", kText, "{{ template \"pagerduty.default.client\" . }}"},
    {"client_url", kText, "{{ template \"pagerduty.default.clientURL\" . }}"},
    {"description", kText, "{{ template \"pagerduty.default.description\" .}}"},
    {"details", FieldType::kAny},
    {"images", FieldType::kObjects, "", false, &kPagerdutyImageObject},
    {"links", FieldType::kObjects, "", false, &kPagerdutyLinkObject},
    {"source", kText},
    {"severity", kText},
    {"class", kText},
    {"component", kText},
    {"group", kText},
    {"timeout", FieldType::kGoDuration},
};
constexpr Pair kPagerdutyExclusive[] = {{"service_key", "service_key_file"},
                                        {"routing_key", "routing_key_file"}};
absl::Status ValidatePagerduty(IntegrationConfig* config) {
  FieldValues* fields = &config->fields;
  if (!fields->IsSet("service_key") && !fields->IsSet("service_key_file") &&
      !fields->IsSet("routing_key") && !fields->IsSet("routing_key_file")) {
    return InvalidArgument("missing service or routing key in PagerDuty config");
  }
  Value::Map details;
  if (const Value* written = fields->Find("details")) {
    if (written->kind() != gotemplate::Kind::kMap && !written->is_nil()) {
      return InvalidArgument("details must be a mapping");
    }
    if (!written->is_nil()) details = written->map();
  }
  constexpr Pair kDetails[] = {
      {"firing", "{{ .Alerts.Firing | toJson }}"},
      {"resolved", "{{ .Alerts.Resolved | toJson }}"},
      {"num_firing", "{{ .Alerts.Firing | len }}"},
      {"num_resolved", "{{ .Alerts.Resolved | len }}"},
  };
  for (const auto& [key, text] : kDetails) details.emplace(key, Value::String(text));
  fields->Set("details", Value::MakeMap(std::move(details)));
  if (!fields->IsSet("source")) fields->Set("source", *fields->Find("client"));
  return absl::OkStatus();
}
absl::Status ResolvePagerduty(IntegrationConfig* config, const FieldValues& global) {
  return Inherit(&config->fields, "url", global, "pagerduty_url", "no global PagerDuty URL set");
}

// Slack.

constexpr FieldSpec kSlackConfirm[] = {
    {"text", kText}, {"title", kText}, {"ok_text", kText}, {"dismiss_text", kText}};
constexpr Pair kSlackConfirmRequired[] = {
    {"text", "missing text in Slack confirmation configuration"}};
constexpr ObjectSpec kSlackConfirmObject = {"config.SlackConfirmationField", kSlackConfirm,
                                            kSlackConfirmRequired};
constexpr FieldSpec kSlackAction[] = {
    {"type", kText},
    {"text", kText},
    {"url", kText},
    {"style", kText},
    {"name", kText},
    {"value", kText},
    {"confirm", FieldType::kObject, "", false, &kSlackConfirmObject}};
constexpr Pair kSlackActionRequired[] = {{"type", "missing type in Slack action configuration"},
                                         {"text", "missing text in Slack action configuration"}};
constexpr ObjectSpec kSlackActionObject = {"config.SlackAction", kSlackAction,
                                           kSlackActionRequired};
constexpr FieldSpec kSlackField[] = {
    {"title", kText}, {"value", kText}, {"short", FieldType::kOptionalBool}};
constexpr Pair kSlackFieldRequired[] = {{"title", "missing title in Slack field configuration"},
                                        {"value", "missing value in Slack field configuration"}};
constexpr ObjectSpec kSlackFieldObject = {"config.SlackField", kSlackField, kSlackFieldRequired};
constexpr FieldSpec kSlack[] = {
    {"api_url", FieldType::kSecretUrl},
    {"api_url_file", kPath},
    {"app_token", kSecret},
    {"app_token_file", kPath},
    {"app_url", kUrl},
    {"channel", kText},
    {"username", kText, "{{ template \"slack.default.username\" . }}"},
    {"color", kText, "{{ template \"slack.default.color\" . }}"},
    {"title", kText, "{{ template \"slack.default.title\" . }}"},
    {"title_link", kText, "{{ template \"slack.default.titlelink\" . }}"},
    {"pretext", kText, "{{ template \"slack.default.pretext\" . }}"},
    {"text", kText, "{{ template \"slack.default.text\" . }}"},
    {"message_text", kText},
    {"fields", FieldType::kObjects, "", false, &kSlackFieldObject},
    {"short_fields", kBool, "", true},
    {"footer", kText, "{{ template \"slack.default.footer\" . }}"},
    {"fallback", kText, "{{ template \"slack.default.fallback\" . }}"},
    {"callback_id", kText, "{{ template \"slack.default.callbackid\" . }}"},
    {"icon_emoji", kText, "{{ template \"slack.default.iconemoji\" . }}"},
    {"icon_url", kText, "{{ template \"slack.default.iconurl\" . }}"},
    {"image_url", kText},
    {"thumb_url", kText},
    {"link_names", kBool, "", true},
    {"mrkdwn_in", FieldType::kTextList},
    {"actions", FieldType::kObjects, "", false, &kSlackActionObject},
    {"timeout", FieldType::kGoDuration},
    {"update_message", kBool},
};
constexpr Pair kSlackExclusive[] = {{"api_url", "api_url_file"}, {"app_token", "app_token_file"}};
constexpr std::string_view kSlackAppUrl = "https://slack.com/api/chat.postMessage";

absl::Status ValidateSlack(IntegrationConfig* config) {
  const FieldValues& fields = config->fields;
  if (const Value* actions = fields.Find("actions")) {
    for (const Value& action : actions->list()) {
      const Value* url = action.Find("url");
      const Value* name = action.Find("name");
      if ((url == nullptr || !url->Truth()) && (name == nullptr || !name->Truth())) {
        return InvalidArgument("missing name or url in Slack action configuration");
      }
    }
  }
  const bool has_url = fields.IsSet("api_url") || fields.IsSet("api_url_file");
  const bool has_token = fields.IsSet("app_token") || fields.IsSet("app_token_file");
  if (has_url && has_token && !IsSlackAppUrl(fields.Text("api_url"), fields.Text("app_url"))) {
    return InvalidArgument(
        "at most one of app_token/app_token_file & api_url/api_url_file must be configured");
  }
  if (fields.Bool("update_message") && !has_token && has_url &&
      !IsSlackAppUrl(fields.Text("api_url"), kSlackAppUrl)) {
    return InvalidArgument(
        "update_message can only be used with bot tokens. api_url must be set to ", kSlackAppUrl);
  }
  return absl::OkStatus();
}

absl::Status ResolveSlack(IntegrationConfig* config, const FieldValues& global) {
  FieldValues* fields = &config->fields;
  NARTHEX_RETURN_IF_ERROR(Inherit(fields, "app_url", global, "slack_app_url", ""));
  if (fields->IsSet("api_url") || fields->IsSet("api_url_file") || fields->IsSet("app_token") ||
      fields->IsSet("app_token_file")) {
    return absl::OkStatus();
  }
  NARTHEX_RETURN_IF_ERROR(InheritPair(fields, "app_token", global, "slack_app_token", ""));
  if (fields->IsSet("app_token") || fields->IsSet("app_token_file")) return absl::OkStatus();
  return InheritPair(fields, "api_url", global, "slack_api_url",
                     "no Slack API URL nor App token set either inline or in a file");
}

// Opsgenie.

constexpr FieldSpec kOpsgenieResponder[] = {
    {"id", kText}, {"name", kText}, {"username", kText}, {"type", kText}};
constexpr ObjectSpec kOpsgenieResponderObject = {"config.OpsGenieConfigResponder",
                                                 kOpsgenieResponder};
constexpr FieldSpec kOpsgenie[] = {
    {"api_key", kSecret},
    {"api_key_file", kPath},
    {"api_url", kUrl},
    {"message", kText, "{{ template \"opsgenie.default.message\" . }}"},
    {"description", kText, "{{ template \"opsgenie.default.description\" . }}"},
    {"source", kText, "{{ template \"opsgenie.default.source\" . }}"},
    {"details", FieldType::kTextMap},
    {"entity", kText},
    {"responders", FieldType::kObjects, "", false, &kOpsgenieResponderObject},
    {"actions", kText},
    {"tags", kText},
    {"note", kText},
    {"priority", kText},
    {"update_alerts", kBool},
};
constexpr Pair kApiKeyExclusive[] = {{"api_key", "api_key_file"}};

absl::Status ValidateOpsgenie(IntegrationConfig* config) {
  const Value* responders = config->fields.Find("responders");
  if (responders == nullptr) return absl::OkStatus();
  constexpr std::array<std::string_view, 5> kTypes = {"team", "teams", "user", "escalation",
                                                      "schedule"};
  for (const Value& responder : responders->list()) {
    const auto text = [&responder](std::string_view key) {
      const Value* value = responder.Find(key);
      return value == nullptr ? std::string() : value->string_value();
    };
    if (text("id").empty() && text("name").empty() && text("username").empty()) {
      return InvalidArgument(
          "opsGenieConfig responder has to have at least one of id, username or name specified");
    }
    const std::string type = ToLowerAscii(text("type"));
    if (type.find("{{") == std::string::npos &&
        std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end()) {
      return InvalidArgument(
          "opsGenieConfig responder type ", Quote(text("type")),
          " does not match valid options team, teams, user, escalation, schedule");
    }
  }
  return absl::OkStatus();
}
absl::Status ResolveOpsgenie(IntegrationConfig* config, const FieldValues& global) {
  NARTHEX_RETURN_IF_ERROR(Inherit(&config->fields, "api_url", global, "opsgenie_api_url",
                                  "no global OpsGenie URL set"));
  return InheritPair(&config->fields, "api_key", global, "opsgenie_api_key",
                     "no global OpsGenie API Key set either inline or in a file");
}

// WeChat.

constexpr FieldSpec kWechat[] = {
    {"api_secret", kSecret},
    {"api_secret_file", kPath},
    {"corp_id", kText},
    {"message", kText, "{{ template \"wechat.default.message\" . }}"},
    {"api_url", kUrl},
    {"to_user", kText, "{{ template \"wechat.default.to_user\" . }}"},
    {"to_party", kText, "{{ template \"wechat.default.to_party\" . }}"},
    {"to_tag", kText, "{{ template \"wechat.default.to_tag\" . }}"},
    {"agent_id", kText, "{{ template \"wechat.default.agent_id\" . }}"},
    {"message_type", kText},
};
constexpr Pair kApiSecretExclusive[] = {{"api_secret", "api_secret_file"}};
absl::Status ValidateWechat(IntegrationConfig* config) {
  FieldValues* fields = &config->fields;
  if (!fields->IsSet("message_type")) fields->Set("message_type", Value::String("text"));
  const std::string& type = fields->Text("message_type");
  if (type == "text" || type == "markdown") return absl::OkStatus();
  return InvalidArgument("weChat message type ", Quote(type),
                         " does not match valid options text|markdown");
}
absl::Status ResolveWechat(IntegrationConfig* config, const FieldValues& global) {
  FieldValues* fields = &config->fields;
  NARTHEX_RETURN_IF_ERROR(
      Inherit(fields, "api_url", global, "wechat_api_url", "no global Wechat URL set"));
  NARTHEX_RETURN_IF_ERROR(
      InheritPair(fields, "api_secret", global, "wechat_api_secret",
                  "no global Wechat Api Secret set either inline or in a file"));
  return Inherit(fields, "corp_id", global, "wechat_api_corp_id", "no global Wechat CorpID set");
}

// VictorOps.

constexpr FieldSpec kVictorops[] = {
    {"api_key", kSecret},
    {"api_key_file", kPath},
    {"api_url", kUrl},
    {"routing_key", kText},
    {"message_type", kText, "CRITICAL"},
    {"state_message", kText, "{{ template \"victorops.default.state_message\" . }}"},
    {"entity_display_name", kText, "{{ template \"victorops.default.entity_display_name\" . }}"},
    {"monitoring_tool", kText, "{{ template \"victorops.default.monitoring_tool\" . }}"},
    {"custom_fields", FieldType::kTextMap},
};
absl::Status ValidateVictorops(IntegrationConfig* config) {
  NARTHEX_RETURN_IF_ERROR(
      Require(config->fields, "routing_key", "missing Routing key in VictorOps config"));
  const Value* custom = config->fields.Find("custom_fields");
  if (custom == nullptr) return absl::OkStatus();
  for (const std::string_view reserved :
       {"routing_key", "message_type", "state_message", "entity_display_name", "monitoring_tool",
        "entity_id", "entity_state"}) {
    if (custom->Find(reserved) == nullptr) continue;
    return InvalidArgument("victorOps config contains custom field ", reserved,
                           " which cannot be used as it conflicts with the fixed/static fields");
  }
  return absl::OkStatus();
}
absl::Status ResolveVictorops(IntegrationConfig* config, const FieldValues& global) {
  NARTHEX_RETURN_IF_ERROR(Inherit(&config->fields, "api_url", global, "victorops_api_url",
                                  "no global VictorOps URL set"));
  return InheritPair(&config->fields, "api_key", global, "victorops_api_key",
                     "no global VictorOps API Key set");
}

// Pushover.

constexpr FieldSpec kPushover[] = {
    {"user_key", kSecret},
    {"user_key_file", kPath},
    {"token", kSecret},
    {"token_file", kPath},
    {"title", kText, "{{ template \"pushover.default.title\" . }}"},
    {"message", kText, "{{ template \"pushover.default.message\" . }}"},
    {"url", kText, "{{ template \"pushover.default.url\" . }}"},
    {"url_title", kText},
    {"device", kText},
    {"sound", kText},
    {"priority", kText, "{{ if eq .Status \"firing\" }}2{{ else }}0{{ end }}"},
    {"retry", FieldType::kGoDuration, "1m"},
    {"expire", FieldType::kGoDuration, "1h"},
    {"ttl", FieldType::kGoDuration},
    {"html", kBool, "", true},
    {"monospace", kBool},
};
constexpr Pair kPushoverExclusive[] = {{"user_key", "user_key_file"}, {"token", "token_file"}};
absl::Status ValidatePushover(IntegrationConfig* config) {
  const FieldValues& fields = config->fields;
  NARTHEX_RETURN_IF_ERROR(
      OneOf(fields, "user_key", "one of user_key or user_key_file must be configured"));
  NARTHEX_RETURN_IF_ERROR(OneOf(fields, "token", "one of token or token_file must be configured"));
  if (fields.Bool("html") && fields.Bool("monospace")) {
    return InvalidArgument("at most one of monospace & html must be configured");
  }
  return absl::OkStatus();
}

// Amazon SNS.

constexpr FieldSpec kSns[] = {
    {"api_url", kText},
    {"sigv4", FieldType::kSigV4, "", true},
    {"topic_arn", kText},
    {"phone_number", kText},
    {"target_arn", kText},
    {"subject", kText, "{{ template \"sns.default.subject\" . }}"},
    {"message", kText, "{{ template \"sns.default.message\" . }}"},
    {"attributes", FieldType::kTextMap},
    {"use_aws_http_client", kBool},
};
absl::Status ValidateSns(IntegrationConfig* config) {
  const FieldValues& fields = config->fields;
  const int targets = (fields.IsSet("target_arn") ? 1 : 0) + (fields.IsSet("topic_arn") ? 1 : 0) +
                      (fields.IsSet("phone_number") ? 1 : 0);
  if (targets == 1) return absl::OkStatus();
  return InvalidArgument(
      "must provide either a Target ARN, Topic ARN, or Phone Number for SNS config");
}

// Telegram.

constexpr FieldSpec kTelegram[] = {
    {"api_url", kUrl},
    {"bot_token", kSecret},
    {"bot_token_file", kPath},
    {"chat_id", FieldType::kInt},
    {"chat_id_file", kPath},
    {"message_thread_id", FieldType::kInt},
    {"message", kText, "{{ template \"telegram.default.message\" . }}"},
    {"disable_notifications", kBool},
    {"parse_mode", kText, "HTML"},
};
constexpr Pair kTelegramExclusive[] = {{"bot_token", "bot_token_file"},
                                       {"chat_id", "chat_id_file"}};
absl::Status ValidateTelegram(IntegrationConfig* config) {
  NARTHEX_RETURN_IF_ERROR(
      OneOf(config->fields, "chat_id", "missing chat_id or chat_id_file on telegram_config"));
  const std::string& mode = config->fields.Text("parse_mode");
  if (mode.empty() || mode == "Markdown" || mode == "MarkdownV2" || mode == "HTML") {
    return absl::OkStatus();
  }
  return InvalidArgument(
      "unknown parse_mode on telegram_config, must be Markdown, MarkdownV2, HTML or empty string");
}
absl::Status ResolveTelegram(IntegrationConfig* config, const FieldValues& global) {
  NARTHEX_RETURN_IF_ERROR(Inherit(&config->fields, "api_url", global, "telegram_api_url",
                                  "no global Telegram API URL set"));
  return InheritPair(&config->fields, "bot_token", global, "telegram_bot_token",
                     "missing bot_token or bot_token_file on telegram_config");
}

// Discord, Webex, and the two of Microsoft Teams.

constexpr FieldSpec kDiscord[] = {
    {"webhook_url", FieldType::kSecretUrl},
    {"webhook_url_file", kPath},
    {"content", kText, "{{ template \"discord.default.content\" . }}"},
    {"title", kText, "{{ template \"discord.default.title\" . }}"},
    {"message", kText, "{{ template \"discord.default.message\" . }}"},
    {"username", kText},
    {"avatar_url", kText},
};
constexpr Pair kWebhookUrlExclusive[] = {{"webhook_url", "webhook_url_file"}};
absl::Status ValidateDiscord(IntegrationConfig* config) {
  return OneOf(config->fields, "webhook_url",
               "one of webhook_url or webhook_url_file must be configured");
}

constexpr FieldSpec kWebex[] = {
    {"api_url", kUrl},
    {"message", kText, "{{ template \"webex.default.message\" . }}"},
    {"room_id", kText},
};
absl::Status ValidateWebex(IntegrationConfig* config) {
  NARTHEX_RETURN_IF_ERROR(Require(config->fields, "room_id", "missing room_id on webex_config"));
  if (!config->http_client.has_value() || !config->http_client->authorization.has_value()) {
    return InvalidArgument("missing webex_configs.http_config.authorization");
  }
  return absl::OkStatus();
}
absl::Status ResolveWebex(IntegrationConfig* config, const FieldValues& global) {
  return Inherit(&config->fields, "api_url", global, "webex_api_url", "no global Webex URL set");
}

constexpr FieldSpec kMsteams[] = {
    {"webhook_url", FieldType::kSecretUrl},
    {"webhook_url_file", kPath},
    {"title", kText, "{{ template \"msteams.default.title\" . }}"},
    {"summary", kText, "{{ template \"msteams.default.summary\" . }}"},
    {"text", kText, "{{ template \"msteams.default.text\" . }}"},
};
constexpr FieldSpec kMsteamsV2[] = {
    {"webhook_url", FieldType::kSecretUrl},
    {"webhook_url_file", kPath},
    {"title", kText, "{{ template \"msteamsv2.default.title\" . }}"},
    {"text", kText, "{{ template \"msteamsv2.default.text\" . }}"},
};

// Jira.

constexpr FieldSpec kJira[] = {
    {"api_url", kUrl},
    {"api_type", kText, "auto"},
    {"project", kText},
    {"issue_type", kText},
    {"summary", FieldType::kAny},
    {"description", FieldType::kAny},
    {"labels", FieldType::kTextList},
    {"priority", kText, "{{ template \"jira.default.priority\" . }}"},
    {"reopen_transition", kText},
    {"resolve_transition", kText},
    {"wont_fix_resolution", kText},
    {"reopen_duration", FieldType::kDuration},
    {"fields", FieldType::kAny},
};
absl::Status ValidateJira(IntegrationConfig* config) {
  FieldValues* fields = &config->fields;
  NARTHEX_RETURN_IF_ERROR(Require(*fields, "project", "missing project in jira_config"));
  NARTHEX_RETURN_IF_ERROR(Require(*fields, "issue_type", "missing issue_type in jira_config"));
  const std::string& api = fields->Text("api_type");
  if (api != "auto" && api != "cloud" && api != "datacenter") {
    return InvalidArgument("unknown api_type on jira_config, must be auto, cloud or datacenter");
  }
  // A text, or a mapping of the template and whether updates change it.
  for (const std::string_view key : {"summary", "description"}) {
    const Value* value = fields->Find(key);
    if (value == nullptr || value->is_nil()) {
      fields->Set(key, Value::String(StrCat("{{ template \"jira.default.", key, "\" . }}")));
      continue;
    }
    if (value->kind() == gotemplate::Kind::kString) continue;
    if (value->kind() != gotemplate::Kind::kMap)
      return InvalidArgument(key, " must be a text or a mapping");
    for (const auto& entry : value->map()) {
      if (entry.first != "template" && entry.first != "enable_update") {
        return InvalidArgument("field ", entry.first, " not found in type config.JiraFieldConfig");
      }
    }
  }
  const Value* custom = fields->Find("fields");
  if (custom != nullptr && !custom->is_nil() && custom->kind() != gotemplate::Kind::kMap) {
    return InvalidArgument("fields must be a mapping");
  }
  return absl::OkStatus();
}
absl::Status ResolveJira(IntegrationConfig* config, const FieldValues& global) {
  return Inherit(&config->fields, "api_url", global, "jira_api_url",
                 "no global Jira Cloud URL set");
}

// incident.io.

constexpr FieldSpec kIncidentio[] = {
    {"url", kUrl},
    {"url_file", kPath},
    {"alert_source_token", kSecret},
    {"alert_source_token_file", kPath},
    {"max_alerts", FieldType::kUint},
    {"timeout", FieldType::kGoDuration},
};
constexpr Pair kIncidentioExclusive[] = {{"url", "url_file"},
                                         {"alert_source_token", "alert_source_token_file"}};
absl::Status ValidateIncidentio(IntegrationConfig* config) {
  const FieldValues& fields = config->fields;
  NARTHEX_RETURN_IF_ERROR(OneOf(fields, "url", "one of url or url_file must be configured"));
  const bool token = fields.IsSet("alert_source_token") || fields.IsSet("alert_source_token_file");
  const bool authorization =
      config->http_client.has_value() && config->http_client->authorization.has_value();
  if (token && authorization) {
    return InvalidArgument(
        "cannot specify alert_source_token or alert_source_token_file when using "
        "http_config.authorization");
  }
  if (!token && !authorization) {
    return InvalidArgument(
        "at least one of alert_source_token, alert_source_token_file or "
        "http_config.authorization must be configured");
  }
  return absl::OkStatus();
}

// Rocket.Chat.

constexpr FieldSpec kRocketField[] = {
    {"title", kText}, {"value", kText}, {"short", FieldType::kOptionalBool}};
constexpr ObjectSpec kRocketFieldObject = {"config.RocketchatAttachmentField", kRocketField};
constexpr FieldSpec kRocketAction[] = {{"type", kText},
                                       {"text", kText},
                                       {"url", kText},
                                       {"image_url", kText},
                                       {"is_webview", kBool},
                                       {"webview_height_ratio", kText},
                                       {"msg", kText},
                                       {"msg_in_chat_window", kBool},
                                       {"msg_processing_type", kText}};
constexpr ObjectSpec kRocketActionObject = {"config.RocketchatAttachmentAction", kRocketAction};
constexpr FieldSpec kRocketchat[] = {
    {"api_url", kUrl},
    {"token_id", kSecret},
    {"token_id_file", kPath},
    {"token", kSecret},
    {"token_file", kPath},
    {"channel", kText},
    {"color", kText, "{{ if eq .Status \"firing\" }}red{{ else }}green{{ end }}"},
    {"title", kText, "{{ template \"rocketchat.default.title\" . }}"},
    {"title_link", kText, "{{ template \"rocketchat.default.titlelink\" . }}"},
    {"text", kText, "{{ template \"rocketchat.default.text\" . }}"},
    {"fields", FieldType::kObjects, "", false, &kRocketFieldObject},
    {"short_fields", kBool, "", true},
    {"emoji", kText, "{{ template \"rocketchat.default.emoji\" . }}"},
    {"icon_url", kText, "{{ template \"rocketchat.default.iconurl\" . }}"},
    {"image_url", kText},
    {"thumb_url", kText},
    {"link_names", kBool, "", true},
    {"actions", FieldType::kObjects, "", false, &kRocketActionObject},
};
constexpr Pair kRocketchatExclusive[] = {{"token_id", "token_id_file"}, {"token", "token_file"}};
absl::Status ResolveRocketchat(IntegrationConfig* config, const FieldValues& global) {
  FieldValues* fields = &config->fields;
  NARTHEX_RETURN_IF_ERROR(
      Inherit(fields, "api_url", global, "rocketchat_api_url", "no global Rocketchat API URL set"));
  NARTHEX_RETURN_IF_ERROR(
      InheritPair(fields, "token_id", global, "rocketchat_token_id",
                  "no global Rocketchat TokenID set either inline or in a file"));
  return InheritPair(fields, "token", global, "rocketchat_token",
                     "no global Rocketchat Token set either inline or in a file");
}

// Mattermost.

constexpr FieldSpec kMattermostField[] = {
    {"title", kText}, {"value", kText}, {"short", FieldType::kOptionalBool}};
constexpr ObjectSpec kMattermostFieldObject = {"config.MattermostField", kMattermostField};
constexpr FieldSpec kMattermostAttachment[] = {
    {"fallback", kText},    {"color", kText},
    {"pretext", kText},     {"text", kText},
    {"author_name", kText}, {"author_link", kText},
    {"author_icon", kText}, {"title", kText},
    {"title_link", kText},  {"fields", FieldType::kObjects, "", false, &kMattermostFieldObject},
    {"thumb_url", kText},   {"footer", kText},
    {"footer_icon", kText}, {"image_url", kText}};
constexpr ObjectSpec kMattermostAttachmentObject = {"config.MattermostAttachment",
                                                    kMattermostAttachment};
constexpr FieldSpec kMattermostProps[] = {{"card", kText}};
constexpr ObjectSpec kMattermostPropsObject = {"config.MattermostProps", kMattermostProps};
constexpr FieldSpec kMattermostPriority[] = {
    {"priority", kText}, {"requested_ack", kBool}, {"persistent_notifications", kBool}};
constexpr ObjectSpec kMattermostPriorityObject = {"config.MattermostPriority", kMattermostPriority};
constexpr FieldSpec kMattermost[] = {
    {"webhook_url", FieldType::kSecretUrl},
    {"webhook_url_file", kPath},
    {"channel", kText},
    {"username", kText, "{{ template \"mattermost.default.username\" . }}"},
    {"icon_url", kText},
    {"icon_emoji", kText},
    {"type", kText},
    {"props", FieldType::kObject, "", false, &kMattermostPropsObject},
    {"priority", FieldType::kObject, "", false, &kMattermostPriorityObject},
    {"attachments", FieldType::kObjects, "", false, &kMattermostAttachmentObject},
    {"fallback", kText, "{{ template \"mattermost.default.fallback\" . }}"},
    {"color", kText, "{{ template \"mattermost.default.color\" . }}"},
    {"pretext", kText},
    {"text", kText, "{{ template \"mattermost.default.text\" . }}"},
    {"author_name", kText},
    {"author_link", kText},
    {"author_icon", kText},
    {"title", kText, "{{ template \"mattermost.default.title\" . }}"},
    {"title_link", kText, "{{ template \"mattermost.default.titlelink\" . }}"},
    {"fields", FieldType::kObjects, "", false, &kMattermostFieldObject},
    {"thumb_url", kText},
    {"footer", kText},
    {"footer_icon", kText},
    {"image_url", kText},
};
absl::Status ValidateMattermost(IntegrationConfig* config) {
  const Value* priority = config->fields.Find("priority");
  const Value* level = priority == nullptr ? nullptr : priority->Find("priority");
  if (level == nullptr || level->string_value() == "urgent" ||
      level->string_value() == "important" || level->string_value() == "standard" ||
      level->string_value().empty()) {
    return absl::OkStatus();
  }
  return InvalidArgument("unknown priority ", Quote(level->string_value()),
                         ", must be urgent, important or standard");
}
absl::Status ResolveMattermost(IntegrationConfig* config, const FieldValues& global) {
  return InheritPair(&config->fields, "webhook_url", global, "mattermost_webhook_url",
                     "no global Mattermost Webhook URL set either inline or in a file");
}

constexpr IntegrationSpec kIntegrations[] = {
    {"discord", "config.DiscordConfig", true, true, kDiscord, kWebhookUrlExclusive,
     ValidateDiscord},
    {"email", "config.EmailConfig", false, false, kEmail, kEmailExclusive, ValidateEmail,
     ResolveEmail},
    {"incidentio", "config.IncidentioConfig", true, true, kIncidentio, kIncidentioExclusive,
     ValidateIncidentio},
    {"pagerduty", "config.PagerdutyConfig", true, true, kPagerduty, kPagerdutyExclusive,
     ValidatePagerduty, ResolvePagerduty},
    {"slack", "config.SlackConfig", false, true, kSlack, kSlackExclusive, ValidateSlack,
     ResolveSlack},
    {"webhook", "config.WebhookConfig", true, true, kWebhook, kWebhookExclusive, ValidateWebhook},
    {"opsgenie", "config.OpsGenieConfig", true, true, kOpsgenie, kApiKeyExclusive, ValidateOpsgenie,
     ResolveOpsgenie},
    {"wechat", "config.WechatConfig", false, true, kWechat, kApiSecretExclusive, ValidateWechat,
     ResolveWechat},
    {"pushover", "config.PushoverConfig", true, true, kPushover, kPushoverExclusive,
     ValidatePushover},
    {"victorops", "config.VictorOpsConfig", true, true, kVictorops, kApiKeyExclusive,
     ValidateVictorops, ResolveVictorops},
    {"sns", "config.SNSConfig", true, true, kSns, {}, ValidateSns},
    {"telegram", "config.TelegramConfig", true, true, kTelegram, kTelegramExclusive,
     ValidateTelegram, ResolveTelegram},
    {"webex", "config.WebexConfig", true, true, kWebex, {}, ValidateWebex, ResolveWebex},
    {"msteams", "config.MSTeamsConfig", true, true, kMsteams, kWebhookUrlExclusive,
     ValidateDiscord},
    {"msteamsv2", "config.MSTeamsV2Config", true, true, kMsteamsV2, kWebhookUrlExclusive,
     ValidateDiscord},
    {"jira", "config.JiraConfig", true, true, kJira, {}, ValidateJira, ResolveJira},
    {"rocketchat", "config.RocketchatConfig", false, true, kRocketchat, kRocketchatExclusive,
     nullptr, ResolveRocketchat},
    {"mattermost", "config.MattermostConfig", true, true, kMattermost, kWebhookUrlExclusive,
     ValidateMattermost, ResolveMattermost},
};

// The keys of global besides resolve_timeout and http_config.
constexpr FieldSpec kGlobal[] = {
    {"smtp_from", kText},
    {"smtp_hello", kText, "localhost"},
    {"smtp_smarthost", FieldType::kHostPort},
    {"smtp_auth_username", kText},
    {"smtp_auth_password", kSecret},
    {"smtp_auth_password_file", kPath},
    {"smtp_auth_secret", kSecret},
    {"smtp_auth_secret_file", kPath},
    {"smtp_auth_identity", kText},
    {"smtp_require_tls", kBool, "true", true},
    {"smtp_force_implicit_tls", FieldType::kOptionalBool},
    {"smtp_tls_config", FieldType::kTls},
    {"slack_api_url", FieldType::kSecretUrl},
    {"slack_api_url_file", kPath},
    {"slack_app_token", kSecret},
    {"slack_app_token_file", kPath},
    {"slack_app_url", kUrl, kSlackAppUrl},
    {"pagerduty_url", kUrl, "https://events.pagerduty.com/v2/enqueue"},
    {"opsgenie_api_url", kUrl, "https://api.opsgenie.com/"},
    {"opsgenie_api_key", kSecret},
    {"opsgenie_api_key_file", kPath},
    {"wechat_api_url", kUrl, "https://qyapi.weixin.qq.com/cgi-bin/"},
    {"wechat_api_secret", kSecret},
    {"wechat_api_secret_file", kPath},
    {"wechat_api_corp_id", kText},
    {"victorops_api_url", kUrl, "https://alert.victorops.com/integrations/generic/20131114/alert/"},
    {"victorops_api_key", kSecret},
    {"victorops_api_key_file", kPath},
    {"telegram_api_url", kUrl, "https://api.telegram.org"},
    {"telegram_bot_token", kSecret},
    {"telegram_bot_token_file", kPath},
    {"webex_api_url", kUrl, "https://webexapis.com/v1/messages"},
    {"rocketchat_api_url", kUrl, "https://open.rocket.chat/"},
    {"rocketchat_token", kSecret},
    {"rocketchat_token_file", kPath},
    {"rocketchat_token_id", kSecret},
    {"rocketchat_token_id_file", kPath},
    {"mattermost_webhook_url", FieldType::kSecretUrl},
    {"mattermost_webhook_url_file", kPath},
    {"jira_api_url", kUrl},
};

}  // namespace

bool IsSlackAppUrl(std::string_view url, std::string_view app_url) {
  return url == app_url || url == "<secret>";
}

std::span<const IntegrationSpec> Integrations() { return kIntegrations; }
std::span<const FieldSpec> GlobalFields() { return kGlobal; }

}  // namespace narthex::alertmanager_config
