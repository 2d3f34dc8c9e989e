#ifndef NARTHEX_SERVICES_QUERY_RELOADER_H_
#define NARTHEX_SERVICES_QUERY_RELOADER_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/config/prometheus_config.h"
#include "lib/service/env.h"
#include "lib/service/ops_handlers.h"
#include "services/query/alertmanagers.h"
#include "services/query/cache/result_cache.h"
#include "services/query/notifier/notifier.h"
#include "services/query/promql/engine.h"
#include "services/query/rule_file.h"
#include "services/query/rules/manager.h"

namespace narthex::query {

// What a configuration shapes. The pointees outlive the reloader.
struct ReloadTargets {
  promql::Engine* engine = nullptr;
  query_cache::ResultCache* cache = nullptr;
  rules::Manager* rules = nullptr;
  notifier::Notifier* notifier = nullptr;
  Alertmanagers* alertmanagers = nullptr;
};

// Reads prometheus.yml and the rule files, and puts them into effect: all of it, or nothing when
// any part is bad. What a section says that nobody acts on yet is logged once, and shown by the
// gauge narthex_config_unused_section.
//
// Thread safety: Load() calls must not overlap; the rest may be called from any thread.
class Reloader {
 public:
  Reloader(std::string config_file, service::Env env, ReloadTargets targets);

  absl::Status Load();

  // Of the configuration in effect.
  Labels external_labels() const;
  std::shared_ptr<const config::PrometheusConfig> config() const;  // Never null.
  std::string config_yaml() const;
  bool last_successful() const;
  absl::Time last_success_time() const;  // InfinitePast(): there was none.

 private:
  absl::Status LoadAndApply();
  void ReportUnused(const config::PrometheusConfig& config,
                    const std::vector<std::string>& alerting);

  // Constant after construction.
  const std::string config_file_;
  const service::Env env_;
  const ReloadTargets targets_;

  // Only touched by Load().
  service::ReloadMetrics metrics_;
  std::map<std::string, metrics::Gauge*> unused_;

  mutable Mutex mu_;
  std::shared_ptr<const config::PrometheusConfig> config_ ABSL_GUARDED_BY(mu_);
  bool last_successful_ ABSL_GUARDED_BY(mu_) = false;
  absl::Time last_success_time_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace narthex::query

#endif  // NARTHEX_SERVICES_QUERY_RELOADER_H_
