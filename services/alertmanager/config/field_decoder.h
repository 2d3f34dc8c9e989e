#ifndef NARTHEX_SERVICES_ALERTMANAGER_CONFIG_FIELD_DECODER_H_
#define NARTHEX_SERVICES_ALERTMANAGER_CONFIG_FIELD_DECODER_H_

#include <span>

#include "absl/status/status.h"
#include "lib/yaml/decoder.h"
#include "services/alertmanager/config/config.h"
#include "services/alertmanager/config/integration_fields.h"

// Reads the keys of a table. Private to this folder.
namespace narthex::alertmanager_config {

// Reads each key that is there and fills in the defaults of those that are not.
void DecodeFields(yaml::Mapping& mapping, std::span<const FieldSpec> specs, FieldValues* out);
// At most one of X and X_file: an error at the second.
absl::Status CheckExclusive(const yaml::Mapping& mapping, const FieldValues& values,
                            std::string_view key, std::string_view file_key);
// A whole http_config block.
absl::Status DecodeHttpConfig(const yaml::Value& value, config::HttpClientConfig* out);
// Whatever YAML, as a template value: maps, lists, texts, numbers, booleans.
absl::StatusOr<gotemplate::Value> DecodeAny(const yaml::Value& value);

}  // namespace narthex::alertmanager_config

#endif  // NARTHEX_SERVICES_ALERTMANAGER_CONFIG_FIELD_DECODER_H_
