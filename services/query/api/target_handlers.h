#ifndef NARTHEX_SERVICES_QUERY_API_TARGET_HANDLERS_H_
#define NARTHEX_SERVICES_QUERY_API_TARGET_HANDLERS_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/http/message.h"
#include "lib/rpc/scraper_client.h"
#include "lib/rpc/storage_client.h"
#include "services/query/api/envelope.h"

namespace narthex::query_api {

// targets, targets/metadata, scrape_pools, metadata: what the scrapers know; of metadata also what
// came to storage with samples. All of them are asked; one that is down is a warning as long as
// another answers.
//
// Thread safety: all methods may be called from any thread.
class TargetHandlers {
 public:
  // The pointees must outlive the handlers; there may be no scraper, which is one without targets.
  TargetHandlers(std::vector<rpc::ScraperClient*> scrapers,
                 std::vector<rpc::StorageClient*> storages)
      : scrapers_(std::move(scrapers)), storages_(std::move(storages)) {}

  Answer Targets(const http::ServerRequest& request);
  Answer TargetMetadata(const http::ServerRequest& request);
  Answer ScrapePools(const http::ServerRequest& request);
  Answer Metadata(const http::ServerRequest& request);
  // One entry for each metric family that a scraper or a store knows. Whoever does not answer is a
  // warning.
  std::map<std::string, rpc::MetricMetadata> FirstMetadata(const http::ServerRequest& request,
                                                           std::vector<std::string>* warnings);

 private:
  // Asks all scrapers; the answers of those that gave one.
  absl::StatusOr<std::vector<rpc::TargetsAnswer>> AskTargets(const rpc::TargetsQuery& query,
                                                             std::vector<std::string>* warnings);
  absl::StatusOr<std::vector<rpc::MetricMetadata>> AskMetadata(std::string_view metric,
                                                               bool per_target,
                                                               std::vector<std::string>* warnings);

  const std::vector<rpc::ScraperClient*> scrapers_;
  const std::vector<rpc::StorageClient*> storages_;
};

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_TARGET_HANDLERS_H_
