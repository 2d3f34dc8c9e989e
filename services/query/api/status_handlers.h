#ifndef NARTHEX_SERVICES_QUERY_API_STATUS_HANDLERS_H_
#define NARTHEX_SERVICES_QUERY_API_STATUS_HANDLERS_H_

#include <functional>
#include <map>
#include <string>

#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/http/message.h"
#include "services/query/api/envelope.h"

namespace narthex::query_api {

// What the storage nodes say of themselves.
struct StorageSummary {
  std::string retention;     // "15d or 10GiB"; of the first node that answers.
  uint64_t corruptions = 0;  // Damaged places found in their logs.
};

// What the process says of itself.
struct StatusSources {
  std::string version;
  std::string revision;
  std::string hostname;
  absl::Time start_time;
  std::map<std::string, std::string> flags;
  std::function<std::string()> config_yaml;
  std::function<bool()> reload_successful;
  std::function<absl::Time()> last_config_time;
  std::function<StorageSummary()> storage;  // Asked of the nodes; empty: there are none.
};

// status/config, status/flags, status/runtimeinfo, status/buildinfo, features.
//
// Thread safety: all methods may be called from any thread.
class StatusHandlers {
 public:
  // `features` is the JSON that Features() answers.
  StatusHandlers(StatusSources sources, Clock* clock, std::string features)
      : sources_(std::move(sources)), clock_(clock), features_(std::move(features)) {}

  Answer Config(const http::ServerRequest& request);
  Answer Flags(const http::ServerRequest& request);
  Answer RuntimeInfo(const http::ServerRequest& request);
  Answer BuildInfo(const http::ServerRequest& request);
  Answer Features(const http::ServerRequest& request);

 private:
  const StatusSources sources_;
  Clock* const clock_;
  const std::string features_;
};

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_STATUS_HANDLERS_H_
