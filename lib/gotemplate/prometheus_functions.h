#ifndef NARTHEX_LIB_GOTEMPLATE_PROMETHEUS_FUNCTIONS_H_
#define NARTHEX_LIB_GOTEMPLATE_PROMETHEUS_FUNCTIONS_H_

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "lib/gotemplate/template_set.h"

// The templates of alerting rules: Prometheus' functions (query, first, value, label, humanize…,
// title, reReplaceAll, …), its variables ($labels, $value, $externalLabels, $externalURL) and its
// data (.Labels, .Value, .ExternalLabels, .ExternalURL).
namespace narthex::gotemplate {

using LabelPairs = std::vector<std::pair<std::string, std::string>>;

// One element of what the template function `query` gets back.
struct QuerySample {
  LabelPairs labels;  // With __name__.
  double value = 0;
};

// What the functions of one expansion reach. `query` evaluates an instant query at `time`; a scalar
// is one sample without labels, a string one sample without labels with the label __value__.
class RuleEnvironment : public Environment {
 public:
  std::function<absl::StatusOr<std::vector<QuerySample>>(std::string_view expression,
                                                         absl::Time time)>
      query;
  absl::Time time;
  std::string external_url;  // "http://host:9090/prefix"; pathPrefix is its path.
};

struct RuleData {
  LabelPairs labels;
  LabelPairs external_labels;
  std::string external_url;
  double value = 0;
};

const FunctionTable& RuleFunctions();

// One label or annotation text of an alerting rule, parsed once and expanded for each alert.
// Immutable, cheap to copy, thread-safe.
class RuleTemplate {
 public:
  // `name` is what errors show: "__alert_<rule name>". InvalidArgument in Prometheus' words: "error
  // parsing template
  // __alert_x: template: __alert_x:1: …".
  static absl::StatusOr<RuleTemplate> Parse(std::string_view name, std::string_view text);

  // A text that is no template costs nothing. The error is Prometheus': "error executing template
  // __alert_x: …"; callers show
  // "<error expanding template: " + message + ">" as the value.
  absl::StatusOr<std::string> Expand(const RuleData& data,
                                     const RuleEnvironment& environment) const;

 private:
  RuleTemplate(std::string name, TemplateSet set) : name_(std::move(name)), set_(std::move(set)) {}
  std::string name_;
  std::string literal_;  // The text, when it holds no action.
  bool is_literal_ = false;
  TemplateSet set_;
};

// The numbers of humanize, humanize1024, humanizePercentage, humanizeDuration and
// humanizeTimestamp, as dashboards and tools use them too.
std::string Humanize(double value);
std::string Humanize1024(double value);
std::string HumanizePercentage(double value);
std::string HumanizeDuration(double seconds);
std::string HumanizeTimestamp(double seconds);

}  // namespace narthex::gotemplate

#endif  // NARTHEX_LIB_GOTEMPLATE_PROMETHEUS_FUNCTIONS_H_
