#include "services/storage/options.h"

namespace narthex::storage_service {

void RegisterFlags(flags::FlagSet* flags, Options* options) {
  flags->String("config.file", &options->config_file,
                "Prometheus configuration file; global, storage, remote_write and otlp are ours.");
  flags->String("storage.path", &options->path, "Folder of the data.");
  flags->Alias("storage.tsdb.path", "storage.path");
  flags->Duration("storage.retention.time", &options->retention_time,
                  "How long samples are kept. 0 is for ever.");
  flags->Alias("storage.tsdb.retention.time", "storage.retention.time");
  flags->Bytes("storage.retention.size", &options->retention_size_bytes,
               "How many bytes are kept. 0 is no limit.");
  flags->Alias("storage.tsdb.retention.size", "storage.retention.size");
  flags->String("web.listen-address", &options->web_listen_address, "Address of the HTTP port.");
  flags->String("grpc.listen-address", &options->grpc_listen_address,
                "Address of the gRPC port: host:port or unix:path.");
  flags->Bool("web.enable-lifecycle", &options->enable_lifecycle,
              "Serve /-/reload and /-/quit on the HTTP port.");
  flags->Bytes("storage.tsdb.wal-segment-size", &options->segment_size_bytes,
               "Size of the files of the write-ahead log.");
  flags->Bool("storage.tsdb.wal-compression", &options->compress_log,
              "Compress the write-ahead log with snappy.");
  flags->Int("grpc.streams-max", &options->streams_max,
             "Append streams and long Selects that may be open at once.");

  flags->Ignored("storage.tsdb.no-lockfile", false, "the folder is always locked");
  for (const char* name :
       {"query.timeout", "query.max-samples", "query.max-concurrency", "query.lookback-delta",
        "rules.alert.resend-delay", "rules.alert.for-outage-tolerance",
        "rules.alert.for-grace-period", "alertmanager.notification-queue-capacity",
        "alertmanager.endpoint", "scraper.endpoint", "storage.endpoint"}) {
    flags->OwnedBy(name, "query");
  }
  for (const char* name : {"spool.path", "spool.size-max"}) flags->OwnedBy(name, "scraper");
}

}  // namespace narthex::storage_service
