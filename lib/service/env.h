#ifndef NARTHEX_LIB_SERVICE_ENV_H_
#define NARTHEX_LIB_SERVICE_ENV_H_

#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "lib/base/clock.h"
#include "lib/io/file_system.h"
#include "lib/log/log.h"
#include "lib/metrics/registry.h"

namespace narthex::service {

// The outside world as an App gets it. The pointees outlive the App.
struct Env {
  Clock* clock = nullptr;
  io::FileSystem* file_system = nullptr;
  Logger logger;
  metrics::Registry* registry = nullptr;
  // Queues a reload and waits for its result; what POST /-/reload calls. Set by Run(); a test calls
  // App::Reload() itself.
  std::function<absl::Status()> request_reload;
  std::function<void()> request_stop;        // POST /-/quit.
  std::map<std::string, std::string> flags;  // /api/v1/status/flags.
};

}  // namespace narthex::service

#endif  // NARTHEX_LIB_SERVICE_ENV_H_
