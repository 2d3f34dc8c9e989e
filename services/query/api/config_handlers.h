#ifndef NARTHEX_SERVICES_QUERY_API_CONFIG_HANDLERS_H_
#define NARTHEX_SERVICES_QUERY_API_CONFIG_HANDLERS_H_

#include <functional>
#include <memory>
#include <utility>

#include "lib/config/prometheus_config.h"
#include "lib/http/message.h"
#include "services/query/api/envelope.h"

namespace narthex::query_api {

// scrape_pools/config and targets/relabel_steps: what the configuration says of a scrape job. The
// scrapers read the same file.
//
// Thread safety: all methods may be called from any thread.
class ConfigHandlers {
 public:
  // The configuration in effect; never null.
  using Source = std::function<std::shared_ptr<const config::PrometheusConfig>()>;
  explicit ConfigHandlers(Source source) : source_(std::move(source)) {}

  Answer ScrapePoolConfig(const http::ServerRequest& request);
  // What each relabelling rule of a job makes of a label set.
  Answer RelabelSteps(const http::ServerRequest& request);

 private:
  const Source source_;
};

}  // namespace narthex::query_api

#endif  // NARTHEX_SERVICES_QUERY_API_CONFIG_HANDLERS_H_
