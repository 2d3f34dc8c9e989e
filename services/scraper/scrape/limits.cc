#include "services/scraper/scrape/limits.h"

#include <string_view>

#include "lib/base/strings.h"

namespace narthex::scrape {
namespace {

// Names and values go into errors cut to this many bytes.
constexpr size_t kShownBytes = 50;

std::string_view Shown(std::string_view text) { return text.substr(0, kShownBytes); }

}  // namespace

absl::Status CheckLabelLimits(const Labels& labels, const config::ScrapeLimits& limits) {
  const std::string_view metric = labels.metric_name();
  if (limits.labels > 0 && labels.size() > limits.labels) {
    return InvalidArgument("label_limit exceeded (metric: ", Shown(metric),
                           ", number of labels: ", labels.size(), ", limit: ", limits.labels, ")");
  }
  if (limits.label_name_length == 0 && limits.label_value_length == 0) return absl::OkStatus();
  for (const LabelView label : labels) {
    if (limits.label_name_length > 0 && label.name.size() > limits.label_name_length) {
      return InvalidArgument("label_name_length_limit exceeded (metric: ", Shown(metric),
                             ", label name: ", Shown(label.name), ", length: ", label.name.size(),
                             ", limit: ", limits.label_name_length, ")");
    }
    if (limits.label_value_length > 0 && label.value.size() > limits.label_value_length) {
      return InvalidArgument(
          "label_value_length_limit exceeded (metric: ", Shown(metric),
          ", label name: ", Shown(label.name), ", value: ", Quote(Shown(label.value)),
          ", length: ", label.value.size(), ", limit: ", limits.label_value_length, ")");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTargetLimit(size_t targets, const config::ScrapeLimits& limits) {
  if (limits.targets == 0 || targets <= limits.targets) return absl::OkStatus();
  return ResourceExhausted("target_limit exceeded (number of targets: ", targets,
                           ", limit: ", limits.targets, ")");
}

absl::Status SampleLimitExceeded() { return ResourceExhausted("sample limit exceeded"); }

}  // namespace narthex::scrape
