#ifndef NARTHEX_SERVICES_QUERY_API_NOTIFICATIONS_H_
#define NARTHEX_SERVICES_QUERY_API_NOTIFICATIONS_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/http/message.h"
#include "lib/metrics/registry.h"
#include "services/query/api/envelope.h"

namespace narthex::query_api {

// What the service has to tell whoever looks at it (a reload that failed, a shutdown), and the
// endpoints /notifications and /notifications/live that show it.
//
// Thread safety: all methods may be called from any thread.
class Notifications {
 public:
  static constexpr std::string_view kReloadFailed = "Configuration reload has failed.";
  static constexpr std::string_view kShuttingDown =
      "Prometheus is shutting down and gracefully stopping all operations.";

  // `clock` and `registry` must outlive it. Of more than `subscribers_max` live streams the next is
  // answered 204.
  Notifications(Clock* clock, metrics::Registry* registry, size_t subscribers_max);
  ~Notifications();

  // Adding what is there already only renews its date; so does nobody who removes what is not.
  void Add(std::string_view text);
  void Remove(std::string_view text);
  // Ends the live streams, once they have sent what they have; new ones end at once.
  void Close();

  // The active ones.
  Answer List(const http::ServerRequest& request);
  // A stream of server-sent events: those that are active, and then each change.
  http::ServerResponse Live(const http::ServerRequest& request);

 private:
  struct Notification {
    std::string text;
    absl::Time date;
    bool active = true;
  };
  struct Subscriber;

  static std::string ToJson(const Notification& notification);
  void Tell(const Notification& notification) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Leave(Subscriber* subscriber);

  // Constant after construction.
  Clock* const clock_;
  const size_t subscribers_max_;
  metrics::Gauge* const subscribers_count_;
  metrics::Counter* const sent_;
  metrics::Counter* const dropped_;

  Mutex mu_;
  CondVar changed_;
  std::vector<Notification> active_ ABSL_GUARDED_BY(mu_);
  std::vector<Subscriber*> subscribers_ ABSL_GUARDED_BY(mu_);
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_NOTIFICATIONS_H_
