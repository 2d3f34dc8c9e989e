#ifndef NARTHEX_TESTS_UNIT_SERVICES_QUERY_RULES_RULES_FIXTURE_H_
#define NARTHEX_TESTS_UNIT_SERVICES_QUERY_RULES_RULES_FIXTURE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/mutex.h"
#include "lib/base/strings.h"
#include "lib/metrics/registry.h"
#include "services/query/promql/printer.h"
#include "services/query/rules/group.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_storage.h"

namespace narthex::rules {

// A store that can be taken away: every Select then fails.
class FlakyStorage : public storage::Querier {
 public:
  explicit FlakyStorage(testing::MemoryStorage* memory) : memory_(memory) {}
  void Fail(absl::Status status) {
    MutexLock lock(&mu_);
    failure_ = std::move(status);
  }
  absl::StatusOr<storage::SelectResult> Select(std::span<const storage::Selector> selectors,
                                               const storage::SelectOptions& options) override {
    {
      MutexLock lock(&mu_);
      if (!failure_.ok()) return failure_;
    }
    return memory_->Select(selectors, options);
  }
  absl::StatusOr<std::vector<std::string>> LabelNames(std::span<const std::vector<Matcher>> sets,
                                                      Timestamp min_time,
                                                      Timestamp max_time) override {
    return memory_->LabelNames(sets, min_time, max_time);
  }
  absl::StatusOr<std::vector<std::string>> LabelValues(std::string_view name,
                                                       std::span<const std::vector<Matcher>> sets,
                                                       Timestamp min_time,
                                                       Timestamp max_time) override {
    return memory_->LabelValues(name, sets, min_time, max_time);
  }

 private:
  testing::MemoryStorage* const memory_;
  Mutex mu_;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
};

// Everything that rules reach, in memory and on a clock of its own.
struct RulesFixture {
  RulesFixture() {
    environment.clock = &clock;
    environment.registry = &registry;
    environment.engine = &engine;
    environment.querier = &storage;
    environment.new_appender = [this] { return memory.NewAppender(); };
    environment.send_alerts = [this](std::vector<Alert> alerts) {
      MutexLock lock(&mu);
      sent.insert(sent.end(), alerts.begin(), alerts.end());
    };
    environment.generator_url = [](std::string_view expression) {
      return StrCat("http://q/graph?", expression);
    };
    environment.external_url = "http://q";
  }

  std::vector<Alert> TakeSent() {
    MutexLock lock(&mu);
    return std::exchange(sent, {});
  }

  FakeClock clock;
  metrics::Registry registry;
  testing::MemoryStorage memory;
  FlakyStorage storage{&memory};
  promql::Engine engine{promql::EngineOptions(), &clock, &registry};
  RuleEnvironment environment;
  Mutex mu;
  std::vector<Alert> sent;
};

inline std::shared_ptr<RuleDefinition> NewRule(std::string_view name, std::string_view expression) {
  auto rule = std::make_shared<RuleDefinition>();
  rule->name = std::string(name);
  absl::StatusOr<promql::ExprPtr> expr = promql::ParseExpr(expression);
  NARTHEX_CHECK_OK(expr.status());
  rule->expression = promql::ToString(**expr);
  rule->expr = *std::move(expr);
  return rule;
}

inline std::shared_ptr<const RuleDefinition> Recording(std::string_view name,
                                                       std::string_view expression,
                                                       TextPairs labels = {}) {
  auto rule = NewRule(name, expression);
  rule->labels = std::move(labels);
  return rule;
}

inline std::vector<TemplateText> Templates(const TextPairs& texts) {
  std::vector<TemplateText> templates;
  for (const auto& [name, text] : texts) {
    auto compiled = gotemplate::RuleTemplate::Parse("__alert_test", text);
    NARTHEX_CHECK_OK(compiled.status());
    templates.push_back({name, *std::move(compiled)});
  }
  return templates;
}

inline std::shared_ptr<const RuleDefinition> Alerting(std::string_view name,
                                                      std::string_view expression,
                                                      absl::Duration hold, TextPairs labels = {},
                                                      TextPairs annotations = {},
                                                      absl::Duration keep_firing_for = {}) {
  auto rule = NewRule(name, expression);
  rule->alerting = true;
  rule->hold = hold;
  rule->keep_firing_for = keep_firing_for;
  rule->label_templates = Templates(labels);
  rule->annotation_templates = Templates(annotations);
  rule->labels = std::move(labels);
  rule->annotations = std::move(annotations);
  return rule;
}

inline GroupDefinition NewGroup(std::vector<std::shared_ptr<const RuleDefinition>> rules,
                                absl::Duration interval = absl::Minutes(1)) {
  GroupDefinition group;
  group.name = "group";
  group.file = "rules.yml";
  group.interval = interval;
  group.rules = std::move(rules);
  return group;
}

}  // namespace narthex::rules

#endif  // NARTHEX_TESTS_UNIT_SERVICES_QUERY_RULES_RULES_FIXTURE_H_
