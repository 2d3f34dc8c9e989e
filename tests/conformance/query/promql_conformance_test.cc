#include <map>
#include <memory>
#include <set>
#include <string>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"
#include "tests/conformance/query/script_suite.h"

namespace narthex::testing {
namespace {

TEST_CASE("The engine answers upstream's PromQL scripts as upstream does") {
  const std::unique_ptr<ScriptStorage> storage = MakeMemoryScriptStorage();
  const auto outcomes = RunScripts(/*delayed_name_removal=*/true, storage.get());
  INFO(outcomes.status().ToString());
  REQUIRE(outcomes.ok());
  int passed = 0;
  for (const NamedOutcome& named : *outcomes) {
    WARN(named.name << ": " << named.outcome.passed << " passed, " << named.outcome.failures.size()
                    << " failed");
    passed += named.outcome.passed;
    for (const std::string& failure : named.outcome.failures) FAIL_CHECK(failure);
  }
  CHECK(passed == kScriptEvaluations);
}

TEST_CASE("Without delayed name removal only the scripts about it are answered otherwise") {
  // Labels that are gone at once cannot be grouped, replaced or matched by.
  const std::map<std::string, std::set<int>> otherwise = {
      {"native_histograms.test", {1904}},
      {"name_label_dropping.test", {59, 64, 69, 74, 89, 115, 119, 123}},
      {"type_and_unit.test", {77, 92, 222, 237}},
  };
  const std::unique_ptr<ScriptStorage> storage = MakeMemoryScriptStorage();
  const auto outcomes = RunScripts(/*delayed_name_removal=*/false, storage.get());
  INFO(outcomes.status().ToString());
  REQUIRE(outcomes.ok());
  int passed = 0;
  for (const NamedOutcome& named : *outcomes) {
    passed += named.outcome.passed;
    const auto known = otherwise.find(named.name);
    for (const std::string& failure : named.outcome.failures) {
      const std::vector<std::string_view> parts = Split(failure, ':');
      int64_t line = 0;
      REQUIRE(ParseInt64(parts[1], &line));
      if (known == otherwise.end() || !known->second.contains(static_cast<int>(line))) {
        FAIL_CHECK(failure);
      }
    }
  }
  CHECK(passed == kScriptEvaluations - 13);
}

}  // namespace
}  // namespace narthex::testing
