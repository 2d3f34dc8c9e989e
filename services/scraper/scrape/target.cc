#include "services/scraper/scrape/target.h"

#include <map>
#include <string_view>
#include <vector>

#include "lib/base/duration.h"
#include "lib/base/hash.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/http/message.h"
#include "lib/labels/labels_builder.h"
#include "lib/relabel/name_validation.h"
#include "lib/relabel/relabel.h"

namespace narthex::scrape {
namespace {

constexpr std::string_view kAddress = "__address__";
constexpr std::string_view kScheme = "__scheme__";
constexpr std::string_view kMetricsPath = "__metrics_path__";
constexpr std::string_view kInterval = "__scrape_interval__";
constexpr std::string_view kTimeout = "__scrape_timeout__";
constexpr std::string_view kParamPrefix = "__param_";
constexpr std::string_view kMetaPrefix = "__meta_";
constexpr std::string_view kReservedPrefix = "__";
constexpr std::string_view kJob = "job";
constexpr std::string_view kInstance = "instance";

absl::StatusOr<absl::Duration> ReadDuration(const LabelsBuilder& labels, std::string_view label,
                                            std::string_view what) {
  const absl::StatusOr<absl::Duration> duration = ParseDuration(labels.Get(label));
  if (!duration.ok()) {
    return InvalidArgument("error parsing ", what, ": ", Message(duration.status()));
  }
  if (*duration <= absl::ZeroDuration()) return InvalidArgument(what, " cannot be 0");
  return *duration;
}

// As Go's url.URL prints a path: a '?' or '%' in it is part of the path.
std::string EscapePath(std::string_view path) {
  std::string out;
  for (size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    if (c == '/' || c == ';' || c == ',') {
      out.push_back(c);
    } else {
      out += http::UrlEncodePath(path.substr(i, 1));
    }
  }
  return out;
}

std::string MakeUrl(const LabelsBuilder& labels, const config::ScrapeConfig& config) {
  std::map<std::string, std::vector<std::string>> params = config.params;
  labels.ForEach([&](LabelView label) {
    if (!label.name.starts_with(kParamPrefix)) return;
    std::vector<std::string>& values = params[std::string(label.name.substr(kParamPrefix.size()))];
    if (values.empty()) values.emplace_back();
    values.front() = std::string(label.value);
  });
  std::string path(labels.Get(kMetricsPath));
  if (!path.starts_with('/')) path.insert(0, "/");
  std::string url = StrCat(labels.Get(kScheme), "://", labels.Get(kAddress), EscapePath(path));
  char separator = '?';
  for (const auto& [name, values] : params) {
    for (const std::string& value : values) {
      StrAppend(&url, separator, http::UrlEncodeQuery(name), "=", http::UrlEncodeQuery(value));
      separator = '&';
    }
  }
  return url;
}

}  // namespace

uint64_t Target::OffsetHash(uint64_t seed) const {
  return StableHash(labels.ToString() + url) ^ seed;
}

Labels DiscoveredLabels(const Labels& target, const Labels& group,
                        const config::ScrapeConfig& config) {
  LabelsBuilder builder(target);
  for (const LabelView label : group) {
    if (!target.Has(label.name)) builder.Set(label.name, label.value);
  }
  const auto set_default = [&](std::string_view name, std::string_view value) {
    if (builder.Get(name).empty()) builder.Set(name, value);
  };
  set_default(kJob, config.job_name);
  set_default(kInterval, FormatDuration(config.scrape_interval));
  set_default(kTimeout, FormatDuration(config.scrape_timeout));
  set_default(kMetricsPath, config.metrics_path);
  set_default(kScheme, config.scheme);
  for (const auto& [name, values] : config.params) {
    if (values.empty()) continue;
    const std::string label = StrCat(kParamPrefix, name);
    set_default(label, values.front());
  }
  return builder.Build();
}

absl::StatusOr<std::optional<Target>> MakeTarget(const Labels& discovered,
                                                 const config::ScrapeConfig& config) {
  LabelsBuilder builder(discovered);
  if (!relabel::Process(config.relabel_configs, &builder)) return std::optional<Target>();
  const std::string address(builder.Get(kAddress));
  if (address.empty()) return InvalidArgument("no address");
  if (address.find('/') != std::string::npos) {
    return InvalidArgument(Quote(address), " is not a valid hostname");
  }
  Target target;
  target.discovered = discovered;
  NARTHEX_ASSIGN_OR_RETURN(target.interval, ReadDuration(builder, kInterval, "scrape interval"));
  NARTHEX_ASSIGN_OR_RETURN(target.timeout, ReadDuration(builder, kTimeout, "scrape timeout"));
  if (target.timeout > target.interval) {
    return InvalidArgument("scrape timeout cannot be greater than scrape interval (",
                           Quote(builder.Get(kTimeout)), " > ", Quote(builder.Get(kInterval)), ")");
  }
  if (builder.Get(kInstance).empty()) builder.Set(kInstance, address);
  target.url = MakeUrl(builder, config);

  const Labels all = builder.Build();
  LabelsBuilder kept;
  for (const LabelView label : all) {
    // Upstream checks what relabelling leaves but the labels of discovery.
    if (!label.name.starts_with(kMetaPrefix) && !IsValidLabelValue(label.value)) {
      return InvalidArgument("invalid label value for ", Quote(label.name), ": ",
                             Quote(label.value));
    }
    if (!label.name.starts_with(kReservedPrefix)) kept.Set(label.name, label.value);
  }
  target.labels = kept.Build();
  return std::optional<Target>(std::move(target));
}

}  // namespace narthex::scrape
