#ifndef NARTHEX_SERVICES_QUERY_PROMQL_VALUE_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_VALUE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "lib/labels/labels.h"
#include "lib/model/histogram.h"
#include "lib/model/sample_buffer.h"
#include "lib/model/timestamp.h"
#include "services/query/promql/ast.h"

// What an evaluated expression is.
namespace narthex::promql {

struct Scalar {
  Timestamp timestamp = 0;
  double value = 0;
};

struct String {
  Timestamp timestamp = 0;
  std::string value;
};

struct VectorSample {
  Labels labels;
  Timestamp timestamp = 0;
  double value = 0;  // Unless there is a histogram.
  std::shared_ptr<const FloatHistogram> histogram;
};
// In no particular order, unless the outermost function sorts.
using Vector = std::vector<VectorSample>;

struct Series {
  Labels labels;
  SampleBuffer samples;  // Never empty. Histograms are of the float kind.
};
// Ordered by labels.
using Matrix = std::vector<Series>;

using Value = std::variant<Scalar, String, Vector, Matrix>;
ValueType TypeOf(const Value& value);

// What an evaluation cost. Durations are measured with the engine's clock.
struct QueryStats {
  absl::Duration queue_time;        // Waiting for a free place among max_concurrency.
  absl::Duration preparation_time;  // Planning and Select.
  absl::Duration evaluation_time;   // Reading and computing.
  absl::Duration sort_time;         // Ordering the series of a matrix.
  uint64_t samples_read = 0;        // Decoded from storage.
  uint64_t samples_peak = 0;        // Held at once.
  uint64_t memory_peak = 0;         // Bytes held at once.
  // What upstream counts: samples looked at, each as often as a step or window uses it.
  uint64_t samples_queryable = 0;
  // The same step by step, where QueryOptions asked for it.
  std::vector<uint64_t> samples_per_step;
  Timestamp first_step = 0;
  int64_t step_ms = 0;
};

struct Result {
  Value value;
  std::vector<std::string> warnings;  // "PromQL warning: …" and what storage warned of.
  std::vector<std::string> infos;     // "PromQL info: …"
  QueryStats stats;
};

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_VALUE_H_
