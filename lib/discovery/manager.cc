#include "lib/discovery/manager.h"

#include <algorithm>

#include "lib/base/strings.h"
#include "lib/discovery/static.h"

namespace narthex::discovery {

std::unique_ptr<Discoverer> MakeDiscoverer(const config::SdConfig& config,
                                           const DiscovererContext& context) {
  if (const auto* const file = std::get_if<config::FileSdConfig>(&config)) {
    return std::make_unique<FileDiscoverer>(*file, context);
  }
  return nullptr;
}

// One running mechanism, or the fixed groups of a static one. The destructor stops it; not to be
// called under mu_, which the mechanism's report may be waiting for.
struct Manager::Provider {
  ~Provider() {
    if (discoverer == nullptr) return;
    discoverer->Stop();
    thread.Join();
  }

  // Constant once started.
  config::SdConfig config;
  std::unique_ptr<Discoverer> discoverer;  // Null for static.

  // Guarded by the manager's mu_.
  std::map<std::string, TargetGroup> groups;  // By source.
  bool reported = false;

  Thread thread;
};

Manager::Manager(ManagerOptions options)
    : options_(std::move(options)),
      received_updates_(options_.registry->AddCounter(
          "prometheus_sd_received_updates_total",
          "Total number of update events received from the SD providers.",
          {{"name", options_.name}})),
      sent_updates_(options_.registry->AddCounter(
          "prometheus_sd_updates_total", "Total number of update events sent to the SD consumers.",
          {{"name", options_.name}})),
      delayed_updates_(options_.registry->AddCounter(
          "prometheus_sd_updates_delayed_total",
          "Total number of update events that couldn't be sent immediately.",
          {{"name", options_.name}})),
      failed_configs_(options_.registry->AddGauge(
          "prometheus_sd_failed_configs",
          "Current number of service discovery configurations that failed to load.",
          {{"name", options_.name}})),
      deliver_thread_("sd-deliver", [this] { DeliverLoop(); }) {}

Manager::~Manager() {
  std::map<std::string, std::vector<std::shared_ptr<Provider>>> sets;
  {
    MutexLock lock(&mu_);
    stopped_ = true;
    sets.swap(sets_);
    changed_cv_.SignalAll();
  }
  deliver_thread_.Join();
}

std::shared_ptr<Manager::Provider> Manager::FindOrStart(
    const config::SdConfig& config, std::vector<std::shared_ptr<Provider>>* started) {
  for (const std::shared_ptr<Provider>& provider : *started) {
    if (provider->config == config) return provider;
  }
  {
    MutexLock lock(&mu_);
    for (const auto& [set, providers] : sets_) {
      for (const std::shared_ptr<Provider>& provider : providers) {
        if (provider->discoverer != nullptr && provider->config == config) return provider;
      }
    }
  }
  auto provider = std::make_shared<Provider>();
  provider->config = config;
  provider->discoverer = options_.factory(
      config,
      DiscovererContext{.clock = options_.clock,
                        .file_system = options_.file_system,
                        .logger = options_.logger.With({{"discovery", config::SdName(config)}}),
                        .registry = options_.registry});
  if (provider->discoverer == nullptr) return nullptr;
  started->push_back(provider);
  return provider;
}

std::vector<UnavailableMechanism> Manager::Apply(
    const std::map<std::string, std::vector<config::SdConfig>>& sets) {
  std::vector<UnavailableMechanism> unavailable;
  std::vector<std::shared_ptr<Provider>> started;
  std::map<std::string, std::vector<std::shared_ptr<Provider>>> applied;
  for (const auto& [set, configs] : sets) {
    std::vector<std::shared_ptr<Provider>>& providers = applied[set];
    size_t static_groups = 0;
    for (const config::SdConfig& config : configs) {
      if (const auto* const group = std::get_if<config::StaticSdConfig>(&config)) {
        auto provider = std::make_shared<Provider>();
        provider->reported = true;
        std::string source = StrCat(static_groups++);
        provider->groups.emplace(source, MakeGroup(*group, source));
        providers.push_back(std::move(provider));
      } else if (std::shared_ptr<Provider> provider = FindOrStart(config, &started)) {
        providers.push_back(std::move(provider));
      } else {
        unavailable.push_back({set, std::string(config::SdName(config))});
      }
    }
  }
  failed_configs_->Set(static_cast<double>(unavailable.size()));
  {
    MutexLock lock(&mu_);
    sets_.swap(applied);
    changed_ = at_once_ = true;
    applied_ = options_.clock->Now();
    changed_cv_.SignalAll();
  }
  // Now that reports of new mechanisms find their place.
  for (const std::shared_ptr<Provider>& provider : started) {
    Provider* const raw = provider.get();
    provider->thread = Thread("sd-discoverer", [this, raw] {
      raw->discoverer->Run(
          [this, raw](std::vector<TargetGroup> groups) { Report(raw, std::move(groups)); });
    });
  }
  // What `applied` holds now, and nobody else, stops here.
  return unavailable;
}

void Manager::Report(Provider* provider, std::vector<TargetGroup> groups) {
  received_updates_->Increment();
  MutexLock lock(&mu_);
  for (TargetGroup& group : groups) {
    if (group.targets.empty()) {
      provider->groups.erase(group.source);
    } else {
      std::string source = group.source;
      provider->groups[std::move(source)] = std::move(group);
    }
  }
  if (!provider->reported) at_once_ = true;
  provider->reported = true;
  if (changed_ && !at_once_) delayed_updates_->Increment();
  changed_ = true;
  changed_cv_.SignalAll();
}

absl::Time Manager::NextDeliveryLocked() const {
  if (!at_once_) return delivered_ + options_.update_interval;
  for (const auto& [set, providers] : sets_) {
    const bool all = std::all_of(providers.begin(), providers.end(),
                                 [](const auto& provider) { return provider->reported; });
    if (!all) return applied_ + options_.update_interval;
  }
  return absl::InfinitePast();
}

void Manager::DeliverLoop() {
  mu_.Lock();
  while (!stopped_) {
    const absl::Time next = changed_ ? NextDeliveryLocked() : absl::InfiniteFuture();
    const absl::Time now = options_.clock->Now();
    if (now < next) {
      options_.clock->WaitUntil(&mu_, &changed_cv_, next);
      continue;
    }
    changed_ = at_once_ = false;
    delivered_ = now;
    const TargetSets sets = CollectLocked();
    mu_.Unlock();
    CountTargets(sets);
    sent_updates_->Increment();
    if (options_.on_update) options_.on_update(sets);
    mu_.Lock();
  }
  mu_.Unlock();
}

TargetSets Manager::CollectLocked() const {
  TargetSets sets;
  for (const auto& [set, providers] : sets_) {
    std::vector<TargetGroup>& groups = sets[set];
    for (const std::shared_ptr<Provider>& provider : providers) {
      for (const auto& [source, group] : provider->groups) groups.push_back(group);
    }
  }
  return sets;
}

void Manager::CountTargets(const TargetSets& sets) {
  const auto labels = [this](const std::string& set) {
    return metrics::LabelMap{{"name", options_.name}, {"config", set}};
  };
  for (const auto& [set, groups] : sets) {
    size_t targets = 0;
    for (const TargetGroup& group : groups) targets += group.targets.size();
    options_.registry
        ->AddGauge("prometheus_sd_discovered_targets", "Current number of discovered targets.",
                   labels(set))
        ->Set(static_cast<double>(targets));
    counted_sets_.insert(set);
  }
  for (auto set = counted_sets_.begin(); set != counted_sets_.end();) {
    if (sets.contains(*set)) {
      ++set;
      continue;
    }
    options_.registry->Remove("prometheus_sd_discovered_targets", labels(*set));
    set = counted_sets_.erase(set);
  }
}

TargetSets Manager::Current() const {
  MutexLock lock(&mu_);
  return CollectLocked();
}

}  // namespace narthex::discovery
