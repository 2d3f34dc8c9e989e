#ifndef NARTHEX_SERVICES_QUERY_API_TARGET_HANDLERS_H_
#define NARTHEX_SERVICES_QUERY_API_TARGET_HANDLERS_H_

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/http/message.h"
#include "lib/rpc/scraper_client.h"
#include "services/query/api/envelope.h"

namespace narthex::query_api {

// targets, targets/metadata, scrape_pools, metadata: what the scrapers know. All scrapers are
// asked; one that is down is a warning as long as another answers.
//
// Thread safety: all methods may be called from any thread.
class TargetHandlers {
 public:
  // The scrapers must outlive the handlers; there may be none, which is a scraper without targets.
  explicit TargetHandlers(std::vector<rpc::ScraperClient*> scrapers)
      : scrapers_(std::move(scrapers)) {}

  Answer Targets(const http::ServerRequest& request);
  Answer TargetMetadata(const http::ServerRequest& request);
  Answer ScrapePools(const http::ServerRequest& request);
  Answer Metadata(const http::ServerRequest& request);

 private:
  // Asks all scrapers; the answers of those that gave one.
  absl::StatusOr<std::vector<rpc::TargetsAnswer>> AskTargets(const rpc::TargetsQuery& query,
                                                             std::vector<std::string>* warnings);
  absl::StatusOr<std::vector<rpc::MetricMetadata>> AskMetadata(std::string_view metric,
                                                               bool per_target,
                                                               std::vector<std::string>* warnings);

  const std::vector<rpc::ScraperClient*> scrapers_;
};

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_TARGET_HANDLERS_H_
