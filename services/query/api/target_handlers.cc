#include "services/query/api/target_handlers.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "lib/base/duration.h"
#include "lib/base/strings.h"
#include "lib/json/writer.h"
#include "services/query/api/params.h"
#include "services/query/api/value_writer.h"
#include "services/query/promql/parser.h"

namespace narthex::query_api {
namespace {

// Calls `ask` for every peer. OK when one answered, or when there is none to ask.
template <typename Client>
absl::Status AskAll(const std::vector<Client*>& peers,
                    const std::function<absl::Status(Client*)>& ask,
                    std::vector<std::string>* warnings) {
  absl::Status first_error;
  bool answered = peers.empty();
  for (Client* const peer : peers) {
    const absl::Status status = ask(peer);
    answered = answered || status.ok();
    if (status.ok()) continue;
    first_error.Update(status);
    warnings->emplace_back(Message(status));
  }
  return answered ? absl::OkStatus() : first_error;
}

std::string_view HealthName(rpc::TargetHealth health) {
  switch (health) {
    case rpc::TargetHealth::kUp:
      return "up";
    case rpc::TargetHealth::kDown:
      return "down";
    case rpc::TargetHealth::kUnknown:
      break;
  }
  return "unknown";
}

void WriteTarget(const rpc::ScrapeTarget& target, json::Writer* writer) {
  const auto text = [writer](std::string_view key, std::string_view value) {
    writer->Key(key);
    writer->String(value);
  };
  writer->BeginObject();
  writer->Key("discoveredLabels");
  WriteLabels(target.discovered_labels, writer);
  writer->Key("labels");
  WriteLabels(target.labels, writer);
  text("scrapePool", target.scrape_pool);
  text("scrapeUrl", target.scrape_url);
  text("globalUrl", target.global_url);
  text("lastError", target.last_error);
  text("lastScrape", FormatApiTime(target.last_scrape));
  writer->Key("lastScrapeDuration");
  writer->Double(absl::ToDoubleSeconds(target.last_scrape_duration));
  text("health", HealthName(target.health));
  text("scrapeInterval", FormatDuration(target.scrape_interval));
  text("scrapeTimeout", FormatDuration(target.scrape_timeout));
  writer->EndObject();
}

void WriteFamily(const rpc::MetricMetadata& metadata, json::Writer* writer) {
  writer->Key("type");
  writer->String(metadata.type);
  writer->Key("help");
  writer->String(metadata.help);
  writer->Key("unit");
  writer->String(metadata.unit);
}

// A number that is negative, no limit, when absent.
absl::StatusOr<int64_t> NumberParam(const http::Params& params, std::string_view name) {
  const std::string_view text = params.Get(name);
  if (text.empty()) return int64_t{-1};
  absl::StatusOr<int64_t> number = ParseGoInt(text);
  if (number.ok()) return number;
  return InvalidArgument(name, " must be a number");
}

}  // namespace

absl::StatusOr<std::vector<rpc::TargetsAnswer>> TargetHandlers::AskTargets(
    const rpc::TargetsQuery& query, std::vector<std::string>* warnings) {
  std::vector<rpc::TargetsAnswer> answers;
  const absl::Status status = AskAll<rpc::ScraperClient>(
      scrapers_,
      [&](rpc::ScraperClient* scraper) {
        absl::StatusOr<rpc::TargetsAnswer> answer = scraper->Targets(query);
        if (answer.ok()) answers.push_back(*std::move(answer));
        return answer.status();
      },
      warnings);
  if (!status.ok()) return status;
  return answers;
}

absl::StatusOr<std::vector<rpc::MetricMetadata>> TargetHandlers::AskMetadata(
    std::string_view metric, bool per_target, std::vector<std::string>* warnings) {
  std::vector<rpc::MetricMetadata> all;
  const absl::Status status = AskAll<rpc::ScraperClient>(
      scrapers_,
      [&](rpc::ScraperClient* scraper) {
        absl::StatusOr<std::vector<rpc::MetricMetadata>> answer =
            scraper->Metadata(metric, per_target);
        if (answer.ok()) {
          all.insert(all.end(), std::make_move_iterator(answer->begin()),
                     std::make_move_iterator(answer->end()));
        }
        return answer.status();
      },
      warnings);
  if (!status.ok()) return status;
  return all;
}

Answer TargetHandlers::Targets(const http::ServerRequest& request) {
  const std::string state = ToLowerAscii(request.params.Get("state"));
  rpc::TargetsQuery query;
  query.active = state.empty() || state == "any" || state == "active";
  query.dropped = state.empty() || state == "any" || state == "dropped";
  query.scrape_pool = std::string(request.params.Get("scrapePool"));
  Answer answer;
  absl::StatusOr<std::vector<rpc::TargetsAnswer>> answers = AskTargets(query, &answer.warnings);
  if (!answers.ok()) return Answer::Error(answers.status());
  std::vector<rpc::ScrapeTarget> active;
  std::vector<rpc::DroppedTarget> dropped;
  std::map<std::string, uint64_t> dropped_counts;
  for (rpc::TargetsAnswer& one : *answers) {
    active.insert(active.end(), one.active.begin(), one.active.end());
    dropped.insert(dropped.end(), one.dropped.begin(), one.dropped.end());
    for (const auto& [pool, count] : one.dropped_counts) dropped_counts[pool] += count;
  }
  std::stable_sort(active.begin(), active.end(), [](const auto& a, const auto& b) {
    return std::tie(a.scrape_pool, a.labels) < std::tie(b.scrape_pool, b.labels);
  });
  json::Writer writer(&answer.data);
  writer.BeginObject();
  writer.Key("activeTargets");
  writer.BeginArray();
  for (const rpc::ScrapeTarget& target : active) WriteTarget(target, &writer);
  writer.EndArray();
  writer.Key("droppedTargets");
  writer.BeginArray();
  for (const rpc::DroppedTarget& target : dropped) {
    writer.BeginObject();
    writer.Key("discoveredLabels");
    WriteLabels(target.discovered_labels, &writer);
    writer.Key("scrapePool");
    writer.String(target.scrape_pool);
    writer.EndObject();
  }
  writer.EndArray();
  writer.Key("droppedTargetCounts");
  if (query.dropped) {
    writer.BeginObject();
    for (const auto& [pool, count] : dropped_counts) {
      writer.Key(pool);
      writer.Uint(count);
    }
    writer.EndObject();
  } else {
    writer.Null();
  }
  writer.EndObject();
  return answer;
}

Answer TargetHandlers::ScrapePools(const http::ServerRequest&) {
  Answer answer;
  rpc::TargetsQuery query;
  query.active = query.dropped = false;
  const absl::StatusOr<std::vector<rpc::TargetsAnswer>> answers =
      AskTargets(query, &answer.warnings);
  if (!answers.ok()) return Answer::Error(answers.status());
  std::set<std::string> pools;
  for (const rpc::TargetsAnswer& one : *answers) {
    pools.insert(one.scrape_pools.begin(), one.scrape_pools.end());
  }
  json::Writer writer(&answer.data);
  writer.BeginObject();
  writer.Key("scrapePools");
  writer.BeginArray();
  for (const std::string& pool : pools) writer.String(pool);
  writer.EndArray();
  writer.EndObject();
  return answer;
}

std::map<std::string, rpc::MetricMetadata> TargetHandlers::FirstMetadata(
    const http::ServerRequest& request, std::vector<std::string>* warnings) {
  std::map<std::string, rpc::MetricMetadata> first;
  const auto add = [&first](std::vector<rpc::MetricMetadata> all) {
    for (rpc::MetricMetadata& metadata : all) {
      std::string metric = metadata.metric;
      first.try_emplace(std::move(metric), std::move(metadata));
    }
  };
  absl::StatusOr<std::vector<rpc::MetricMetadata>> scraped =
      AskMetadata("", /*per_target=*/false, warnings);
  if (scraped.ok()) add(*std::move(scraped));
  for (rpc::StorageClient* const storage : storages_) {
    auto stored = storage->Metadata("", 0, request.cancelled);
    if (stored.ok()) {
      add(*std::move(stored));
    } else {
      warnings->emplace_back(Message(stored.status()));
    }
  }
  return first;
}

Answer TargetHandlers::Metadata(const http::ServerRequest& request) {
  const absl::StatusOr<int64_t> limit = NumberParam(request.params, "limit");
  if (!limit.ok()) return Answer::Error(limit.status());
  const absl::StatusOr<int64_t> limit_per_metric = NumberParam(request.params, "limit_per_metric");
  if (!limit_per_metric.ok()) return Answer::Error(limit_per_metric.status());
  Answer answer;
  const std::string_view metric_asked = request.params.Get("metric");
  absl::StatusOr<std::vector<rpc::MetricMetadata>> all =
      AskMetadata(metric_asked, /*per_target=*/false, &answer.warnings);
  const absl::Status stored = AskAll<rpc::StorageClient>(
      storages_,
      [&](rpc::StorageClient* storage) {
        const size_t families = *limit > 0 ? static_cast<size_t>(*limit) : 0;
        auto metadata = storage->Metadata(metric_asked, families, request.cancelled);
        if (!metadata.ok()) return metadata.status();
        // What the scrapers say is newer, and comes first.
        if (!all.ok()) all = std::vector<rpc::MetricMetadata>();
        all->insert(all->end(), std::make_move_iterator(metadata->begin()),
                    std::make_move_iterator(metadata->end()));
        return absl::OkStatus();
      },
      &answer.warnings);
  if (!all.ok()) return Answer::Error(all.status());
  if (scrapers_.empty() && !stored.ok()) return Answer::Error(stored);
  // Scrapers and storage may know the same family, and targets may disagree about it.
  std::map<std::string, std::vector<const rpc::MetricMetadata*>> families;
  for (const rpc::MetricMetadata& metadata : *all) {
    std::vector<const rpc::MetricMetadata*>& family = families[metadata.metric];
    const bool known = std::any_of(family.begin(), family.end(), [&](const auto* other) {
      return std::tie(other->type, other->help, other->unit) ==
             std::tie(metadata.type, metadata.help, metadata.unit);
    });
    if (!known) family.push_back(&metadata);
  }
  json::Writer writer(&answer.data);
  writer.BeginObject();
  int64_t written = 0;
  for (const auto& [metric, family] : families) {
    if (*limit >= 0 && written == *limit) break;
    ++written;
    writer.Key(metric);
    writer.BeginArray();
    int64_t entries = 0;
    for (const rpc::MetricMetadata* metadata : family) {
      if (*limit_per_metric > 0 && entries == *limit_per_metric) break;
      ++entries;
      writer.BeginObject();
      WriteFamily(*metadata, &writer);
      writer.EndObject();
    }
    writer.EndArray();
  }
  writer.EndObject();
  return answer;
}

Answer TargetHandlers::TargetMetadata(const http::ServerRequest& request) {
  const absl::StatusOr<int64_t> limit = NumberParam(request.params, "limit");
  if (!limit.ok()) return Answer::Error(limit.status());
  std::vector<Matcher> matchers;
  if (const std::string_view text = request.params.Get("match_target"); !text.empty()) {
    absl::StatusOr<std::vector<Matcher>> parsed = promql::ParseMetricSelector(text);
    if (!parsed.ok()) return Answer::BadParameter("match_target", parsed.status());
    matchers = *std::move(parsed);
  }
  const std::string_view metric = request.params.Get("metric");
  Answer answer;
  const absl::StatusOr<std::vector<rpc::MetricMetadata>> all =
      AskMetadata(metric, /*per_target=*/true, &answer.warnings);
  if (!all.ok()) return Answer::Error(all.status());
  json::Writer writer(&answer.data);
  writer.BeginArray();
  int64_t written = 0;
  for (const rpc::MetricMetadata& metadata : *all) {
    if (*limit >= 0 && written == *limit) break;
    const bool matches = std::all_of(matchers.begin(), matchers.end(), [&](const Matcher& matcher) {
      return matcher.Matches(metadata.target.Get(matcher.name()));
    });
    if (!matches) continue;
    ++written;
    writer.BeginObject();
    writer.Key("target");
    WriteLabels(metadata.target, &writer);
    if (metric.empty()) {
      writer.Key("metric");
      writer.String(metadata.metric);
    }
    WriteFamily(metadata, &writer);
    writer.EndObject();
  }
  writer.EndArray();
  if (written == 0) {
    return Answer::Error(ErrorType::kNotFound, "specified metadata not found");
  }
  return answer;
}

}  // namespace narthex::query_api
