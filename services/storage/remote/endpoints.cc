#include "services/storage/remote/endpoints.h"

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

Endpoints::Endpoints(const Options& options) : write_(WriteOptions(options, &cache_)) {}

void Endpoints::AddRoutes(http::Router* router) {
  router->Handle("POST", "/api/v1/write",
                 [this](const http::ServerRequest& request) { return write_.Handle(request); });
}

}  // namespace narthex::storage_remote
