#include "services/pushgateway/metric_family.h"

#include <cmath>

#include "lib/base/float_format.h"
#include "lib/base/strings.h"

namespace narthex::pushgateway {
namespace {

// The quoting of Go's protobuf text form: everything beyond printable ASCII in octal.
std::string QuoteOctal(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const unsigned byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte >= 0x20 && byte < 0x7f) {
      out.push_back(c);
    } else {
      out += {'\\', static_cast<char>('0' + (byte >> 6)),
              static_cast<char>('0' + ((byte >> 3) & 7)), static_cast<char>('0' + (byte & 7))};
    }
  }
  return out + "\"";
}

std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return FormatFloatG(value);
}

}  // namespace

std::string_view FamilyTypeName(FamilyType type) {
  switch (type) {
    case FamilyType::kCounter:
      return "counter";
    case FamilyType::kGauge:
      return "gauge";
    case FamilyType::kSummary:
      return "summary";
    case FamilyType::kHistogram:
      return "histogram";
    case FamilyType::kUntyped:
      break;
  }
  return "untyped";
}

std::string_view FamilyTypeUpperName(FamilyType type) {
  switch (type) {
    case FamilyType::kCounter:
      return "COUNTER";
    case FamilyType::kGauge:
      return "GAUGE";
    case FamilyType::kSummary:
      return "SUMMARY";
    case FamilyType::kHistogram:
      return "HISTOGRAM";
    case FamilyType::kUntyped:
      break;
  }
  return "UNTYPED";
}

bool MetricBefore(const Metric& a, const Metric& b) {
  if (a.labels.size() != b.labels.size()) return a.labels.size() < b.labels.size();
  for (size_t i = 0; i < a.labels.size(); ++i) {
    if (a.labels[i].second != b.labels[i].second) return a.labels[i].second < b.labels[i].second;
  }
  return false;
}

std::string DebugText(const Metric& metric, FamilyType type) {
  std::string out;
  for (const auto& label : metric.labels) {
    StrAppend(&out, "label:<name:", QuoteOctal(label.first), " value:", QuoteOctal(label.second),
              " > ");
  }
  StrAppend(&out, FamilyTypeName(type), ":<");
  if (type != FamilyType::kSummary && type != FamilyType::kHistogram) {
    StrAppend(&out, "value:", FloatText(metric.value), " ");
  }
  if (metric.sample_count) StrAppend(&out, "sample_count:", *metric.sample_count, " ");
  if (metric.sample_sum) StrAppend(&out, "sample_sum:", FloatText(*metric.sample_sum), " ");
  for (const Quantile& quantile : metric.quantiles) {
    StrAppend(&out, "quantile:<quantile:", FloatText(quantile.quantile),
              " value:", FloatText(quantile.value), " > ");
  }
  for (const Bucket& bucket : metric.buckets) {
    StrAppend(&out, "bucket:<cumulative_count:", bucket.cumulative_count,
              " upper_bound:", FloatText(bucket.upper_bound), " > ");
  }
  out += "> ";
  if (metric.timestamp_ms) StrAppend(&out, "timestamp_ms:", *metric.timestamp_ms, " ");
  return out;
}

}  // namespace narthex::pushgateway
