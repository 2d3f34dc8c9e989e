#include "lib/config/sd_config.h"

#include <set>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/config/file_loader.h"

namespace narthex::config {
namespace {

// The smallest accepted configuration of each mechanism.
const std::vector<std::pair<std::string, std::string>>& Smallest() {
  static const auto* const smallest = new std::vector<std::pair<std::string, std::string>>{
      {"aws", "{role: rds, region: r}"},
      {"azure", "{subscription_id: s, tenant_id: t, client_id: c, client_secret: x}"},
      {"consul", "{}"},
      {"digitalocean", "{}"},
      {"docker", "{host: 'unix:///x'}"},
      {"dockerswarm", "{host: 'http://x', role: tasks}"},
      {"dns", "{names: [a]}"},
      {"ec2", "{region: r}"},
      {"ecs", "{region: r}"},
      {"elasticache", "{region: r}"},
      {"eureka", "{server: 'http://x'}"},
      {"file", "{files: [a.yml]}"},
      {"gce", "{project: p, zone: z}"},
      {"hetzner", "{role: robot}"},
      {"http", "{url: 'http://x'}"},
      {"ionos", "{datacenter_id: d}"},
      {"kubernetes", "{role: pod}"},
      {"kuma", "{server: 'http://x'}"},
      {"lightsail", "{region: r}"},
      {"linode", "{}"},
      {"marathon", "{servers: ['http://x']}"},
      {"msk", "{region: r}"},
      {"nerve", "{servers: [x], paths: [/x]}"},
      {"nomad", "{}"},
      {"oci", "{region: r, auth: instance_principal}"},
      {"openstack", "{role: instance, region: r}"},
      {"outscale", "{access_key: a, secret_key: s}"},
      {"ovhcloud", "{service: vps, application_key: k, application_secret: s, consumer_key: c}"},
      {"puppetdb", "{url: 'http://x', query: q}"},
      {"rds", "{region: r}"},
      {"scaleway", "{role: instance, project_id: p, access_key: a, secret_key: s}"},
      {"serverset", "{servers: [x], paths: [/x]}"},
      {"stackit", "{project: p}"},
      {"static", "{targets: ['a:1']}"},
      {"triton", "{account: a, dns_suffix: d, endpoint: e}"},
      {"uyuni", "{server: x, username: u, password: p}"},
      {"vultr", "{}"},
  };
  return *smallest;
}

std::string KeyOf(std::string_view name) {
  return StrCat(name, name == "static" ? "_configs" : "_sd_configs");
}

absl::StatusOr<LoadedConfig> LoadJob(std::string_view name, std::string_view block) {
  return LoadText(io::PosixFileSystem(),
                  StrCat("scrape_configs: [{job_name: a, ", KeyOf(name), ": [", block, "]}]"),
                  "p.yml");
}

TEST_CASE("Every mechanism is read, named, printed, and read again") {
  std::set<size_t> seen;
  for (const auto& [name, block] : Smallest()) {
    INFO(name);
    const absl::StatusOr<LoadedConfig> loaded = LoadJob(name, block);
    INFO(Message(loaded.status()));
    REQUIRE(loaded.ok());
    const std::vector<SdConfig>& mechanisms = loaded->config.scrape_configs[0].service_discovery;
    REQUIRE(mechanisms.size() == 1);
    CHECK(SdName(mechanisms[0]) == name);
    seen.insert(mechanisms[0].index());
    const std::string printed = FormatYaml(loaded->config);
    const absl::StatusOr<LoadedConfig> again =
        LoadText(io::PosixFileSystem(), printed, "printed.yml");
    INFO(printed);
    REQUIRE(again.ok());
    CHECK(FormatYaml(again->config) == printed);
  }
  CHECK(seen.size() == std::variant_size_v<SdConfig>);
}

TEST_CASE("Every mechanism refuses unknown keys, nulls and wrong types") {
  for (const auto& [name, block] : Smallest()) {
    INFO(name);
    const std::string with_unknown =
        block == "{}" ? "{nonsense: 1}"
                      : StrCat(block.substr(0, block.size() - 1), ", nonsense: 1}");
    CHECK(Message(LoadJob(name, with_unknown).status()).find("field nonsense not found in type ") !=
          std::string_view::npos);
    CHECK(Message(LoadJob(name, "null").status())
              .find(StrCat("empty or null section in ", KeyOf(name))) != std::string_view::npos);
    CHECK(Message(LoadJob(name, "text").status()).find("cannot unmarshal !!str `text` into ") !=
          std::string_view::npos);
  }
}

TEST_CASE("Each requirement is refused in upstream's words") {
  struct {
    std::string_view name, block, reason;
  } const cases[] = {
      {"aws", "{region: r}", "unknown AWS SD role \"\""},
      {"azure", "{}", "azure SD configuration requires a subscription_id"},
      {"consul", "{server: ' '}", "consul SD configuration requires a server address"},
      {"consul", "{token: x, authorization: {}}", "at most one of consul SD token"},
      {"consul", "{username: x, basic_auth: {}}",
       "at most one of consul SD configuration username"},
      {"digitalocean", "{role: x}", "unknown role \"x\""},
      {"docker", "{}", "host missing"},
      {"dockerswarm", "{host: 'http://x'}", "role missing (one of: tasks, services, nodes)"},
      {"dockerswarm", "{host: 'http://x', role: y}", "invalid role y"},
      {"dns", "{}", "DNS-SD config must contain at least one SRV record name"},
      {"dns", "{names: [a], type: a}", "a port is required in DNS-SD configs"},
      {"dns", "{names: [a], type: TXT}", "invalid DNS-SD records type TXT"},
      {"file", "{}", "must contain at least one path name"},
      {"file", "{files: [a.txt]}", "\"a.txt\" is not valid for file discovery"},
      {"file", "{files: ['a/*/b.yml']}", "is not valid for file discovery"},
      {"gce", "{zone: z}", "GCE SD configuration requires a project"},
      {"gce", "{project: z}", "GCE SD configuration requires a zone"},
      {"hetzner", "{}", "role missing (one of: robot, hcloud)"},
      {"http", "{}", "URL is missing"},
      {"kubernetes", "{}", "role missing (one of: pod, service,"},
      {"kubernetes", "{role: pod, selectors: [{role: x}]}", "unknown Kubernetes SD role \"x\""},
      {"kubernetes", "{role: pod, selectors: [{role: pod, label: 'a in (b'}]}",
       "unable to parse requirement"},
      {"kubernetes", "{role: pod, selectors: [{role: pod, label: ',a'}]}",
       "unable to parse requirement"},
      {"kuma", "{}", "kuma SD server must not be empty"},
      {"nerve", "{paths: [/x]}", "nerve SD config must contain at least one Zookeeper server"},
      {"nerve", "{servers: [x]}", "nerve SD config must contain at least one path"},
      {"serverset", "{servers: [x], paths: [x]}", "serverset SD config paths must begin with '/'"},
      {"nomad", "{server: ''}", "nomad SD configuration requires a server address"},
      {"oci", "{}", "oci_sd: region is required"},
      {"oci", "{region: r, tenancy: t, user: u, fingerprint: f}",
       "oci_sd: api_key auth requires key_file"},
      {"oci", "{region: r, auth: instance_principal, user: u}", "instance_principal auth must not"},
      {"oci", "{region: r, auth: instance_principal, compartments: ['']}",
       "compartments[0] must not be empty"},
      {"openstack", "{role: instance}", "openstack SD configuration requires a region"},
      {"openstack", "{}", "role missing (one of: instance, hypervisor, loadbalancer)"},
      {"ovhcloud", "{}", "application key can not be empty"},
      {"scaleway", "{role: instance, secret_key: s}", "project_id is mandatory"},
      {"triton", "{}", "triton SD configuration requires an account"},
      {"triton", "{account: a, dns_suffix: d, endpoint: e, role: x}", "role to be 'container'"},
      {"uyuni", "{server: x}", "Uyuni SD configuration requires a username"},
  };
  for (const auto& test : cases) {
    INFO(test.name << " " << test.block);
    const absl::StatusOr<LoadedConfig> loaded = LoadJob(test.name, test.block);
    REQUIRE_FALSE(loaded.ok());
    CHECK(Message(loaded.status()).find(test.reason) != std::string_view::npos);
  }
}

TEST_CASE("Label selectors of Kubernetes are understood") {
  for (const std::string_view selector :
       {"a", "!a", "a=b", "a==b", "a!=b", "a in (b, c)", "a notin (b),c", "a,b=c", "x.y/z=1"}) {
    INFO(selector);
    CHECK(LoadJob("kubernetes",
                  StrCat("{role: pod, selectors: [{role: pod, label: \"", selector, "\"}]}"))
              .ok());
  }
}

}  // namespace
}  // namespace narthex::config
