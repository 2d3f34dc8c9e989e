#include "services/pushgateway/push_handlers.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "lib/base/strings.h"
#include "services/pushgateway/text_parser.h"

namespace narthex::pushgateway {
namespace {

using http::ServerRequest;
using http::ServerResponse;

// Upstream has no bound; a push is one batch job's metrics, so this is far above what is sent.
constexpr size_t kBodyBytesMax = size_t{64} << 20;

ServerResponse Empty(int status) {
  ServerResponse response;
  response.status = status;
  response.content_type.clear();
  return response;
}

// Size and duration of pushes by method, under upstream's names.
class PushMetrics {
 public:
  PushMetrics(metrics::Registry* registry, std::string_view method)
      : size_(registry->AddSummary("pushgateway_http_push_size_bytes",
                                   "HTTP request size for pushes to the Pushgateway.",
                                   {0.1, 0.5, 0.9}, {{"method", std::string(method)}})),
        duration_(registry->AddSummary("pushgateway_http_push_duration_seconds",
                                       "HTTP request duration for pushes to the Pushgateway.",
                                       {0.1, 0.5, 0.9}, {{"method", std::string(method)}})) {}
  void Observe(size_t bytes, std::chrono::steady_clock::time_point start) const {
    size_->Observe(static_cast<double>(bytes));
    duration_->Observe(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }

 private:
  metrics::Summary* const size_;
  metrics::Summary* const duration_;
};

// What "/metrics/" is followed by, after unescaping: so an escaped slash divides like any other, as
// upstream has it.
std::string_view GroupingPath(const ServerRequest& request, std::string_view prefix) {
  constexpr std::string_view kMetrics = "/metrics/";
  std::string_view path = request.path;
  path.remove_prefix(std::min(path.size(), prefix.size() + kMetrics.size()));
  return path;
}

ServerResponse GroupingError(const ServerRequest& request, const absl::Status& status) {
  // Upstream's router sends "/metrics/job/" to "/metrics/job", where nothing is.
  if (absl::IsNotFound(status) && request.path.ends_with('/')) {
    ServerResponse response = Empty(307);
    response.headers.Set("Location", request.raw_path.substr(0, request.raw_path.size() - 1));
    return response;
  }
  return ServerResponse::Error(absl::IsNotFound(status) ? 404 : 400, Message(status));
}

}  // namespace

Pusher::Pusher(MetricStore* store, Logger logger, metrics::Registry* registry)
    : store_(store),
      logger_(std::move(logger)),
      rejected_unreadable_(registry->AddCounter("pushgateway_pushes_rejected_total",
                                                "Pushes that were refused, by reason.",
                                                {{"reason", "unreadable"}})),
      rejected_inconsistent_(registry->AddCounter("pushgateway_pushes_rejected_total",
                                                  "Pushes that were refused, by reason.",
                                                  {{"reason", "inconsistent"}})) {}

absl::Status Pusher::Push(const GroupingKey& key, std::string_view body, bool replace) {
  absl::StatusOr<FamilyMap> families = ParsePushedText(body);
  if (!families.ok()) {
    rejected_unreadable_->Increment();
    logger_.Debug("failed to parse text", {{"err", families.status()}});
    return families.status();
  }
  const absl::Status status = store_->Push(key, *std::move(families), replace);
  if (status.ok()) return status;
  rejected_inconsistent_->Increment();
  logger_.Error("pushed metrics are invalid or inconsistent with existing metrics",
                {{"job", key.find("job")->second}, {"err", status}});
  return FailedPrecondition("pushed metrics are invalid or inconsistent with existing metrics: ",
                            Message(status));
}

void Pusher::Delete(const GroupingKey& key) { store_->Delete(key); }

void AddPushHandlers(http::Router* router, const PushHandlerOptions& options, Pusher* pusher,
                     metrics::Registry* registry) {
  const auto handle_push = [pusher, options](const ServerRequest& request, bool replace) {
    const auto key = ParseGroupingPath(GroupingPath(request, options.prefix));
    if (!key.ok()) return GroupingError(request, key.status());
    const absl::Status status = pusher->Push(*key, request.body, replace);
    if (status.ok()) return Empty(options.checked ? 200 : 202);
    // Without the check the client is not told what the store made of it; a body that cannot be
    // read is told always.
    if (absl::IsFailedPrecondition(status) && !options.checked) return Empty(202);
    return ServerResponse::Error(400, Message(status));
  };
  const auto handle_delete = [pusher, options](const ServerRequest& request) {
    const auto key = ParseGroupingPath(GroupingPath(request, options.prefix));
    if (!key.ok()) return GroupingError(request, key.status());
    pusher->Delete(*key);
    return Empty(202);
  };
  const PushMetrics put_metrics(registry, "put");
  const PushMetrics post_metrics(registry, "post");
  for (const std::string_view job : {"/metrics/job/*labels", "/metrics/job@base64/*labels"}) {
    const std::string pattern = StrCat(options.prefix, job);
    for (const bool replace : {true, false}) {
      const PushMetrics metrics = replace ? put_metrics : post_metrics;
      router->Handle(
          replace ? "PUT" : "POST", pattern,
          [handle_push, replace, metrics](const ServerRequest& request) {
            const auto start = std::chrono::steady_clock::now();
            const ServerResponse response = handle_push(request, replace);
            metrics.Observe(request.body.size(), start);
            return response;
          },
          kBodyBytesMax);
    }
    router->Handle("DELETE", pattern, handle_delete);
  }
}

}  // namespace narthex::pushgateway
