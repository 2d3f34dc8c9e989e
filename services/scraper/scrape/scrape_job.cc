#include "services/scraper/scrape/scrape_job.h"

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/float_format.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/discovery/http_client.h"
#include "lib/textparse/content_type.h"

namespace narthex::scrape {
namespace {

constexpr int kOk = 200;

// Go's http.StatusText for what servers answer in place of metrics.
std::string_view StatusText(int status) {
  static constexpr std::pair<int, std::string_view> kTexts[] = {
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {206, "Partial Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {402, "Payment Required"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {407, "Proxy Authentication Required"},
      {408, "Request Timeout"},
      {410, "Gone"},
      {413, "Request Entity Too Large"},
      {415, "Unsupported Media Type"},
      {418, "I'm a teapot"},
      {421, "Misdirected Request"},
      {422, "Unprocessable Entity"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
      {511, "Network Authentication Required"},
  };
  for (const auto& [code, text] : kTexts) {
    if (code == status) return text;
  }
  return "";
}

}  // namespace

std::shared_ptr<const ScrapeJob> ScrapeJob::Make(const config::ScrapeConfig& config,
                                                 io::FileSystem* file_system,
                                                 std::shared_ptr<FailureLog> failure_log) {
  auto job = std::make_shared<ScrapeJob>();
  job->config = config;
  job->failure_log = std::move(failure_log);
  absl::StatusOr<http::ClientConfig> client =
      discovery::MakeClientConfig(config.http_client, file_system);
  job->client_error = client.status();
  if (client.ok()) job->client = std::make_shared<const http::ClientConfig>(*std::move(client));
  std::vector<std::string> protocols;
  for (const config::ScrapeProtocol protocol : config.scrape_protocols) {
    protocols.emplace_back(config::ScrapeProtocolText(protocol));
  }
  job->accept = textparse::AcceptHeader(
      protocols, config::NameEscapingSchemeText(config.metric_name_escaping_scheme));
  return job;
}

bool ScrapeJob::SameSeries(const config::ScrapeConfig& a, const config::ScrapeConfig& b) {
  return a.honor_labels == b.honor_labels && a.metric_relabel_configs == b.metric_relabel_configs &&
         a.metric_name_validation_scheme == b.metric_name_validation_scheme &&
         a.limits.labels == b.limits.labels &&
         a.limits.label_name_length == b.limits.label_name_length &&
         a.limits.label_value_length == b.limits.label_value_length;
}

http::ClientRequest ScrapeJob::Request(const Target& target, const std::string& user_agent) const {
  http::ClientRequest request;
  request.url = target.url;
  request.timeout = target.timeout;
  request.body_bytes_max = config.limits.body_size_bytes;
  request.config = client;
  request.headers.Add("Accept", accept);
  request.headers.Add("Accept-Encoding", config.enable_compression ? "gzip" : "identity");
  request.headers.Add("User-Agent", user_agent);
  request.headers.Add("X-Prometheus-Scrape-Timeout-Seconds",
                      FormatFloat(absl::ToDoubleSeconds(target.timeout)));
  return request;
}

absl::StatusOr<std::unique_ptr<textparse::Parser>> ScrapeJob::Open(
    const http::ClientResponse& response) const {
  if (response.status != kOk) {
    const std::string_view text = StatusText(response.status);
    return Unavailable("server returned HTTP status ", response.status, text.empty() ? "" : " ",
                       text);
  }
  std::optional<textparse::Format> fallback;
  if (config.fallback_scrape_protocol.has_value()) {
    fallback =
        textparse::FormatOfProtocol(config::ScrapeProtocolText(*config.fallback_scrape_protocol));
  }
  NARTHEX_ASSIGN_OR_RETURN(
      const textparse::ReceivedFormat format,
      textparse::ParseContentType(response.headers.Get("Content-Type"), fallback));
  return textparse::NewParser(format.format, response.body);
}

}  // namespace narthex::scrape
