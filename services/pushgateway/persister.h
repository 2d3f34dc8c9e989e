#ifndef NARTHEX_SERVICES_PUSHGATEWAY_PERSISTER_H_
#define NARTHEX_SERVICES_PUSHGATEWAY_PERSISTER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/base/thread.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"
#include "services/pushgateway/metric_store.h"

namespace narthex::pushgateway {

// Keeps a store in a file: reads it at the start, writes it at most once an interval when something
// has changed, and a last time at Stop(). A write that fails is logged, counted, and tried again an
// interval later; the file then still holds the content before.
//
// Thread safety: Restore(), Start(), Stop() from one thread, in that order; the writing runs on a
// thread of its own.
class Persister {
 public:
  struct Options {
    std::string path;  // Empty: nothing is kept.
    absl::Duration interval = absl::Minutes(5);
  };
  Persister(Options options, MetricStore* store, io::FileSystem* file_system, Clock* clock,
            Logger logger, metrics::Registry* registry);
  ~Persister();

  // Fills the store from the file and finds out whether the file can be written. An error names the
  // file.
  absl::Status Restore();
  void Start();
  void Stop();

 private:
  void Run();
  void PersistIfChanged();
  absl::Status Write(uint64_t version);

  const Options options_;
  MetricStore* const store_;
  io::FileSystem* const file_system_;
  Clock* const clock_;
  const Logger logger_;
  metrics::Counter* const failures_;
  metrics::Gauge* const last_success_;
  metrics::Gauge* const file_bytes_;

  uint64_t persisted_version_ = 0;  // Only touched by whoever writes.

  Mutex mu_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  Thread thread_;
};

}  // namespace narthex::pushgateway

#endif  // NARTHEX_SERVICES_PUSHGATEWAY_PERSISTER_H_
