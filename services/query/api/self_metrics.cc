#include "services/query/api/self_metrics.h"

#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/regex.h"
#include "lib/base/strings.h"
#include "lib/json/writer.h"

namespace narthex::query_api {
namespace {

using LabelPairs = std::vector<std::pair<std::string, std::string>>;

// The samples of one histogram or summary.
struct Distribution {
  double count = 0;
  double sum = 0;
  std::vector<std::pair<double, double>> points;  // Bound or quantile, and count or value.
};

// JSON has no name for these numbers; Protocol Buffers writes them as strings.
void WriteNumber(double value, json::Writer* writer) {
  if (std::isnan(value)) return writer->String("NaN");
  if (std::isinf(value)) return writer->String(value > 0 ? "Infinity" : "-Infinity");
  writer->Double(value);
}

// 64-bit integers are strings there, too.
void WriteCount(double value, json::Writer* writer) {
  writer->String(StrCat(static_cast<uint64_t>(value)));
}

void WriteLabelPairs(const LabelPairs& labels, json::Writer* writer) {
  if (labels.empty()) return;
  writer->Key("label");
  writer->BeginArray();
  for (const auto& [name, value] : labels) {
    writer->BeginObject();
    writer->Key("name");
    writer->String(name);
    writer->Key("value");
    writer->String(value);
    writer->EndObject();
  }
  writer->EndArray();
}

double ParseBound(std::string_view text) {
  double bound = 0;
  return ParseDouble(text, &bound) ? bound : INFINITY;
}

// Takes the label `name` out of `labels`; "" when it is not there.
std::string TakeLabel(std::string_view name, LabelPairs* labels) {
  for (auto it = labels->begin(); it != labels->end(); ++it) {
    if (it->first != name) continue;
    std::string value = std::move(it->second);
    labels->erase(it);
    return value;
  }
  return "";
}

void WriteDistribution(const Distribution& distribution, bool histogram, json::Writer* writer) {
  writer->Key(histogram ? "histogram" : "summary");
  writer->BeginObject();
  writer->Key("sampleCount");
  WriteCount(distribution.count, writer);
  writer->Key("sampleSum");
  WriteNumber(distribution.sum, writer);
  writer->Key(histogram ? "bucket" : "quantile");
  writer->BeginArray();
  for (const auto& [position, value] : distribution.points) {
    writer->BeginObject();
    if (histogram) {
      writer->Key("cumulativeCount");
      WriteCount(value, writer);
      writer->Key("upperBound");
      WriteNumber(position, writer);
    } else {
      writer->Key("quantile");
      WriteNumber(position, writer);
      writer->Key("value");
      WriteNumber(value, writer);
    }
    writer->EndObject();
  }
  writer->EndArray();
  writer->EndObject();
}

void WriteDistributions(const metrics::CollectedFamily& family, json::Writer* writer) {
  const bool histogram = family.type == "histogram";
  std::map<LabelPairs, Distribution> distributions;
  for (const metrics::CollectedSample& sample : family.samples) {
    LabelPairs labels = sample.labels;
    const std::string position = TakeLabel(histogram ? "le" : "quantile", &labels);
    Distribution& distribution = distributions[labels];
    const std::string_view suffix = std::string_view(sample.name).substr(family.name.size());
    if (suffix == "_count") {
      distribution.count = sample.value;
    } else if (suffix == "_sum") {
      distribution.sum = sample.value;
    } else if (!histogram || position != "+Inf") {
      distribution.points.emplace_back(ParseBound(position), sample.value);
    }
  }
  for (const auto& [labels, distribution] : distributions) {
    writer->BeginObject();
    WriteLabelPairs(labels, writer);
    WriteDistribution(distribution, histogram, writer);
    writer->EndObject();
  }
}

void WriteFamily(const metrics::CollectedFamily& family, json::Writer* writer) {
  writer->BeginObject();
  writer->Key("name");
  writer->String(family.name);
  writer->Key("help");
  writer->String(family.help);
  writer->Key("type");
  std::string type = family.type;
  for (char& c : type) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  writer->String(type);
  writer->Key("metric");
  writer->BeginArray();
  if (family.type == "histogram" || family.type == "summary") {
    WriteDistributions(family, writer);
  } else {
    for (const metrics::CollectedSample& sample : family.samples) {
      writer->BeginObject();
      WriteLabelPairs(sample.labels, writer);
      writer->Key(family.type);
      writer->BeginObject();
      writer->Key("value");
      WriteNumber(sample.value, writer);
      writer->EndObject();
      writer->EndObject();
    }
  }
  writer->EndArray();
  writer->EndObject();
}

}  // namespace

Answer SelfMetrics::Handle(const http::ServerRequest& request) {
  const std::string_view pattern = request.params.Get("metric_name_pattern");
  absl::StatusOr<Regex> regex = Regex::Compile(pattern.empty() ? ".*" : pattern);
  if (!regex.ok()) return Answer::BadParameter("metric_name_pattern", regex.status());
  Answer answer;
  json::Writer writer(&answer.data);
  writer.BeginArray();
  for (const metrics::CollectedFamily& family : registry_->Collect()) {
    if (regex->Matches(family.name)) WriteFamily(family, &writer);
  }
  writer.EndArray();
  return answer;
}

}  // namespace narthex::query_api
