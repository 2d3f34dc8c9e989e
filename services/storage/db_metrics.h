#ifndef NARTHEX_SERVICES_STORAGE_DB_METRICS_H_
#define NARTHEX_SERVICES_STORAGE_DB_METRICS_H_

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "lib/io/file_system.h"
#include "lib/metrics/registry.h"
#include "services/storage/tsdb/db.h"

namespace narthex::storage_service {

// The durations and sizes that the database reports while it works, under upstream's names. The
// registry must outlive what the observer is given to.
tsdb::DbObserver MakeDbObserver(metrics::Registry* registry);

// What dashboards read of a database, under upstream's names (prometheus_tsdb_…) where they mean
// the same, and under ours (narthex_storage_…) else. Values are read when they are collected; a few
// that need a look at every series are counted by Census().
//
// The pointees must outlive it. Thread safety: all methods may be called from any thread.
class DbMetrics {
 public:
  DbMetrics(const tsdb::Db* db, io::FileSystem* fs, metrics::Registry* registry);

  // Counts the series whose newest sample marks them stale, and those of native histograms. Some
  // 50 ns a series, so not more than about once a minute.
  void Census();

 private:
  void AddHead();
  void AddSamples();
  void AddExemplars();
  void AddLog();
  void AddBlocks();
  void AddMemory();
  void AddState();

  using Read = std::function<double()>;
  void Gauge(std::string_view name, std::string_view help, Read read,
             const metrics::LabelMap& labels = {});
  void Counter(std::string_view name, std::string_view help, Read read,
               const metrics::LabelMap& labels = {});

  const tsdb::Db* const db_;
  io::FileSystem* const fs_;
  metrics::Registry* const registry_;
  metrics::Gauge* const stale_series_;
  metrics::Gauge* const histogram_series_;
  std::vector<std::shared_ptr<void>> callbacks_;
};

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_DB_METRICS_H_
