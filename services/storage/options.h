#ifndef NARTHEX_SERVICES_STORAGE_OPTIONS_H_
#define NARTHEX_SERVICES_STORAGE_OPTIONS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "lib/flags/flags.h"

namespace narthex::storage_service {

// What the flags say.
struct Options {
  std::string config_file;  // Empty: none.
  std::string path = "data/";
  std::string web_listen_address = ":9092";
  std::string grpc_listen_address = "127.0.0.1:10901";
  bool enable_lifecycle = false;
  bool enable_admin_api = false;
  // Open Append streams and long Selects that threads are held ready for.
  int64_t streams_max = 256;
  absl::Duration answer_stall_max = absl::Minutes(1);
  std::vector<std::string> features;  // --enable-feature, each maybe several with commas.

  // Look at the data, repair it, and end.
  bool fsck = false;
  bool fsck_dry_run = false;

  // What is kept. 0: not given.
  absl::Duration retention_time;
  uint64_t retention_size_bytes = 0;

  // How it is kept.
  absl::Duration block_range_min = absl::Hours(2);
  absl::Duration block_range_max;  // 0: a tenth of the retention, and at most 31 days.
  uint64_t segment_size_bytes = uint64_t{128} << 20;
  bool compress_log = true;
  std::string log_compression = "snappy";  // Or "zstd", "none"; of no meaning without the above.
  uint64_t chunk_segment_size_bytes = uint64_t{512} << 20;
  int64_t samples_per_chunk = 120;
  absl::Duration block_reload_interval = absl::Minutes(1);
  uint64_t disk_reserve_bytes = uint64_t{64} << 20;
  // With the feature delayed-compaction: the longest wait of a block that is due, as part of its
  // length.
  int64_t compaction_delay_max_percent = 10;
  std::string upload_list;  // File that says which blocks may be merged; empty: all.

  // What is taken. 0 is no limit where nothing else is said.
  int64_t exemplars_max = 100'000;  // 0 keeps none. The file beats it.
  int64_t series_max = 0;
  int64_t series_per_job_max = 0;
  absl::Duration sample_age_max;
  absl::Duration sample_future_max = absl::Hours(1);
  int64_t labels_max = 0;  // Of one series.
  int64_t label_name_bytes_max = 0;
  int64_t label_value_bytes_max = 0;

  // The endpoints of others on the HTTP port.
  bool enable_remote_write_receiver = true;
  std::vector<std::string> remote_write_messages;  // Empty: all.
  bool enable_otlp_receiver = true;
  int64_t remote_read_samples_max = 50'000'000;
  int64_t remote_read_concurrent_max = 10;
  int64_t remote_read_frame_bytes_max = int64_t{1} << 20;
};

void RegisterFlags(flags::FlagSet* flags, Options* options);

// InvalidArgument that names the flag whose value cannot be used.
absl::Status CheckOptions(const Options& options);

// Whether --enable-feature names `feature`.
bool HasFeature(const Options& options, std::string_view feature);
// Those names that mean nothing to this service.
std::vector<std::string> UnknownFeatures(const Options& options);

}  // namespace narthex::storage_service

#endif  // NARTHEX_SERVICES_STORAGE_OPTIONS_H_
