#ifndef NARTHEX_TESTS_CONFORMANCE_QUERY_SCRIPT_RUNNER_H_
#define NARTHEX_TESTS_CONFORMANCE_QUERY_SCRIPT_RUNNER_H_

#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/metrics/registry.h"
#include "services/query/promql/engine.h"
#include "tests/conformance/query/script.h"
#include "tests/conformance/query/script_storage.h"

namespace narthex::testing {

struct ScriptOutcome {
  int passed = 0;
  std::vector<std::string> failures;  // "file:line: query: what was wrong"
};

// Runs scripts, each from an empty storage. An evaluation counts once; an
// instant one is checked in up to eleven ways: as it is, reprinted with "@" at five times, and each
// of those as a step of a range query.
class ScriptRunner {
 public:
  // `storage` must outlive the runner.
  ScriptRunner(bool delayed_name_removal, ScriptStorage* storage);
  // Adds to `outcome`.
  void Run(const std::string& name, const std::vector<ScriptCommand>& commands,
           ScriptOutcome* outcome);

 private:
  // Each gives what is wrong, or nothing.
  std::string Evaluate(const ScriptCommand& command);
  std::string EvaluateInstant(const ScriptCommand& command, const std::string& query,
                              Timestamp time);
  std::string EvaluateRange(const ScriptCommand& command);

  metrics::Registry registry_;
  promql::Engine engine_;
  ScriptStorage* const storage_;
};

}  // namespace narthex::testing

#endif  // NARTHEX_TESTS_CONFORMANCE_QUERY_SCRIPT_RUNNER_H_
