#ifndef NARTHEX_LIB_CONFIG_STORAGE_CONFIG_H_
#define NARTHEX_LIB_CONFIG_STORAGE_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"

// The `storage` section. Plain data.
namespace narthex::config {

// What the file says about retention; it beats the flags where it says something.
struct RetentionConfig {
  std::optional<absl::Duration> time;
  std::optional<int64_t> size_bytes;
  std::optional<double> percentage;  // 0 to 100, of the file system.
  friend bool operator==(const RetentionConfig&, const RetentionConfig&) = default;
};

struct TsdbConfig {
  absl::Duration out_of_order_time_window;
  double stale_series_compaction_threshold = 0;
  std::optional<RetentionConfig> retention;
  std::string chunk_encoding_floats = "xor";  // Or "xor2".
  friend bool operator==(const TsdbConfig&, const TsdbConfig&) = default;
};

struct StorageConfig {
  std::optional<TsdbConfig> tsdb;
  std::optional<int64_t> max_exemplars;  // exemplars.max_exemplars
  friend bool operator==(const StorageConfig&, const StorageConfig&) = default;
};

}  // namespace narthex::config

#endif  // NARTHEX_LIB_CONFIG_STORAGE_CONFIG_H_
