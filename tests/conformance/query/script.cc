#include "tests/conformance/query/script.h"

#include <algorithm>
#include <cmath>

#include "lib/base/duration.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/model/stale.h"
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

absl::Status AddHistograms(std::string_view word, std::vector<ScriptPoint>* points) {
  const size_t times = word.rfind("}}x");
  int64_t repeats = 0;
  if (times != std::string_view::npos && !ParseInt64(word.substr(times + 3), &repeats)) {
    return InvalidArgument("bad histogram point ", word);
  }
  for (int64_t i = 0; i <= repeats; ++i) points->push_back({ScriptPoint::Kind::kHistogram, 0});
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
    points->push_back({ScriptPoint::Kind::kFloat, value});
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
    bool start_timestamps = false;
    for (; next_ < lines_.size() && !lines_[next_].empty(); ++next_) {
      std::string_view rest = lines_[next_];
      const std::string_view name = TakeWord(&rest);
      if (name.ends_with("@st")) {
        start_timestamps = true;
        continue;
      }
      NARTHEX_RETURN_IF_ERROR(AddSeries(name, rest, command));
      command->series.back().start_timestamps = std::exchange(start_timestamps, false);
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

bool ScriptSeries::HasHistogram() const {
  return std::any_of(points.begin(), points.end(), [](const ScriptPoint& point) {
    return point.kind == ScriptPoint::Kind::kHistogram;
  });
}

absl::StatusOr<std::vector<ScriptCommand>> ParseScript(std::string_view text) {
  return ScriptParser(text).Parse();
}

}  // namespace narthex::testing
