// Runs the configuration files of the conformance data: good ones load, and print to something that
// loads as the same configuration; bad ones are refused for the reason that expected-errors.tsv
// names, with their place.

#include <algorithm>
#include <cstdlib>
#include <map>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/config/file_loader.h"
#include "lib/io/file_system.h"

namespace narthex::config {
namespace {

// Files that have no row in expected-errors.tsv and must be refused; the reason is part of the
// error.
const std::map<std::string, std::string>& OwnExpectations() {
  static const auto* const expectations = new std::map<std::string, std::string>{
      {"config_with_deprecated_am_api_config.yml",
       "expected Alertmanager api version to be one of [v2] but got v1"},
      {"otlp_allow_utf8.bad.yml", "unsupported OTLP translation strategy \"Invalid\""},
      {"otlp_allow_utf8.incompatible.yml",
       "OTLP translation strategy \"NoUTF8EscapingWithSuffixes\" is not allowed when UTF8 is "
       "disabled"},
      {"otlp_no_translation.incompatible.yml",
       "OTLP translation strategy \"NoTranslation\" is not allowed when UTF8 is disabled"},
      {"otlp_ignore_resource_attributes_without_promote_all.bad.yml",
       "'ignore_resource_attributes' cannot be configured unless "
       "'promote_all_resource_attributes' is true"},
      {"otlp_promote_all_resource_attributes.bad.yml",
       "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured "
       "simultaneously"},
      {"otlp_sanitize_ignore_resource_attributes.bad.yml", "invalid 'ignore_resource_attributes'"},
      {"otlp_sanitize_promote_resource_attributes.bad.yml",
       "invalid 'promote_resource_attributes'"},
      {"scrape_config_files.bad.yml", "scrape timeout greater than scrape interval"},
      {"scrape_config_files_global.bad.yml", "scrape timeout greater than scrape interval"},
      {"scrape_config_files_double_import.bad.yml",
       "found multiple scrape configs with job name \"prometheus\""},
      {"scrape_config_files_duplicate.bad.yml",
       "found multiple scrape configs with job name \"prometheus\""},
      {"scrape_config_files_global_duplicate.bad.yml",
       "found multiple scrape configs with job name \"prometheus\""},
      // A target group, not a configuration: refused already for its keys.
      {"static_config.bad.yml", "field targets not found in type config.plain"},
  };
  return *expectations;
}

std::string DataFolder() {
  const char* const shared = std::getenv("NARTHEX_SHARED");
  return StrCat(shared != nullptr ? shared : NARTHEX_SOURCE_DIR "/../shared",
                "/conformance/prometheus-config");
}

// Our errors put the place in front where Prometheus names the file, and name the wrong type where
// Prometheus' first line only says that there are "unmarshal errors".
std::string OurWords(std::string_view expected) {
  if (expected == "unmarshal errors") return "cannot unmarshal";
  const std::string_view prefix = "parsing YAML file ";
  if (expected.starts_with(prefix)) {
    expected.remove_prefix(expected.find(": ", prefix.size()) + 2);
  }
  return std::string(expected);
}

std::map<std::string, std::string> ReadExpectations(const std::string& folder) {
  std::map<std::string, std::string> expectations = OwnExpectations();
  const absl::StatusOr<std::string> table =
      io::PosixFileSystem()->ReadFile(folder + "/expected-errors.tsv");
  if (!table.ok()) {
    FAIL("no conformance data (set NARTHEX_SHARED): " << Message(table.status()));
  }
  for (const std::string_view row : Split(*table, '\n')) {
    const size_t tab = row.find('\t');
    if (row.starts_with('#') || tab == std::string_view::npos) continue;
    expectations[std::string(row.substr(0, tab))] = OurWords(row.substr(tab + 1));
  }
  return expectations;
}

bool IsConfig(const std::string& name) { return name.ends_with(".yml"); }

TEST_CASE("Every conformance file loads or is refused for the right reason") {
  const std::string folder = DataFolder();
  const std::map<std::string, std::string> expectations = ReadExpectations(folder);
  const absl::StatusOr<std::vector<std::string>> names = io::PosixFileSystem()->List(folder);
  REQUIRE(names.ok());
  size_t good = 0;
  size_t bad = 0;
  for (const std::string& name : *names) {
    if (!IsConfig(name)) continue;
    const absl::StatusOr<LoadedConfig> loaded =
        LoadFile(io::PosixFileSystem(), StrCat(folder, "/", name));
    INFO(name << ": " << (loaded.ok() ? "accepted" : Message(loaded.status())));
    const auto expected = expectations.find(name);
    if (expected == expectations.end()) {
      CHECK(loaded.ok());
      ++good;
      continue;
    }
    ++bad;
    REQUIRE_FALSE(loaded.ok());
    const std::string_view error = Message(loaded.status());
    CHECK(error.find(expected->second) != std::string_view::npos);
    // file:line:column: at the front.
    const size_t file_end = error.find(".yml:");
    REQUIRE(file_end != std::string_view::npos);
    const std::vector<std::string_view> place = Split(error.substr(file_end + 5), ':');
    int64_t number = 0;
    REQUIRE(place.size() >= 3);
    CHECK(ParseInt64(place[0], &number));
    CHECK(ParseInt64(place[1], &number));
  }
  CHECK(good >= 65);
  CHECK(bad >= 140);
}

TEST_CASE("Every row of the table has its file") {
  const std::string folder = DataFolder();
  for (const auto& [name, reason] : ReadExpectations(folder)) {
    INFO(name);
    CHECK(io::PosixFileSystem()->Exists(StrCat(folder, "/", name)));
  }
}

// The printed configuration with each hidden secret as a literal; equal to the first but for
// secrets.
TEST_CASE("A good configuration prints as one that loads and prints the same") {
  const std::string folder = DataFolder();
  const std::map<std::string, std::string> expectations = ReadExpectations(folder);
  const absl::StatusOr<std::vector<std::string>> names = io::PosixFileSystem()->List(folder);
  REQUIRE(names.ok());
  for (const std::string& name : *names) {
    if (!IsConfig(name) || expectations.contains(name)) continue;
    // What scrape_config_files name is printed among the jobs, and would come twice; expanded
    // labels would be expanded again.
    if (name.starts_with("scrape_config_files") || name == "external_labels.good.yml") continue;
    const absl::StatusOr<LoadedConfig> loaded =
        LoadFile(io::PosixFileSystem(), StrCat(folder, "/", name));
    REQUIRE(loaded.ok());
    const std::string printed = FormatYaml(loaded->config);
    INFO(name << "\n" << printed);
    const absl::StatusOr<LoadedConfig> again =
        LoadText(io::PosixFileSystem(), printed, "printed.yml",
                 {.environment = [](const std::string&) { return std::nullopt; }});
    INFO((again.ok() ? "accepted" : Message(again.status())));
    REQUIRE(again.ok());
    CHECK(FormatYaml(again->config) == printed);
    if (printed.find("<secret>") == std::string::npos) {
      CHECK(again->config == loaded->config);
    }
  }
}

TEST_CASE("The configurations that we ship load without a warning and use only what works") {
  for (const std::string_view name : {"deploy/prometheus.yml", "deploy/docker/prometheus.yml"}) {
    const absl::StatusOr<LoadedConfig> loaded =
        LoadFile(io::PosixFileSystem(), StrCat(NARTHEX_SOURCE_DIR, "/", name));
    INFO(name << ": " << Message(loaded.status()));
    REQUIRE(loaded.ok());
    CHECK(loaded->warnings.empty());
    CHECK(UnusedSections(loaded->config).empty());
    CHECK_FALSE(loaded->config.scrape_configs.empty());
    for (const ScrapeConfig& job : loaded->config.scrape_configs) {
      for (const SdConfig& mechanism : job.service_discovery) {
        CHECK((SdName(mechanism) == "static" || SdName(mechanism) == "file"));
      }
    }
  }
}

}  // namespace
}  // namespace narthex::config
