#include "services/scraper/options.h"

namespace narthex::scraper {

void RegisterFlags(flags::FlagSet* flags, Options* options) {
  flags->String("config.file", &options->config_file,
                "Prometheus configuration file; global and scrape_configs are ours.");
  flags->Strings("storage.endpoint", &options->storage_endpoints,
                 "A storage node that gets all samples: host:port or unix:path. Repeatable; "
                 "127.0.0.1:10901 when there is none.");
  flags->String("spool.path", &options->spool_path,
                "Folder for what storage has not acknowledged. One scraper a folder.");
  flags->Bytes("spool.size-max", &options->spool_size_max,
               "Bytes of the spool on disk; beyond it the oldest samples are dropped.");
  flags->String("web.listen-address", &options->web_listen_address, "Address of the HTTP port.");
  flags->String("grpc.listen-address", &options->grpc_listen_address,
                "Address of the gRPC port: host:port or unix:path.");
  flags->Bool("web.enable-lifecycle", &options->enable_lifecycle,
              "Serve /-/reload and /-/quit on the HTTP port.");
  flags->Bool("scrape.adjust-timestamps", &options->adjust_timestamps,
              "Give a scrape that begins close to its tick the tick as its timestamp.");
  flags->Duration("scrape.timestamp-tolerance", &options->timestamp_tolerance,
                  "How close that is; at most 1% of the scrape interval.");
  flags->Duration("scrape.discovery-reload-interval", &options->discovery_reload_interval,
                  "How long changes of discovered targets are gathered.");
  flags->Int("scrape.workers", &options->workers, "Threads that parse what targets answer.");

  for (const char* name :
       {"query.timeout", "query.max-samples", "query.max-concurrency", "query.lookback-delta",
        "rules.alert.resend-delay", "rules.alert.for-outage-tolerance",
        "rules.alert.for-grace-period", "alertmanager.notification-queue-capacity",
        "alertmanager.endpoint", "scraper.endpoint"}) {
    flags->OwnedBy(name, "query");
  }
  for (const char* name :
       {"storage.path", "storage.tsdb.path", "storage.retention.time",
        "storage.tsdb.retention.time", "storage.retention.size", "storage.tsdb.retention.size"}) {
    flags->OwnedBy(name, "storage");
  }
}

}  // namespace narthex::scraper
