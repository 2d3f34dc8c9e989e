#ifndef NARTHEX_LIB_CONFIG_CODEC_H_
#define NARTHEX_LIB_CONFIG_CODEC_H_

#include <string>
#include <string_view>
#include <vector>

#include "lib/config/prometheus_config.h"
#include "lib/yaml/decoder.h"
#include "lib/yaml/writer.h"

// How the configuration's types are read from and written to YAML: DecodeYaml and EncodeYaml of
// each, and the fields that take more than that. A field function has two overloads, for Mapping
// (reads, checks) and MappingWriter, so that one list of fields serves both directions. Private to
// lib/config; lib/yaml/writer.h explains ListFields.
namespace narthex::relabel {

absl::Status DecodeYaml(const yaml::Value& value, RelabelConfig* out);  // Without Validate().
yaml::Tree EncodeYaml(const RelabelConfig& config);

}  // namespace narthex::relabel

namespace narthex::config {

absl::Status DecodeYaml(const yaml::Value& value, Secret* out);
yaml::Tree EncodeYaml(const Secret& secret);
absl::Status DecodeYaml(const yaml::Value& value, TlsConfig* out);
yaml::Tree EncodeYaml(const TlsConfig& config);
absl::Status DecodeYaml(const yaml::Value& value, ScrapeProtocol* out);
yaml::Tree EncodeYaml(ScrapeProtocol protocol);
absl::Status DecodeYaml(const yaml::Value& value, AlertingConfig* out);
yaml::Tree EncodeYaml(const AlertingConfig& config);
absl::Status DecodeYaml(const yaml::Value& value, StorageConfig* out);
yaml::Tree EncodeYaml(const StorageConfig& config);
absl::Status DecodeYaml(const yaml::Value& value, RemoteWriteConfig* out);
yaml::Tree EncodeYaml(const RemoteWriteConfig& config);
absl::Status DecodeYaml(const yaml::Value& value, RemoteReadConfig* out);
yaml::Tree EncodeYaml(const RemoteReadConfig& config);
absl::Status DecodeYaml(const yaml::Value& value, TracingConfig* out);
yaml::Tree EncodeYaml(const TracingConfig& config);
absl::Status DecodeYaml(const yaml::Value& value, OtlpConfig* out);
yaml::Tree EncodeYaml(const OtlpConfig& config);
absl::Status DecodeYaml(const yaml::Value& value, SigV4Config* out);
yaml::Tree EncodeYaml(const SigV4Config& config);
absl::Status DecodeYaml(const yaml::Value& value, GlobalConfig* out);
yaml::Tree EncodeYaml(const GlobalConfig& config);
// A job, with what it does not say from `global`.
absl::Status DecodeScrapeConfig(const yaml::Value& value, const GlobalConfig& global,
                                ScrapeConfig* out);
yaml::Tree EncodeYaml(const ScrapeConfig& config);

// The HTTP client block, whose keys stand among those of its owner. After Finish() the owner calls
// ValidateHttpClient, which also turns bearer_token and bearer_token_file into an authorization.
void HttpClientFields(yaml::Mapping& fields, HttpClientConfig& config);
void HttpClientFields(yaml::MappingWriter& fields, HttpClientConfig& config);
absl::Status ValidateHttpClient(yaml::Mapping& fields, HttpClientConfig* config);

// All *_sd_configs keys of one job or alertmanager, in the order of SdConfig's alternatives.
void SdFields(yaml::Mapping& fields, std::vector<SdConfig>& configs);
void SdFields(yaml::MappingWriter& fields, std::vector<SdConfig>& configs);
// "http://bad" is no target: addresses of static groups hold no '/'.
absl::Status CheckStaticTargets(const yaml::Mapping& fields, const std::vector<SdConfig>& configs);

// A URL that Go's url.Parse takes; written with its password hidden.
void UrlField(yaml::Mapping& fields, std::string_view key, std::string& url);
void UrlField(yaml::MappingWriter& fields, std::string_view key, const std::string& url);
// A byte size of at least 0.
void ByteSizeField(yaml::Mapping& fields, std::string_view key, uint64_t& bytes);
void ByteSizeField(yaml::MappingWriter& fields, std::string_view key, uint64_t bytes);
// A list of relabelling rules; `what` is in the error for an empty one ("target relabeling rule").
void RelabelField(yaml::Mapping& fields, std::string_view key, std::string_view what,
                  std::vector<relabel::RelabelConfig>& rules);
void RelabelField(yaml::MappingWriter& fields, std::string_view key, std::string_view what,
                  std::vector<relabel::RelabelConfig>& rules);
// Gives the rules their scheme and validates each.
absl::Status ValidateRelabel(const yaml::Mapping& fields, std::string_view key,
                             NameValidationScheme scheme,
                             std::vector<relabel::RelabelConfig>* rules);
// A map of label names (UTF-8) to values.
void LabelsField(yaml::Mapping& fields, std::string_view key,
                 std::map<std::string, std::string>& labels);
void LabelsField(yaml::MappingWriter& fields, std::string_view key,
                 std::map<std::string, std::string>& labels);

}  // namespace narthex::config

#endif  // NARTHEX_LIB_CONFIG_CODEC_H_
