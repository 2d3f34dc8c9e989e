#ifndef NARTHEX_SERVICES_SCRAPER_SCRAPE_HTTP_CLIENT_OPTIONS_H_
#define NARTHEX_SERVICES_SCRAPER_SCRAPE_HTTP_CLIENT_OPTIONS_H_

#include <string>
#include <vector>

#include "lib/config/http_client_config.h"
#include "lib/http/client.h"

namespace narthex::scrape {

// The HTTP client block of a job as the client takes it.
http::ClientConfig MakeClientConfig(const config::HttpClientConfig& config);

// Keys of the block that are set and that the client cannot act on yet ("oauth2").
std::vector<std::string> UnusedClientKeys(const config::HttpClientConfig& config);

}  // namespace narthex::scrape

#endif  // NARTHEX_SERVICES_SCRAPER_SCRAPE_HTTP_CLIENT_OPTIONS_H_
