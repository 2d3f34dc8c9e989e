#include "services/query/api/storage_handlers.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "lib/base/float_format.h"
#include "lib/base/strings.h"
#include "lib/json/writer.h"
#include "services/query/api/params.h"
#include "services/query/api/value_writer.h"
#include "services/query/promql/ast.h"
#include "services/query/promql/parser.h"

namespace narthex::query_api {
namespace {

constexpr int64_t kStatisticsDefault = 10;
constexpr int64_t kStatisticsMax = 10'000;

void WriteExemplar(const Exemplar& exemplar, json::Writer* writer) {
  writer->BeginObject();
  writer->Key("labels");
  WriteLabels(exemplar.labels, writer);
  writer->Key("value");
  std::string value;
  AppendSampleValue(&value, exemplar.value);
  writer->String(value);
  writer->Key("timestamp");
  std::string timestamp;
  AppendTimestamp(&timestamp, exemplar.timestamp);
  writer->Raw(timestamp);
  writer->EndObject();
}

// Counts of several nodes: equal names together, the greatest first, equal ones by name.
std::vector<rpc::NamedCount> Join(std::map<std::string, uint64_t> counts, size_t limit) {
  std::vector<rpc::NamedCount> joined;
  joined.reserve(counts.size());
  for (const auto& [name, count] : counts) joined.push_back({name, count});
  std::stable_sort(joined.begin(), joined.end(),
                   [](const auto& a, const auto& b) { return a.count > b.count; });
  if (joined.size() > limit) joined.resize(limit);
  return joined;
}

std::optional<Answer> ParseDelete(const http::Params& params, Timestamp* start, Timestamp* end,
                                  std::vector<std::vector<Matcher>>* sets) {
  if (!params.Has("match[]")) {
    return Answer::Error(ErrorType::kBadData, "no match[] parameter provided");
  }
  const absl::StatusOr<Timestamp> min_time = TimeParam(params, "start", kApiMinTime);
  if (!min_time.ok()) return Answer::BadParameter("start", min_time.status());
  const absl::StatusOr<Timestamp> max_time = TimeParam(params, "end", kApiMaxTime);
  if (!max_time.ok()) return Answer::BadParameter("end", max_time.status());
  for (const std::string& text : params.All("match[]")) {
    absl::StatusOr<std::vector<Matcher>> matchers = promql::ParseMetricSelector(text);
    if (!matchers.ok()) return Answer::BadParameter("match[]", matchers.status());
    if (matchers->empty()) {
      return Answer::BadParameter("match[]", "must contain at least one matcher");
    }
    sets->push_back(*std::move(matchers));
  }
  *start = *min_time;
  *end = *max_time;
  return std::nullopt;
}

}  // namespace

absl::Status StorageHandlers::AskAll(const std::function<absl::Status(rpc::StorageClient*)>& ask,
                                     std::vector<std::string>* warnings) const {
  absl::Status first_error;
  bool answered = nodes_.empty();
  for (rpc::StorageClient* const node : nodes_) {
    const absl::Status status = ask(node);
    answered = answered || status.ok();
    if (status.ok()) continue;
    if (absl::IsCancelled(status)) return status;
    first_error.Update(status);
    warnings->emplace_back(Message(status));
  }
  return answered ? absl::OkStatus() : first_error;
}

absl::Status StorageHandlers::TellAll(
    const std::function<absl::Status(rpc::StorageClient*)>& tell) const {
  absl::Status first_error;
  for (rpc::StorageClient* const node : nodes_) first_error.Update(tell(node));
  return first_error;
}

Answer StorageHandlers::Exemplars(const http::ServerRequest& request) {
  const http::Params& params = request.params;
  const absl::StatusOr<Timestamp> start = TimeParam(params, "start", kApiMinTime);
  if (!start.ok()) return Answer::BadParameter("start", start.status());
  const absl::StatusOr<Timestamp> end = TimeParam(params, "end", kApiMaxTime);
  if (!end.ok()) return Answer::BadParameter("end", end.status());
  if (*end < *start) {
    return Answer::Error(ErrorType::kBadData, "end timestamp must not be before start timestamp");
  }
  const absl::StatusOr<promql::ExprPtr> expr = engine_->Parse(params.Get("query"));
  if (!expr.ok()) return Answer::Error(expr.status());
  std::vector<std::vector<Matcher>> sets;
  for (const promql::VectorSelector* selector : promql::Selectors(**expr)) {
    sets.push_back(selector->matchers);
  }
  if (sets.empty()) return Answer();

  Answer answer;
  std::map<Labels, std::vector<Exemplar>> found;
  const absl::Status status = AskAll(
      [&](rpc::StorageClient* node) {
        auto series = node->Exemplars(sets, *start, *end, request.cancelled);
        if (!series.ok()) return series.status();
        for (rpc::SeriesExemplars& one : *series) {
          std::vector<Exemplar>& exemplars = found[one.labels];
          exemplars.insert(exemplars.end(), std::make_move_iterator(one.exemplars.begin()),
                           std::make_move_iterator(one.exemplars.end()));
        }
        return absl::OkStatus();
      },
      &answer.warnings);
  if (!status.ok()) return Answer::Error(status);
  json::Writer writer(&answer.data);
  writer.BeginArray();
  for (auto& [labels, exemplars] : found) {
    // Replicas have the same ones.
    if (nodes_.size() > 1) {
      std::stable_sort(exemplars.begin(), exemplars.end(),
                       [](const auto& a, const auto& b) { return a.timestamp < b.timestamp; });
      exemplars.erase(std::unique(exemplars.begin(), exemplars.end()), exemplars.end());
    }
    writer.BeginObject();
    writer.Key("seriesLabels");
    WriteLabels(labels, &writer);
    writer.Key("exemplars");
    writer.BeginArray();
    for (const Exemplar& exemplar : exemplars) WriteExemplar(exemplar, &writer);
    writer.EndArray();
    writer.EndObject();
  }
  writer.EndArray();
  return answer;
}

Answer StorageHandlers::Statistics(const http::ServerRequest& request) {
  int64_t limit = kStatisticsDefault;
  if (const std::string_view text = request.params.Get("limit"); !text.empty()) {
    const absl::StatusOr<int64_t> parsed = ParseGoInt(text);
    if (!parsed.ok() || *parsed < 1) {
      return Answer::Error(ErrorType::kBadData, "limit must be a positive number");
    }
    if (*parsed > kStatisticsMax) {
      return Answer::Error(ErrorType::kBadData, StrCat("limit must not exceed ", kStatisticsMax));
    }
    limit = *parsed;
  }
  // What is great on all nodes together may be in the middle on each.
  const size_t asked = static_cast<size_t>(nodes_.size() > 1 ? kStatisticsMax : limit);
  using List = std::vector<rpc::NamedCount> rpc::StorageStatistics::*;
  constexpr std::pair<const char*, List> kLists[] = {
      {"seriesCountByMetricName", &rpc::StorageStatistics::series_by_metric_name},
      {"labelValueCountByLabelName", &rpc::StorageStatistics::values_by_label_name},
      {"memoryInBytesByLabelName", &rpc::StorageStatistics::bytes_by_label_name},
      {"seriesCountByLabelValuePair", &rpc::StorageStatistics::series_by_label_pair},
      {"seriesGrowthByMetricName", &rpc::StorageStatistics::growth_by_metric_name},
  };
  Answer answer;
  rpc::StorageStatistics all;
  std::map<std::string, uint64_t> counts[std::size(kLists)];
  const absl::Status status = AskAll(
      [&](rpc::StorageClient* node) {
        const absl::StatusOr<rpc::StorageStatistics> one = node->Statistics(asked);
        if (!one.ok()) return one.status();
        all.series += one->series;
        all.label_pairs += one->label_pairs;
        all.chunks += one->chunks;
        all.min_time = std::min(all.min_time, one->min_time);
        all.max_time = std::max(all.max_time, one->max_time);
        for (size_t i = 0; i < std::size(kLists); ++i) {
          for (const rpc::NamedCount& count : (*one).*kLists[i].second) {
            counts[i][count.name] += count.count;
          }
        }
        return absl::OkStatus();
      },
      &answer.warnings);
  if (!status.ok()) return Answer::Error(status);
  json::Writer writer(&answer.data);
  writer.BeginObject();
  writer.Key("headStats");
  writer.BeginObject();
  writer.Key("numSeries");
  writer.Uint(all.series);
  writer.Key("numLabelPairs");
  writer.Uint(all.label_pairs);
  writer.Key("chunkCount");
  writer.Uint(all.chunks);
  writer.Key("minTime");
  writer.Int(all.min_time);
  writer.Key("maxTime");
  writer.Int(all.max_time);
  writer.EndObject();
  for (size_t i = 0; i < std::size(kLists); ++i) {
    writer.Key(kLists[i].first);
    writer.BeginArray();
    for (const rpc::NamedCount& count : Join(std::move(counts[i]), static_cast<size_t>(limit))) {
      writer.BeginObject();
      writer.Key("name");
      writer.String(count.name);
      writer.Key("value");
      writer.Uint(count.count);
      writer.EndObject();
    }
    writer.EndArray();
  }
  writer.EndObject();
  return answer;
}

Answer StorageHandlers::ReplayProgress(const http::ServerRequest&) {
  Answer answer;
  std::optional<rpc::StorageStatus> behind;
  const auto left = [](const rpc::StorageStatus& status) {
    return status.state == rpc::StorageState::kStarting
               ? 1 + status.segment_last - std::min(status.segment_current, status.segment_last)
               : 0;
  };
  const absl::Status asked = AskAll(
      [&](rpc::StorageClient* node) {
        absl::StatusOr<rpc::StorageStatus> status = node->Status();
        if (status.ok() && (!behind.has_value() || left(*status) > left(*behind))) {
          behind = *status;
        }
        return status.status();
      },
      &answer.warnings);
  if (!asked.ok()) return Answer::Error(asked);
  const rpc::StorageStatus status = behind.value_or(rpc::StorageStatus());
  json::Writer writer(&answer.data);
  writer.BeginObject();
  writer.Key("min");
  writer.Uint(status.segment_first);
  writer.Key("max");
  writer.Uint(status.segment_last);
  writer.Key("current");
  writer.Uint(status.segment_current);
  writer.EndObject();
  return answer;
}

Answer StorageHandlers::Blocks(const http::ServerRequest&) {
  Answer answer;
  std::vector<std::string> blocks;
  const absl::Status asked = AskAll(
      [&](rpc::StorageClient* node) {
        absl::StatusOr<rpc::StorageStatus> status = node->Status();
        if (!status.ok()) return status.status();
        blocks.insert(blocks.end(), std::make_move_iterator(status->blocks.begin()),
                      std::make_move_iterator(status->blocks.end()));
        return absl::OkStatus();
      },
      &answer.warnings);
  if (!asked.ok()) return Answer::Error(asked);
  json::Writer writer(&answer.data);
  writer.BeginObject();
  writer.Key("blocks");
  writer.BeginArray();
  for (const std::string& block : blocks) writer.Raw(block);
  writer.EndArray();
  writer.EndObject();
  return answer;
}

Answer StorageHandlers::DeleteSeries(const http::ServerRequest& request) {
  if (!enable_admin_) return Answer::Error(ErrorType::kSwitchedOff, "admin APIs disabled");
  Timestamp start = 0;
  Timestamp end = 0;
  std::vector<std::vector<Matcher>> sets;
  if (std::optional<Answer> refusal = ParseDelete(request.params, &start, &end, &sets)) {
    return *std::move(refusal);
  }
  const absl::Status status =
      TellAll([&](rpc::StorageClient* node) { return node->DeleteSeries(sets, start, end); });
  return status.ok() ? Answer() : Answer::Error(status);
}

Answer StorageHandlers::CleanTombstones(const http::ServerRequest&) {
  if (!enable_admin_) return Answer::Error(ErrorType::kSwitchedOff, "admin APIs disabled");
  const absl::Status status =
      TellAll([](rpc::StorageClient* node) { return node->CleanTombstones(); });
  return status.ok() ? Answer() : Answer::Error(status);
}

Answer StorageHandlers::Snapshot(const http::ServerRequest& request) {
  if (!enable_admin_) return Answer::Error(ErrorType::kSwitchedOff, "admin APIs disabled");
  bool skip_head = false;
  if (const std::string_view text = request.params.Get("skip_head"); !text.empty()) {
    const absl::StatusOr<bool> parsed = ParseGoBool(text);
    if (!parsed.ok()) {
      return Answer::BadParameter("skip_head",
                                  StrCat("unable to parse boolean: ", Message(parsed.status())));
    }
    skip_head = *parsed;
  }
  std::vector<std::pair<std::string, std::string>> names;
  const absl::Status status = TellAll([&](rpc::StorageClient* node) {
    const absl::StatusOr<std::string> name = node->Snapshot(skip_head);
    if (name.ok()) names.emplace_back(node->endpoint(), *name);
    return name.status();
  });
  if (!status.ok()) return Answer::Error(status);
  Answer answer;
  json::Writer writer(&answer.data);
  writer.BeginObject();
  writer.Key("name");
  writer.String(names.empty() ? "" : names.front().second);
  if (names.size() > 1) {
    writer.Key("names");
    writer.BeginObject();
    for (const auto& [endpoint, name] : names) {
      writer.Key(endpoint);
      writer.String(name);
    }
    writer.EndObject();
  }
  writer.EndObject();
  return answer;
}

}  // namespace narthex::query_api
