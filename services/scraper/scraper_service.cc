#include "services/scraper/scraper_service.h"

#include <grpcpp/server_context.h>

#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "lib/base/strings.h"
#include "lib/rpc/convert.h"
#include "lib/rpc/status.h"
#include "narthex/v1/scraper.grpc.pb.h"

namespace narthex::scraper {
namespace {

v1::Target::Health ToProto(scrape::Health health) {
  switch (health) {
    case scrape::Health::kUp:
      return v1::Target::UP;
    case scrape::Health::kDown:
      return v1::Target::DOWN;
    case scrape::Health::kUnknown:
      break;
  }
  return v1::Target::UNKNOWN;
}

void FillTarget(const scrape::TargetStatus& status, const std::string& pool,
                const std::string& host_name, v1::Target* out) {
  rpc::ToProto(status.target.discovered, out->mutable_discovered_labels());
  rpc::ToProto(status.target.labels, out->mutable_labels());
  out->set_scrape_pool(pool);
  out->set_scrape_url(status.target.url);
  out->set_global_url(GlobalUrl(status.target.url, host_name));
  out->set_last_error(status.last_error);
  if (status.last_scrape != absl::InfinitePast()) {
    out->set_last_scrape_ns(absl::ToUnixNanos(status.last_scrape));
  }
  out->set_last_scrape_duration_seconds(absl::ToDoubleSeconds(status.last_duration));
  out->set_health(ToProto(status.health));
  out->set_scrape_interval_ms(absl::ToInt64Milliseconds(status.target.interval));
  out->set_scrape_timeout_ms(absl::ToInt64Milliseconds(status.target.timeout));
}

}  // namespace

std::string GlobalUrl(const std::string& url, const std::string& host_name) {
  const size_t begin = url.find("://");
  if (begin == std::string::npos) return url;
  const std::string_view rest = std::string_view(url).substr(begin + 3);
  for (const std::string_view loopback : {"localhost", "127.0.0.1", "[::1]"}) {
    if (!rest.starts_with(loopback)) continue;
    const std::string_view tail = rest.substr(loopback.size());
    if (!tail.empty() && tail[0] != ':' && tail[0] != '/' && tail[0] != '?') continue;
    return StrCat(std::string_view(url).substr(0, begin + 3), host_name, tail);
  }
  return url;
}

class ScraperService::Handlers final : public v1::Scraper::Service {
 public:
  Handlers(const scrape::Scraper* scraper, std::string host_name,
           std::function<absl::Status()> reload)
      : scraper_(scraper), host_name_(std::move(host_name)), reload_(std::move(reload)) {}

  grpc::Status Targets(grpc::ServerContext*, const v1::TargetsRequest* request,
                       v1::TargetsResponse* response) override {
    scraper_->ForEachPool([&](const std::string& name, const scrape::ScrapePool& pool) {
      response->add_scrape_pools(name);
      if (!request->scrape_pool().empty() && request->scrape_pool() != name) return;
      const scrape::PoolStatus status = pool.status();
      (*response->mutable_dropped_counts())[name] = status.dropped_count;
      if (request->active()) {
        for (const scrape::TargetStatus& target : status.active) {
          FillTarget(target, name, host_name_, response->add_active());
        }
      }
      if (request->dropped()) {
        for (const narthex::Labels& labels : status.dropped) {
          v1::DroppedTarget* const dropped = response->add_dropped();
          rpc::ToProto(labels, dropped->mutable_discovered_labels());
          dropped->set_scrape_pool(name);
        }
      }
    });
    return grpc::Status::OK;
  }

  grpc::Status Metadata(grpc::ServerContext*, const v1::MetadataRequest* request,
                        v1::MetadataResponse* response) override {
    using Key = std::tuple<std::string, MetricType, std::string, std::string>;
    std::set<Key> seen;
    scraper_->ForEachPool([&](const std::string&, const scrape::ScrapePool& pool) {
      pool.ForEachMetadata([&](const narthex::Labels& target, const std::string& family,
                               const narthex::Metadata& metadata) {
        if (!request->metric().empty() && request->metric() != family) return;
        if (!request->per_target() &&
            !seen.insert({family, metadata.type, metadata.help, metadata.unit}).second) {
          return;
        }
        v1::MetricMetadata* const out = response->add_metadata();
        out->set_metric(family);
        out->set_type(std::string(MetricTypeName(metadata.type)));
        out->set_help(metadata.help);
        out->set_unit(metadata.unit);
        if (request->per_target()) rpc::ToProto(target, out->mutable_target());
      });
    });
    return grpc::Status::OK;
  }

  grpc::Status Reload(grpc::ServerContext*, const v1::ReloadRequest*,
                      v1::ReloadResponse*) override {
    return rpc::ToGrpc(reload_());
  }

 private:
  const scrape::Scraper* const scraper_;
  const std::string host_name_;
  const std::function<absl::Status()> reload_;
};

ScraperService::ScraperService(const scrape::Scraper* scraper, std::string host_name,
                               std::function<absl::Status()> reload)
    : handlers_(std::make_unique<Handlers>(scraper, std::move(host_name), std::move(reload))) {}

ScraperService::~ScraperService() = default;

grpc::Service* ScraperService::service() { return handlers_.get(); }

}  // namespace narthex::scraper
