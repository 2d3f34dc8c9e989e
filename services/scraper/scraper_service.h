#ifndef NARTHEX_SERVICES_SCRAPER_SCRAPER_SERVICE_H_
#define NARTHEX_SERVICES_SCRAPER_SCRAPER_SERVICE_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "services/scraper/scrape/scraper.h"

namespace grpc {
class Service;
}

namespace narthex::scraper {

// narthex.v1.Scraper: what the query service asks for its pages and its API. Thread safety: all
// methods may be called from any thread.
class ScraperService {
 public:
  // `scraper` must outlive the service. `host_name` stands for loopback in global URLs.
  ScraperService(const scrape::Scraper* scraper, std::string host_name,
                 std::function<absl::Status()> reload);
  ~ScraperService();
  grpc::Service* service();

 private:
  class Handlers;
  std::unique_ptr<Handlers> handlers_;
};

// `url` as another machine reaches it: the host name in place of localhost, 127.0.0.1 and [::1].
std::string GlobalUrl(const std::string& url, const std::string& host_name);

}  // namespace narthex::scraper

#endif  // NARTHEX_SERVICES_SCRAPER_SCRAPER_SERVICE_H_
