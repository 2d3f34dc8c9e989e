#ifndef NARTHEX_SERVICES_ALERTMANAGER_CONFIG_INTEGRATION_FIELDS_H_
#define NARTHEX_SERVICES_ALERTMANAGER_CONFIG_INTEGRATION_FIELDS_H_

#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "services/alertmanager/config/config.h"

// The keys of every integration and of the global section as tables: reading and printing walk the
// same rows.
namespace narthex::alertmanager_config {

enum class FieldType {
  kText,
  kSecret,
  kUrl,          // http or https with a host.
  kSecretUrl,    // The same, not shown.
  kTemplateUrl,  // The same unless it holds an action; not shown.
  kHostPort,
  kBool,
  kOptionalBool,  // Null and absent are the same.
  kInt,
  kUint,
  kDuration,    // Prometheus' form.
  kGoDuration,  // Go's form.
  kTextMap,
  kTextList,
  kPath,     // A file, relative to the configuration's folder.
  kAny,      // Whatever YAML.
  kTls,      // A tls_config block.
  kSigV4,    // A sigv4 block.
  kObject,   // A mapping with a table of its own.
  kObjects,  // A list of them.
};

struct FieldSpec;
struct ObjectSpec {
  std::string_view type;  // Go's name of the struct, for errors.
  std::span<const FieldSpec> fields;
  // The first key that is missing or empty and must not be, with the message; rows of {key,
  // message}.
  std::span<const std::pair<std::string_view, std::string_view>> required = {};
};

struct FieldSpec {
  std::string_view key;
  FieldType type = FieldType::kText;
  std::string_view default_text = {};  // In the form of the file; empty: none.
  bool always = false;                 // Printed even when it is the zero of its type.
  const ObjectSpec* object = nullptr;  // Of kObject and kObjects.
};

struct IntegrationSpec {
  std::string_view kind;
  std::string_view type;  // "config.WebhookConfig"
  bool send_resolved = true;
  bool has_http_config = true;
  std::span<const FieldSpec> fields;
  // Pairs X, X_file of which at most one may be set; rows of keys.
  std::span<const std::pair<std::string_view, std::string_view>> exclusive = {};
  // What the integration alone can tell; null: nothing. The error's place is added by the caller.
  absl::Status (*validate)(IntegrationConfig* config) = nullptr;
  // Fills in what global says, and says what is missing in both; null: nothing.
  absl::Status (*resolve)(IntegrationConfig* config, const FieldValues& global) = nullptr;
};

// An api_url beside an app_token is allowed only when it says the same; the placeholder of a
// printed configuration may say anything.
bool IsSlackAppUrl(std::string_view url, std::string_view app_url);

// In the order in which receivers print them.
std::span<const IntegrationSpec> Integrations();
std::span<const FieldSpec> GlobalFields();

}  // namespace narthex::alertmanager_config

#endif  // NARTHEX_SERVICES_ALERTMANAGER_CONFIG_INTEGRATION_FIELDS_H_
