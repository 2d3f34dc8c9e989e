#include "tests/conformance/query/script.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "lib/base/duration.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/model/stale.h"
#include "services/query/promql/histogram_math.h"
#include "services/query/promql/parser.h"

namespace narthex::testing {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// Takes the next word off `text`; quotes and braces keep blanks inside.
std::string_view TakeWord(std::string_view* text) {
  *text = TrimSpace(*text);
  size_t length = 0;
  int braces = 0;
  char quote = '\0';
  for (; length < text->size(); ++length) {
    const char c = (*text)[length];
    if (quote != '\0') {
      if (c == '\\') {
        ++length;
      } else if (c == quote) {
        quote = '\0';
      }
      continue;
    }
    if (c == '"' || c == '\'' || c == '`') quote = c;
    if (c == '{') ++braces;
    if (c == '}') --braces;
    if (IsBlank(c) && braces == 0) break;
  }
  const std::string_view word = text->substr(0, std::min(length, text->size()));
  *text = TrimSpace(text->substr(word.size()));
  return word;
}

absl::StatusOr<int64_t> ParseMillis(std::string_view text) {
  double sign = 1;
  if (text.starts_with("-")) {
    sign = -1;
    text.remove_prefix(1);
  }
  double seconds = 0;
  if (!ParseDouble(text, &seconds)) {
    NARTHEX_ASSIGN_OR_RETURN(const absl::Duration duration, ParseDuration(text));
    seconds = absl::ToDoubleSeconds(duration);
  }
  return static_cast<int64_t>(std::llround(sign * seconds * 1000));
}

// Takes a number off the front of a point; false when there is none.
bool TakeNumber(std::string_view* text, double* value) {
  size_t i = 0;
  const auto at = [&](size_t k) { return k < text->size() ? (*text)[k] : '\0'; };
  if (at(0) == '+' || at(0) == '-') ++i;
  if (EqualsIgnoreCaseAscii(text->substr(i, 3), "inf") ||
      EqualsIgnoreCaseAscii(text->substr(i, 3), "nan")) {
    i += 3;
  } else {
    while ((at(i) >= '0' && at(i) <= '9') || at(i) == '.') ++i;
    if (at(i) == 'e' || at(i) == 'E') {
      ++i;
      if (at(i) == '+' || at(i) == '-') ++i;
      while (at(i) >= '0' && at(i) <= '9') ++i;
    }
  }
  if (!ParseDouble(text->substr(0, i), value)) return false;
  text->remove_prefix(i);
  return true;
}

// Takes "{{schema:1 sum:15 count:10 buckets:[3 2 5]}}" off the front of `text`.
absl::Status TakeHistogram(std::string_view* text, ScriptPoint* point) {
  const size_t end = text->find("}}");
  if (!text->starts_with("{{") || end == std::string_view::npos) {
    return InvalidArgument("bad histogram ", *text);
  }
  std::string_view rest = TrimSpace(text->substr(2, end - 2));
  text->remove_prefix(end + 2);
  FloatHistogram histogram;
  int64_t offset = 0;
  int64_t negative_offset = 0;
  while (!rest.empty()) {
    const size_t colon = rest.find(':');
    if (colon == std::string_view::npos) return InvalidArgument("bad histogram key ", rest);
    const std::string_view key = rest.substr(0, colon);
    rest.remove_prefix(colon + 1);
    std::vector<double> numbers;
    std::string_view word;
    if (rest.starts_with("[")) {
      const size_t close = rest.find(']');
      if (close == std::string_view::npos) return InvalidArgument("bad histogram list ", rest);
      std::string_view list = rest.substr(1, close - 1);
      rest = TrimSpace(rest.substr(close + 1));
      while (!TrimSpace(list).empty()) {
        double number = 0;
        list = TrimSpace(list);
        if (!TakeNumber(&list, &number)) return InvalidArgument("bad histogram number ", list);
        numbers.push_back(number);
      }
    } else {
      word = TakeWord(&rest);
    }
    double number = 0;
    const bool is_number = ParseDouble(word, &number);
    if (key == "buckets") {
      histogram.positive_buckets = numbers;
    } else if (key == "n_buckets") {
      histogram.negative_buckets = numbers;
    } else if (key == "custom_values") {
      histogram.custom_values = numbers;
    } else if (key == "counter_reset_hint") {
      static constexpr std::string_view kHints[] = {"unknown", "reset", "not_reset", "gauge"};
      const auto* found = std::find(std::begin(kHints), std::end(kHints), word);
      if (found == std::end(kHints)) return InvalidArgument("bad counter reset hint ", word);
      histogram.reset_hint = static_cast<CounterResetHint>(found - std::begin(kHints));
      point->names_hint = true;
    } else if (!is_number) {
      return InvalidArgument("bad histogram value ", key, ":", word);
    } else if (key == "schema") {
      histogram.schema = static_cast<int32_t>(number);
    } else if (key == "sum") {
      histogram.sum = number;
    } else if (key == "count") {
      histogram.count = number;
    } else if (key == "z_bucket") {
      histogram.zero_count = number;
    } else if (key == "z_bucket_w") {
      histogram.zero_threshold = number;
    } else if (key == "offset") {
      offset = static_cast<int64_t>(number);
    } else if (key == "n_offset") {
      negative_offset = static_cast<int64_t>(number);
    } else {
      return InvalidArgument("unknown histogram key ", key);
    }
  }
  const auto span = [](int64_t first, const std::vector<double>& buckets) {
    std::vector<HistogramSpan> spans;
    if (!buckets.empty()) {
      spans.push_back({static_cast<int32_t>(first), static_cast<uint32_t>(buckets.size())});
    }
    return spans;
  };
  histogram.positive_spans = span(offset, histogram.positive_buckets);
  histogram.negative_spans = span(negative_offset, histogram.negative_buckets);
  point->kind = ScriptPoint::Kind::kHistogram;
  point->histogram = std::make_shared<FloatHistogram>(std::move(histogram));
  return absl::OkStatus();
}

// "{{…}}", "{{…}}xN", "{{…}}+{{…}}xN", "{{…}}-{{…}}xN".
absl::Status AddHistograms(std::string_view word, std::vector<ScriptPoint>* points) {
  std::string_view rest = word;
  ScriptPoint point;
  NARTHEX_RETURN_IF_ERROR(TakeHistogram(&rest, &point));
  ScriptPoint increase;
  const bool adds = rest.starts_with("+");
  if (adds || rest.starts_with("-")) {
    rest.remove_prefix(1);
    NARTHEX_RETURN_IF_ERROR(TakeHistogram(&rest, &increase));
  }
  int64_t repeats = 0;
  if (!rest.empty() && !(rest[0] == 'x' && ParseInt64(rest.substr(1), &repeats))) {
    return InvalidArgument("bad histogram point ", word);
  }
  for (int64_t i = 0; i <= repeats; ++i) {
    points->push_back(point);
    if (increase.histogram == nullptr) continue;
    promql::HistogramSum sum(*point.histogram);
    if (adds) {
      sum.Add(*increase.histogram);
    } else {
      sum.Sub(*increase.histogram);
    }
    point.histogram = std::make_shared<FloatHistogram>(sum.Result());
  }
  return absl::OkStatus();
}

// Takes a signed duration or a number of seconds off the front of `text`.
bool TakeOffset(std::string_view* text, int64_t* ms) {
  size_t length = text->starts_with("-") || text->starts_with("+") ? 1 : 0;
  while (length < text->size() && (*text)[length] != '-' && (*text)[length] != '+' &&
         (*text)[length] != 'x') {
    ++length;
  }
  std::string_view number = text->substr(0, length);
  text->remove_prefix(length);
  const bool negative = number.starts_with("-");
  if (negative || number.starts_with("+")) number.remove_prefix(1);
  const absl::StatusOr<int64_t> parsed = ParseMillis(number);
  if (!parsed.ok()) return false;
  *ms = negative ? -*parsed : *parsed;
  return true;
}

// "_", "_xN", "-30s", "-30sxN", "-30s-1mxN".
absl::Status AddStartOffsets(std::string_view word, std::vector<std::optional<int64_t>>* offsets) {
  int64_t repeats = 0;
  if (word.starts_with("_")) {
    if (word != "_" && !(word.starts_with("_x") && ParseInt64(word.substr(2), &repeats))) {
      return InvalidArgument("bad gap ", word);
    }
    offsets->resize(offsets->size() + static_cast<size_t>(std::max<int64_t>(repeats, 1)));
    return absl::OkStatus();
  }
  std::string_view rest = word;
  int64_t offset = 0;
  int64_t increase = 0;
  if (!TakeOffset(&rest, &offset) ||
      (!rest.empty() && rest[0] != 'x' && !TakeOffset(&rest, &increase)) ||
      (!rest.empty() && !(rest[0] == 'x' && ParseInt64(rest.substr(1), &repeats)))) {
    return InvalidArgument("bad start timestamp ", word);
  }
  for (int64_t i = 0; i <= repeats; ++i) {
    offsets->push_back(offset);
    offset += increase;
  }
  return absl::OkStatus();
}

absl::Status AddPoints(std::string_view word, std::vector<ScriptPoint>* points) {
  if (word.starts_with("{{")) return AddHistograms(word, points);
  int64_t repeats = 0;
  if (word.starts_with("_")) {
    if (word != "_" && !(word.starts_with("_x") && ParseInt64(word.substr(2), &repeats))) {
      return InvalidArgument("bad gap ", word);
    }
    points->resize(points->size() + static_cast<size_t>(std::max<int64_t>(repeats, 1)));
    return absl::OkStatus();
  }
  std::string_view rest = word;
  double value = 0;
  double increase = 0;
  if (word.starts_with("stale")) {
    value = StaleNan();
    rest.remove_prefix(5);
  } else if (!TakeNumber(&rest, &value)) {
    return InvalidArgument("bad point ", word);
  }
  if (!rest.empty() && rest[0] != 'x' && !TakeNumber(&rest, &increase)) {
    return InvalidArgument("bad point ", word);
  }
  if (!rest.empty() && !(rest[0] == 'x' && ParseInt64(rest.substr(1), &repeats))) {
    return InvalidArgument("bad point ", word);
  }
  for (int64_t i = 0; i <= repeats; ++i) {
    ScriptPoint point;
    point.kind = ScriptPoint::Kind::kFloat;
    point.value = value;
    points->push_back(std::move(point));
    if (increase != 0) value += increase;
  }
  return absl::OkStatus();
}

class ScriptParser {
 public:
  explicit ScriptParser(std::string_view text) : lines_(Split(text, '\n')) {
    for (std::string_view& line : lines_) {
      line = TrimSpace(line);
      if (line.starts_with("#")) line = "";
    }
  }

  absl::StatusOr<std::vector<ScriptCommand>> Parse() {
    std::vector<ScriptCommand> commands;
    while (next_ < lines_.size()) {
      if (lines_[next_].empty()) {
        ++next_;
        continue;
      }
      ScriptCommand command;
      command.line = static_cast<int>(next_) + 1;
      if (absl::Status status = ParseCommand(&command); !status.ok()) {
        return Annotate(status, StrCat("line ", next_ + 1));
      }
      commands.push_back(std::move(command));
    }
    return commands;
  }

 private:
  absl::Status ParseCommand(ScriptCommand* command) {
    std::string_view rest = lines_[next_];
    const std::string_view word = TakeWord(&rest);
    ++next_;
    if (word == "clear") return absl::OkStatus();
    if (word == "load" || word == "load_with_nhcb") {
      command->kind = ScriptCommand::Kind::kLoad;
      command->with_nhcb = word != "load";
      NARTHEX_ASSIGN_OR_RETURN(command->step_ms, ParseMillis(rest));
      return ParseSeriesLines(command);
    }
    if (!word.starts_with("eval")) return InvalidArgument("unknown command ", word);
    using Kind = ScriptExpectation::Kind;
    if (word == "eval_fail") command->expectations.push_back({Kind::kFail, "", ""});
    if (word == "eval_warn") command->expectations.push_back({Kind::kWarn, "", ""});
    if (word == "eval_info") command->expectations.push_back({Kind::kInfo, "", ""});
    command->ordered = word == "eval_ordered";
    NARTHEX_RETURN_IF_ERROR(ParseEval(rest, command));
    return ParseEvalBody(command);
  }

  static absl::Status ParseEval(std::string_view rest, ScriptCommand* command) {
    const bool instant = TakeWord(&rest) == "instant";
    command->kind = instant ? ScriptCommand::Kind::kEvalInstant : ScriptCommand::Kind::kEvalRange;
    TakeWord(&rest);  // "at" or "from"
    NARTHEX_ASSIGN_OR_RETURN(command->start, ParseMillis(TakeWord(&rest)));
    command->end = command->start;
    if (!instant) {
      TakeWord(&rest);  // "to"
      NARTHEX_ASSIGN_OR_RETURN(command->end, ParseMillis(TakeWord(&rest)));
      TakeWord(&rest);  // "step"
      NARTHEX_ASSIGN_OR_RETURN(command->step_ms, ParseMillis(TakeWord(&rest)));
    }
    command->query = rest;
    return absl::OkStatus();
  }

  absl::Status ParseSeriesLines(ScriptCommand* command) {
    std::vector<std::optional<int64_t>> start_offsets;
    for (; next_ < lines_.size() && !lines_[next_].empty(); ++next_) {
      std::string_view rest = lines_[next_];
      const std::string_view name = TakeWord(&rest);
      if (name.ends_with("@st")) {
        while (!rest.empty()) {
          NARTHEX_RETURN_IF_ERROR(AddStartOffsets(TakeWord(&rest), &start_offsets));
        }
        continue;
      }
      NARTHEX_RETURN_IF_ERROR(AddSeries(name, rest, command));
      command->series.back().start_offsets = std::exchange(start_offsets, {});
    }
    return absl::OkStatus();
  }

  static absl::Status AddSeries(std::string_view name, std::string_view rest,
                                ScriptCommand* command) {
    ScriptSeries series;
    NARTHEX_ASSIGN_OR_RETURN(series.labels, promql::ParseMetric(name));
    while (!rest.empty()) {
      NARTHEX_RETURN_IF_ERROR(AddPoints(TakeWord(&rest), &series.points));
    }
    command->series.push_back(std::move(series));
    return absl::OkStatus();
  }

  absl::Status ParseEvalBody(ScriptCommand* command) {
    for (; next_ < lines_.size() && !lines_[next_].empty(); ++next_) {
      std::string_view rest = lines_[next_];
      double number = 0;
      if (rest.starts_with("expect ")) {
        NARTHEX_RETURN_IF_ERROR(ParseExpect(rest.substr(7), command));
      } else if (ParseDouble(rest, &number)) {
        command->scalar = number;
      } else {
        const std::string_view name = TakeWord(&rest);
        NARTHEX_RETURN_IF_ERROR(AddSeries(name, rest, command));
      }
    }
    return absl::OkStatus();
  }

  static absl::Status ParseExpect(std::string_view rest, ScriptCommand* command) {
    const std::string_view word = TakeWord(&rest);
    if (word == "ordered") {
      command->ordered = true;
      return absl::OkStatus();
    }
    if (word == "string") {
      NARTHEX_ASSIGN_OR_RETURN(const promql::ExprPtr literal, promql::ParseExpr(rest));
      command->text = promql::As<promql::StringLiteral>(*literal).value;
      return absl::OkStatus();
    }
    if (word == "range") {
      command->range_vector = true;
      TakeWord(&rest);  // "vector"
      TakeWord(&rest);  // "from"
      NARTHEX_ASSIGN_OR_RETURN(command->range_start, ParseMillis(TakeWord(&rest)));
      TakeWord(&rest);  // "to"
      NARTHEX_ASSIGN_OR_RETURN(command->range_end, ParseMillis(TakeWord(&rest)));
      TakeWord(&rest);  // "step"
      NARTHEX_ASSIGN_OR_RETURN(command->step_ms, ParseMillis(TakeWord(&rest)));
      return absl::OkStatus();
    }
    ScriptExpectation expectation;
    using Kind = ScriptExpectation::Kind;
    if (word == "fail") {
      expectation.kind = Kind::kFail;
    } else if (word == "warn") {
      expectation.kind = Kind::kWarn;
    } else if (word == "info") {
      expectation.kind = Kind::kInfo;
    } else if (word == "no_warn") {
      expectation.kind = Kind::kNoWarn;
    } else if (word == "no_info") {
      expectation.kind = Kind::kNoInfo;
    } else {
      return InvalidArgument("unknown expectation ", word);
    }
    if (rest.starts_with("msg:")) expectation.message = TrimSpace(rest.substr(4));
    if (rest.starts_with("regex:")) expectation.regex = TrimSpace(rest.substr(6));
    command->expectations.push_back(std::move(expectation));
    return absl::OkStatus();
  }

  std::vector<std::string_view> lines_;
  size_t next_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<ScriptCommand>> ParseScript(std::string_view text) {
  return ScriptParser(text).Parse();
}

}  // namespace narthex::testing
