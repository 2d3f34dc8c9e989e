#include "tests/conformance/query/script_suite.h"

#include <cstdlib>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/io/file_system.h"

namespace narthex::testing {
namespace {

std::string DataFolder() {
  const char* const shared = std::getenv("NARTHEX_SHARED");
  return StrCat(shared != nullptr ? shared : NARTHEX_SOURCE_DIR "/../shared",
                "/conformance/promql");
}

}  // namespace

absl::StatusOr<std::vector<NamedOutcome>> RunScripts(bool delayed_name_removal,
                                                     ScriptStorage* storage) {
  io::FileSystem* const files = io::PosixFileSystem();
  const absl::StatusOr<std::vector<std::string>> names = files->List(DataFolder());
  if (!names.ok()) {
    return Annotate(names.status(), "no conformance data (set NARTHEX_SHARED)");
  }
  std::vector<NamedOutcome> outcomes;
  for (const std::string& name : *names) {
    if (!name.ends_with(".test")) continue;
    NARTHEX_ASSIGN_OR_RETURN(const std::string text,
                             files->ReadFile(StrCat(DataFolder(), "/", name)));
    const absl::StatusOr<std::vector<ScriptCommand>> commands = ParseScript(text);
    if (!commands.ok()) return Annotate(commands.status(), name);
    NamedOutcome named{name, {}};
    ScriptRunner(delayed_name_removal, storage).Run(name, *commands, &named.outcome);
    outcomes.push_back(std::move(named));
  }
  return outcomes;
}

}  // namespace narthex::testing
