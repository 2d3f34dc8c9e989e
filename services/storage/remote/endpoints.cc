#include "services/storage/remote/endpoints.h"

#include <utility>

namespace narthex::storage_remote {
namespace {

WriteHandler::Options WriteOptions(const Endpoints::Options& options, SeriesCache* cache) {
  WriteHandler::Options write;
  write.db = options.db;
  write.cache = cache;
  write.clock = options.clock;
  write.logger = options.logger;
  write.registry = options.registry;
  return write;
}

}  // namespace

Endpoints::Endpoints(const Options& options)
    : write_(WriteOptions(options, &cache_)), querier_(options.db, options.clock), read_([&] {
        remote::ReadHandlerOptions read;
        read.querier = &querier_;
        read.external_labels = [this] { return applied()->external_labels; };
        read.registry = options.registry;
        return read;
      }()) {}

void Endpoints::Apply(const config::PrometheusConfig& config) {
  auto applied = std::make_shared<Applied>();
  applied->external_labels = config.global.external_labels;
  MutexLock lock(&mu_);
  applied_ = std::move(applied);
}

std::shared_ptr<const Endpoints::Applied> Endpoints::applied() const {
  MutexLock lock(&mu_);
  return applied_;
}

void Endpoints::AddRoutes(http::Router* router) {
  router->Handle("POST", "/api/v1/write",
                 [this](const http::ServerRequest& request) { return write_.Handle(request); });
  router->Handle("POST", "/api/v1/read",
                 [this](const http::ServerRequest& request) { return read_.Handle(request); });
}

}  // namespace narthex::storage_remote
