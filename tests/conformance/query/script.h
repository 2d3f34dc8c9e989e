#ifndef NARTHEX_TESTS_CONFORMANCE_QUERY_SCRIPT_H_
#define NARTHEX_TESTS_CONFORMANCE_QUERY_SCRIPT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/labels/labels.h"
#include "lib/model/histogram.h"
#include "lib/model/timestamp.h"

// The language of upstream's PromQL test scripts: load data, clear, evaluate and compare.
namespace narthex::testing {

// One slot of a series: a number, a gap, or a native histogram.
struct ScriptPoint {
  enum class Kind : uint8_t { kGap, kFloat, kHistogram };
  Kind kind = Kind::kGap;
  double value = 0;
  std::shared_ptr<const FloatHistogram> histogram;
  bool names_hint = false;  // Of an expected histogram: its hint counts.
};

struct ScriptSeries {
  Labels labels;
  std::vector<ScriptPoint> points;
  // Of a loaded series, slot by slot: how far its start timestamp is from the sample, in
  // milliseconds. May be shorter than points.
  std::vector<std::optional<int64_t>> start_offsets;
};

struct ScriptExpectation {
  enum class Kind : uint8_t { kFail, kWarn, kInfo, kNoWarn, kNoInfo };
  Kind kind = Kind::kFail;
  std::string message;  // The whole text, or
  std::string regex;    // a part of it; both empty: anything.
};

struct ScriptCommand {
  enum class Kind : uint8_t { kLoad, kClear, kEvalInstant, kEvalRange };
  Kind kind = Kind::kClear;
  int line = 0;
  int64_t step_ms = 0;  // kLoad, kEvalRange, and expected range vectors.
  bool with_nhcb = false;
  Timestamp start = 0;  // kEval…
  Timestamp end = 0;
  std::string query;
  bool ordered = false;
  std::vector<ScriptExpectation> expectations;
  std::optional<double> scalar;
  std::optional<std::string> text;
  bool range_vector = false;  // Of an instant query, with these times:
  Timestamp range_start = 0;
  Timestamp range_end = 0;
  std::vector<ScriptSeries> series;  // Loaded or expected.
};

absl::StatusOr<std::vector<ScriptCommand>> ParseScript(std::string_view text);

}  // namespace narthex::testing

#endif  // NARTHEX_TESTS_CONFORMANCE_QUERY_SCRIPT_H_
