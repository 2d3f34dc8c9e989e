#include "services/query/rule_file.h"

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"
#include "lib/labels/labels.h"
#include "lib/yaml/decoder.h"
#include "services/query/promql/printer.h"

namespace narthex::query {
namespace {

using rules::GroupDefinition;
using rules::RuleDefinition;
using StringMap = std::map<std::string, std::string>;

// A rule or group as it stands in the file, with its place.
struct RuleEntry {
  std::optional<yaml::Value> place;
  std::optional<yaml::Value> expr_place;
  std::string record;
  std::string alert;
  std::string expr;
  absl::Duration hold;
  absl::Duration keep_firing_for;
  StringMap labels;
  StringMap annotations;

  const std::string& name() const { return alert.empty() ? record : alert; }
};

struct GroupEntry {
  std::optional<yaml::Value> place;
  std::string name;
  std::optional<absl::Duration> interval;
  std::optional<absl::Duration> query_offset;
  int64_t limit = 0;
  StringMap labels;
  std::vector<RuleEntry> rules;
};

struct FileEntry {
  std::vector<GroupEntry> groups;
};

absl::Status DecodeYaml(const yaml::Value& value, RuleEntry* out) {
  out->place = value;
  yaml::Mapping fields(value, "rulefmt.Rule");
  fields("record", out->record);
  fields("alert", out->alert);
  fields("expr", out->expr);
  if (const yaml::Value* expr = fields.Find("expr")) out->expr_place = *expr;
  fields("for", out->hold);
  fields("keep_firing_for", out->keep_firing_for);
  fields("labels", out->labels);
  fields("annotations", out->annotations);
  return fields.Finish();
}

absl::Status DecodeYaml(const yaml::Value& value, GroupEntry* out) {
  out->place = value;
  yaml::Mapping fields(value, "rulefmt.RuleGroup");
  fields("name", out->name);
  fields("interval", out->interval);
  fields("query_offset", out->query_offset);
  fields("limit", out->limit);
  fields("labels", out->labels);
  fields("rules", out->rules);
  return fields.Finish();
}

absl::Status DecodeYaml(const yaml::Value& value, FileEntry* out) {
  yaml::Mapping fields(value, "rulefmt.RuleGroups");
  fields("groups", out->groups);
  return fields.Finish();
}

// What is wrong with a rule's labels, or "".
std::string CheckLabels(const StringMap& labels) {
  for (const auto& [name, value] : labels) {
    if (name.empty() || !IsValidUtf8(name) || name == kMetricName) {
      return StrCat("invalid label name: ", name);
    }
    if (!IsValidUtf8(value)) return StrCat("invalid label value: ", value);
  }
  return "";
}

// What upstream refuses in a rule beside its expression and templates, or "".
std::string CheckRule(const RuleEntry& rule) {
  if (!rule.record.empty() && !rule.alert.empty()) {
    return "only one of 'record' and 'alert' must be set";
  }
  if (rule.name().empty()) return "one of 'record' or 'alert' must be set";
  if (rule.expr.empty()) return "field 'expr' must be set in rule";
  if (!rule.record.empty()) {
    if (!rule.annotations.empty()) return "invalid field 'annotations' in recording rule";
    if (rule.hold != absl::ZeroDuration()) return "invalid field 'for' in recording rule";
    if (rule.keep_firing_for != absl::ZeroDuration()) {
      return "invalid field 'keep_firing_for' in recording rule";
    }
    if (!IsValidUtf8(rule.record)) return StrCat("invalid recording rule name: ", rule.record);
    if (rule.record.find_first_of("{}") != std::string::npos) {
      return StrCat("braces present in the recording rule name; should it be in expr?: ",
                    rule.record);
    }
  }
  if (std::string problem = CheckLabels(rule.labels); !problem.empty()) return problem;
  for (const auto& [name, text] : rule.annotations) {
    if (name.empty() || !IsValidUtf8(name)) return StrCat("invalid annotation name: ", name);
  }
  return "";
}

absl::StatusOr<std::vector<rules::TemplateText>> ParseTemplates(std::string_view alert,
                                                                std::string_view kind,
                                                                const StringMap& texts) {
  std::vector<rules::TemplateText> templates;
  for (const auto& [name, text] : texts) {
    absl::StatusOr<gotemplate::RuleTemplate> compiled =
        gotemplate::RuleTemplate::Parse(StrCat("__alert_", alert), text);
    if (!compiled.ok()) {
      return InvalidArgument(kind, " ", Quote(name), ": ", Message(compiled.status()));
    }
    templates.push_back({name, *std::move(compiled)});
  }
  return templates;
}

rules::TextPairs ToPairs(const StringMap& texts) { return {texts.begin(), texts.end()}; }

// The rule with everything parsed. Errors are reasons without a place; those of the expression are
// put at `*place`.
absl::StatusOr<RuleDefinition> Compile(const RuleEntry& entry, const RuleFileOptions& options,
                                       const yaml::Value** place) {
  if (const std::string problem = CheckRule(entry); !problem.empty()) {
    return InvalidArgument(problem);
  }
  RuleDefinition rule;
  rule.alerting = !entry.alert.empty();
  rule.name = entry.name();
  absl::StatusOr<promql::ExprPtr> expr = promql::ParseExpr(entry.expr, options.parser);
  if (!expr.ok()) {
    *place = &*entry.expr_place;
    return InvalidArgument("could not parse expression: ", Message(expr.status()));
  }
  rule.expression = promql::ToString(**expr);
  rule.expr = *std::move(expr);
  rule.labels = ToPairs(entry.labels);
  rule.annotations = ToPairs(entry.annotations);
  rule.hold = entry.hold;
  rule.keep_firing_for = entry.keep_firing_for;
  if (rule.alerting) {
    NARTHEX_ASSIGN_OR_RETURN(rule.label_templates,
                             ParseTemplates(rule.name, "label", entry.labels));
    NARTHEX_ASSIGN_OR_RETURN(rule.annotation_templates,
                             ParseTemplates(rule.name, "annotation", entry.annotations));
  }
  return rule;
}

absl::StatusOr<GroupDefinition> Compile(GroupEntry entry, const std::string& file_name,
                                        const RuleFileOptions& options) {
  if (entry.name.empty()) return entry.place->Error("Groupname must not be empty");
  if (std::string problem = CheckLabels(entry.labels); !problem.empty()) {
    return entry.place->Error(problem);
  }
  if (entry.limit < 0) return entry.place->Error("limit must not be negative");
  GroupDefinition group;
  group.name = entry.name;
  group.file = file_name;
  group.interval = entry.interval.value_or(absl::ZeroDuration());
  if (group.interval == absl::ZeroDuration()) group.interval = options.interval;
  group.query_offset = entry.query_offset.value_or(options.query_offset);
  group.limit = static_cast<size_t>(entry.limit);
  for (size_t i = 0; i < entry.rules.size(); ++i) {
    RuleEntry& rule_entry = entry.rules[i];
    // The rule's own labels win.
    rule_entry.labels.insert(entry.labels.begin(), entry.labels.end());
    const yaml::Value* place = &*rule_entry.place;
    absl::StatusOr<RuleDefinition> rule = Compile(rule_entry, options, &place);
    if (!rule.ok()) {
      return place->Error("group ", Quote(entry.name), ", rule ", i + 1, ", ",
                          Quote(rule_entry.name()), ": ", Message(rule.status()));
    }
    group.rules.push_back(std::make_shared<const RuleDefinition>(*std::move(rule)));
  }
  return group;
}

}  // namespace

absl::StatusOr<LoadedRules> ParseRuleFile(std::string_view text, const std::string& file_name,
                                          const RuleFileOptions& options) {
  NARTHEX_ASSIGN_OR_RETURN(
      const yaml::Document document,
      yaml::Document::Parse(text, file_name, yaml::Document::MoreDocuments::kIgnore));
  FileEntry file;
  NARTHEX_RETURN_IF_ERROR(DecodeYaml(document.root(), &file));
  LoadedRules loaded;
  if (const int line = document.second_document_line(); line > 0) {
    loaded.warnings.push_back(
        StrCat(file_name, ":", line, ": only the first YAML document of a rule file is used"));
  }
  std::set<std::string> names;
  for (GroupEntry& entry : file.groups) {
    const yaml::Value place = *entry.place;
    if (!names.insert(entry.name).second) {
      return place.Error("groupname: \"", entry.name, "\" is repeated in the same file");
    }
    NARTHEX_ASSIGN_OR_RETURN(GroupDefinition group, Compile(std::move(entry), file_name, options));
    loaded.groups.push_back(std::move(group));
  }
  return loaded;
}

absl::StatusOr<LoadedRules> LoadRuleFiles(io::FileSystem* fs,
                                          const std::vector<std::string>& patterns,
                                          const RuleFileOptions& options) {
  std::set<std::string> files;
  for (const std::string& pattern : patterns) {
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<std::string> matches, fs->Glob(pattern));
    files.insert(matches.begin(), matches.end());
  }
  LoadedRules loaded;
  for (const std::string& file : files) {
    NARTHEX_ASSIGN_OR_RETURN(const std::string text, fs->ReadFile(file));
    NARTHEX_ASSIGN_OR_RETURN(LoadedRules one, ParseRuleFile(text, file, options));
    loaded.groups.insert(loaded.groups.end(), std::make_move_iterator(one.groups.begin()),
                         std::make_move_iterator(one.groups.end()));
    loaded.warnings.insert(loaded.warnings.end(), one.warnings.begin(), one.warnings.end());
  }
  return loaded;
}

}  // namespace narthex::query
