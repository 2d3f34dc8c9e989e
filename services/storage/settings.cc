#include "services/storage/settings.h"

#include <algorithm>
#include <random>

#include "lib/base/duration.h"
#include "lib/base/strings.h"
#include "lib/config/byte_size.h"

namespace narthex::storage_service {
namespace {

constexpr absl::Duration kRetentionDefault = absl::Hours(24 * 15);

tsdb::HeadLimits MakeHeadLimits(const Options& options) {
  tsdb::HeadLimits limits;
  limits.future_max = options.sample_future_max;
  if (options.sample_age_max > absl::ZeroDuration()) limits.past_max = options.sample_age_max;
  if (options.series_max > 0) {
    limits.series_max = std::min(limits.series_max, static_cast<size_t>(options.series_max));
  }
  limits.series_per_job_max = static_cast<size_t>(options.series_per_job_max);
  limits.labels_max = static_cast<size_t>(options.labels_max);
  limits.label_name_bytes_max = static_cast<size_t>(options.label_name_bytes_max);
  limits.label_value_bytes_max = static_cast<size_t>(options.label_value_bytes_max);
  return limits;
}

}  // namespace

tsdb::DbSettings MakeDbSettings(const Options& options, const config::StorageConfig& config) {
  const config::TsdbConfig section = config.tsdb.value_or(config::TsdbConfig());
  const config::RetentionConfig retention = section.retention.value_or(config::RetentionConfig());
  tsdb::DbSettings settings;
  settings.retention_time = retention.time.value_or(options.retention_time);
  settings.retention_bytes = retention.size_bytes.has_value()
                                 ? static_cast<uint64_t>(*retention.size_bytes)
                                 : options.retention_size_bytes;
  settings.retention_percentage = retention.percentage.value_or(0);
  if (settings.retention_time == absl::ZeroDuration() && settings.retention_bytes == 0 &&
      settings.retention_percentage == 0) {
    settings.retention_time = kRetentionDefault;
  }
  settings.out_of_order_window = section.out_of_order_time_window;
  settings.xor2_floats =
      section.chunk_encoding_floats == "xor2" || HasFeature(options, "xor2-encoding");
  settings.stale_series_threshold = section.stale_series_compaction_threshold;
  const int64_t exemplars_max = config.max_exemplars.value_or(options.exemplars_max);
  settings.exemplars_max = exemplars_max > 0 ? static_cast<size_t>(exemplars_max) : 0;
  return settings;
}

tsdb::DbOptions MakeDbOptions(const Options& options, const config::StorageConfig& config) {
  tsdb::DbOptions db;
  db.path = options.path;
  db.settings = MakeDbSettings(options, config);
  db.log.segment_size_bytes = options.segment_size_bytes;
  db.log.compress = options.compress_log && options.log_compression != "none";
  db.log.zstd = options.log_compression == "zstd";
  const int64_t range_ms = absl::ToInt64Milliseconds(options.block_range_min);
  db.head.chunks.samples_target = static_cast<int>(options.samples_per_chunk);
  db.head.chunks.range_ms = range_ms;
  const bool start_timestamps = HasFeature(options, "st-storage");
  db.head.chunks.start_timestamps = start_timestamps;
  db.head.ooo.start_timestamps = start_timestamps;
  db.chunk_segment_size_bytes = options.chunk_segment_size_bytes;
  db.head.limits = MakeHeadLimits(options);
  db.head.exemplars_max = db.settings.exemplars_max;
  if (HasFeature(options, "delayed-compaction")) {
    std::random_device device;
    db.compaction_delay = absl::Milliseconds(std::uniform_int_distribution<int64_t>(
        0, range_ms * options.compaction_delay_max_percent / 100)(device));
  }
  db.block_range_min_ms = range_ms;
  db.block_range_max_ms = absl::ToInt64Milliseconds(options.block_range_max);
  db.disk_reserve_bytes = options.disk_reserve_bytes;
  return db;
}

std::string RetentionText(const tsdb::DbSettings& settings) {
  std::string text;
  const auto add = [&text](std::string_view part) {
    if (!text.empty()) text += " or ";
    text += part;
  };
  if (settings.retention_time > absl::ZeroDuration()) {
    add(FormatPrometheusDuration(settings.retention_time));
  }
  if (settings.retention_bytes > 0) {
    add(config::FormatByteSize(static_cast<int64_t>(settings.retention_bytes)));
  }
  if (settings.retention_percentage > 0) add(StrCat(settings.retention_percentage, "%"));
  return text;
}

}  // namespace narthex::storage_service
