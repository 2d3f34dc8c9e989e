#include "services/storage/remote/endpoints.h"

#include <utility>

namespace narthex::storage_remote {
namespace {

// A body longer than this is answered with 413, as upstream bounds OTLP.
constexpr size_t kOtlpBytesMax = size_t{64} << 20;

otlp::NameOptions NamesOf(const config::OtlpConfig& config) {
  otlp::NameOptions names;
  const std::string& strategy = config.translation_strategy;
  names.escape = strategy.starts_with("UnderscoreEscaping");
  names.suffixes = strategy.ends_with("WithSuffixes");
  names.underscore_sanitization = config.label_name_underscore_sanitization;
  names.preserve_multiple_underscores = config.label_name_preserve_multiple_underscores;
  return names;
}

}  // namespace

Endpoints::Endpoints(const Options& options)
    : options_(options),
      write_([&] {
        WriteHandler::Options write;
        write.db = options.db;
        write.cache = &cache_;
        write.metadata_cache = &metadata_cache_;
        write.clock = options.clock;
        write.logger = options.logger;
        write.registry = options.registry;
        write.messages = options.write_messages;
        return write;
      }()),
      otlp_([&] {
        OtlpHandler::Options otlp;
        otlp.db = options.db;
        otlp.cache = &cache_;
        otlp.metadata_cache = &metadata_cache_;
        otlp.clock = options.clock;
        otlp.logger = options.logger;
        otlp.registry = options.registry;
        otlp.settings = [this] { return applied()->otlp; };
        return otlp;
      }()),
      querier_(options.db, options.clock),
      read_([&] {
        remote::ReadHandlerOptions read;
        read.querier = &querier_;
        read.external_labels = [this] { return applied()->external_labels; };
        read.registry = options.registry;
        read.samples_max = options.read_samples_max;
        read.concurrency_max = options.read_concurrency_max;
        read.frame_bytes_max = options.read_frame_bytes_max;
        return read;
      }()),
      applied_(Make({})) {}

std::shared_ptr<const Endpoints::Applied> Endpoints::Make(
    const config::PrometheusConfig& config) const {
  auto settings = std::make_shared<otlp::Settings>();
  settings->names = NamesOf(config.otlp);
  settings->promote_all_resource_attributes = config.otlp.promote_all_resource_attributes;
  const std::vector<std::string>& attributes = config.otlp.promote_all_resource_attributes
                                                   ? config.otlp.ignore_resource_attributes
                                                   : config.otlp.promote_resource_attributes;
  settings->resource_attributes.insert(attributes.begin(), attributes.end());
  settings->keep_identifying_resource_attributes = config.otlp.keep_identifying_resource_attributes;
  settings->convert_histograms_to_nhcb = config.otlp.convert_histograms_to_nhcb;
  settings->promote_scope_metadata = config.otlp.promote_scope_metadata;
  settings->type_and_unit_labels = options_.type_and_unit_labels;
  settings->delta = options_.otlp_delta;
  auto applied = std::make_shared<Applied>();
  applied->external_labels = config.global.external_labels;
  applied->otlp = std::move(settings);
  return applied;
}

void Endpoints::Apply(const config::PrometheusConfig& config) {
  std::shared_ptr<const Applied> made = Make(config);
  MutexLock lock(&mu_);
  applied_ = std::move(made);
}

std::shared_ptr<const Endpoints::Applied> Endpoints::applied() const {
  MutexLock lock(&mu_);
  return applied_;
}

http::ServerResponse Endpoints::Write(std::string_view content_type,
                                      std::string_view content_encoding, std::string_view body) {
  if (!options_.enable_write) {
    return http::ServerResponse::Error(
        404, "remote write receiver needs to be enabled with --web.enable-remote-write-receiver");
  }
  return write_.Write(content_type, content_encoding, body);
}

http::ServerResponse Endpoints::WriteOtlp(std::string_view content_type,
                                          std::string_view content_encoding,
                                          std::string_view body) {
  if (!options_.enable_otlp) {
    return http::ServerResponse::Error(
        404, "otlp write receiver needs to be enabled with --web.enable-otlp-receiver");
  }
  return otlp_.Write(content_type, content_encoding, body);
}

void Endpoints::AddRoutes(http::Router* router) {
  using Writer =
      http::ServerResponse (Endpoints::*)(std::string_view, std::string_view, std::string_view);
  const auto with = [this](Writer writer) {
    return [this, writer](const http::ServerRequest& request) {
      return (this->*writer)(request.headers.Get("Content-Type"),
                             request.headers.Get("Content-Encoding"), request.body);
    };
  };
  router->Handle("POST", "/api/v1/write", with(&Endpoints::Write));
  router->Handle("POST", "/api/v1/otlp/v1/metrics", with(&Endpoints::WriteOtlp), kOtlpBytesMax);
  router->Handle("POST", "/api/v1/read",
                 [this](const http::ServerRequest& request) { return read_.Handle(request); });
}

rpc::IngestAnswer Endpoints::Ingest(const rpc::IngestCall& call) {
  const bool otlp = call.protocol == rpc::IngestCall::Protocol::kOtlp;
  http::ServerResponse response =
      otlp ? WriteOtlp(call.content_type, call.content_encoding, call.body)
           : Write(call.content_type, call.content_encoding, call.body);
  rpc::IngestAnswer answer;
  answer.status = response.status;
  answer.content_type = std::move(response.content_type);
  answer.body = std::move(response.body);
  answer.headers = response.headers.fields();
  return answer;
}

}  // namespace narthex::storage_remote
