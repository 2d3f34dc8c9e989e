#include "services/alertmanager/config/field_decoder.h"

#include <limits>
#include <utility>

#include "lib/base/duration.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/config/codec.h"
#include "lib/config/url.h"

namespace narthex::alertmanager_config {
namespace {

using gotemplate::Value;

absl::Status CheckUrl(const yaml::Value& value, const std::string& text) {
  const absl::StatusOr<config::Url> url = config::ParseUrl(text);
  if (!url.ok()) return value.Error(Message(url.status()));
  if (url->scheme != "http" && url->scheme != "https") {
    return value.Error("unsupported scheme ", Quote(url->scheme), " for URL");
  }
  if (url->host.empty()) return value.Error("missing host for URL");
  return absl::OkStatus();
}

absl::StatusOr<Value> DecodeUrl(const yaml::Value& value, FieldType type) {
  std::string text;
  NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(value, &text));
  // A printed configuration reads back; a template is known only when it is expanded.
  const bool placeholder = type != FieldType::kUrl && text == "<secret>";
  const bool is_template = type == FieldType::kTemplateUrl && text.find("{{") != std::string::npos;
  if (!text.empty() && !placeholder && !is_template) NARTHEX_RETURN_IF_ERROR(CheckUrl(value, text));
  return Value::String(text);
}

absl::StatusOr<Value> DecodeHostPort(const yaml::Value& value) {
  std::string text;
  NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(value, &text));
  if (text.empty()) return Value::String(text);
  const size_t colon = text.rfind(':');
  const bool bracketed = text.ends_with(']');
  if (colon == std::string::npos || bracketed) {
    return value.Error("address ", text, ": missing port in address");
  }
  if (colon + 1 == text.size())
    return value.Error("address ", Quote(text), ": port cannot be empty");
  return Value::String(text);
}

absl::StatusOr<Value> DecodeGoDuration(const yaml::Value& value) {
  std::string text;
  NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(value, &text));
  if (text.empty() || text == "0") return Value::Duration(absl::ZeroDuration());
  const absl::StatusOr<absl::Duration> duration = ParseGoDuration(text);
  if (!duration.ok()) return value.Error(Message(duration.status()));
  return Value::Duration(*duration);
}

absl::StatusOr<Value> DecodeObject(const yaml::Value& value, const ObjectSpec& object) {
  yaml::Mapping mapping(value, object.type);
  FieldValues fields;
  DecodeFields(mapping, object.fields, &fields);
  NARTHEX_RETURN_IF_ERROR(mapping.Finish());
  for (const auto& [key, message] : object.required) {
    if (!fields.IsSet(key)) return mapping.ErrorAt(key, message);
  }
  return Value::MakeMap(fields.all());
}

template <typename T>
absl::StatusOr<T> Decode(const yaml::Value& value) {
  T decoded{};
  NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(value, &decoded));
  return decoded;
}

absl::StatusOr<Value> DecodeField(const yaml::Value& value, const FieldSpec& spec) {
  switch (spec.type) {
    case FieldType::kText:
    case FieldType::kSecret: {
      NARTHEX_ASSIGN_OR_RETURN(const std::string text, Decode<std::string>(value));
      return Value::String(text);
    }
    case FieldType::kPath: {
      NARTHEX_ASSIGN_OR_RETURN(std::string path, Decode<std::string>(value));
      yaml::ResolvePath(value, &path);
      return Value::String(path);
    }
    case FieldType::kUrl:
    case FieldType::kSecretUrl:
    case FieldType::kTemplateUrl:
      return DecodeUrl(value, spec.type);
    case FieldType::kHostPort:
      return DecodeHostPort(value);
    case FieldType::kBool:
    case FieldType::kOptionalBool: {
      NARTHEX_ASSIGN_OR_RETURN(const bool boolean, Decode<bool>(value));
      return Value::Bool(boolean);
    }
    case FieldType::kInt:
    case FieldType::kUint: {
      int64_t number = 0;
      const bool is_unsigned = spec.type == FieldType::kUint;
      NARTHEX_RETURN_IF_ERROR(yaml::DecodeInt64(
          value, is_unsigned ? 0 : std::numeric_limits<int64_t>::min(),
          std::numeric_limits<int64_t>::max(), is_unsigned ? "uint64" : "int64", &number));
      return Value::Int(number);
    }
    case FieldType::kDuration: {
      NARTHEX_ASSIGN_OR_RETURN(const absl::Duration duration, Decode<absl::Duration>(value));
      return Value::Duration(duration);
    }
    case FieldType::kGoDuration:
      return DecodeGoDuration(value);
    case FieldType::kTextMap: {
      using TextMap = std::map<std::string, std::string>;
      NARTHEX_ASSIGN_OR_RETURN(const TextMap map, Decode<TextMap>(value));
      return Value::MakeStringMap({map.begin(), map.end()});
    }
    case FieldType::kTextList: {
      NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> list,
                               Decode<std::vector<std::string>>(value));
      return Value::MakeStrings(list);
    }
    case FieldType::kAny:
      return DecodeAny(value);
    case FieldType::kTls: {
      // Checked as its own type, kept as it was written.
      config::TlsConfig tls;
      NARTHEX_RETURN_IF_ERROR(DecodeYaml(value, &tls));
      return DecodeAny(value);
    }
    case FieldType::kSigV4: {
      config::SigV4Config sigv4;
      NARTHEX_RETURN_IF_ERROR(DecodeYaml(value, &sigv4));
      return DecodeAny(value);
    }
    case FieldType::kObject:
      return DecodeObject(value, *spec.object);
    case FieldType::kObjects: {
      NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value> items, value.Items("list"));
      Value::List list;
      for (const yaml::Value& item : items) {
        NARTHEX_ASSIGN_OR_RETURN(Value object, DecodeObject(item, *spec.object));
        list.push_back(std::move(object));
      }
      return Value::MakeList(std::move(list));
    }
  }
  return value.Error("unknown field type");
}

// The default of a field, which is written in the table in the form of the file.
Value DefaultOf(const FieldSpec& spec) {
  if (spec.type == FieldType::kBool) return Value::Bool(spec.default_text == "true");
  if (spec.type == FieldType::kGoDuration) {
    const absl::StatusOr<absl::Duration> duration = ParseGoDuration(spec.default_text);
    return Value::Duration(duration.ok() ? *duration : absl::ZeroDuration());
  }
  return Value::String(spec.default_text);
}

}  // namespace

void DecodeFields(yaml::Mapping& mapping, std::span<const FieldSpec> specs, FieldValues* out) {
  for (const FieldSpec& spec : specs) {
    if (!spec.default_text.empty()) out->Set(spec.key, DefaultOf(spec));
    mapping.Each(spec.key, [&](const yaml::Value& value) -> absl::Status {
      if (value.is_null() && spec.type == FieldType::kOptionalBool) return absl::OkStatus();
      NARTHEX_ASSIGN_OR_RETURN(Value decoded, DecodeField(value, spec));
      out->Set(spec.key, std::move(decoded));
      return absl::OkStatus();
    });
  }
}

absl::Status CheckExclusive(const yaml::Mapping& mapping, const FieldValues& values,
                            std::string_view key, std::string_view file_key) {
  if (!values.IsSet(key) || !values.IsSet(file_key)) return absl::OkStatus();
  return mapping.ErrorAt(file_key,
                         StrCat("at most one of ", key, " & ", file_key, " must be configured"));
}

absl::Status DecodeHttpConfig(const yaml::Value& value, config::HttpClientConfig* out) {
  yaml::Mapping fields(value, "config.plain");
  config::HttpClientFields(fields, *out);
  NARTHEX_RETURN_IF_ERROR(fields.Finish());
  return config::ValidateHttpClient(fields, out);
}

absl::StatusOr<gotemplate::Value> DecodeAny(const yaml::Value& value) {
  if (value.is_null()) return Value::Zero(gotemplate::AnyType());
  if (value.is_sequence()) {
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value> items, value.Items("list"));
    Value::List list;
    for (const yaml::Value& item : items) {
      NARTHEX_ASSIGN_OR_RETURN(Value element, DecodeAny(item));
      list.push_back(std::move(element));
    }
    return Value::MakeList(std::move(list));
  }
  if (value.is_mapping()) {
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value::Entry> entries, value.Entries("map"));
    Value::Map map;
    for (const yaml::Value::Entry& entry : entries) {
      NARTHEX_ASSIGN_OR_RETURN(Value element, DecodeAny(entry.value));
      map.insert_or_assign(entry.key.text(), std::move(element));
    }
    return Value::MakeMap(std::move(map));
  }
  if (!value.quoted()) {
    bool boolean = false;
    if (yaml::DecodeYaml(value, &boolean).ok()) return Value::Bool(boolean);
    int64_t integer = 0;
    if (yaml::DecodeInt64(value, std::numeric_limits<int64_t>::min(),
                          std::numeric_limits<int64_t>::max(), "int", &integer)
            .ok()) {
      return Value::Int(integer);
    }
    double number = 0;
    if (yaml::DecodeYaml(value, &number).ok()) return Value::Float(number);
  }
  return Value::String(value.text());
}

}  // namespace narthex::alertmanager_config
