// Any bytes as a rule file: what is accepted holds together, and an error has a place.
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "lib/base/check.h"
#include "lib/base/strings.h"
#include "services/query/promql/printer.h"
#include "services/query/rule_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace narthex;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<query::LoadedRules> loaded =
      query::ParseRuleFile(text, "r.yml", query::RuleFileOptions());
  if (!loaded.ok()) {
    NARTHEX_CHECK(Message(loaded.status()).substr(0, 6) == "r.yml:");
    return 0;
  }
  std::set<std::string> keys;
  for (const rules::GroupDefinition& group : loaded->groups) {
    NARTHEX_CHECK(!group.name.empty());
    NARTHEX_CHECK(keys.insert(group.key()).second);
    NARTHEX_CHECK(group.interval > absl::ZeroDuration());
    NARTHEX_CHECK(group == group);
    for (const auto& rule : group.rules) {
      NARTHEX_CHECK(!rule->name.empty());
      const absl::StatusOr<promql::ExprPtr> again = promql::ParseExpr(rule->expression);
      NARTHEX_CHECK_OK(again.status());
      NARTHEX_CHECK(promql::ToString(**again) == rule->expression);
      NARTHEX_CHECK(rule->alerting || rule->annotations.empty());
    }
  }
  return 0;
}
