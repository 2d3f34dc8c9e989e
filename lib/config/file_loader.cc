#include "lib/config/file_loader.h"

#include <cstdlib>

#include "lib/base/hash.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/config/config_decoder.h"

namespace narthex::config {
namespace {

bool IsNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The variable that `text`, which follows a '$', begins with, and how many bytes of it that took:
// "{NAME}", "NAME", or one of the shell's one-character names. Without a name, taken bytes are bad
// syntax and vanish, and none means a lone dollar.
struct Variable {
  std::string_view name;
  size_t taken;
};
Variable ParseVariable(std::string_view text) {
  static constexpr std::string_view kSpecial = "*#$@!?-0123456789";
  if (text.empty()) return {"", 0};
  if (text[0] == '{') {
    if (text.size() > 2 && kSpecial.find(text[1]) != std::string_view::npos && text[2] == '}') {
      return {text.substr(1, 1), 3};
    }
    const size_t end = text.find('}');
    if (end == std::string_view::npos) return {"", 1};
    return end == 1 ? Variable{"", 2} : Variable{text.substr(1, end - 1), end + 1};
  }
  if (kSpecial.find(text[0]) != std::string_view::npos) return {text.substr(0, 1), 1};
  size_t end = 0;
  while (end < text.size() && IsNameByte(text[end])) ++end;
  return {text.substr(0, end), end};
}

// Go's os.Expand, with "$$" for a dollar.
std::string ExpandVariables(std::string_view text, const LoadOptions& options,
                            std::vector<std::string>* warnings) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const Variable variable = ParseVariable(text.substr(i + 1));
    i += variable.taken;
    if (variable.name == "$") {
      out += '$';
    } else if (!variable.name.empty()) {
      std::optional<std::string> value;
      if (options.environment) value = options.environment(std::string(variable.name));
      if (value.value_or("").empty()) {
        warnings->push_back(
            StrCat("external_labels: environment variable ", variable.name, " is empty"));
      } else {
        out += *value;
      }
    } else if (variable.taken == 0) {
      out += '$';
    }
  }
  return out;
}

void ExpandExternalLabels(const LoadOptions& options, LoadedConfig* loaded) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const LabelView label : loaded->config.global.external_labels) {
    pairs.emplace_back(label.name, ExpandVariables(label.value, options, &loaded->warnings));
  }
  loaded->config.global.external_labels = Labels::FromPairs(std::move(pairs));
}

// Prometheus never looks at a second document, so it is no error, but surely a mistake.
absl::StatusOr<yaml::Document> ParseDocument(std::string_view text, const std::string& file_name,
                                             std::vector<std::string>* warnings) {
  NARTHEX_ASSIGN_OR_RETURN(
      yaml::Document document,
      yaml::Document::Parse(text, file_name, yaml::Document::MoreDocuments::kIgnore));
  if (document.second_document_line() > 0) {
    warnings->push_back(StrCat(file_name, ":", document.second_document_line(),
                               ": only the first YAML document of the file is used"));
  }
  return document;
}

absl::Status LoadScrapeConfigFile(io::FileSystem* fs, const std::string& path, LoadedConfig* loaded,
                                  std::string* all_bytes) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string text, fs->ReadFile(path));
  StrAppend(all_bytes, path, "\n", text);
  NARTHEX_ASSIGN_OR_RETURN(const yaml::Document document,
                           ParseDocument(text, path, &loaded->warnings));
  PrometheusConfig& config = loaded->config;
  yaml::Mapping fields(document.root(), "config.ScrapeConfigs");
  fields.Each("scrape_configs", [&config](const yaml::Value& value) {
    return DecodeScrapeConfigs(value, config.global, &config.scrape_configs);
  });
  return fields.Finish();
}

}  // namespace

absl::StatusOr<LoadedConfig> LoadText(io::FileSystem* fs, std::string_view text,
                                      const std::string& file_name, const LoadOptions& options) {
  LoadedConfig loaded;
  NARTHEX_ASSIGN_OR_RETURN(const yaml::Document document,
                           ParseDocument(text, file_name, &loaded.warnings));
  NARTHEX_RETURN_IF_ERROR(DecodeYaml(document.root(), &loaded.config));
  std::string all_bytes(text);
  for (const std::string& pattern : loaded.config.scrape_config_files) {
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> paths, fs->Glob(pattern));
    if (paths.empty()) {
      loaded.warnings.push_back(StrCat("scrape_config_files: no file matches ", pattern));
    }
    for (const std::string& path : paths) {
      NARTHEX_RETURN_IF_ERROR(LoadScrapeConfigFile(fs, path, &loaded, &all_bytes));
    }
  }
  ExpandExternalLabels(options, &loaded);
  loaded.hash = StableHash(all_bytes);
  return loaded;
}

absl::StatusOr<LoadedConfig> LoadFile(io::FileSystem* fs, const std::string& path,
                                      const LoadOptions& options) {
  NARTHEX_ASSIGN_OR_RETURN(const std::string text, fs->ReadFile(path));
  return LoadText(fs, text, path, options);
}

std::optional<std::string> ProcessEnvironment(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return value;
}

}  // namespace narthex::config
