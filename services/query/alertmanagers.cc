#include "services/query/alertmanagers.h"

#include <set>
#include <utility>

#include "lib/base/duration.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/discovery/http_client.h"
#include "lib/json/writer.h"
#include "lib/labels/labels_builder.h"
#include "lib/relabel/relabel.h"
#include "lib/rpc/alertmanager_client.h"
#include "services/query/api/value_writer.h"

namespace narthex::query {
namespace {

constexpr std::string_view kAddressLabel = "__address__";
constexpr std::string_view kSchemeLabel = "__scheme__";
constexpr std::string_view kPathLabel = "__alerts_path__";
constexpr absl::Duration kGrpcTimeout = absl::Seconds(10);

// One of our own Alertmanagers.
class GrpcAlertmanager : public notifier::AlertmanagerClient {
 public:
  explicit GrpcAlertmanager(std::string endpoint) : client_(std::move(endpoint)) {}

  absl::Status Post(std::span<const Alert> alerts) override {
    absl::StatusOr<std::vector<std::string>> refused = client_.PostAlerts(alerts, kGrpcTimeout);
    if (!refused.ok()) return refused.status();
    if (!refused->empty()) {
      return InvalidArgument("alertmanager ", client_.endpoint(), " refused ", refused->size(),
                             " alerts: ", refused->front());
    }
    return absl::OkStatus();
  }

 private:
  rpc::AlertmanagerClient client_;
};

// Any Alertmanager, over its API v2.
class HttpAlertmanager : public notifier::AlertmanagerClient {
 public:
  HttpAlertmanager(std::string url, absl::Duration timeout,
                   std::shared_ptr<const http::ClientConfig> config, http::Client* client)
      : url_(std::move(url)), timeout_(timeout), config_(std::move(config)), client_(client) {}

  absl::Status Post(std::span<const Alert> alerts) override {
    http::ClientRequest request;
    request.method = "POST";
    request.url = url_;
    request.headers.Set("Content-Type", "application/json");
    request.body = AlertsJson(alerts);
    request.timeout = timeout_;
    request.body_bytes_max = size_t{1} << 20;
    request.config = config_;
    NARTHEX_ASSIGN_OR_RETURN(const http::ClientResponse response,
                             client_->Fetch(std::move(request)));
    if (response.status / 100 == 2) return absl::OkStatus();
    return Unavailable("bad response status ", response.status, ": ",
                       TrimSpace(std::string_view(response.body).substr(0, 200)));
  }

 private:
  const std::string url_;
  const absl::Duration timeout_;
  const std::shared_ptr<const http::ClientConfig> config_;
  http::Client* const client_;
};

// "/prefix/api/v2/alerts"
std::string AlertsPath(std::string_view prefix) {
  while (!prefix.empty() && prefix.back() == '/') prefix.remove_suffix(1);
  while (!prefix.empty() && prefix.front() == '/') prefix.remove_prefix(1);
  return StrCat(prefix.empty() ? "" : "/", prefix, "/api/v2/alerts");
}

std::string UrlOf(const Labels& labels) {
  return StrCat(labels.Get(kSchemeLabel), "://", labels.Get(kAddressLabel), labels.Get(kPathLabel));
}

// The discovery set of the entry at `index`.
std::string SetName(size_t index) { return StrCat("config-", index); }

// The labels of a discovered Alertmanager before relabelling. The target's own win over its
// group's.
Labels TargetLabels(const config::AlertmanagerConfig& config, const Labels& group,
                    const Labels& target) {
  LabelsBuilder builder(group);
  builder.Set(kSchemeLabel, config.scheme);
  builder.Set(kPathLabel, AlertsPath(config.path_prefix));
  for (const LabelView label : target) builder.Set(label.name, label.value);
  return builder.Build();
}

}  // namespace

std::string AlertsJson(std::span<const Alert> alerts) {
  std::string json;
  json::Writer writer(&json);
  writer.BeginArray();
  for (const Alert& alert : alerts) {
    writer.BeginObject();
    writer.Key("annotations");
    query_api::WriteLabels(alert.annotations, &writer);
    if (alert.ends_at != absl::InfiniteFuture()) {
      writer.Key("endsAt");
      writer.String(query_api::FormatApiTime(alert.ends_at));
    }
    if (alert.starts_at != absl::InfiniteFuture()) {
      writer.Key("startsAt");
      writer.String(query_api::FormatApiTime(alert.starts_at));
    }
    writer.Key("generatorURL");
    writer.String(alert.generator_url);
    writer.Key("labels");
    query_api::WriteLabels(alert.labels, &writer);
    writer.EndObject();
  }
  writer.EndArray();
  return json;
}

notifier::AlertmanagerSet MakeAlertmanagerSet(
    const config::AlertmanagerConfig& config,
    const std::shared_ptr<const http::ClientConfig>& client_config,
    const std::vector<discovery::TargetGroup>& groups, http::Client* client) {
  notifier::AlertmanagerSet set;
  set.alert_relabel_configs = config.alert_relabel_configs;
  std::set<std::string> urls;
  for (const discovery::TargetGroup& group : groups) {
    for (const Labels& target : group.targets) {
      const Labels found = TargetLabels(config, group.labels, target);
      const std::optional<Labels> labels = relabel::Process(config.relabel_configs, found);
      if (!labels.has_value() || labels->Get(kAddressLabel).empty() || client_config == nullptr) {
        set.dropped_urls.push_back(UrlOf(found));
        continue;
      }
      const std::string url = UrlOf(*labels);
      if (!urls.insert(url).second) continue;  // Found in two ways.
      notifier::AlertmanagerEndpoint endpoint;
      endpoint.url = url;
      endpoint.key = StrCat(url, " ", FormatDuration(config.timeout), " ",
                            reinterpret_cast<uintptr_t>(client_config.get()));
      endpoint.connect = [url, timeout = config.timeout, client_config, client] {
        return std::make_unique<HttpAlertmanager>(url, timeout, client_config, client);
      };
      set.endpoints.push_back(std::move(endpoint));
    }
  }
  return set;
}

Alertmanagers::Alertmanagers(const std::vector<std::string>& grpc_endpoints,
                             const service::Env& env, http::Client* client,
                             notifier::Notifier* notifier)
    : file_system_(env.file_system), client_(client), notifier_(notifier) {
  for (const std::string& address : grpc_endpoints) {
    notifier::AlertmanagerEndpoint endpoint;
    endpoint.url = StrCat("grpc://", address);
    endpoint.key = endpoint.url;
    endpoint.connect = [address] { return std::make_unique<GrpcAlertmanager>(address); };
    grpc_set_.endpoints.push_back(std::move(endpoint));
  }
  notifier_->SetAlertmanagers({grpc_set_});
  discovery::ManagerOptions options;
  options.name = "notify";
  options.clock = env.clock;
  options.file_system = env.file_system;
  options.logger = env.logger.With({{"component", "notify discovery"}});
  options.registry = env.registry;
  options.on_update = [this](const discovery::TargetSets& found) { Update(found); };
  discovery_ = std::make_unique<discovery::Manager>(std::move(options));
}

std::vector<std::string> Alertmanagers::Apply(std::vector<config::AlertmanagerConfig> configs) {
  std::map<std::string, std::vector<config::SdConfig>> mechanisms;
  std::vector<std::string> problems;
  {
    MutexLock lock(&mu_);
    std::vector<Entry> entries;
    for (size_t i = 0; i < configs.size(); ++i) {
      mechanisms[SetName(i)] = configs[i].service_discovery;
      Entry entry;
      if (i < entries_.size() && entries_[i].config.http_client == configs[i].http_client) {
        entry.client_config = entries_[i].client_config;
      }
      if (entry.client_config == nullptr) {
        absl::StatusOr<http::ClientConfig> made =
            discovery::MakeClientConfig(configs[i].http_client, file_system_);
        if (made.ok()) {
          entry.client_config = std::make_shared<const http::ClientConfig>(*std::move(made));
        } else {
          problems.push_back(StrCat("alerting.alertmanagers: ", Message(made.status())));
        }
      }
      if (configs[i].sigv4.has_value()) problems.push_back("alerting.alertmanagers.sigv4");
      entry.config = std::move(configs[i]);
      entries.push_back(std::move(entry));
    }
    entries_ = std::move(entries);
  }
  for (const discovery::UnavailableMechanism& mechanism : discovery_->Apply(mechanisms)) {
    problems.push_back(StrCat("alerting.alertmanagers.", mechanism.name, "_sd_configs"));
  }
  // What is known already takes the new settings at once.
  Update(discovery_->Current());
  return problems;
}

void Alertmanagers::Update(const discovery::TargetSets& found) {
  // Held throughout, so that of two updates the later one stays.
  MutexLock lock(&mu_);
  std::vector<notifier::AlertmanagerSet> sets = {grpc_set_};
  for (size_t i = 0; i < entries_.size(); ++i) {
    const auto groups = found.find(SetName(i));
    if (groups == found.end()) continue;
    sets.push_back(MakeAlertmanagerSet(entries_[i].config, entries_[i].client_config,
                                       groups->second, client_));
  }
  notifier_->SetAlertmanagers(std::move(sets));
}

}  // namespace narthex::query
