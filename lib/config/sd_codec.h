#ifndef NARTHEX_LIB_CONFIG_SD_CODEC_H_
#define NARTHEX_LIB_CONFIG_SD_CODEC_H_

#include <string_view>
#include <vector>

#include "lib/base/strings.h"
#include "lib/config/codec.h"
#include "lib/config/url.h"

// How discovery mechanisms are read and written. Each type T has, in this namespace,
// ListFields(fields, T&), and CheckSd(fields, T*) for what its keys must fulfil together; SdKeys()
// in sd_codec.cc names its key. Private to lib/config.
namespace narthex::config {

absl::Status DecodeYaml(const yaml::Value& value, SdFilter* out);
yaml::Tree EncodeYaml(const SdFilter& filter);
absl::Status DecodeYaml(const yaml::Value& value, StaticSdConfig* out);
// Filters need values: "EC2 SD configuration filter values cannot be empty".
absl::Status CheckFilters(const yaml::Mapping& fields, std::string_view owner,
                          const std::vector<SdFilter>& filters);
// A URL with scheme http or https and a host.
absl::Status CheckHttpUrl(const yaml::Mapping& fields, std::string_view key, std::string_view url);

// A mechanism's decoder and printer, as a row of the table of all mechanisms.
struct SdKey {
  size_t index;           // Of its alternative in SdConfig.
  std::string_view name;  // "kubernetes"
  std::string_view key;   // "kubernetes_sd_configs"
  absl::Status (*decode)(const yaml::Value& list, std::string_view key, std::vector<SdConfig>* out);
  yaml::Tree (*encode)(const SdConfig& config);
};

// Reads the list under one mechanism's key.
template <typename T>
absl::Status DecodeSdList(const yaml::Value& list, std::string_view key,
                          std::vector<SdConfig>* out) {
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value> items, list.Items("list"));
  for (const yaml::Value& item : items) {
    if (item.is_null()) return item.Error("empty or null section in ", key);
    T config;
    yaml::Mapping fields(item, TypeName(static_cast<const T*>(nullptr)));
    ListFields(fields, config);
    NARTHEX_RETURN_IF_ERROR(fields.Finish());
    NARTHEX_RETURN_IF_ERROR(CheckSd(fields, &config));
    out->push_back(std::move(config));
  }
  return absl::OkStatus();
}

template <typename T>
yaml::Tree EncodeSd(const SdConfig& config) {
  return yaml::WriteFields(std::get<T>(config));
}

// A row for T: SdRow<FileSdConfig>("file", "file_sd_configs").
template <typename T>
SdKey SdRow(std::string_view name, std::string_view key) {
  return {SdConfig(std::in_place_type<T>).index(), name, key, &DecodeSdList<T>, &EncodeSd<T>};
}

// The rows of cloud_sd_config.h's mechanisms, in no order.
std::vector<SdKey> CloudSdKeys();
SdKey KubernetesSdKey();

}  // namespace narthex::config

#endif  // NARTHEX_LIB_CONFIG_SD_CODEC_H_
