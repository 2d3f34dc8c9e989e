#include "lib/config/prometheus_config.h"

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/config/file_loader.h"
#include "tests/support/temp_dir.h"

namespace narthex::config {
namespace {

absl::StatusOr<LoadedConfig> Load(std::string_view text, const std::string& file = "p.yml") {
  return LoadText(io::PosixFileSystem(), text, file,
                  {.environment = [](const std::string& name) -> std::optional<std::string> {
                    if (name == "USER") return "alice";
                    return std::nullopt;
                  }});
}

PrometheusConfig Good(std::string_view text) {
  absl::StatusOr<LoadedConfig> loaded = Load(text);
  INFO(text);
  INFO(Message(loaded.status()));
  REQUIRE(loaded.ok());
  return std::move(loaded->config);
}

std::string ErrorOf(std::string_view text) {
  const absl::StatusOr<LoadedConfig> loaded = Load(text);
  return loaded.ok() ? "accepted" : std::string(Message(loaded.status()));
}

TEST_CASE("An empty file is the default configuration") {
  const PrometheusConfig config = Good("");
  CHECK(config == PrometheusConfig());
  CHECK(config.global.scrape_interval == absl::Minutes(1));
  CHECK(config.global.scrape_timeout == absl::Seconds(10));
  CHECK(config.global.evaluation_interval == absl::Minutes(1));
  CHECK(config.scrape_configs.empty());
  CHECK(Good("global:\nalerting:\nstorage:\notlp:\ntracing:\nscrape_configs:\n") == config);
}

TEST_CASE("Jobs inherit from global wherever it stands") {
  const PrometheusConfig config = Good(R"(
scrape_configs:
- job_name: a
- job_name: b
  scrape_interval: 4s
  sample_limit: 7
  extra_scrape_metrics: false
- job_name: c
  scrape_interval: 30s
  scrape_timeout: 1s
  scrape_native_histograms: ~
global:
  scrape_interval: 20s
  body_size_limit: 1KB
  sample_limit: 5
  extra_scrape_metrics: true
  scrape_native_histograms: true
  scrape_failure_log_file: f.log
)");
  const std::vector<ScrapeConfig>& jobs = config.scrape_configs;
  REQUIRE(jobs.size() == 3);
  CHECK(jobs[0].scrape_interval == absl::Seconds(20));
  CHECK(jobs[0].scrape_timeout == absl::Seconds(10));
  CHECK(jobs[0].limits.body_size_bytes == 1024);
  CHECK(jobs[0].limits.samples == 5);
  CHECK(jobs[0].histograms.extra_scrape_metrics);
  CHECK(jobs[0].scrape_failure_log_file == "f.log");
  CHECK(jobs[0].metrics_path == "/metrics");
  CHECK(jobs[0].honor_timestamps);
  CHECK(jobs[0].enable_compression);
  CHECK(jobs[0].scrape_protocols.size() == 5);
  CHECK(jobs[0].scrape_protocols[0] == ScrapeProtocol::kPrometheusProto);
  CHECK(jobs[1].scrape_timeout == absl::Seconds(4));
  CHECK(jobs[1].limits.samples == 7);
  CHECK_FALSE(jobs[1].histograms.extra_scrape_metrics);
  CHECK(jobs[2].scrape_timeout == absl::Seconds(1));
  CHECK(jobs[2].histograms.scrape_native_histograms);
}

TEST_CASE("Name schemes follow each other") {
  using Escaping = NameEscapingScheme;
  using Validation = NameValidationScheme;
  const auto schemes = [](std::string_view global, std::string_view job) {
    const PrometheusConfig config =
        Good(StrCat("global: {", global, "}\nscrape_configs:\n- {job_name: a", job, "}\n"));
    return std::make_pair(config.scrape_configs[0].metric_name_validation_scheme,
                          config.scrape_configs[0].metric_name_escaping_scheme);
  };
  const std::string legacy = "metric_name_validation_scheme: legacy";
  const std::string dots = "metric_name_escaping_scheme: dots";
  CHECK(schemes("", "") == std::make_pair(Validation::kUtf8, Escaping::kAllowUtf8));
  CHECK(schemes(legacy, "") == std::make_pair(Validation::kLegacy, Escaping::kUnderscores));
  CHECK(schemes(legacy + ", " + dots, "") == std::make_pair(Validation::kLegacy, Escaping::kDots));
  CHECK(schemes("", ", " + legacy) == std::make_pair(Validation::kLegacy, Escaping::kUnderscores));
  CHECK(schemes(dots, ", " + legacy) ==
        std::make_pair(Validation::kLegacy, Escaping::kUnderscores));
  CHECK(schemes(legacy, ", metric_name_validation_scheme: utf8") ==
        std::make_pair(Validation::kUtf8, Escaping::kAllowUtf8));
  CHECK(ErrorOf("scrape_configs: [{job_name: a, metric_name_validation_scheme: legacy, "
                "metric_name_escaping_scheme: allow-utf-8}]")
            .find("utf8 metric names requested") != std::string::npos);
}

TEST_CASE("Environment variables are expanded in external labels only") {
  const absl::StatusOr<LoadedConfig> loaded = Load(R"(
global:
  external_labels:
    a: $USER
    b: x${USER}y
    c: $$USER
    d: $NOBODY
    e: x$
    f: "${}z"
    g: a$1b
    h: $-
    i: "a$ b"
    j: "${USER"
scrape_configs: [{job_name: $USER}]
)");
  REQUIRE(loaded.ok());
  CHECK(loaded->config.global.external_labels == Labels({{"a", "alice"},
                                                         {"b", "xalicey"},
                                                         {"c", "$USER"},
                                                         {"e", "x$"},
                                                         {"f", "z"},
                                                         {"g", "ab"},
                                                         {"i", "a$ b"},
                                                         {"j", "USER"}}));
  CHECK(loaded->config.scrape_configs[0].job_name == "$USER");
  CHECK(loaded->warnings ==
        std::vector<std::string>{"external_labels: environment variable NOBODY is empty",
                                 "external_labels: environment variable 1 is empty",
                                 "external_labels: environment variable - is empty"});
}

TEST_CASE("Errors name the place, the keys, and the reason") {
  const std::vector<std::pair<std::string_view, std::string_view>> cases = {
      {"global:\n  scrape_interval: 10\n",
       "p.yml:2:20: global.scrape_interval: not a valid duration string: \"10\""},
      {"global: {scrape_interval: 5s, scrape_timeout: 6s}",
       "p.yml:1:31: global.scrape_timeout: global scrape timeout greater than scrape interval"},
      {"global: {scrape_protocols: []}",
       "p.yml:1:28: global.scrape_protocols: scrape_protocols cannot be empty for global config"},
      {"scrape_configs:\n- job_name: a\n  scrape_intervall: 5s\n",
       "p.yml:3:3: scrape_configs[0].scrape_intervall: field scrape_intervall not found in type "
       "config.plain"},
      {"scrape_configs:\n- job_name: a\n- job_name: a\n",
       "p.yml:3:3: scrape_configs[1]: found multiple scrape configs with job name \"a\""},
      {"scrape_configs:\n- job_name: a\n  relabel_configs:\n  - action: nope\n",
       "p.yml:4:13: scrape_configs[0].relabel_configs[0].action: unknown relabel action \"nope\""},
      {"scrape_configs:\n- job_name: a\n  relabel_configs:\n  - {}\n  - action: hashmod\n",
       "p.yml:4:5: scrape_configs[0].relabel_configs[0]: relabel configuration for replace action "
       "requires 'target_label' value"},
      {"scrape_configs:\n- job_name: a\n  metric_relabel_configs:\n  - source_labels: ['']\n",
       "p.yml:4:20: scrape_configs[0].metric_relabel_configs[0].source_labels: \"\" is not a valid "
       "label name"},
      {"scrape_configs:\n- job_name: a\n  static_configs:\n  - targets: [a]\n    labels: {'': x}\n",
       "p.yml:5:14: scrape_configs[0].static_configs[0].labels.: \"\" is not a valid label name"},
      {"scrape_configs:\n- job_name: a\n  basic_auth: {user: x}\n",
       "p.yml:3:16: scrape_configs[0].basic_auth.user: field user not found in type config.plain"},
      {"alerting:\n  alertmanagers:\n  - api_version: v1\n",
       "p.yml:3:5: alerting.alertmanagers[0].api_version: expected Alertmanager api version to be "
       "one of [v2] but got v1"},
      {"remote_write:\n- url: 'http://h:x'\n",
       "p.yml:2:8: remote_write[0].url: parse \"http://h:x\": invalid port \":x\" after host"},
      {"storage: {tsdb: {retention: {size: 5}}}",
       "p.yml:1:36: storage.tsdb.retention.size: units: unknown unit  in 5"},
      {"storage: {tsdb: {stale_series_compaction_threshold: 2}}",
       "p.yml:1:18: storage.tsdb.stale_series_compaction_threshold: "
       "'storage.tsdb.stale_series_compaction_threshold' must be in the range [0, 1], got 2"},
      {"runtime: {gogc: x}", "p.yml:1:17: runtime.gogc: cannot unmarshal !!str `x` into int"},
      {"rule_files: a\n", "p.yml:1:13: rule_files: cannot unmarshal !!str `a` into list"},
      {"tracing: {endpoint: x, client_type: udp}",
       "p.yml:1:24: tracing.client_type: expected tracing client type to be to be http or grpc, "
       "but got udp"},
      {"[]", "p.yml:1:1: cannot unmarshal !!seq into config.plain"},
  };
  for (const auto& [text, error] : cases) {
    INFO(text);
    CHECK(ErrorOf(text) == error);
  }
}

TEST_CASE("HTTP client blocks exclude what cannot go together") {
  const std::vector<std::pair<std::string_view, std::string_view>> cases = {
      {"basic_auth: {username: u, username_file: f}", "username, username_file & username_ref"},
      {"basic_auth: {password: u, password_file: f}", "password, password_file & password_ref"},
      {"authorization: {type: Basic}", "authorization type cannot be set to \"basic\""},
      {"authorization: {credentials: x, credentials_file: y}", "credentials & credentials_file"},
      {"authorization: {credentials: x}, bearer_token: y", "not compatible with bearer_token"},
      {"oauth2: {token_url: x}", "oauth2 client_id must be configured"},
      {"oauth2: {client_id: x}", "oauth2 token_url must be configured"},
      {"oauth2: {client_id: x, token_url: y, client_secret: a, client_secret_file: b}",
       "at most one of oauth2 client_secret"},
      {"oauth2: {client_id: x, token_url: y}, basic_auth: {}",
       "basic_auth, oauth2 & authorization"},
      {"tls_config: {ca: x, ca_file: y}", "at most one of ca, ca_file & ca_ref"},
      {"tls_config: {cert_file: x}", "exactly one of key or key_file"},
      {"tls_config: {key: x}", "exactly one of cert or cert_file"},
      {"tls_config: {min_version: TLS14}", "unknown TLS version: TLS14"},
      {"no_proxy: x", "if no_proxy is configured, proxy_url must also be configured"},
      {"proxy_url: x, proxy_from_environment: true", "proxy_url must not be configured"},
      {"proxy_connect_header: {a: [b]}", "if proxy_connect_header is configured"},
      {"http_headers: {Authorization: {values: [x]}}",
       "setting header \"Authorization\" is not allowed"},
  };
  for (const auto& [block, reason] : cases) {
    INFO(block);
    CHECK(ErrorOf(StrCat("scrape_configs: [{job_name: a, ", block, "}]")).find(reason) !=
          std::string::npos);
  }
}

TEST_CASE("A bearer token becomes an authorization") {
  const PrometheusConfig config = Good(
      "scrape_configs:\n- {job_name: a, bearer_token: secret}\n"
      "- {job_name: b, bearer_token_file: token}\n- {job_name: c, authorization: {type: ' x '}}\n");
  CHECK(config.scrape_configs[0].http_client.authorization ==
        Authorization{.credentials = Secret("secret")});
  CHECK(config.scrape_configs[1].http_client.authorization ==
        Authorization{.credentials_file = "token"});
  CHECK(config.scrape_configs[2].http_client.authorization->type == "x");
}

TEST_CASE("Paths are relative to the file that names them") {
  TempDir dir;
  io::FileSystem* const fs = io::PosixFileSystem();
  REQUIRE(fs->CreateDirectories(dir.File("jobs")).ok());
  REQUIRE(fs->WriteFileAtomically(dir.File("jobs/one.yml"),
                                  "scrape_configs:\n- job_name: one\n  tls_config: {ca_file: ca}\n"
                                  "  file_sd_configs: [{files: [../t/*.json]}]\n")
              .ok());
  REQUIRE(fs->WriteFileAtomically(dir.File("prometheus.yml"),
                                  "rule_files: [rules/*.yml, /abs/x.yml]\n"
                                  "scrape_config_files: [jobs/*.yml, none.yml]\n"
                                  "global: {query_log_file: q.log, scrape_interval: 7s}\n")
              .ok());
  const absl::StatusOr<LoadedConfig> loaded = LoadFile(fs, dir.File("prometheus.yml"));
  REQUIRE(loaded.ok());
  const PrometheusConfig& config = loaded->config;
  CHECK(config.rule_files == std::vector<std::string>{dir.File("rules/*.yml"), "/abs/x.yml"});
  CHECK(config.global.query_log_file == dir.File("q.log"));
  REQUIRE(config.scrape_configs.size() == 1);
  CHECK(config.scrape_configs[0].scrape_interval == absl::Seconds(7));
  CHECK(config.scrape_configs[0].http_client.tls_config.ca_file == dir.File("jobs/ca"));
  CHECK(std::get<FileSdConfig>(config.scrape_configs[0].service_discovery[0]).files ==
        std::vector<std::string>{dir.File("t/*.json")});
  REQUIRE(loaded->warnings.size() == 1);
  CHECK(loaded->warnings[0].find("no file matches") != std::string::npos);

  // The hash sees every file.
  REQUIRE(
      fs->WriteFileAtomically(dir.File("jobs/one.yml"), "scrape_configs:\n- job_name: one\n").ok());
  CHECK(LoadFile(fs, dir.File("prometheus.yml"))->hash != loaded->hash);

  REQUIRE(fs->WriteFileAtomically(dir.File("jobs/two.yml"), "global: {}\n").ok());
  const absl::StatusOr<LoadedConfig> bad = LoadFile(fs, dir.File("prometheus.yml"));
  CHECK(Message(bad.status()) == dir.File("jobs/two.yml") +
                                     ":1:1: global: field global not found in type "
                                     "config.ScrapeConfigs");
  CHECK(absl::IsNotFound(LoadFile(fs, dir.File("missing.yml")).status()));
}

TEST_CASE("A second document is ignored with a warning, as Prometheus ignores it") {
  const absl::StatusOr<LoadedConfig> loaded = Load("global: {}\n---\nnonsense: 1\n");
  REQUIRE(loaded.ok());
  REQUIRE(loaded->warnings.size() == 1);
  CHECK(loaded->warnings[0] == "p.yml:2: only the first YAML document of the file is used");
}

TEST_CASE("Sections without a function are named") {
  CHECK(UnusedSections(Good("scrape_configs: [{job_name: a}]")).empty());
  CHECK(UnusedSections(Good("remote_write: [{url: 'http://x'}]\nremote_read: [{url: 'http://x'}]\n"
                            "tracing: {endpoint: 'x:1'}\notlp: {convert_histograms_to_nhcb: true}\n"
                            "storage: {exemplars: {max_exemplars: 5}}\n")) ==
        std::vector<std::string>{"remote_write", "remote_read", "tracing"});
}

TEST_CASE("The effective configuration is printed without secrets") {
  const PrometheusConfig config = Good(R"(
global: {external_labels: {dc: x}}
scrape_configs:
- job_name: a
  basic_auth: {username: u, password: hunter2}
  static_configs: [{targets: ['h:1'], labels: {x: "1"}}]
  relabel_configs: [{source_labels: [a, b], target_label: c, replacement: ''}]
remote_write:
- url: http://u:hunter2@h/x
  authorization: {credentials: hunter2}
)");
  const std::string printed = FormatYaml(config);
  INFO(printed);
  CHECK(printed.find("hunter2") == std::string::npos);
  CHECK(printed.find("password: <secret>") != std::string::npos);
  CHECK(printed.find("url: http://u:xxxxx@h/x") != std::string::npos);
  CHECK(printed.find("  relabel_configs:\n  - source_labels: [a, b]\n    separator: ;\n"
                     "    regex: (.*)\n    target_label: c\n    replacement: \"\"\n"
                     "    action: replace\n  static_configs:\n  - targets:\n    - h:1\n"
                     "    labels:\n      x: \"1\"\n") != std::string::npos);
  CHECK(FormatYaml(config.scrape_configs[0]).find("job_name: a\n") == 0);
}

}  // namespace
}  // namespace narthex::config
