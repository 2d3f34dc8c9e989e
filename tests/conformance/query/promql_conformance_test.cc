#include <cstdlib>
#include <map>
#include <string>

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

TEST_CASE("The engine answers upstream's PromQL scripts as upstream does") {
  io::FileSystem* const files = io::PosixFileSystem();
  const absl::StatusOr<std::vector<std::string>> names = files->List(DataFolder());
  if (!names.ok()) FAIL("no conformance data (set NARTHEX_SHARED): " << Message(names.status()));

  ScriptOutcome total;
  for (const std::string& name : *names) {
    if (!name.ends_with(".test")) continue;
    const absl::StatusOr<std::string> text = files->ReadFile(StrCat(DataFolder(), "/", name));
    REQUIRE(text.ok());
    const absl::StatusOr<std::vector<ScriptCommand>> commands = ParseScript(*text);
    INFO(name << ": " << Message(commands.status()));
    REQUIRE(commands.ok());
    ScriptOutcome outcome;
    ScriptRunner().Run(name, *commands, &outcome);
    std::string line =
        StrCat(name, ": ", outcome.passed, " passed, ", outcome.failures.size(), " failed");
    for (const auto& [reason, count] : outcome.skipped) {
      StrAppend(&line, ", ", count, " need ", reason);
      total.skipped[reason] += count;
    }
    WARN(line);
    total.passed += outcome.passed;
    for (const std::string& failure : outcome.failures) FAIL_CHECK(failure);
  }
  WARN(total.passed << " evaluations passed");
  CHECK(total.passed >= kPassedLeast);
  for (const auto& [reason, count] : total.skipped) {
    const auto most = SkippedMost().find(reason);
    INFO(count << " need " << reason);
    CHECK((most != SkippedMost().end() && count <= most->second));
  }
}

}  // namespace
}  // namespace narthex::testing
