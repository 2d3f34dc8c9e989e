#include "services/pushgateway/text_parser.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"

namespace narthex::pushgateway {
namespace {

constexpr std::string_view kQuantileLabel = "quantile";
constexpr std::string_view kBucketLabel = "le";

bool IsBlank(char c) { return c == ' ' || c == '\t'; }
bool IsLabelStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsLabelChar(char c) { return IsLabelStart(c) || (c >= '0' && c <= '9'); }
bool IsNameStart(char c) { return IsLabelStart(c) || c == ':'; }
bool IsNameChar(char c) { return IsLabelChar(c) || c == ':'; }

// Go's %q of a byte.
std::string QuoteByte(char c) {
  if (c == '\'') return "'\\''";
  if (c == '"') return "'\"'";
  std::string quoted = Quote(std::string_view(&c, 1));
  quoted.front() = '\'';
  quoted.back() = '\'';
  return quoted;
}

std::optional<FamilyType> ParseType(std::string_view text) {
  for (const FamilyType type : {FamilyType::kCounter, FamilyType::kGauge, FamilyType::kSummary,
                                FamilyType::kUntyped, FamilyType::kHistogram}) {
    if (EqualsIgnoreCaseAscii(text, FamilyTypeName(type))) return type;
  }
  return std::nullopt;
}

bool ParseValue(std::string_view text, double* value) {
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (EqualsIgnoreCaseAscii(digits, "infinity")) {
    *value = negative ? -std::numeric_limits<double>::infinity()
                      : std::numeric_limits<double>::infinity();
    return true;
  }
  // Hexadecimal forms and underscores are Go's; the format has neither.
  return text.find_first_of("pP_xX") == std::string_view::npos && ParseDouble(text, value);
}

uint64_t ToCount(double value) {
  if (!(value > 0)) return 0;
  if (value >= 18446744073709551615.0) return std::numeric_limits<uint64_t>::max();
  return static_cast<uint64_t>(value);
}

// "x_count" without its suffix, when something is left.
std::optional<std::string> WithoutSuffix(std::string_view name, std::string_view suffix) {
  if (name.size() <= suffix.size() || !name.ends_with(suffix)) return std::nullopt;
  return std::string(name.substr(0, name.size() - suffix.size()));
}

class PushedTextParser {
 public:
  explicit PushedTextParser(std::string_view body) : body_(body) {}

  absl::StatusOr<FamilyMap> Parse() {
    while (SkipBlank(), position_ < body_.size()) {
      ++line_;
      if (body_[position_] == '\n') {
        ++position_;
        continue;
      }
      NARTHEX_RETURN_IF_ERROR(body_[position_] == '#' ? ReadComment() : ReadSample());
    }
    FamilyMap families;
    for (auto& [name, draft] : drafts_) {
      if (!draft.family.metrics.empty()) families.emplace(name, std::move(draft.family));
    }
    return families;
  }

 private:
  // A family while it is read.
  struct Draft {
    MetricFamily family;
    bool has_help = false;
    bool has_type = false;
    // Of summaries and histograms: where the metric with these labels is.
    absl::flat_hash_map<std::string, size_t> by_labels;
  };
  // What a line of a summary or histogram says.
  enum class Part { kValue, kCount, kSum };
  struct Line {
    Draft* draft = nullptr;
    Part part = Part::kValue;
    LabelPairs labels;            // Without quantile or le.
    double bound = std::nan("");  // The quantile or the bucket's upper bound.
  };

  template <typename... Pieces>
  absl::Status Error(const Pieces&... pieces) const {
    return InvalidArgument("text format parsing error in line ", line_, ": ", pieces...);
  }
  absl::Status EndOfInput() const { return Error("unexpected end of input stream"); }

  bool AtEnd() const { return position_ >= body_.size(); }
  char Current() const { return body_[position_]; }
  void SkipBlank() {
    while (!AtEnd() && IsBlank(Current())) ++position_;
  }

  template <typename Start, typename Char>
  std::string_view TakeToken(Start is_start, Char is_char) {
    const size_t begin = position_;
    if (!AtEnd() && is_start(Current())) {
      while (!AtEnd() && is_char(Current())) ++position_;
    }
    return body_.substr(begin, position_ - begin);
  }
  std::string_view TakeUntilSpace() {
    const auto is_text = [](char c) { return !IsBlank(c) && c != '\n'; };
    return TakeToken(is_text, is_text);
  }

  // The rest of the line, up to its end, which is taken too.
  absl::StatusOr<std::string> TakeRestOfLine(bool unescape) {
    std::string text;
    bool escaped = false;
    for (; !AtEnd(); ++position_) {
      const char c = Current();
      if (unescape && escaped) {
        if (c != '\\' && c != 'n' && c != '"') return Error("invalid escape sequence '\\", c, "'");
        text.push_back(c == 'n' ? '\n' : c);
        escaped = false;
      } else if (c == '\n') {
        ++position_;
        return text;
      } else if (c == '\\') {
        escaped = true;  // Upstream drops it where there are no escapes.
      } else {
        text.push_back(c);
      }
    }
    return EndOfInput();
  }

  absl::Status ReadComment() {
    ++position_;
    SkipBlank();
    const std::string_view keyword = TakeUntilSpace();
    if (AtEnd()) return EndOfInput();
    if (keyword != "HELP" && keyword != "TYPE") return TakeRestOfLine(false).status();
    SkipBlank();
    if (AtEnd()) return EndOfInput();
    if (Current() == '\n') return TakeRestOfLine(false).status();
    const std::string_view name = TakeToken(IsNameStart, IsNameChar);
    if (AtEnd()) return EndOfInput();
    if (Current() == '\n') return TakeRestOfLine(false).status();
    if (!IsBlank(Current())) return Error("invalid metric name in comment");
    Draft& draft = *DraftOf(name).first;
    SkipBlank();
    if (AtEnd()) return EndOfInput();
    if (Current() == '\n') return TakeRestOfLine(false).status();
    return keyword == "HELP" ? ReadHelp(&draft) : ReadType(&draft);
  }

  absl::Status ReadHelp(Draft* draft) {
    if (draft->has_help) {
      return Error("second HELP line for metric name ", Quote(draft->family.name));
    }
    NARTHEX_ASSIGN_OR_RETURN(draft->family.help, TakeRestOfLine(true));
    draft->has_help = true;
    return absl::OkStatus();
  }

  absl::Status ReadType(Draft* draft) {
    if (draft->has_type) {
      return Error("second TYPE line for metric name ", Quote(draft->family.name),
                   ", or TYPE reported after samples");
    }
    NARTHEX_ASSIGN_OR_RETURN(const std::string text, TakeRestOfLine(false));
    const std::optional<FamilyType> type = ParseType(text);
    if (!type.has_value()) return Error("unknown metric type ", Quote(text));
    draft->family.type = *type;
    draft->has_type = true;
    return absl::OkStatus();
  }

  // The family that a name belongs to: its own, or the summary or histogram that it is a part of.
  std::pair<Draft*, Part> DraftOf(std::string_view name) {
    if (const auto found = drafts_.find(name); found != drafts_.end()) {
      return {&found->second, Part::kValue};
    }
    for (const auto& [suffix, part] :
         {std::pair<std::string_view, Part>{"_count", Part::kCount},
          std::pair<std::string_view, Part>{"_sum", Part::kSum},
          std::pair<std::string_view, Part>{"_bucket", Part::kValue}}) {
      const std::optional<std::string> stem = WithoutSuffix(name, suffix);
      if (!stem.has_value()) continue;
      const auto found = drafts_.find(*stem);
      if (found == drafts_.end() || !found->second.has_type) continue;
      const FamilyType type = found->second.family.type;
      if (type == FamilyType::kHistogram || (type == FamilyType::kSummary && suffix != "_bucket")) {
        return {&found->second, part};
      }
    }
    Draft& draft = drafts_[std::string(name)];
    draft.family.name = std::string(name);
    return {&draft, Part::kValue};
  }

  absl::Status ReadSample() {
    const std::string_view name = TakeToken(IsNameStart, IsNameChar);
    if (AtEnd()) return EndOfInput();
    if (name.empty()) return Error("invalid metric name");
    Line line;
    std::tie(line.draft, line.part) = DraftOf(name);
    line.draft->has_type = true;
    SkipBlank();
    if (AtEnd()) return EndOfInput();
    if (Current() == '{') NARTHEX_RETURN_IF_ERROR(ReadLabels(&line));
    const std::string_view text = TakeUntilSpace();
    if (AtEnd()) return EndOfInput();
    double value = 0;
    if (!ParseValue(text, &value)) return Error("expected float as value, got ", Quote(text));
    Metric* metric = AddValue(&line, value);
    if (Current() != '\n') return ReadTimestamp(metric);
    ++position_;
    return absl::OkStatus();
  }

  // From the opening brace to the value.
  absl::Status ReadLabels(Line* line) {
    const MetricFamily& family = line->draft->family;
    while (true) {
      ++position_;  // The brace or the comma.
      SkipBlank();
      if (AtEnd()) return EndOfInput();
      if (Current() == '}') break;
      const std::string name(TakeToken(IsLabelStart, IsLabelChar));
      if (AtEnd()) return EndOfInput();
      if (name.empty()) return Error("invalid label name for metric ", Quote(family.name));
      if (name == "__name__") return Error("label name \"__name__\" is reserved");
      const bool is_bound = (family.type == FamilyType::kSummary && name == kQuantileLabel) ||
                            (family.type == FamilyType::kHistogram && name == kBucketLabel);
      SkipBlank();
      if (AtEnd()) return EndOfInput();
      if (Current() != '=') {
        return Error("expected '=' after label name, found ", QuoteByte(Current()));
      }
      const bool repeated = std::any_of(line->labels.begin(), line->labels.end(),
                                        [&name](const auto& label) { return label.first == name; });
      if (repeated && !is_bound) {
        return Error("duplicate label names for metric ", Quote(family.name));
      }
      std::string value;
      NARTHEX_RETURN_IF_ERROR(ReadLabelValue(&value));
      if (!is_bound) {
        line->labels.emplace_back(name, value);
      } else if (!ParseValue(value, &line->bound)) {
        return Error("expected float as value for '", name, "' label, got ", Quote(value));
      }
      SkipBlank();
      if (AtEnd()) return EndOfInput();
      if (Current() == '}') break;
      if (Current() != ',') return Error("unexpected end of label value ", Quote(value));
    }
    ++position_;
    SkipBlank();
    return AtEnd() ? EndOfInput() : absl::OkStatus();
  }

  // From the equals sign to behind the closing quote.
  absl::Status ReadLabelValue(std::string* value) {
    ++position_;
    SkipBlank();
    if (AtEnd()) return EndOfInput();
    if (Current() != '"') {
      return Error("expected '\"' at start of label value, found ", QuoteByte(Current()));
    }
    bool escaped = false;
    for (++position_; !AtEnd(); ++position_) {
      const char c = Current();
      if (escaped) {
        if (c != '\\' && c != 'n' && c != '"') return Error("invalid escape sequence '\\", c, "'");
        value->push_back(c == 'n' ? '\n' : c);
        escaped = false;
      } else if (c == '"') {
        ++position_;
        if (!IsValidUtf8(*value)) return Error("invalid label value ", Quote(*value));
        return absl::OkStatus();
      } else if (c == '\n') {
        return Error("label value ", Quote(*value), " contains unescaped new-line");
      } else if (c == '\\') {
        escaped = true;
      } else {
        value->push_back(c);
      }
    }
    return EndOfInput();
  }

  // Puts the value where it belongs and returns its metric.
  Metric* AddValue(Line* line, double value) {
    Draft& draft = *line->draft;
    std::vector<Metric>& metrics = draft.family.metrics;
    if (draft.family.type != FamilyType::kSummary && draft.family.type != FamilyType::kHistogram) {
      metrics.emplace_back();
      metrics.back().labels = std::move(line->labels);
      metrics.back().value = value;
      return &metrics.back();
    }
    LabelPairs sorted = line->labels;
    std::sort(sorted.begin(), sorted.end());
    std::string key;
    for (const auto& label : sorted) StrAppend(&key, label.first, '\xff', label.second, '\xff');
    const auto [found, inserted] = draft.by_labels.try_emplace(key, metrics.size());
    if (inserted) {
      metrics.emplace_back();
      metrics.back().labels = std::move(line->labels);
    }
    Metric& metric = metrics[found->second];
    if (line->part == Part::kCount) {
      metric.sample_count = ToCount(value);
    } else if (line->part == Part::kSum) {
      metric.sample_sum = value;
    } else if (!std::isnan(line->bound)) {
      if (draft.family.type == FamilyType::kSummary) {
        metric.quantiles.push_back({line->bound, value});
      } else {
        metric.buckets.push_back({line->bound, ToCount(value)});
      }
    }
    return &metric;
  }

  absl::Status ReadTimestamp(Metric* metric) {
    SkipBlank();
    const std::string_view text = TakeUntilSpace();
    if (AtEnd()) return EndOfInput();
    const bool plus = text.starts_with('+');
    int64_t timestamp_ms = 0;
    if (!ParseInt64(plus ? text.substr(1) : text, &timestamp_ms)) {
      return Error("expected integer as timestamp, got ", Quote(text));
    }
    metric->timestamp_ms = timestamp_ms;
    NARTHEX_ASSIGN_OR_RETURN(const std::string rest, TakeRestOfLine(false));
    if (!rest.empty()) return Error("spurious string after timestamp: ", Quote(rest));
    return absl::OkStatus();
  }

  const std::string_view body_;
  size_t position_ = 0;
  int64_t line_ = 0;
  std::map<std::string, Draft, std::less<>> drafts_;
};

}  // namespace

absl::StatusOr<FamilyMap> ParsePushedText(std::string_view body) {
  return PushedTextParser(body).Parse();
}

}  // namespace narthex::pushgateway
