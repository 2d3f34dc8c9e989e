#include "lib/config/storage_config.h"

#include "lib/base/strings.h"
#include "lib/config/byte_size.h"
#include "lib/config/codec.h"

namespace narthex::config {

// A byte size that may be absent and must not be negative.
static void SizeField(yaml::Mapping& fields, std::string_view key, std::optional<int64_t>& bytes) {
  fields.Each(key, [&bytes](const yaml::Value& value) -> absl::Status {
    std::string text;
    NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(value, &text));
    if (text.empty()) return absl::OkStatus();
    const absl::StatusOr<int64_t> parsed = ParseByteSize(text);
    if (!parsed.ok()) return value.Error(Message(parsed.status()));
    if (*parsed < 0) {
      return value.Error("'storage.tsdb.retention.size' must be greater than or equal to 0, got ",
                         text);
    }
    bytes = *parsed;
    return absl::OkStatus();
  });
}
static void SizeField(yaml::MappingWriter& fields, std::string_view key,
                      std::optional<int64_t>& bytes) {
  if (bytes.has_value()) {
    fields.Add(key, yaml::EncodeYaml(FormatByteSize(*bytes)), yaml::Policy::kAlways);
  }
}

template <typename Fields>
void ListFields(Fields& fields, RetentionConfig& config) {
  fields("time", config.time);
  SizeField(fields, "size", config.size_bytes);
  fields("percentage", config.percentage);
}
absl::Status DecodeYaml(const yaml::Value& value, RetentionConfig* out) {
  yaml::Mapping fields(value, "config.plain");
  ListFields(fields, *out);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  if (out->percentage.has_value() && !(*out->percentage >= 0 && *out->percentage <= 100)) {
    return fields.ErrorAt("percentage",
                          StrCat("'storage.tsdb.retention.percentage' must be in the range "
                                 "[0, 100], got ",
                                 *out->percentage));
  }
  return absl::OkStatus();
}
yaml::Tree EncodeYaml(const RetentionConfig& config) { return yaml::WriteFields(config); }

// chunk_encoding is a mapping of one key.
static void ChunkEncodingField(yaml::Mapping& fields, TsdbConfig& config) {
  fields.Each("chunk_encoding", [&config](const yaml::Value& value) -> absl::Status {
    yaml::Mapping inner(value, "config.plain");
    inner("floats", config.chunk_encoding_floats);
    NARTHEX_RETURN_IF_ERROR(inner.Finish());
    if (config.chunk_encoding_floats != "xor" && config.chunk_encoding_floats != "xor2") {
      return inner.ErrorAt("floats",
                           StrCat("'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', "
                                  "or the field must be omitted entirely, got ",
                                  Quote(config.chunk_encoding_floats)));
    }
    return absl::OkStatus();
  });
}
static void ChunkEncodingField(yaml::MappingWriter& fields, TsdbConfig& config) {
  if (config.chunk_encoding_floats == TsdbConfig().chunk_encoding_floats) return;
  yaml::MappingWriter inner;
  inner("floats", config.chunk_encoding_floats);
  fields.Add("chunk_encoding", inner.Take());
}

template <typename Fields>
void ListFields(Fields& fields, TsdbConfig& config) {
  fields("out_of_order_time_window", config.out_of_order_time_window);
  fields("stale_series_compaction_threshold", config.stale_series_compaction_threshold);
  fields("retention", config.retention);
  ChunkEncodingField(fields, config);
}
absl::Status DecodeYaml(const yaml::Value& value, TsdbConfig* out) {
  yaml::Mapping fields(value, "config.plain");
  ListFields(fields, *out);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  const double threshold = out->stale_series_compaction_threshold;
  if (!(threshold >= 0 && threshold <= 1)) {
    return fields.ErrorAt("stale_series_compaction_threshold",
                          StrCat("'storage.tsdb.stale_series_compaction_threshold' must be in the "
                                 "range [0, 1], got ",
                                 threshold));
  }
  return absl::OkStatus();
}
yaml::Tree EncodeYaml(const TsdbConfig& config) { return yaml::WriteFields(config); }

static void ExemplarsField(yaml::Mapping& fields, StorageConfig& config) {
  fields.Each("exemplars", [&config](const yaml::Value& value) {
    yaml::Mapping inner(value, "config.ExemplarsConfig");
    inner("max_exemplars", config.max_exemplars);
    return inner.Finish();
  });
}
static void ExemplarsField(yaml::MappingWriter& fields, StorageConfig& config) {
  if (!config.max_exemplars.has_value()) return;
  yaml::MappingWriter inner;
  inner("max_exemplars", config.max_exemplars);
  fields.Add("exemplars", inner.Take());
}

template <typename Fields>
void ListFields(Fields& fields, StorageConfig& config) {
  fields("tsdb", config.tsdb);
  ExemplarsField(fields, config);
}
absl::Status DecodeYaml(const yaml::Value& value, StorageConfig* out) {
  yaml::Mapping fields(value, "config.StorageConfig");
  ListFields(fields, *out);
  return fields.Finish();
}
yaml::Tree EncodeYaml(const StorageConfig& config) { return yaml::WriteFields(config); }

}  // namespace narthex::config
