#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "lib/io/file_system.h"
#include "tests/conformance/query/script_runner.h"

namespace narthex::testing {
namespace {

// The ratchet: what passes may only grow, and what is left out for a reason may only shrink.
constexpr int kPassedLeast = 1253;
const std::map<std::string, int>& SkippedMost() {
  static const std::map<std::string, int> kCounts = {{"native histograms", 926},
                                                     {"start timestamps", 16}};
  return kCounts;
}

std::string DataFolder() {
  const char* const shared = std::getenv("NARTHEX_SHARED");
  return StrCat(shared != nullptr ? shared : NARTHEX_SOURCE_DIR "/../shared",
                "/conformance/promql");
}

// Runs every script; `take` sees what came of each.
template <typename Take>
void RunAll(bool delayed_name_removal, Take take) {
  io::FileSystem* const files = io::PosixFileSystem();
  const absl::StatusOr<std::vector<std::string>> names = files->List(DataFolder());
  if (!names.ok()) FAIL("no conformance data (set NARTHEX_SHARED): " << Message(names.status()));
  for (const std::string& name : *names) {
    if (!name.ends_with(".test")) continue;
    const absl::StatusOr<std::string> text = files->ReadFile(StrCat(DataFolder(), "/", name));
    REQUIRE(text.ok());
    const absl::StatusOr<std::vector<ScriptCommand>> commands = ParseScript(*text);
    INFO(name << ": " << Message(commands.status()));
    REQUIRE(commands.ok());
    ScriptOutcome outcome;
    ScriptRunner(delayed_name_removal).Run(name, *commands, &outcome);
    take(name, outcome);
  }
}

TEST_CASE("The engine answers upstream's PromQL scripts as upstream does") {
  ScriptOutcome total;
  RunAll(/*delayed_name_removal=*/true, [&](const std::string& name, const ScriptOutcome& outcome) {
    std::string line =
        StrCat(name, ": ", outcome.passed, " passed, ", outcome.failures.size(), " failed");
    for (const auto& [reason, count] : outcome.skipped) {
      StrAppend(&line, ", ", count, " need ", reason);
      total.skipped[reason] += count;
    }
    WARN(line);
    total.passed += outcome.passed;
    for (const std::string& failure : outcome.failures) FAIL_CHECK(failure);
  });
  WARN(total.passed << " evaluations passed");
  CHECK(total.passed >= kPassedLeast);
  for (const auto& [reason, count] : total.skipped) {
    const auto most = SkippedMost().find(reason);
    INFO(count << " need " << reason);
    CHECK((most != SkippedMost().end() && count <= most->second));
  }
}

TEST_CASE("Without delayed name removal only the scripts about it are answered otherwise") {
  // Labels that are gone at once cannot be grouped, replaced or matched by.
  const std::map<std::string, std::set<int>> otherwise = {
      {"name_label_dropping.test", {59, 64, 69, 74, 89, 115, 119, 123}},
      {"type_and_unit.test", {77, 92, 222, 237}},
  };
  int passed = 0;
  RunAll(/*delayed_name_removal=*/false,
         [&](const std::string& name, const ScriptOutcome& outcome) {
           passed += outcome.passed;
           for (const std::string& failure : outcome.failures) {
             const std::vector<std::string_view> parts = Split(failure, ':');
             int64_t line = 0;
             REQUIRE(ParseInt64(parts[1], &line));
             const auto known = otherwise.find(name);
             if (known == otherwise.end() || !known->second.contains(static_cast<int>(line))) {
               FAIL_CHECK(failure);
             }
           }
         });
  CHECK(passed >= kPassedLeast - 12);
}

}  // namespace
}  // namespace narthex::testing
