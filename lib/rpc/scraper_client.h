#ifndef NARTHEX_LIB_RPC_SCRAPER_CLIENT_H_
#define NARTHEX_LIB_RPC_SCRAPER_CLIENT_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/labels/labels.h"

namespace narthex::rpc {

enum class TargetHealth { kUnknown, kUp, kDown };

struct ScrapeTarget {
  Labels discovered_labels;
  Labels labels;
  std::string scrape_pool;
  std::string scrape_url;
  std::string global_url;
  std::string last_error;
  absl::Time last_scrape;  // InfinitePast() before the first scrape.
  absl::Duration last_scrape_duration;
  TargetHealth health = TargetHealth::kUnknown;
  absl::Duration scrape_interval;
  absl::Duration scrape_timeout;
};

struct DroppedTarget {
  Labels discovered_labels;
  std::string scrape_pool;
};

struct TargetsQuery {
  bool active = true;
  bool dropped = true;
  std::string scrape_pool;  // Empty: all.
};

struct TargetsAnswer {
  std::vector<ScrapeTarget> active;
  std::vector<DroppedTarget> dropped;
  std::map<std::string, uint64_t> dropped_counts;
  std::vector<std::string> scrape_pools;
};

struct MetricMetadata {
  std::string metric;
  std::string type;
  std::string help;
  std::string unit;
  Labels target;  // When asked for per target.
};

// What a scraper knows of its targets, over gRPC. Errors name the scraper; one that is down is
// Unavailable
// ("scraper 127.0.0.1:9097: …").
//
// Thread safety: all methods may be called from any thread.
class ScraperClient {
 public:
  ScraperClient(std::string endpoint, absl::Duration call_timeout);
  ~ScraperClient();

  absl::StatusOr<TargetsAnswer> Targets(const TargetsQuery& query);
  // Of one metric family, or of all when `metric` is empty.
  absl::StatusOr<std::vector<MetricMetadata>> Metadata(std::string_view metric, bool per_target);
  // Asks the scraper to read its configuration again; InvalidArgument carries its reason.
  absl::Status Reload();

  const std::string& endpoint() const { return endpoint_; }

 private:
  struct Rep;
  const std::string endpoint_;
  const std::unique_ptr<Rep> rep_;
};

}  // namespace narthex::rpc

#endif  // NARTHEX_LIB_RPC_SCRAPER_CLIENT_H_
