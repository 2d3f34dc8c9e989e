#ifndef NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_JOB_H_
#define NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_JOB_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "lib/config/scrape_config.h"
#include "lib/http/client.h"
#include "lib/io/file_system.h"
#include "lib/textparse/parser.h"
#include "services/scraper/scrape/failure_log.h"
#include "services/scraper/scrape/target.h"

namespace narthex::scrape {

// A scrape_config and what follows from it for every request. Immutable, shared by the loops of a
// pool.
struct ScrapeJob {
  config::ScrapeConfig config;
  std::shared_ptr<const http::ClientConfig> client;
  // Why no target of the job can be asked: the HTTP client block needs what this version cannot do,
  // or a file that is not there.
  absl::Status client_error;
  std::string accept;                       // The Accept header.
  std::shared_ptr<FailureLog> failure_log;  // Null: none.

  static std::shared_ptr<const ScrapeJob> Make(const config::ScrapeConfig& config,
                                               io::FileSystem* file_system,
                                               std::shared_ptr<FailureLog> failure_log);
  // Whether the same body gives the same series under both, so that a cache of it stays good.
  static bool SameSeries(const config::ScrapeConfig& a, const config::ScrapeConfig& b);

  http::ClientRequest Request(const Target& target, const std::string& user_agent) const;
  // The parser for an answer; the reason why the scrape failed when it is not one of 200 in a
  // format that we read. The response must outlive the parser.
  absl::StatusOr<std::unique_ptr<textparse::Parser>> Open(
      const http::ClientResponse& response) const;
};

}  // namespace narthex::scrape

#endif  // NARTHEX_SERVICES_SCRAPER_SCRAPE_SCRAPE_JOB_H_
