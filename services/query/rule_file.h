#ifndef NARTHEX_SERVICES_QUERY_RULE_FILE_H_
#define NARTHEX_SERVICES_QUERY_RULE_FILE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/io/file_system.h"
#include "services/query/promql/parser.h"
#include "services/query/rules/group.h"

namespace narthex::query {

struct RuleFileOptions {
  absl::Duration interval = absl::Minutes(1);  // Of groups that name none.
  absl::Duration query_offset;                 // Likewise.
  promql::ParserOptions parser;
};

// Rule groups that were read, and what is worth a warning in their files.
struct LoadedRules {
  std::vector<rules::GroupDefinition> groups;
  std::vector<std::string> warnings;
};

// Reads the groups of one rule file: strict YAML, every expression and template parsed. Errors are
// InvalidArgument "rules.yml:5:13: groups[0].rules[0].expr: group "g", rule 1, "up": could not
// parse expression: …". Only the first YAML document counts, as for Prometheus.
absl::StatusOr<LoadedRules> ParseRuleFile(std::string_view text, const std::string& file_name,
                                          const RuleFileOptions& options);

// All files that match `patterns`, each once.
absl::StatusOr<LoadedRules> LoadRuleFiles(io::FileSystem* fs,
                                          const std::vector<std::string>& patterns,
                                          const RuleFileOptions& options);

}  // namespace narthex::query

#endif  // NARTHEX_SERVICES_QUERY_RULE_FILE_H_
