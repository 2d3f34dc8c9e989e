#include "lib/config/sd_config.h"

#include <algorithm>

#include "lib/base/check.h"
#include "lib/config/sd_codec.h"
#include "lib/relabel/name_validation.h"

namespace narthex::config {

using yaml::Policy;

// What target files of the `file` mechanism may be called: a glob in the last element only, and a
// known ending.
static bool IsTargetFilePattern(std::string_view path) {
  const size_t star = path.find('*');
  if (star != std::string_view::npos && path.find('/', star) != std::string_view::npos) {
    return false;
  }
  for (const std::string_view ending : {".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"}) {
    if (path.ends_with(ending)) return true;
  }
  return false;
}

absl::Status CheckHttpUrl(const yaml::Mapping& fields, std::string_view key, std::string_view url) {
  if (url.empty()) return fields.ErrorAt(key, "URL is missing");
  const absl::StatusOr<Url> parsed = ParseUrl(url);
  if (!parsed.ok()) return fields.ErrorAt(key, Message(parsed.status()));
  if (parsed->scheme != "http" && parsed->scheme != "https") {
    return fields.ErrorAt(key, "URL scheme must be 'http' or 'https'");
  }
  if (parsed->host.empty()) return fields.ErrorAt(key, "host is missing in URL");
  return absl::OkStatus();
}

absl::Status CheckStaticTargets(const yaml::Mapping& fields, const std::vector<SdConfig>& configs) {
  for (const SdConfig& mechanism : configs) {
    const auto* const group = std::get_if<StaticSdConfig>(&mechanism);
    if (group == nullptr) continue;
    for (const std::string& target : group->targets) {
      if (target.find('/') == std::string::npos) continue;
      return fields.ErrorAt("static_configs", StrCat(Quote(target), " is not a valid hostname"));
    }
  }
  return absl::OkStatus();
}

void LabelsField(yaml::Mapping& fields, std::string_view key,
                 std::map<std::string, std::string>& labels) {
  fields.Each(key, [&labels](const yaml::Value& value) -> absl::Status {
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value::Entry> entries, value.Entries("map"));
    labels.clear();
    for (const yaml::Value::Entry& entry : entries) {
      const std::string& name = entry.key.text();
      if (!IsValidLabelName(name, NameValidationScheme::kUtf8)) {
        return entry.key.Error(Quote(name), " is not a valid label name");
      }
      NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(entry.value, &labels[name]));
      if (!IsValidLabelValue(labels[name])) {
        return entry.value.Error(Quote(labels[name]), " is not a valid label value");
      }
    }
    return absl::OkStatus();
  });
}
void LabelsField(yaml::MappingWriter& fields, std::string_view key,
                 std::map<std::string, std::string>& labels) {
  fields(key, labels);
}

std::string_view TypeName(const StaticSdConfig*) { return "targetgroup.plain"; }
template <typename Fields>
void ListFields(Fields& fields, StaticSdConfig& config) {
  fields("targets", config.targets, Policy::kAlways);
  LabelsField(fields, "labels", config.labels);
}
absl::Status CheckSd(yaml::Mapping&, StaticSdConfig*) { return absl::OkStatus(); }
absl::Status DecodeYaml(const yaml::Value& value, StaticSdConfig* out) {
  yaml::Mapping fields(value, TypeName(out));
  ListFields(fields, *out);
  return fields.Finish();
}

std::string_view TypeName(const FileSdConfig*) { return "file.plain"; }
template <typename Fields>
void ListFields(Fields& fields, FileSdConfig& config) {
  fields("files", config.files, Policy::kPath);
  fields("refresh_interval", config.refresh_interval);
}
absl::Status CheckSd(yaml::Mapping& fields, FileSdConfig* config) {
  if (config->files.empty()) {
    return fields.ErrorAt("files",
                          "file service discovery config must contain at least one path name");
  }
  for (const std::string& path : config->files) {
    if (!IsTargetFilePattern(path)) {
      return fields.ErrorAt("files",
                            StrCat("path name ", Quote(path), " is not valid for file discovery"));
    }
  }
  return absl::OkStatus();
}

std::string_view TypeName(const HttpSdConfig*) { return "http.plain"; }
template <typename Fields>
void ListFields(Fields& fields, HttpSdConfig& config) {
  HttpClientFields(fields, config.http_client);
  fields("refresh_interval", config.refresh_interval);
  UrlField(fields, "url", config.url);
}
absl::Status CheckSd(yaml::Mapping& fields, HttpSdConfig* config) {
  NARTHEX_RETURN_IF_ERROR(CheckHttpUrl(fields, "url", config->url));
  return ValidateHttpClient(fields, &config->http_client);
}

std::string_view TypeName(const DnsSdConfig*) { return "dns.plain"; }
template <typename Fields>
void ListFields(Fields& fields, DnsSdConfig& config) {
  fields("names", config.names, Policy::kAlways);
  fields("refresh_interval", config.refresh_interval);
  fields("type", config.type, Policy::kAlways);
  fields("port", config.port);
}
absl::Status CheckSd(yaml::Mapping& fields, DnsSdConfig* config) {
  if (config->names.empty()) {
    return fields.ErrorAt("names", "DNS-SD config must contain at least one SRV record name");
  }
  for (char& c : config->type) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  if (config->type == "SRV") return absl::OkStatus();
  if (config->type != "A" && config->type != "AAAA" && config->type != "MX" &&
      config->type != "NS") {
    return fields.ErrorAt("type", StrCat("invalid DNS-SD records type ", config->type));
  }
  if (config->port == 0) {
    return fields.ErrorAt("port",
                          "a port is required in DNS-SD configs for all record types except SRV");
  }
  return absl::OkStatus();
}

std::string_view TypeName(const ConsulSdConfig*) { return "consul.plain"; }
template <typename Fields>
void ListFields(Fields& fields, ConsulSdConfig& config) {
  fields("server", config.server);
  fields("path_prefix", config.path_prefix);
  fields("token", config.token);
  fields("datacenter", config.datacenter);
  fields("namespace", config.namespace_name);
  fields("partition", config.partition);
  fields("tag_separator", config.tag_separator);
  fields("scheme", config.scheme);
  fields("username", config.username);
  fields("password", config.password);
  fields("allow_stale", config.allow_stale, Policy::kAlways);
  fields("refresh_interval", config.refresh_interval);
  fields("services", config.services);
  fields("tags", config.tags);
  fields("node_meta", config.node_meta);
  fields("filter", config.filter);
  fields("health_filter", config.health_filter);
  HttpClientFields(fields, config.http_client);
}
absl::Status CheckSd(yaml::Mapping& fields, ConsulSdConfig* config) {
  if (TrimSpace(config->server).empty()) {
    return fields.ErrorAt("server", "consul SD configuration requires a server address");
  }
  if (!config->username.empty() || !config->password.empty()) {
    if (config->http_client.basic_auth.has_value()) {
      return fields.ErrorAt("username",
                            "at most one of consul SD configuration username and password and "
                            "basic auth can be configured");
    }
    config->http_client.basic_auth =
        BasicAuth{.username = config->username, .password = config->password};
    config->username.clear();
    config->password = Secret();
  }
  if (!config->token.empty() &&
      (config->http_client.authorization.has_value() || config->http_client.oauth2.has_value())) {
    return fields.ErrorAt(
        "token", "at most one of consul SD token, authorization, or oauth2 can be configured");
  }
  return ValidateHttpClient(fields, &config->http_client);
}

std::string_view TypeName(const DockerSdConfig*) { return "moby.plain"; }
template <typename Fields>
void ListFields(Fields& fields, DockerSdConfig& config) {
  HttpClientFields(fields, config.http_client);
  fields("host", config.host, Policy::kAlways);
  fields("port", config.port, Policy::kAlways);
  fields("filters", config.filters);
  fields("host_networking_host", config.host_networking_host, Policy::kAlways);
  fields("refresh_interval", config.refresh_interval, Policy::kAlways);
  fields("match_first_network", config.match_first_network, Policy::kAlways);
}
static absl::Status CheckDockerHost(const yaml::Mapping& fields, const std::string& host) {
  if (host.empty()) return fields.ErrorAt("host", "host missing");
  const absl::StatusOr<Url> url = ParseUrl(host);
  return url.ok() ? absl::OkStatus() : fields.ErrorAt("host", Message(url.status()));
}
absl::Status CheckSd(yaml::Mapping& fields, DockerSdConfig* config) {
  NARTHEX_RETURN_IF_ERROR(CheckDockerHost(fields, config->host));
  return ValidateHttpClient(fields, &config->http_client);
}

std::string_view TypeName(const DockerSwarmSdConfig*) { return "moby.plain"; }
template <typename Fields>
void ListFields(Fields& fields, DockerSwarmSdConfig& config) {
  HttpClientFields(fields, config.http_client);
  fields("host", config.host, Policy::kAlways);
  fields("role", config.role, Policy::kAlways);
  fields("port", config.port, Policy::kAlways);
  fields("filters", config.filters);
  fields("refresh_interval", config.refresh_interval, Policy::kAlways);
}
absl::Status CheckSd(yaml::Mapping& fields, DockerSwarmSdConfig* config) {
  NARTHEX_RETURN_IF_ERROR(CheckDockerHost(fields, config->host));
  if (config->role.empty()) {
    return fields.ErrorAt("role", "role missing (one of: tasks, services, nodes)");
  }
  if (config->role != "services" && config->role != "nodes" && config->role != "tasks") {
    return fields.ErrorAt(
        "role", StrCat("invalid role ", config->role, ", expected tasks, services, or nodes"));
  }
  return ValidateHttpClient(fields, &config->http_client);
}

std::string_view TypeName(const EurekaSdConfig*) { return "eureka.plain"; }
template <typename Fields>
void ListFields(Fields& fields, EurekaSdConfig& config) {
  fields("server", config.server);
  HttpClientFields(fields, config.http_client);
  fields("refresh_interval", config.refresh_interval);
}
absl::Status CheckSd(yaml::Mapping& fields, EurekaSdConfig* config) {
  if (config->server.empty()) {
    return fields.ErrorAt("server", "eureka_sd: empty or null eureka server");
  }
  const absl::StatusOr<Url> url = ParseUrl(config->server);
  if (!url.ok()) return fields.ErrorAt("server", Message(url.status()));
  if (url->scheme.empty() || url->host.empty()) {
    return fields.ErrorAt("server", "eureka_sd: invalid eureka server URL");
  }
  return ValidateHttpClient(fields, &config->http_client);
}

std::string_view TypeName(const KumaSdConfig*) { return "xds.plain"; }
template <typename Fields>
void ListFields(Fields& fields, KumaSdConfig& config) {
  HttpClientFields(fields, config.http_client);
  fields("refresh_interval", config.refresh_interval);
  fields("fetch_timeout", config.fetch_timeout);
  fields("server", config.server);
  fields("client_id", config.client_id);
}
absl::Status CheckSd(yaml::Mapping& fields, KumaSdConfig* config) {
  if (config->server.empty()) {
    return fields.ErrorAt("server", "kuma SD server must not be empty: ");
  }
  const absl::StatusOr<Url> url = ParseUrl(config->server);
  if (!url.ok()) return fields.ErrorAt("server", Message(url.status()));
  if (url->scheme.empty() || url->host.empty()) {
    return fields.ErrorAt("server", "kuma SD server must not be empty and have a scheme: ");
  }
  return ValidateHttpClient(fields, &config->http_client);
}

std::string_view TypeName(const MarathonSdConfig*) { return "marathon.plain"; }
template <typename Fields>
void ListFields(Fields& fields, MarathonSdConfig& config) {
  fields("servers", config.servers);
  fields("refresh_interval", config.refresh_interval);
  fields("auth_token", config.auth_token);
  fields("auth_token_file", config.auth_token_file, Policy::kPath);
  HttpClientFields(fields, config.http_client);
}
absl::Status CheckSd(yaml::Mapping& fields, MarathonSdConfig* config) {
  const bool token = !config->auth_token.empty() || !config->auth_token_file.empty();
  if (config->servers.empty()) {
    return fields.ErrorAt("servers", "marathon_sd: must contain at least one Marathon server");
  }
  if (!config->auth_token.empty() && !config->auth_token_file.empty()) {
    return fields.ErrorAt(
        "auth_token",
        "marathon_sd: at most one of auth_token & auth_token_file must be configured");
  }
  if (token && config->http_client.basic_auth.has_value()) {
    return fields.ErrorAt("basic_auth",
                          "marathon_sd: at most one of basic_auth, auth_token & auth_token_file "
                          "must be configured");
  }
  if (token && (fields.Has("bearer_token") || fields.Has("bearer_token_file"))) {
    return fields.ErrorAt("auth_token",
                          "marathon_sd: at most one of bearer_token, bearer_token_file, auth_token "
                          "& auth_token_file must be configured");
  }
  if (token && config->http_client.authorization.has_value()) {
    return fields.ErrorAt("authorization",
                          "marathon_sd: at most one of auth_token, auth_token_file & authorization "
                          "must be configured");
  }
  return ValidateHttpClient(fields, &config->http_client);
}

// Nerve and Serverset.
template <typename T>
concept ZookeeperSdConfig = std::same_as<T, NerveSdConfig> || std::same_as<T, ServersetSdConfig>;
template <ZookeeperSdConfig T>
std::string_view TypeName(const T*) {
  return "zookeeper.plain";
}
template <typename Fields, ZookeeperSdConfig T>
void ListFields(Fields& fields, T& config) {
  fields("servers", config.servers, Policy::kAlways);
  fields("paths", config.paths, Policy::kAlways);
  fields("timeout", config.timeout);
}
template <ZookeeperSdConfig T>
absl::Status CheckSd(yaml::Mapping& fields, T* config) {
  static constexpr std::string_view kOwner =
      std::same_as<T, NerveSdConfig> ? "nerve SD config" : "serverset SD config";
  if (config->servers.empty()) {
    return fields.ErrorAt("servers", StrCat(kOwner, " must contain at least one Zookeeper server"));
  }
  if (config->paths.empty()) {
    return fields.ErrorAt("paths", StrCat(kOwner, " must contain at least one path"));
  }
  for (const std::string& path : config->paths) {
    if (path.starts_with('/')) continue;
    return fields.ErrorAt("paths", StrCat(kOwner, " paths must begin with '/': ", path));
  }
  return absl::OkStatus();
}

std::string_view TypeName(const NomadSdConfig*) { return "nomad.plain"; }
template <typename Fields>
void ListFields(Fields& fields, NomadSdConfig& config) {
  fields("allow_stale", config.allow_stale, Policy::kAlways);
  HttpClientFields(fields, config.http_client);
  fields("namespace", config.namespace_name, Policy::kAlways);
  fields("refresh_interval", config.refresh_interval, Policy::kAlways);
  fields("region", config.region, Policy::kAlways);
  fields("server", config.server, Policy::kAlways);
  fields("tag_separator", config.tag_separator);
}
absl::Status CheckSd(yaml::Mapping& fields, NomadSdConfig* config) {
  if (TrimSpace(config->server).empty()) {
    return fields.ErrorAt("server", "nomad SD configuration requires a server address");
  }
  return ValidateHttpClient(fields, &config->http_client);
}

std::string_view TypeName(const PuppetDbSdConfig*) { return "puppetdb.plain"; }
template <typename Fields>
void ListFields(Fields& fields, PuppetDbSdConfig& config) {
  HttpClientFields(fields, config.http_client);
  fields("refresh_interval", config.refresh_interval);
  UrlField(fields, "url", config.url);
  fields("query", config.query, Policy::kAlways);
  fields("include_parameters", config.include_parameters, Policy::kAlways);
  fields("port", config.port, Policy::kAlways);
}
absl::Status CheckSd(yaml::Mapping& fields, PuppetDbSdConfig* config) {
  NARTHEX_RETURN_IF_ERROR(CheckHttpUrl(fields, "url", config->url));
  if (config->query.empty()) return fields.ErrorAt("query", "query missing");
  return ValidateHttpClient(fields, &config->http_client);
}

std::string_view TypeName(const UyuniSdConfig*) { return "uyuni.plain"; }
template <typename Fields>
void ListFields(Fields& fields, UyuniSdConfig& config) {
  UrlField(fields, "server", config.server);
  fields("username", config.username, Policy::kAlways);
  fields("password", config.password, Policy::kAlways);
  HttpClientFields(fields, config.http_client);
  fields("entitlement", config.entitlement);
  fields("separator", config.separator);
  fields("refresh_interval", config.refresh_interval);
}
absl::Status CheckSd(yaml::Mapping& fields, UyuniSdConfig* config) {
  if (config->server.empty()) {
    return fields.ErrorAt("server", "Uyuni SD configuration requires server host");
  }
  if (config->username.empty()) {
    return fields.ErrorAt("username", "Uyuni SD configuration requires a username");
  }
  if (config->password.empty()) {
    return fields.ErrorAt("password", "Uyuni SD configuration requires a password");
  }
  return ValidateHttpClient(fields, &config->http_client);
}

// All mechanisms, in the order of SdConfig's alternatives.
static const std::vector<SdKey>& SdKeys() {
  static const auto* const keys = [] {
    auto* const rows = new std::vector<SdKey>(CloudSdKeys());
    for (const SdKey& row : {
             SdRow<ConsulSdConfig>("consul", "consul_sd_configs"),
             SdRow<DnsSdConfig>("dns", "dns_sd_configs"),
             SdRow<DockerSdConfig>("docker", "docker_sd_configs"),
             SdRow<DockerSwarmSdConfig>("dockerswarm", "dockerswarm_sd_configs"),
             SdRow<EurekaSdConfig>("eureka", "eureka_sd_configs"),
             SdRow<FileSdConfig>("file", "file_sd_configs"),
             SdRow<HttpSdConfig>("http", "http_sd_configs"),
             KubernetesSdKey(),
             SdRow<KumaSdConfig>("kuma", "kuma_sd_configs"),
             SdRow<MarathonSdConfig>("marathon", "marathon_sd_configs"),
             SdRow<NerveSdConfig>("nerve", "nerve_sd_configs"),
             SdRow<NomadSdConfig>("nomad", "nomad_sd_configs"),
             SdRow<PuppetDbSdConfig>("puppetdb", "puppetdb_sd_configs"),
             SdRow<ServersetSdConfig>("serverset", "serverset_sd_configs"),
             SdRow<StaticSdConfig>("static", "static_configs"),
             SdRow<UyuniSdConfig>("uyuni", "uyuni_sd_configs"),
         }) {
      rows->push_back(row);
    }
    std::sort(rows->begin(), rows->end(),
              [](const SdKey& a, const SdKey& b) { return a.index < b.index; });
    NARTHEX_CHECK(rows->size() == std::variant_size_v<SdConfig>);
    return rows;
  }();
  return *keys;
}

std::string_view SdName(const SdConfig& config) { return SdKeys()[config.index()].name; }

void SdFields(yaml::Mapping& fields, std::vector<SdConfig>& configs) {
  for (const SdKey& row : SdKeys()) {
    fields.Each(row.key,
                [&](const yaml::Value& list) { return row.decode(list, row.key, &configs); });
  }
}

void SdFields(yaml::MappingWriter& fields, std::vector<SdConfig>& configs) {
  for (const SdKey& row : SdKeys()) {
    yaml::Tree list{.kind = yaml::Tree::Kind::kSequence, .empty = true};
    for (const SdConfig& config : configs) {
      if (config.index() != row.index) continue;
      list.items.push_back(row.encode(config));
      list.empty = false;
    }
    fields.Add(row.key, std::move(list));
  }
}

}  // namespace narthex::config
