#include "services/query/api/federate.h"

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/strings.h"
#include "lib/model/sample.h"
#include "lib/model/stale.h"
#include "lib/textparse/writer.h"
#include "services/query/api/errors.h"
#include "services/query/api/params.h"

namespace narthex::query_api {
namespace {

http::ServerResponse Failure(const absl::Status& status) {
  return http::ServerResponse::Text(HttpStatus(ErrorTypeOf(status)), StrCat(Message(status), "\n"));
}

// The labels of a line: those of the series without its name, then the external labels it lacks,
// and an empty instance so that the scraping server does not put its own there.
std::vector<std::pair<std::string, std::string>> LineLabels(const Labels& series,
                                                            const Labels& external_labels) {
  std::vector<std::pair<std::string, std::string>> labels;
  for (const LabelView label : series) {
    if (label.name != kMetricName) labels.emplace_back(label.name, label.value);
  }
  for (const LabelView label : external_labels) {
    if (!series.Has(label.name)) labels.emplace_back(label.name, label.value);
  }
  if (!series.Has("instance") && !external_labels.Has("instance")) {
    labels.emplace_back("instance", "");
  }
  return labels;
}

}  // namespace

http::ServerResponse FederateHandler::Handle(const http::ServerRequest& request) {
  absl::StatusOr<std::vector<std::vector<Matcher>>> matcher_sets = MatchParams(request.params);
  if (!matcher_sets.ok()) return Failure(matcher_sets.status());
  const absl::Time now = clock_->Now();
  std::vector<storage::Selector> selectors;
  for (std::vector<Matcher>& matchers : *matcher_sets) {
    storage::Selector& selector = selectors.emplace_back();
    selector.matchers = std::move(matchers);
    selector.hints.start = ToTimestamp(now - options_.lookback_delta);
    selector.hints.end = ToTimestamp(now);
    selector.hints.newest_only = true;
  }
  std::map<std::pair<std::string_view, Labels>, Sample> newest;  // In order of name.
  storage::SelectResult result;
  if (!selectors.empty()) {
    storage::SelectOptions options;
    options.deadline = now + options_.timeout;
    options.cancelled = request.cancelled;
    absl::StatusOr<storage::SelectResult> selected = querier_->Select(selectors, options);
    if (!selected.ok()) return Failure(selected.status());
    result = *std::move(selected);
  }
  SampleBuffer samples;
  for (const std::unique_ptr<storage::SeriesSet>& set : result.sets) {
    while (set->Next()) {
      samples.Clear();
      if (const absl::Status status = set->ReadSamples(&samples); !status.ok()) {
        return Failure(status);
      }
      if (samples.empty() || IsStale(samples.values().back())) continue;
      // The text format has no native histograms: a series that has become one is not there.
      if (samples.kind(samples.size() - 1) != SampleKind::kFloat) continue;
      // The name's bytes live in the label set of the key itself.
      const Labels labels = set->labels();
      newest[{labels.metric_name(), labels}] = {samples.timestamps().back(),
                                                samples.values().back()};
    }
    if (!set->status().ok()) return Failure(set->status());
  }
  const Labels external_labels = options_.external_labels();
  http::ServerResponse response;
  response.content_type = std::string(textparse::kTextContentType);
  std::string_view family;
  for (const auto& [key, sample] : newest) {
    const auto& [name, labels] = key;
    if (name.empty()) continue;
    if (name != family) {
      textparse::WriteType(&response.body, name, "untyped");
      family = name;
    }
    textparse::WriteSample(&response.body, name, LineLabels(labels, external_labels), sample.value,
                           sample.timestamp);
  }
  return response;
}

}  // namespace narthex::query_api
