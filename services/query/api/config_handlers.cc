#include "services/query/api/config_handlers.h"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/strings.h"
#include "lib/json/reader.h"
#include "lib/json/writer.h"
#include "lib/labels/labels_builder.h"
#include "lib/relabel/relabel.h"
#include "services/query/api/value_writer.h"

namespace narthex::query_api {
namespace {

const config::ScrapeConfig* FindJob(const config::PrometheusConfig& config, std::string_view name) {
  const auto found = std::find_if(config.scrape_configs.begin(), config.scrape_configs.end(),
                                  [name](const auto& job) { return job.job_name == name; });
  return found == config.scrape_configs.end() ? nullptr : &*found;
}

std::string NoSuchPool(std::string_view name) {
  return StrCat("scrape pool ", Quote(name), " not found");
}

// A JSON object of strings.
absl::StatusOr<Labels> ParseLabels(std::string_view text) {
  absl::StatusOr<json::Value> parsed = json::Parse(text);
  if (!parsed.ok()) return parsed.status();
  if (!parsed->is_object()) return InvalidArgument("an object of strings is expected");
  LabelsBuilder builder;
  for (const json::Value::Member& member : parsed->object) {
    if (!member.second.is_string()) {
      return InvalidArgument("the value of ", Quote(member.first), " is no string");
    }
    builder.Set(member.first, member.second.text);
  }
  return builder.Build();
}

// Upstream's keys; what is empty is left out.
void WriteRule(const relabel::RelabelConfig& rule, json::Writer* writer) {
  const auto text = [writer](std::string_view key, std::string_view value) {
    if (value.empty()) return;
    writer->Key(key);
    writer->String(value);
  };
  writer->BeginObject();
  if (!rule.source_labels.empty()) {
    writer->Key("sourceLabels");
    writer->BeginArray();
    for (const std::string& label : rule.source_labels) writer->String(label);
    writer->EndArray();
  }
  text("separator", rule.separator);
  text("regex", rule.regex.pattern());
  if (rule.modulus != 0) {
    writer->Key("modulus");
    writer->Uint(rule.modulus);
  }
  text("targetLabel", rule.target_label);
  text("replacement", rule.replacement);
  text("action", relabel::ActionText(rule.action));
  writer->EndObject();
}

}  // namespace

Answer ConfigHandlers::ScrapePoolConfig(const http::ServerRequest& request) {
  const std::string_view pool = request.params.Get("scrapePool");
  if (pool.empty()) {
    return Answer::Error(ErrorType::kBadData, "no scrapePool parameter provided");
  }
  const auto config = source_();
  const config::ScrapeConfig* const job = FindJob(*config, pool);
  if (job == nullptr) return Answer::Error(ErrorType::kNotFound, NoSuchPool(pool));
  Answer answer;
  json::Writer writer(&answer.data);
  writer.BeginObject();
  writer.Key("yaml");
  writer.String(config::FormatYaml(*job));
  writer.EndObject();
  return answer;
}

Answer ConfigHandlers::RelabelSteps(const http::ServerRequest& request) {
  const std::string_view pool = request.params.Get("scrapePool");
  if (pool.empty()) {
    return Answer::Error(ErrorType::kBadData, "no scrapePool parameter provided");
  }
  const std::string_view text = request.params.Get("labels");
  if (text.empty()) return Answer::Error(ErrorType::kBadData, "no labels parameter provided");
  absl::StatusOr<Labels> labels = ParseLabels(text);
  if (!labels.ok()) {
    return Answer::Error(ErrorType::kBadData,
                         StrCat("error parsing labels: ", Message(labels.status())));
  }
  const auto config = source_();
  const config::ScrapeConfig* const job = FindJob(*config, pool);
  if (job == nullptr) {
    return Answer::Error(ErrorType::kBadData,
                         StrCat("error getting scrape config: ", NoSuchPool(pool)));
  }
  Answer answer;
  json::Writer writer(&answer.data);
  writer.BeginObject();
  writer.Key("steps");
  writer.BeginArray();
  LabelsBuilder builder(*labels);
  bool keep = true;
  for (const relabel::RelabelConfig& rule : job->relabel_configs) {
    // After a rule that drops the target the others have nothing to work on.
    keep = keep && relabel::Process(std::span(&rule, 1), &builder);
    writer.BeginObject();
    writer.Key("rule");
    WriteRule(rule, &writer);
    writer.Key("output");
    WriteLabels(keep ? builder.Build() : Labels(), &writer);
    writer.Key("keep");
    writer.Bool(keep);
    writer.EndObject();
  }
  writer.EndArray();
  writer.EndObject();
  return answer;
}

}  // namespace narthex::query_api
