// The clients of scraper and alertmanager, against services of the test's in this process.
#include <grpcpp/grpcpp.h>

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/mutex.h"
#include "lib/base/strings.h"
#include "lib/rpc/alertmanager_client.h"
#include "lib/rpc/convert.h"
#include "lib/rpc/scraper_client.h"
#include "lib/rpc/server.h"
#include "lib/rpc/status.h"
#include "narthex/v1/alertmanager.grpc.pb.h"
#include "narthex/v1/scraper.grpc.pb.h"

namespace narthex::rpc {
namespace {

class FakeScraper : public v1::Scraper::Service {
 public:
  grpc::Status Targets(grpc::ServerContext*, const v1::TargetsRequest* request,
                       v1::TargetsResponse* response) override {
    if (request->active()) {
      v1::Target* target = response->add_active();
      ToProto(Labels{{"__address__", "x:1"}}, target->mutable_discovered_labels());
      ToProto(Labels{{"instance", "x:1"}}, target->mutable_labels());
      target->set_scrape_pool(request->scrape_pool());
      target->set_scrape_url("http://x:1/metrics");
      target->set_last_error("refused");
      target->set_last_scrape_ns(1'700'000'000'000'000'000);
      target->set_last_scrape_duration_seconds(0.25);
      target->set_health(v1::Target::DOWN);
      target->set_scrape_interval_ms(15'000);
      target->set_scrape_timeout_ms(10'000);
      response->add_active()->set_scrape_pool("fresh");
    }
    if (request->dropped()) {
      v1::DroppedTarget* dropped = response->add_dropped();
      ToProto(Labels{{"__address__", "y:1"}}, dropped->mutable_discovered_labels());
      (*response->mutable_dropped_counts())["a"] = 7;
    }
    response->add_scrape_pools("a");
    return grpc::Status::OK;
  }
  grpc::Status Metadata(grpc::ServerContext*, const v1::MetadataRequest* request,
                        v1::MetadataResponse* response) override {
    v1::MetricMetadata* metadata = response->add_metadata();
    metadata->set_metric(request->metric());
    metadata->set_type("counter");
    metadata->set_help("h");
    if (request->per_target()) {
      v1::Label* label = metadata->mutable_target()->add_labels();
      label->set_value("a label without a name");
    }
    return grpc::Status::OK;
  }
  grpc::Status Reload(grpc::ServerContext*, const v1::ReloadRequest*,
                      v1::ReloadResponse*) override {
    return {grpc::StatusCode::INVALID_ARGUMENT, "bad file"};
  }
};

class FakeAlertmanager : public v1::Alertmanager::Service {
 public:
  grpc::Status PostAlerts(grpc::ServerContext*, const v1::PostAlertsRequest* request,
                          v1::PostAlertsResponse* response) override {
    MutexLock lock(&mu_);
    for (const v1::Alert& alert : request->alerts()) alerts_.push_back(FromProto(alert).value());
    if (request->alerts_size() > 1) response->add_errors("alert 1: no labels");
    return grpc::Status::OK;
  }
  std::vector<Alert> alerts() {
    MutexLock lock(&mu_);
    return alerts_;
  }

 private:
  Mutex mu_;
  std::vector<Alert> alerts_ ABSL_GUARDED_BY(mu_);
};

TEST_CASE("The scraper client brings targets and metadata") {
  FakeScraper service;
  auto server = Server::Create(ServerOptions(), {&service}).value();
  ScraperClient client(StrCat("127.0.0.1:", server->port()), absl::Seconds(10));
  TargetsQuery query;
  query.scrape_pool = "pool";
  const TargetsAnswer answer = client.Targets(query).value();
  REQUIRE(answer.active.size() == 2);
  const ScrapeTarget& target = answer.active[0];
  CHECK(target.discovered_labels == Labels{{"__address__", "x:1"}});
  CHECK(target.labels == Labels{{"instance", "x:1"}});
  CHECK(target.scrape_pool == "pool");
  CHECK(target.scrape_url == "http://x:1/metrics");
  CHECK(target.last_error == "refused");
  CHECK(target.last_scrape == absl::FromUnixSeconds(1'700'000'000));
  CHECK(target.last_scrape_duration == absl::Milliseconds(250));
  CHECK(target.health == TargetHealth::kDown);
  CHECK(target.scrape_interval == absl::Seconds(15));
  CHECK(target.scrape_timeout == absl::Seconds(10));
  CHECK(answer.active[1].last_scrape == absl::InfinitePast());
  CHECK(answer.active[1].health == TargetHealth::kUnknown);
  CHECK(answer.dropped.at(0).discovered_labels == Labels{{"__address__", "y:1"}});
  CHECK(answer.dropped_counts == std::map<std::string, uint64_t>{{"a", 7}});
  query.active = query.dropped = false;
  CHECK(client.Targets(query)->active.empty());
  CHECK(client.Targets(query)->scrape_pools == std::vector<std::string>{"a"});
  CHECK(client.Metadata("up", false)->at(0).metric == "up");
  // What makes no sense is refused, with the name of who said it.
  const absl::Status bad = client.Metadata("up", true).status();
  CHECK(absl::IsInvalidArgument(bad));
  CHECK(Message(bad).substr(0, 8) == "scraper ");
  const absl::Status reload = client.Reload();
  CHECK(Message(reload) == StrCat("scraper ", client.endpoint(), ": bad file"));
}

TEST_CASE("The alertmanager client delivers alerts and brings complaints back") {
  FakeAlertmanager service;
  auto server = Server::Create(ServerOptions(), {&service}).value();
  AlertmanagerClient client(StrCat("127.0.0.1:", server->port()));
  Alert alert;
  alert.labels = Labels{{"alertname", "x"}};
  alert.ends_at = absl::FromUnixSeconds(1'700'000'000);
  CHECK(client.PostAlerts(std::vector<Alert>{alert}, absl::Seconds(10))->empty());
  REQUIRE(service.alerts().size() == 1);
  CHECK(service.alerts()[0].labels == alert.labels);
  CHECK(service.alerts()[0].ends_at == alert.ends_at);
  CHECK(client.PostAlerts(std::vector<Alert>{alert, alert}, absl::Seconds(10)).value() ==
        std::vector<std::string>{"alert 1: no labels"});
  server->Stop(absl::Seconds(1));
  const absl::Status away =
      client.PostAlerts(std::vector<Alert>{alert}, absl::Seconds(10)).status();
  CHECK(absl::IsUnavailable(away));
  CHECK(Message(away).find(client.endpoint()) != std::string_view::npos);
}

}  // namespace
}  // namespace narthex::rpc
