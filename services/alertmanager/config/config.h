#ifndef NARTHEX_SERVICES_ALERTMANAGER_CONFIG_CONFIG_H_
#define NARTHEX_SERVICES_ALERTMANAGER_CONFIG_CONFIG_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/config/http_client_config.h"
#include "lib/gotemplate/value.h"
#include "lib/labels/matcher.h"
#include "services/alertmanager/timeinterval/time_interval.h"

// alertmanager.yml as plain data: decoded strictly, validated, defaults and global values filled
// in. load.h reads it, print.h writes it.
namespace narthex::alertmanager_config {

// The values of a section whose keys are a table (integration_fields.h), by key; absent where
// neither the file nor a default says anything.
class FieldValues {
 public:
  bool Has(std::string_view key) const { return Find(key) != nullptr; }
  const gotemplate::Value* Find(std::string_view key) const;
  void Set(std::string_view key, gotemplate::Value value);
  // Present and not the zero of its type.
  bool IsSet(std::string_view key) const;
  // "" where there is none. REQUIRES: the key is a text.
  const std::string& Text(std::string_view key) const;
  bool Bool(std::string_view key) const;
  int64_t Int(std::string_view key) const;
  absl::Duration Duration(std::string_view key) const;
  const std::map<std::string, gotemplate::Value, std::less<>>& all() const { return values_; }

 private:
  std::map<std::string, gotemplate::Value, std::less<>> values_;
};

// Where in the file something stands, for errors that are found after decoding.
struct Place {
  std::string file;
  int line = 0;
  int column = 0;
  std::string path;  // "route.routes[0]"

  // InvalidArgument "file:line:column: path: reason".
  absl::Status Error(std::string_view reason) const;
};

struct IntegrationConfig {
  std::string kind;  // "webhook"
  bool send_resolved = true;
  std::optional<config::HttpClientConfig> http_client;  // Filled from global; email has none.
  FieldValues fields;
  Place place;
};

struct ReceiverConfig {
  std::string name;
  std::map<std::string, std::string> labels;
  std::vector<IntegrationConfig>
      integrations;  // By kind in the order of kIntegrationKinds, then as written.
  Place place;
};

struct RouteConfig {
  std::optional<std::string> receiver;
  bool has_group_by = false;
  std::vector<std::string> group_by;            // As written; "..." is all labels.
  std::map<std::string, std::string> match;     // Deprecated.
  std::map<std::string, std::string> match_re;  // Deprecated.
  std::vector<Matcher> matchers;                // Of the list of that name alone.
  std::vector<std::string> mute_time_intervals;
  std::vector<std::string> active_time_intervals;
  bool continue_matching = false;
  std::map<std::string, std::string> labels;
  std::optional<absl::Duration> group_wait;
  std::optional<absl::Duration> group_interval;
  std::optional<absl::Duration> repeat_interval;
  std::vector<RouteConfig> routes;
  Place place;

  // All three kinds together.
  std::vector<Matcher> AllMatchers() const;
};

struct InhibitRuleConfig {
  std::string name;
  std::map<std::string, std::string> source_match, source_match_re, target_match, target_match_re;
  std::vector<Matcher> source_matchers, target_matchers;
  std::vector<std::string> equal;

  std::vector<Matcher> AllSourceMatchers() const;
  std::vector<Matcher> AllTargetMatchers() const;
};

struct NamedInterval {
  std::string name;
  std::vector<timeinterval::TimeInterval> intervals;
};

struct Config {
  absl::Duration resolve_timeout = absl::Minutes(5);
  config::HttpClientConfig http_client;
  FieldValues global;  // The other keys of global.
  RouteConfig route;
  std::vector<InhibitRuleConfig> inhibit_rules;
  std::vector<ReceiverConfig> receivers;
  std::vector<std::string> templates;              // Patterns, relative to the file's folder.
  std::vector<NamedInterval> mute_time_intervals;  // Deprecated name of the next.
  std::vector<NamedInterval> time_intervals;
  bool has_tracing = false;
  bool has_event_recorder = false;
  gotemplate::Value tracing;  // As written, validated.
  gotemplate::Value event_recorder;

  std::vector<std::string> warnings;
};

// Sections and integrations that are valid and that this version does nothing with: "receivers:
// email", "tracing". Only what the routes use counts of the receivers.
std::vector<std::string> UnusedSections(const Config& config);
// The names of the receivers that some route uses.
std::vector<std::string> UsedReceivers(const Config& config);

}  // namespace narthex::alertmanager_config

#endif  // NARTHEX_SERVICES_ALERTMANAGER_CONFIG_CONFIG_H_
