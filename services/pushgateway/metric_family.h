#ifndef NARTHEX_SERVICES_PUSHGATEWAY_METRIC_FAMILY_H_
#define NARTHEX_SERVICES_PUSHGATEWAY_METRIC_FAMILY_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The model of what is pushed: families of whole metrics, as the client library of Go has it. A
// histogram or a summary is one metric here and several series elsewhere. Plain data.
namespace narthex::pushgateway {

// The numbers are written to disk.
enum class FamilyType : uint8_t {
  kCounter = 0,
  kGauge = 1,
  kSummary = 2,
  kUntyped = 3,
  kHistogram = 4,
};
std::string_view FamilyTypeName(FamilyType type);       // "counter"
std::string_view FamilyTypeUpperName(FamilyType type);  // "COUNTER"

// Name and value, sorted by name once the metric is in a group. Unlike in a label set, values may
// be empty.
using LabelPairs = std::vector<std::pair<std::string, std::string>>;

struct Quantile {
  double quantile = 0;
  double value = 0;
  friend bool operator==(const Quantile&, const Quantile&) = default;
};
struct Bucket {
  double upper_bound = 0;
  uint64_t cumulative_count = 0;
  friend bool operator==(const Bucket&, const Bucket&) = default;
};

struct Metric {
  LabelPairs labels;
  std::optional<int64_t> timestamp_ms;
  double value = 0;  // Counter, gauge, untyped.
  // Summary and histogram; what was not pushed is absent.
  std::optional<uint64_t> sample_count;
  std::optional<double> sample_sum;
  std::vector<Quantile> quantiles;
  std::vector<Bucket> buckets;
  friend bool operator==(const Metric&, const Metric&) = default;
};

struct MetricFamily {
  std::string name;
  std::string help;  // Empty: none was given.
  FamilyType type = FamilyType::kUntyped;
  std::vector<Metric> metrics;
  friend bool operator==(const MetricFamily&, const MetricFamily&) = default;
};
using FamilyMap = std::map<std::string, MetricFamily, std::less<>>;

// The order in which metrics of a family are written: fewer labels first, then by label values.
bool MetricBefore(const Metric& a, const Metric& b);

// The text form in which upstream's errors show a metric: `label:<name:"a" value:"b" >
// gauge:<value:1 > `.
std::string DebugText(const Metric& metric, FamilyType type);

}  // namespace narthex::pushgateway

#endif  // NARTHEX_SERVICES_PUSHGATEWAY_METRIC_FAMILY_H_
