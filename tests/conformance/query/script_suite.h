#ifndef NARTHEX_TESTS_CONFORMANCE_QUERY_SCRIPT_SUITE_H_
#define NARTHEX_TESTS_CONFORMANCE_QUERY_SCRIPT_SUITE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/conformance/query/script_runner.h"

namespace narthex::testing {

// Every evaluation of the 21 scripts.
inline constexpr int kScriptEvaluations = 2195;

struct NamedOutcome {
  std::string name;  // Of the script.
  ScriptOutcome outcome;
};

// Runs every script of upstream, which are found beside the sources or below $NARTHEX_SHARED. An
// error where there are none, or one does not parse.
absl::StatusOr<std::vector<NamedOutcome>> RunScripts(bool delayed_name_removal,
                                                     ScriptStorage* storage);

}  // namespace narthex::testing

#endif  // NARTHEX_TESTS_CONFORMANCE_QUERY_SCRIPT_SUITE_H_
