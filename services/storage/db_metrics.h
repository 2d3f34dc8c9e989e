#ifndef NARTHEX_SERVICES_STORAGE_DB_METRICS_H_
#define NARTHEX_SERVICES_STORAGE_DB_METRICS_H_

#include <memory>
#include <vector>

#include "lib/metrics/registry.h"
#include "services/storage/tsdb/db.h"

namespace narthex::storage_service {

// What dashboards read of a database, under upstream's names (prometheus_tsdb_…) where they mean
// the same, and under ours (narthex_storage_…) else. Values are read when they are collected.
//
// The pointees must outlive it. Thread safety: none after construction is needed.
class DbMetrics {
 public:
  DbMetrics(const tsdb::Db* db, metrics::Registry* registry);

 private:
  void AddHead();
  void AddLog();
  void AddAppends();
  void Add(std::string_view name, std::string_view help, std::string_view type,
           std::function<double()> read, const metrics::LabelMap& labels = {});

  const tsdb::Db* const db_;
  metrics::Registry* const registry_;
  std::vector<std::shared_ptr<void>> callbacks_;
};

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_DB_METRICS_H_
