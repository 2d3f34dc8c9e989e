#include "lib/rpc/scraper_client.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/rpc/channel.h"
#include "lib/rpc/convert.h"
#include "lib/rpc/unary_call.h"
#include "narthex/v1/scraper.grpc.pb.h"

namespace narthex::rpc {
namespace {

absl::StatusOr<ScrapeTarget> ToTarget(const v1::Target& proto) {
  ScrapeTarget target;
  NARTHEX_ASSIGN_OR_RETURN(target.discovered_labels, FromProto(proto.discovered_labels()));
  NARTHEX_ASSIGN_OR_RETURN(target.labels, FromProto(proto.labels()));
  target.scrape_pool = proto.scrape_pool();
  target.scrape_url = proto.scrape_url();
  target.global_url = proto.global_url();
  target.last_error = proto.last_error();
  target.last_scrape = proto.last_scrape_ns() == 0 ? absl::InfinitePast()
                                                   : absl::FromUnixNanos(proto.last_scrape_ns());
  target.last_scrape_duration = absl::Seconds(proto.last_scrape_duration_seconds());
  target.health = proto.health() == v1::Target::UP     ? TargetHealth::kUp
                  : proto.health() == v1::Target::DOWN ? TargetHealth::kDown
                                                       : TargetHealth::kUnknown;
  target.scrape_interval = absl::Milliseconds(proto.scrape_interval_ms());
  target.scrape_timeout = absl::Milliseconds(proto.scrape_timeout_ms());
  return target;
}

}  // namespace

struct ScraperClient::Rep {
  template <typename Request, typename Response>
  absl::Status Call(grpc::Status (v1::Scraper::Stub::*method)(grpc::ClientContext*, const Request&,
                                                              Response*),
                    const Request& request, Response* response) {
    return UnaryCall(channel.get(), stub.get(), method, peer, call_timeout, request, response);
  }

  std::string peer;
  absl::Duration call_timeout;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Scraper::Stub> stub;
};

ScraperClient::ScraperClient(std::string endpoint, absl::Duration call_timeout)
    : endpoint_(std::move(endpoint)), rep_(std::make_unique<Rep>()) {
  rep_->peer = StrCat("scraper ", endpoint_);
  rep_->call_timeout = call_timeout;
  rep_->channel = MakeChannel(endpoint_);
  rep_->stub = v1::Scraper::NewStub(rep_->channel);
}

ScraperClient::~ScraperClient() = default;

absl::StatusOr<TargetsAnswer> ScraperClient::Targets(const TargetsQuery& query) {
  v1::TargetsRequest request;
  request.set_active(query.active);
  request.set_dropped(query.dropped);
  request.set_scrape_pool(query.scrape_pool);
  v1::TargetsResponse response;
  NARTHEX_RETURN_IF_ERROR(rep_->Call(&v1::Scraper::Stub::Targets, request, &response));
  TargetsAnswer answer;
  for (const v1::Target& proto : response.active()) {
    absl::StatusOr<ScrapeTarget> target = ToTarget(proto);
    if (!target.ok()) return Annotate(target.status(), rep_->peer);
    answer.active.push_back(*std::move(target));
  }
  for (const v1::DroppedTarget& proto : response.dropped()) {
    absl::StatusOr<Labels> labels = FromProto(proto.discovered_labels());
    if (!labels.ok()) return Annotate(labels.status(), rep_->peer);
    answer.dropped.push_back({*std::move(labels), proto.scrape_pool()});
  }
  answer.dropped_counts.insert(response.dropped_counts().begin(), response.dropped_counts().end());
  answer.scrape_pools.assign(response.scrape_pools().begin(), response.scrape_pools().end());
  return answer;
}

absl::StatusOr<std::vector<MetricMetadata>> ScraperClient::Metadata(std::string_view metric,
                                                                    bool per_target) {
  v1::MetadataRequest request;
  request.set_metric(std::string(metric));
  request.set_per_target(per_target);
  v1::MetadataResponse response;
  NARTHEX_RETURN_IF_ERROR(rep_->Call(&v1::Scraper::Stub::Metadata, request, &response));
  std::vector<MetricMetadata> answer;
  answer.reserve(static_cast<size_t>(response.metadata_size()));
  for (const v1::MetricMetadata& proto : response.metadata()) {
    absl::StatusOr<Labels> target = FromProto(proto.target());
    if (!target.ok()) return Annotate(target.status(), rep_->peer);
    answer.push_back(
        {proto.metric(), proto.type(), proto.help(), proto.unit(), *std::move(target)});
  }
  return answer;
}

absl::Status ScraperClient::Reload() {
  v1::ReloadResponse response;
  return rep_->Call(&v1::Scraper::Stub::Reload, v1::ReloadRequest(), &response);
}

}  // namespace narthex::rpc
