#include "services/query/promql/annotations.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "lib/base/strings.h"

namespace narthex::promql {
namespace {

std::string PlaceText(std::string_view query, int position) {
  int line = 1;
  int last_break = -1;
  for (int i = 0; i < position && i < static_cast<int>(query.size()); ++i) {
    if (query[static_cast<size_t>(i)] == '\n') {
      last_break = i;
      ++line;
    }
  }
  return StrCat(" (", line, ":", position - last_break, ")");
}

std::string TimeText(Timestamp time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", FromTimestamp(time), absl::UTCTimeZone());
}

}  // namespace

Annotations::Entry* Annotations::Add(bool warning, std::string_view message, int position) {
  const auto [it, added] =
      index_.try_emplace(StrCat(warning ? "w" : "i", position, ":", message), entries_.size());
  if (added) {
    Entry entry;
    entry.text = message;
    entry.warning = warning;
    entry.position = position;
    entries_.push_back(std::move(entry));
  }
  return &entries_[it->second];
}

void Annotations::Warn(std::string_view message, PositionRange position) {
  Add(true, StrCat("PromQL warning: ", message), position.start);
}

void Annotations::Inform(std::string_view message, PositionRange position) {
  Add(false, StrCat("PromQL info: ", message), position.start);
}

void Annotations::AddStorageWarning(std::string_view message) {
  Add(true, message, 0)->has_position = false;
}

void Annotations::InformForcedMonotonicity(std::string_view metric_name, PositionRange position,
                                           Timestamp time, double bound_min, double bound_max,
                                           double difference_max) {
  std::string message =
      "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see "
      "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
  if (!metric_name.empty()) StrAppend(&message, " for metric name ", Quote(metric_name));
  Entry* entry = Add(false, message, position.start);
  if (entry->repairs == 0) {
    entry->time_min = entry->time_max = time;
    entry->bound_min = bound_min;
    entry->bound_max = bound_max;
    entry->difference_max = difference_max;
  }
  ++entry->repairs;
  entry->time_min = std::min(entry->time_min, time);
  entry->time_max = std::max(entry->time_max, time);
  entry->bound_min = std::min(entry->bound_min, bound_min);
  entry->bound_max = std::max(entry->bound_max, bound_max);
  entry->difference_max = std::max(entry->difference_max, difference_max);
}

std::vector<std::string> Annotations::Render(bool warning, std::string_view query) const {
  std::vector<std::string> lines;
  for (const Entry& entry : entries_) {
    if (entry.warning != warning) continue;
    std::string line = entry.text;
    if (!query.empty() && entry.repairs > 0) {
      line += absl::StrFormat(
          ", from buckets %g to %g, with a max diff of %.2g, over %d samples from %s to %s",
          entry.bound_min, entry.bound_max, entry.difference_max, entry.repairs,
          TimeText(entry.time_min), TimeText(entry.time_max));
    }
    if (!query.empty() && entry.has_position) line += PlaceText(query, entry.position);
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<std::string> Annotations::Warnings(std::string_view query) const {
  return Render(true, query);
}

std::vector<std::string> Annotations::Infos(std::string_view query) const {
  return Render(false, query);
}

std::vector<std::string> LimitAnnotations(std::vector<std::string> lines, size_t limit,
                                          std::string_view kind) {
  if (lines.size() <= limit) return lines;
  const size_t omitted = lines.size() - limit;
  lines.resize(limit);
  lines.push_back(StrCat(omitted, " more ", kind, " annotations omitted"));
  return lines;
}

}  // namespace narthex::promql
