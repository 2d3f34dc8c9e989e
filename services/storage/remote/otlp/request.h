#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_REQUEST_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

// An export of OTLP metrics as plain columns: what the decoders of both encodings fill and the
// translator reads. Lists of all levels lie in one vector a kind, and their owners hold ranges, so
// that a request of a million points costs a dozen allocations.
namespace narthex::otlp {

struct Range {
  size_t begin = 0;
  size_t end = 0;
  size_t size() const { return end - begin; }
  bool empty() const { return begin == end; }
};

// The value as text, as OpenTelemetry prints it: of lists and maps their JSON.
struct Attribute {
  std::string_view key;
  std::string_view value;
};

struct Exemplar {
  uint64_t time_ns = 0;
  bool has_value = false;
  double value = 0;
  std::string_view trace_id;  // Bytes; empty or 16.
  std::string_view span_id;   // Bytes; empty or 8.
  Range attributes;
};

// A data point of any kind of metric; the members that its kind has not are zero.
struct Point {
  uint64_t start_ns = 0;
  uint64_t time_ns = 0;
  uint32_t flags = 0;
  Range attributes;
  Range exemplars;
  double value = 0;  // Gauge, sum.
  // Histograms and summary.
  uint64_t count = 0;
  bool has_sum = false;
  double sum = 0;
  // Explicit histogram.
  Range bucket_counts;  // Of Request::counts.
  Range bounds;         // Of Request::reals.
  // Exponential histogram.
  int32_t scale = 0;
  uint64_t zero_count = 0;
  double zero_threshold = 0;
  int32_t positive_offset = 0;
  Range positive;  // Of Request::counts.
  int32_t negative_offset = 0;
  Range negative;
  // Summary: quantile and value in turn, of Request::reals.
  Range quantiles;

  bool dropped = false;  // Has no place any more.

  bool no_recorded_value() const { return (flags & 1) != 0; }
};

enum class MetricKind : uint8_t { kNone, kGauge, kSum, kHistogram, kExponential, kSummary };
enum class Temporality : uint8_t { kUnspecified = 0, kDelta = 1, kCumulative = 2 };

struct Metric {
  std::string_view name;
  std::string_view description;
  std::string_view unit;
  MetricKind kind = MetricKind::kNone;
  Temporality temporality = Temporality::kUnspecified;
  bool monotonic = false;
  Range points;
};

struct Scope {
  std::string_view name;
  std::string_view version;
  std::string_view schema_url;
  Range attributes;
  Range metrics;
};

struct Resource {
  Range attributes;
  Range scopes;
};

struct Request {
  std::vector<Resource> resources;
  std::vector<Scope> scopes;
  std::vector<Metric> metrics;
  std::vector<Point> points;
  std::vector<Exemplar> exemplars;
  std::vector<Attribute> attributes;
  std::vector<uint64_t> counts;
  std::vector<double> reals;
  std::deque<std::string> texts;  // What views point into that are not in the message.

  void Clear();
  std::string_view Keep(std::string text) { return texts.emplace_back(std::move(text)); }
  template <typename T>
  static std::span<const T> Of(const std::vector<T>& list, const Range& range) {
    return std::span<const T>(list).subspan(range.begin, range.size());
  }
};

// Both fill *request, whose views then point into `message` and into itself. InvalidArgument names
// the field that is malformed.
absl::Status DecodeProtobuf(std::string_view message, Request* request);
absl::Status DecodeJson(std::string_view message, Request* request);

}  // namespace narthex::otlp

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_REQUEST_H_
