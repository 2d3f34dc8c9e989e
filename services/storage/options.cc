#include "services/storage/options.h"

#include <algorithm>
#include <iterator>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"

namespace narthex::storage_service {
namespace {

// Features that change something here…
constexpr std::string_view kFeatures[] = {"delayed-compaction",          "otlp-deltatocumulative",
                                          "otlp-native-delta-ingestion", "st-storage",
                                          "type-and-unit-labels",        "xor2-encoding"};
// …and upstream's whose work is always done.
constexpr std::string_view kAlwaysOn[] = {"exemplar-storage", "memory-snapshot-on-shutdown",
                                          "metadata-wal-records", "native-histograms"};
// …and those of other services, which get the same command line.
constexpr std::string_view kOfOthers[] = {
    "auto-gomaxprocs",
    "auto-gomemlimit",
    "concurrent-rule-eval",
    "created-timestamp-zero-ingestion",
    "extra-scrape-metrics",
    "promql-at-modifier",
    "promql-binop-fill-modifiers",
    "promql-delayed-name-removal",
    "promql-experimental-functions",
    "promql-extended-range-selectors",
    "promql-negative-offset",
    "promql-per-step-stats",
};

void RegisterRetention(flags::FlagSet* flags, Options* options) {
  flags->Duration("storage.retention.time", &options->retention_time,
                  "How long samples are kept. Neither this nor a size: 15 days.");
  flags->Alias("storage.tsdb.retention.time", "storage.retention.time");
  flags->Alias("storage.tsdb.retention", "storage.retention.time");
  flags->Bytes("storage.retention.size", &options->retention_size_bytes,
               "How many bytes are kept: blocks, log and head chunks together. 0 is no limit.");
  flags->Alias("storage.tsdb.retention.size", "storage.retention.size");
}

void RegisterLayout(flags::FlagSet* flags, Options* options) {
  flags->Duration("storage.tsdb.min-block-duration", &options->block_range_min,
                  "How long a block is when it is first written.");
  flags->Duration("storage.tsdb.max-block-duration", &options->block_range_max,
                  "How long a block may become by compaction. Default: a tenth of the retention, "
                  "at most 31 days.");
  flags->Bytes("storage.tsdb.max-block-chunk-segment-size", &options->chunk_segment_size_bytes,
               "Size of the files of chunks in a block.");
  flags->Bytes("storage.tsdb.wal-segment-size", &options->segment_size_bytes,
               "Size of the files of the write-ahead log.");
  flags->Bool("storage.tsdb.wal-compression", &options->compress_log,
              "Compress the write-ahead log.");
  flags->Enum("storage.tsdb.wal-compression-type", &options->log_compression,
              {"snappy", "zstd", "none"}, "How the write-ahead log is compressed.");
  flags->Int("storage.tsdb.samples-per-chunk", &options->samples_per_chunk,
             "Samples that a chunk is meant to have.");
  flags->Duration("storage.tsdb.block-reload-interval", &options->block_reload_interval,
                  "How often the folder is looked at for blocks that others put there or took "
                  "away, and the retention is applied.");
  flags->Int("storage.tsdb.delayed-compaction.max-percent", &options->compaction_delay_max_percent,
             "With the feature delayed-compaction: a block that is due is written after a random "
             "part of its length, at most so many percent.");
  flags->String("storage.tsdb.delay-compact-file.path", &options->upload_list,
                "JSON file of a program that copies blocks away; those that are not in its list "
                "\"uploaded\" are not merged yet.");
  flags->Bytes("storage.disk-reserve", &options->disk_reserve_bytes,
               "With less free than this on the disk nothing is accepted until there is more.");
}

void RegisterLimits(flags::FlagSet* flags, Options* options) {
  flags->Int("storage.exemplars.max-exemplars", &options->exemplars_max,
             "Exemplars that are kept; 0 keeps none. The configuration's "
             "storage.exemplars.max_exemplars beats it.");
  flags->Int("storage.limits.series", &options->series_max,
             "Series in memory; new ones beyond it are refused, known ones go on. 0 is no limit.");
  flags->Int("storage.limits.series-per-job", &options->series_per_job_max,
             "The same for each value of the label job.");
  flags->Duration("storage.limits.sample-age", &options->sample_age_max,
                  "Samples this much older than the clock are refused. 0 is no limit.");
  flags->Duration("storage.limits.sample-future", &options->sample_future_max,
                  "Samples this much ahead of the clock are refused.");
  flags->Int("storage.limits.labels-per-series", &options->labels_max,
             "Labels of one series; more are refused. 0 is no limit.");
  flags->Int("storage.limits.label-name-length", &options->label_name_bytes_max,
             "Bytes of a label name; longer ones are refused. 0 is no limit.");
  flags->Int("storage.limits.label-value-length", &options->label_value_bytes_max,
             "Bytes of a label value; longer ones are refused. 0 is no limit.");
}

void RegisterRemote(flags::FlagSet* flags, Options* options) {
  flags->Bool(
      "web.enable-remote-write-receiver", &options->enable_remote_write_receiver,
      "Take remote write requests at /api/v1/write on the HTTP port. On, unless it is false.");
  flags->Strings("web.remote-write-receiver.accepted-protobuf-messages",
                 &options->remote_write_messages,
                 "Messages that remote write may send: prometheus.WriteRequest, "
                 "io.prometheus.write.v2.Request; may be repeated. Both when none is named.");
  flags->Bool("web.enable-otlp-receiver", &options->enable_otlp_receiver,
              "Take OTLP metrics at /api/v1/otlp/v1/metrics on the HTTP port. On, unless it is "
              "false.");
  flags->Int("storage.remote.read-sample-limit", &options->remote_read_samples_max,
             "Samples that one remote read may get. 0 is no limit.");
  flags->Int("storage.remote.read-concurrent-limit", &options->remote_read_concurrent_max,
             "Remote reads at once. 0 is no limit.");
  flags->Int("storage.remote.read-max-bytes-in-frame", &options->remote_read_frame_bytes_max,
             "Bytes of one frame of a streamed remote read.");
}

template <size_t N>
bool IsIn(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

std::vector<std::string_view> FeatureNames(const Options& options) {
  std::vector<std::string_view> names;
  for (const std::string& list : options.features) {
    for (const std::string_view name : Split(list, ',')) {
      if (!TrimSpace(name).empty()) names.push_back(TrimSpace(name));
    }
  }
  return names;
}

}  // namespace

void RegisterFlags(flags::FlagSet* flags, Options* options) {
  flags->String("config.file", &options->config_file,
                "Prometheus configuration file; global, storage, remote_write and otlp are ours.");
  flags->String("storage.path", &options->path, "Folder of the data.");
  flags->Alias("storage.tsdb.path", "storage.path");
  flags->String("web.listen-address", &options->web_listen_address, "Address of the HTTP port.");
  flags->String("grpc.listen-address", &options->grpc_listen_address,
                "Address of the gRPC port: host:port or unix:path.");
  flags->Bool("web.enable-lifecycle", &options->enable_lifecycle,
              "Serve /-/reload and /-/quit on the HTTP port.");
  flags->Bool("web.enable-admin-api", &options->enable_admin_api,
              "Let query delete series, clean tombstones and take snapshots over gRPC.");
  flags->Int("grpc.streams-max", &options->streams_max,
             "Append streams and long Selects that may be open at once.");
  flags->Duration("grpc.answer-stall-max", &options->answer_stall_max,
                  "An answer whose receiver takes nothing for so long is ended.");
  flags->Strings("enable-feature", &options->features,
                 "Comma separated feature names to enable: delayed-compaction, "
                 "otlp-deltatocumulative, otlp-native-delta-ingestion, st-storage, "
                 "type-and-unit-labels, xor2-encoding.");
  flags->Bool("fsck", &options->fsck,
              "Check the folder of the data, move what is damaged to its quarantine folder, say "
              "what was found, and end.");
  flags->Bool("fsck.dry-run", &options->fsck_dry_run,
              "With --fsck: say what is damaged and change nothing.");
  RegisterRetention(flags, options);
  RegisterLayout(flags, options);
  RegisterLimits(flags, options);
  RegisterRemote(flags, options);

  flags->Ignored("storage.tsdb.no-lockfile", false, "the folder is always locked");
  flags->Ignored("storage.tsdb.use-lockfile", false, "the folder is always locked");
  flags->Ignored("storage.tsdb.allow-overlapping-blocks", false,
                 "blocks may overlap, and are merged");
  flags->Ignored("storage.tsdb.allow-overlapping-compaction", false,
                 "blocks that overlap are always merged");
  flags->Ignored("storage.tsdb.head-chunks-write-queue-size", true,
                 "chunks are written by the thread that maintains the data");
  for (const char* name :
       {"query.timeout", "query.max-samples", "query.max-concurrency", "query.lookback-delta",
        "rules.alert.resend-delay", "rules.alert.for-outage-tolerance",
        "rules.alert.for-grace-period", "alertmanager.notification-queue-capacity",
        "alertmanager.endpoint", "scraper.endpoint", "storage.endpoint"}) {
    flags->OwnedBy(name, "query");
  }
  for (const char* name : {"spool.path", "spool.size-max"}) flags->OwnedBy(name, "scraper");
}

absl::Status CheckOptions(const Options& options) {
  constexpr uint64_t kMiB = uint64_t{1} << 20;
  constexpr uint64_t kSegmentMin = 8 * kMiB;
  constexpr uint64_t kSegmentMax = 1024 * kMiB;
  constexpr uint64_t kPage = uint64_t{32} << 10;
  const auto in_range = [](std::string_view flag, int64_t value, int64_t min, int64_t max) {
    if (value >= min && value <= max) return absl::OkStatus();
    return InvalidArgument("--", flag, " must be between ", min, " and ", max);
  };
  if (options.segment_size_bytes < kSegmentMin || options.segment_size_bytes > kSegmentMax ||
      options.segment_size_bytes % kPage != 0) {
    return InvalidArgument(
        "--storage.tsdb.wal-segment-size must be a multiple of 32KiB between 8MiB and 1GiB");
  }
  if (options.chunk_segment_size_bytes < kMiB || options.chunk_segment_size_bytes > 512 * kMiB) {
    return InvalidArgument(
        "--storage.tsdb.max-block-chunk-segment-size must be between 1MiB and 512MiB");
  }
  if (options.block_range_min < absl::Minutes(1) ||
      options.block_range_min > absl::Hours(24 * 31) ||
      options.block_range_min % absl::Milliseconds(1) != absl::ZeroDuration()) {
    return InvalidArgument("--storage.tsdb.min-block-duration must be between 1m and 31d");
  }
  if (options.block_range_max != absl::ZeroDuration() &&
      options.block_range_max < options.block_range_min) {
    return InvalidArgument(
        "--storage.tsdb.max-block-duration must not be less than "
        "--storage.tsdb.min-block-duration");
  }
  if (options.block_reload_interval < absl::Seconds(1)) {
    return InvalidArgument("--storage.tsdb.block-reload-interval must be at least 1s");
  }
  NARTHEX_RETURN_IF_ERROR(in_range("storage.tsdb.delayed-compaction.max-percent",
                                   options.compaction_delay_max_percent, 1, 100));
  if (options.answer_stall_max < absl::Seconds(1)) {
    return InvalidArgument("--grpc.answer-stall-max must be at least 1s");
  }
  if (options.sample_future_max <= absl::ZeroDuration()) {
    return InvalidArgument("--storage.limits.sample-future must be positive");
  }
  if (options.fsck_dry_run && !options.fsck) {
    return InvalidArgument("--fsck.dry-run goes with --fsck");
  }
  constexpr int64_t kMany = int64_t{1} << 40;
  NARTHEX_RETURN_IF_ERROR(in_range("grpc.streams-max", options.streams_max, 1, 100'000));
  NARTHEX_RETURN_IF_ERROR(
      in_range("storage.tsdb.samples-per-chunk", options.samples_per_chunk, 4, 10'000));
  NARTHEX_RETURN_IF_ERROR(
      in_range("storage.exemplars.max-exemplars", options.exemplars_max, 0, 1'000'000'000));
  NARTHEX_RETURN_IF_ERROR(in_range("storage.limits.series", options.series_max, 0, kMany));
  NARTHEX_RETURN_IF_ERROR(
      in_range("storage.limits.series-per-job", options.series_per_job_max, 0, kMany));
  NARTHEX_RETURN_IF_ERROR(
      in_range("storage.limits.labels-per-series", options.labels_max, 0, kMany));
  NARTHEX_RETURN_IF_ERROR(
      in_range("storage.limits.label-name-length", options.label_name_bytes_max, 0, kMany));
  NARTHEX_RETURN_IF_ERROR(
      in_range("storage.limits.label-value-length", options.label_value_bytes_max, 0, kMany));
  NARTHEX_RETURN_IF_ERROR(
      in_range("storage.remote.read-sample-limit", options.remote_read_samples_max, 0, kMany));
  NARTHEX_RETURN_IF_ERROR(in_range("storage.remote.read-concurrent-limit",
                                   options.remote_read_concurrent_max, 0, 100'000));
  NARTHEX_RETURN_IF_ERROR(in_range("storage.remote.read-max-bytes-in-frame",
                                   options.remote_read_frame_bytes_max, 1024, int64_t{1} << 30));
  for (const std::string& message : options.remote_write_messages) {
    if (message == "prometheus.WriteRequest" || message == "io.prometheus.write.v2.Request") {
      continue;
    }
    return InvalidArgument("--web.remote-write-receiver.accepted-protobuf-messages: unknown type ",
                           Quote(message));
  }
  return absl::OkStatus();
}

bool HasFeature(const Options& options, std::string_view feature) {
  const std::vector<std::string_view> names = FeatureNames(options);
  return std::find(names.begin(), names.end(), feature) != names.end();
}

std::vector<std::string> UnknownFeatures(const Options& options) {
  std::vector<std::string> unknown;
  for (const std::string_view name : FeatureNames(options)) {
    if (!IsIn(kFeatures, name) && !IsIn(kAlwaysOn, name) && !IsIn(kOfOthers, name)) {
      unknown.emplace_back(name);
    }
  }
  return unknown;
}

}  // namespace narthex::storage_service
