#include <algorithm>
#include <array>

#include "lib/config/sd_codec.h"

namespace narthex::config {

using yaml::Policy;

// Which selectors each role takes; the order is that of the error's text.
struct KubernetesRole {
  std::string_view name;
  std::string_view selectors;
};
static constexpr std::array<KubernetesRole, 6> kRoles = {{
    {"node", "node"},
    {"pod", "pod, node"},
    {"service", "service"},
    {"endpoints", "pod, service, endpoints"},
    {"endpointslice", "pod, service, endpointslice"},
    {"ingress", "ingress"},
}};

static const KubernetesRole* FindRole(std::string_view name) {
  const auto found = std::find_if(kRoles.begin(), kRoles.end(),
                                  [name](const KubernetesRole& role) { return role.name == name; });
  return found == kRoles.end() ? nullptr : &*found;
}

static bool TakesSelector(const KubernetesRole& role, std::string_view selector) {
  for (const std::string_view allowed : Split(role.selectors, ',')) {
    if (TrimSpace(allowed) == selector) return true;
  }
  return false;
}

// "metadata.name=x,status.phase!=Running"
static absl::Status CheckFieldSelector(std::string_view selector) {
  if (selector.empty()) return absl::OkStatus();
  for (const std::string_view term : Split(selector, ',')) {
    if (term.empty() || term.find('=') != std::string_view::npos) continue;
    return InvalidArgument("invalid selector: '", selector, "'; can't understand '", term, "'");
  }
  return absl::OkStatus();
}

// "a=b, c in (d, e), !f": commas outside of parentheses part the requirements, and each begins with
// a key.
static absl::Status CheckLabelSelector(std::string_view selector) {
  if (TrimSpace(selector).empty()) return absl::OkStatus();
  const auto error = [selector] {
    return InvalidArgument("unable to parse requirement: ", Quote(selector));
  };
  std::vector<std::string> requirements(1);
  int depth = 0;
  for (const char c : selector) {
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (depth < 0 || depth > 1) return error();
    if (c == ',' && depth == 0) {
      requirements.emplace_back();
    } else {
      requirements.back() += c;
    }
  }
  if (depth != 0) return error();
  for (const std::string& requirement : requirements) {
    std::string_view rest = TrimSpace(requirement);
    if (rest.starts_with('!')) rest = TrimSpace(rest.substr(1));
    const std::string_view key = rest.substr(0, rest.find_first_of(" =!<>("));
    if (key.empty()) return error();
    rest = TrimSpace(rest.substr(key.size()));
    const bool is_set = rest.starts_with("in") || rest.starts_with("notin");
    const bool compares =
        !rest.empty() && std::string_view("=!<>").find(rest[0]) != std::string_view::npos;
    if (!rest.empty() && !compares && !(is_set && rest.ends_with(')'))) return error();
  }
  return absl::OkStatus();
}

absl::Status DecodeYaml(const yaml::Value& value, KubernetesSdConfig::Selector* out);
yaml::Tree EncodeYaml(const KubernetesSdConfig::Selector& selector);
absl::Status DecodeYaml(const yaml::Value& value, KubernetesSdConfig::AttachMetadata* out);
yaml::Tree EncodeYaml(const KubernetesSdConfig::AttachMetadata& attach);

template <typename Fields>
void ListFields(Fields& fields, KubernetesSdConfig::Selector& selector) {
  fields("role", selector.role);
  fields("label", selector.label);
  fields("field", selector.field);
}

template <typename Fields>
void ListFields(Fields& fields, KubernetesSdConfig::AttachMetadata& attach) {
  fields("node", attach.node, Policy::kAlways);
  fields("namespace", attach.namespace_metadata);
  fields("deployment", attach.deployment);
  fields("job", attach.job);
  fields("cronjob", attach.cronjob);
}

absl::Status DecodeYaml(const yaml::Value& value, KubernetesSdConfig::Selector* out) {
  yaml::Mapping fields(value, "kubernetes.SelectorConfig");
  ListFields(fields, *out);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  if (FindRole(out->role) == nullptr) {
    return fields.ErrorAt("role", StrCat("unknown Kubernetes SD role ", Quote(out->role)));
  }
  return absl::OkStatus();
}
yaml::Tree EncodeYaml(const KubernetesSdConfig::Selector& selector) {
  return yaml::WriteFields(selector);
}

absl::Status DecodeYaml(const yaml::Value& value, KubernetesSdConfig::AttachMetadata* out) {
  yaml::Mapping fields(value, "kubernetes.plain");
  ListFields(fields, *out);
  return fields.Finish();
}
yaml::Tree EncodeYaml(const KubernetesSdConfig::AttachMetadata& attach) {
  yaml::Tree tree = yaml::WriteFields(attach);
  tree.empty = attach == KubernetesSdConfig::AttachMetadata();
  return tree;
}

// The `namespaces` mapping is two fields of the struct.
static void NamespacesField(yaml::Mapping& fields, KubernetesSdConfig& config) {
  fields.Each("namespaces", [&config](const yaml::Value& value) {
    yaml::Mapping inner(value, "kubernetes.plain");
    inner("own_namespace", config.own_namespace);
    inner("names", config.namespaces);
    return inner.Finish();
  });
}
static void NamespacesField(yaml::MappingWriter& fields, KubernetesSdConfig& config) {
  if (!config.own_namespace && config.namespaces.empty()) return;
  yaml::MappingWriter inner;
  inner("own_namespace", config.own_namespace, Policy::kAlways);
  inner("names", config.namespaces);
  fields.Add("namespaces", inner.Take());
}

std::string_view TypeName(const KubernetesSdConfig*) { return "kubernetes.plain"; }
template <typename Fields>
void ListFields(Fields& fields, KubernetesSdConfig& config) {
  UrlField(fields, "api_server", config.api_server);
  fields("role", config.role, Policy::kAlways);
  fields("kubeconfig_file", config.kubeconfig_file, Policy::kPath);
  HttpClientFields(fields, config.http_client);
  NamespacesField(fields, config);
  fields("selectors", config.selectors);
  fields("attach_metadata", config.attach_metadata);
}

static absl::Status CheckAccess(const yaml::Mapping& fields, const KubernetesSdConfig& config) {
  const bool custom_client = !(config.http_client == HttpClientConfig());
  if (!config.api_server.empty() && !config.kubeconfig_file.empty()) {
    return fields.ErrorAt("kubeconfig_file",
                          "cannot use 'kubeconfig_file' and 'api_server' simultaneously");
  }
  if (!config.kubeconfig_file.empty() && custom_client) {
    return fields.ErrorAt("kubeconfig_file",
                          "cannot use a custom HTTP client configuration together with "
                          "'kubeconfig_file'");
  }
  if (config.api_server.empty() && custom_client) {
    return fields.ErrorAt("api_server",
                          "to use custom HTTP client configuration please provide the "
                          "'api_server' URL explicitly");
  }
  if (!config.api_server.empty() && config.own_namespace) {
    return fields.ErrorAt("namespaces",
                          "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously");
  }
  if (!config.kubeconfig_file.empty() && config.own_namespace) {
    return fields.ErrorAt(
        "namespaces", "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously");
  }
  return absl::OkStatus();
}

static absl::Status CheckSelectors(const yaml::Mapping& fields, const KubernetesSdConfig& config) {
  const KubernetesRole& role = *FindRole(config.role);
  std::vector<std::string_view> seen;
  for (const KubernetesSdConfig::Selector& selector : config.selectors) {
    if (std::find(seen.begin(), seen.end(), selector.role) != seen.end()) {
      return fields.ErrorAt("selectors", StrCat("duplicated selector role: ", selector.role));
    }
    seen.push_back(selector.role);
    if (!TakesSelector(role, selector.role)) {
      return fields.ErrorAt(
          "selectors", StrCat(config.role, " role supports only ", role.selectors, " selectors"));
    }
    for (const absl::Status& status :
         {CheckFieldSelector(selector.field), CheckLabelSelector(selector.label)}) {
      if (!status.ok()) return fields.ErrorAt("selectors", Message(status));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSd(yaml::Mapping& fields, KubernetesSdConfig* config) {
  if (config->role.empty()) {
    return fields.ErrorAt(
        "role", "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)");
  }
  if (FindRole(config->role) == nullptr) {
    return fields.ErrorAt("role", StrCat("unknown Kubernetes SD role ", Quote(config->role)));
  }
  NARTHEX_RETURN_IF_ERROR(ValidateHttpClient(fields, &config->http_client));
  NARTHEX_RETURN_IF_ERROR(CheckAccess(fields, *config));
  return CheckSelectors(fields, *config);
}

SdKey KubernetesSdKey() { return SdRow<KubernetesSdConfig>("kubernetes", "kubernetes_sd_configs"); }

}  // namespace narthex::config
