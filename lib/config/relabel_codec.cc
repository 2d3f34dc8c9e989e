#include "lib/base/strings.h"
#include "lib/config/codec.h"

namespace narthex::relabel {
namespace {

absl::Status DecodeSourceLabels(const yaml::Value& value, std::vector<std::string>* out) {
  NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(value, out));
  for (const std::string& name : *out) {
    if (!IsValidLabelName(name, NameValidationScheme::kUtf8)) {
      return value.Error(Quote(name), " is not a valid label name");
    }
  }
  return absl::OkStatus();
}

absl::Status DecodeAction(const yaml::Value& value, Action* out) {
  std::string text;
  NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(value, &text));
  if (text.empty()) return value.Error("relabel action cannot be empty");
  const std::optional<Action> action = ParseAction(text);
  if (!action.has_value()) return value.Error("unknown relabel action ", Quote(text));
  *out = *action;
  return absl::OkStatus();
}

// An empty regex matches only the empty string; the default counts only where the key is absent.
absl::Status DecodeRegex(const yaml::Value& value, Regex* out) {
  std::string pattern;
  NARTHEX_RETURN_IF_ERROR(yaml::DecodeYaml(value, &pattern));
  absl::StatusOr<Regex> compiled = Regex::Compile(pattern);
  if (!compiled.ok()) return value.Error(Message(compiled.status()));
  *out = *std::move(compiled);
  return absl::OkStatus();
}

}  // namespace

absl::Status DecodeYaml(const yaml::Value& value, RelabelConfig* out) {
  yaml::Mapping fields(value, "relabel.plain");
  fields.Each("source_labels", [out](const yaml::Value& field) {
    return DecodeSourceLabels(field, &out->source_labels);
  });
  fields("separator", out->separator);
  fields.Each("regex", [out](const yaml::Value& field) { return DecodeRegex(field, &out->regex); });
  fields("modulus", out->modulus);
  fields("target_label", out->target_label);
  fields("replacement", out->replacement);
  fields.Each("action",
              [out](const yaml::Value& field) { return DecodeAction(field, &out->action); });
  return fields.Finish();
}

yaml::Tree EncodeYaml(const RelabelConfig& config) {
  yaml::MappingWriter fields;
  yaml::Tree sources = yaml::EncodeYaml(config.source_labels);
  sources.flow = true;
  fields.Add("source_labels", std::move(sources));
  // An empty value of these three is not the default, so it is written.
  fields("separator", config.separator, yaml::Policy::kAlways);
  fields("regex", config.regex.pattern(), yaml::Policy::kAlways);
  fields("modulus", config.modulus);
  fields("target_label", config.target_label);
  fields("replacement", config.replacement, yaml::Policy::kAlways);
  fields("action", ActionText(config.action));
  return fields.Take();
}

}  // namespace narthex::relabel

namespace narthex::config {

void RelabelField(yaml::Mapping& fields, std::string_view key, std::string_view what,
                  std::vector<relabel::RelabelConfig>& rules) {
  fields.Each(key, [&](const yaml::Value& value) {
    return yaml::DecodeList(value, StrCat("empty or null ", what), &rules);
  });
}

void RelabelField(yaml::MappingWriter& fields, std::string_view key, std::string_view,
                  std::vector<relabel::RelabelConfig>& rules) {
  fields(key, rules);
}

absl::Status ValidateRelabel(const yaml::Mapping& fields, std::string_view key,
                             NameValidationScheme scheme,
                             std::vector<relabel::RelabelConfig>* rules) {
  const yaml::Value* const value = fields.Peek(key);
  if (value == nullptr) return absl::OkStatus();
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value> items, value->Items("list"));
  for (size_t i = 0; i < rules->size(); ++i) {
    (*rules)[i].name_validation_scheme = scheme;
    const absl::Status status = (*rules)[i].Validate();
    if (!status.ok()) return items[i].Error(Message(status));
  }
  return absl::OkStatus();
}

}  // namespace narthex::config
