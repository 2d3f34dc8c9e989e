#include "lib/config/target_file.h"

#include "lib/base/strings.h"
#include "lib/config/sd_codec.h"
#include "lib/json/reader.h"
#include "lib/relabel/name_validation.h"

namespace narthex::config {
namespace {

absl::StatusOr<std::vector<StaticSdConfig>> ParseYaml(std::string_view text,
                                                      std::string_view file_name) {
  NARTHEX_ASSIGN_OR_RETURN(const yaml::Document document, yaml::Document::Parse(text, file_name));
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<yaml::Value> items,
                           document.root().Items("[]*targetgroup.Group"));
  std::vector<StaticSdConfig> groups(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].is_null()) {
      return items[i].Error("nil target group item found (index ", i, ")");
    }
    NARTHEX_RETURN_IF_ERROR(DecodeYaml(items[i], &groups[i]));
  }
  return groups;
}

absl::Status ReadLabels(const json::Value& value, std::map<std::string, std::string>* labels) {
  if (value.is_null()) return absl::OkStatus();
  if (!value.is_object()) return InvalidArgument("labels is no object");
  for (const auto& [name, label] : value.object) {
    if (!IsValidLabelName(name, NameValidationScheme::kUtf8)) {
      return InvalidArgument(Quote(name), " is not a valid label name");
    }
    if (!label.is_string()) return InvalidArgument("label ", Quote(name), " is no string");
    (*labels)[name] = label.text;
  }
  return absl::OkStatus();
}

absl::Status ReadTargets(const json::Value& value, std::vector<std::string>* targets) {
  if (value.is_null()) return absl::OkStatus();
  if (!value.is_array()) return InvalidArgument("targets is no list");
  for (const json::Value& target : value.array) {
    if (!target.is_string()) return InvalidArgument("a target is no string");
    targets->push_back(target.text);
  }
  return absl::OkStatus();
}

absl::Status ReadGroup(const json::Value& value, StaticSdConfig* group) {
  if (value.is_null()) return InvalidArgument("nil target group item found");
  if (!value.is_object()) return InvalidArgument("is no object");
  for (const auto& [key, field] : value.object) {
    if (key == "targets") {
      NARTHEX_RETURN_IF_ERROR(ReadTargets(field, &group->targets));
    } else if (key == "labels") {
      NARTHEX_RETURN_IF_ERROR(ReadLabels(field, &group->labels));
    } else {
      return InvalidArgument("json: unknown field ", Quote(key));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StaticSdConfig>> ParseJson(std::string_view text,
                                                      std::string_view file_name) {
  const absl::StatusOr<json::Value> list = json::Parse(text);
  if (!list.ok()) return Annotate(list.status(), file_name);
  if (!list->is_array() && !list->is_null()) {
    return InvalidArgument(file_name, ": not a list of target groups");
  }
  std::vector<StaticSdConfig> groups(list->array.size());
  for (size_t i = 0; i < groups.size(); ++i) {
    const absl::Status status = ReadGroup(list->array[i], &groups[i]);
    if (!status.ok()) return Annotate(status, StrCat(file_name, ": [", i, "]"));
  }
  return groups;
}

}  // namespace

absl::StatusOr<std::vector<StaticSdConfig>> ParseTargetFile(std::string_view text,
                                                            std::string_view file_name) {
  return file_name.ends_with(".json") || file_name.ends_with(".JSON") ? ParseJson(text, file_name)
                                                                      : ParseYaml(text, file_name);
}

}  // namespace narthex::config
