#include "lib/textparse/prometheus_parser.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "lib/base/check.h"
#include "lib/base/float_format.h"
#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"
#include "lib/model/stale.h"
#include "lib/textparse/number.h"
#include "lib/textparse/scan.h"

namespace narthex::textparse {
namespace {

constexpr size_t kKeywordBytes = 7;  // "# HELP " and "# TYPE ".

bool ReadMetricType(std::string_view text, MetricType* type) {
  static constexpr std::pair<std::string_view, MetricType> kTypes[] = {
      {"counter", MetricType::kCounter},     {"gauge", MetricType::kGauge},
      {"histogram", MetricType::kHistogram}, {"summary", MetricType::kSummary},
      {"untyped", MetricType::kUnknown},
  };
  for (const auto& [name, value] : kTypes) {
    if (text == name) {
      *type = value;
      return true;
    }
  }
  return false;
}

// REQUIRES: one byte more than the keyword is readable.
bool StartsWithKeyword(const char* from, const char (&keyword)[kKeywordBytes + 1]) {
  uint64_t a;
  uint64_t b;
  std::memcpy(&a, from, sizeof a);
  std::memcpy(&b, keyword, sizeof b);
  // The keyword's eighth byte is its NUL, which stands for any.
  static constexpr char kMask[8] = {-1, -1, -1, -1, -1, -1, -1, 0};
  uint64_t mask;
  std::memcpy(&mask, kMask, sizeof mask);
  return ((a ^ b) & mask) == 0;
}

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// Resolves \\ and \n, with `quotes` also \"; other backslashes stand for themselves.
std::string ResolveEscapes(std::string_view text, bool quotes) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      const char next = text[i + 1];
      if (next == '\\' || next == 'n' || (quotes && next == '"')) {
        out.push_back(next == 'n' ? '\n' : next);
        ++i;
        continue;
      }
    }
    out.push_back(text[i]);
  }
  return out;
}

// The form of `le` and `quantile` that OpenMetrics asks for, so that "1" and "1.0" are one series.
std::string CanonicalFloat(double value) {
  if (value == 0) return "0.0";  // Also of -0.
  std::string out = FormatFloatG(value);
  if (std::isfinite(value) && out.find_first_of(".e") == std::string::npos) out += ".0";
  return out;
}

bool IsCanonicalized(MetricType type, std::string_view label) {
  return (type == MetricType::kSummary && label == "quantile") ||
         (type == MetricType::kHistogram && label == "le");
}

// What FindClosingQuote() met on its way.
struct QuotedText {
  bool escapes = false;
  bool high = false;  // Bytes beyond ASCII.
  bool odd = false;   // NULs, or an escaped newline: what the fast path leaves to the lexer.
};

// From behind the opening quote on: the closing one, or null when there is none before `end`. NULs
// count for nothing, also between a backslash and what it escapes.
const char* FindClosingQuote(const char* from, const char* end, QuotedText* met) {
  while (true) {
    from = FindQuote(from, end, &met->high);
    if (from == end) return nullptr;
    if (*from == '"') return from;
    if (*from++ == '\0') {
      met->odd = true;
      continue;
    }
    met->escapes = true;
    while (from < end && *from == '\0') {
      met->odd = true;
      ++from;
    }
    if (from == end) return nullptr;
    met->odd |= *from == '\n';
    met->high |= static_cast<unsigned char>(*from) >= 0x80;
    ++from;
  }
}

}  // namespace

PrometheusParser::PrometheusParser(std::string_view body)
    : body_(body), lexer_(body), position_(body.data()) {}

size_t PrometheusParser::Fill(std::span<Entry> entries, absl::Status* status) {
  const char* const end = body_.data() + body_.size();
  size_t count = 0;
  while (count < entries.size() && position_ < end) {
    Entry* const entry = &entries[count];
    const char c = *position_;
    if (c == '\n') {
      ++position_;
      continue;
    }
    if (fast_path_ && (c == '#' ? ReadMetadataFast(entry) : ReadSeriesFast(entry))) {
      ++count;
      continue;
    }
    switch (ReadEntry(entry, status)) {
      case Outcome::kEntry:
        ++count;
        break;
      case Outcome::kSkipped:
        break;
      case Outcome::kEnd:
        position_ = end;
        break;
      case Outcome::kError:
        position_ = end;
        return count;
    }
  }
  return count;
}

bool PrometheusParser::ReadSeriesFast(Entry* entry) {
  const char* const end = body_.data() + body_.size();
  const char* const start = position_;
  if (!IsNameStart(*start) && *start != ':') return false;
  const char* at = SkipName<NameKind::kMetric>(start, end);
  if (at < end && *at == '{') {
    ++at;
    while (at < end && *at != '}') {
      const char* const name = at;
      at = SkipName<NameKind::kLabel>(at, end);
      if (at == name || !IsNameStart(*name) || end - at < 2 || at[0] != '=' || at[1] != '"') {
        return false;
      }
      const char* const value = at + 2;
      QuotedText met;
      at = FindClosingQuote(value, end, &met);
      if (at == nullptr || met.odd) return false;
      if (met.high && !IsValidUtf8({value, static_cast<size_t>(at - value)})) return false;
      ++at;
      if (at < end && *at == ',') {
        ++at;
      } else if (at == end || *at != '}') {
        return false;
      }
    }
    if (at == end) return false;
    ++at;
  }
  entry->name = {start, static_cast<size_t>(at - start)};
  while (at < end && *at == ' ') ++at;
  at = ParseDecimal(at, end, &entry->value);
  if (at == nullptr) return false;
  entry->has_timestamp = false;
  if (at < end && *at == ' ') {
    // Eighteen digits fit for sure.
    constexpr int kDigitsMax = 18;
    const char* const digits = ++at;
    Timestamp timestamp = 0;
    while (at < end && at - digits < kDigitsMax && *at >= '0' && *at <= '9') {
      timestamp = timestamp * 10 + (*at++ - '0');
    }
    if (at == digits) return false;
    entry->timestamp = timestamp;
    entry->has_timestamp = true;
  }
  if (at < end && *at != '\n') return false;
  entry->kind = EntryKind::kSeries;
  entry->type = type_;
  entry->text = {};
  position_ = at < end ? at + 1 : end;
  return true;
}

bool PrometheusParser::ReadMetadataFast(Entry* entry) {
  const char* const end = body_.data() + body_.size();
  if (static_cast<size_t>(end - position_) <= kKeywordBytes) return false;
  const bool help = StartsWithKeyword(position_, "# HELP ");
  if (!help && !StartsWithKeyword(position_, "# TYPE ")) return false;
  const char* const name = position_ + kKeywordBytes;
  const char* const name_end = SkipName<NameKind::kMetric>(name, end);
  if (!IsNameStart(*name) || end - name_end < 2 || *name_end != ' ' || IsBlank(name_end[1]) ||
      name_end[1] == '\0') {
    return false;
  }
  bool plain = true;
  const char* const text = name_end + 1;
  const char* const text_end = FindLineEnd(text, end, &plain);
  const std::string_view line(text, static_cast<size_t>(text_end - text));
  if (help) {
    if (!plain && !IsValidUtf8(line)) return false;
    entry->kind = EntryKind::kHelp;
    entry->text = plain ? line : Unescape(line, /*quotes=*/false);
  } else {
    if (!ReadMetricType(line, &type_)) return false;
    entry->kind = EntryKind::kType;
    entry->text = {};
  }
  entry->type = type_;
  entry->has_timestamp = false;
  entry->name = {name, static_cast<size_t>(name_end - name)};
  position_ = text_end < end ? text_end + 1 : end;
  return true;
}

PrometheusParser::Outcome PrometheusParser::ReadEntry(Entry* entry, absl::Status* status) {
  entry_start_ = static_cast<size_t>(position_ - body_.data());
  lexer_.Seek(entry_start_);
  const Token token = lexer_.Next();
  Outcome outcome = Outcome::kEntry;
  switch (token) {
    case Token::kEof:
      return Outcome::kEnd;
    case Token::kLinebreak:
      outcome = Outcome::kSkipped;
      break;
    case Token::kComment:
      if (const Token next = lexer_.Next(); next == Token::kLinebreak) {
        outcome = Outcome::kSkipped;
      } else {
        *status = Unexpected("linebreak expected after comment", next);
      }
      break;
    case Token::kHelp:
    case Token::kType:
      *status = ReadMetadata(token, entry);
      break;
    case Token::kBraceOpen:
    case Token::kMetricName:
      *status = ReadSeries(token, entry);
      break;
    case Token::kInvalid:
    case Token::kBlank:
    case Token::kText:
    case Token::kQuotedString:
    case Token::kBraceClose:
    case Token::kLabelName:
    case Token::kLabelValue:
    case Token::kComma:
    case Token::kEqual:
    case Token::kTimestamp:
    case Token::kValue:
      *status = Unexpected("expected a valid start token", token);
      break;
  }
  if (!status->ok()) return Outcome::kError;
  position_ = body_.data() + std::min(lexer_.end(), body_.size());
  return outcome;
}

absl::Status PrometheusParser::ReadMetadata(Token keyword, Entry* entry) {
  Token token = lexer_.Next();
  if (token != Token::kMetricName) {
    return Unexpected(StrCat("expected metric name after ", TokenName(keyword)), token);
  }
  std::string_view family = BodyBetween(lexer_.start(), lexer_.end());
  if (family.front() == '"') family = family.substr(1, family.size() - 2);
  token = lexer_.Next();
  if (token != Token::kText) {
    return InvalidArgument("expected text in ", TokenName(keyword), ", got ", TokenName(token));
  }
  std::string_view text = BodyBetween(lexer_.start(), lexer_.end());
  if (!text.empty()) text.remove_prefix(1);
  if (keyword == Token::kType) {
    if (!ReadMetricType(text, &type_)) return InvalidArgument("invalid metric type ", Quote(text));
    entry->kind = EntryKind::kType;
  } else {
    if (!IsValidUtf8(text)) {
      return InvalidArgument("help text ", Quote(text), " is not a valid utf8 string");
    }
    entry->kind = EntryKind::kHelp;
  }
  token = lexer_.Next();
  if (token != Token::kLinebreak) return Unexpected("linebreak expected after metadata", token);
  entry->type = type_;
  entry->has_timestamp = false;
  entry->name = Unescape(family, /*quotes=*/true);
  entry->text = {};
  if (entry->kind == EntryKind::kHelp) entry->text = Unescape(text, /*quotes=*/false);
  return absl::OkStatus();
}

absl::Status PrometheusParser::ReadSeries(Token first, Entry* entry) {
  // White space before the series is no part of it.
  const size_t start = lexer_.start();
  bool has_name = first == Token::kMetricName;
  size_t end = lexer_.end();
  Token token = has_name ? lexer_.Next() : first;
  if (token == Token::kBraceOpen) {
    NARTHEX_RETURN_IF_ERROR(ReadLabelPairs(&has_name));
    end = lexer_.end();
    token = lexer_.Next();
  }
  if (!has_name) {
    return InvalidArgument("metric name not set while parsing: ",
                           QuoteBody(entry_start_, lexer_.end()));
  }
  NARTHEX_RETURN_IF_ERROR(ReadValueAndTimestamp(token, entry));
  entry->kind = EntryKind::kSeries;
  entry->type = type_;
  entry->name = BodyBetween(start, end);
  entry->text = {};
  return absl::OkStatus();
}

absl::Status PrometheusParser::ReadLabelPairs(bool* has_name) {
  Token token = lexer_.Next();
  while (token != Token::kBraceClose) {
    const Token name = token;
    if (name != Token::kLabelName && name != Token::kQuotedString) {
      return Unexpected("expected label name", name);
    }
    token = lexer_.Next();
    if (name == Token::kQuotedString && (token == Token::kComma || token == Token::kBraceClose)) {
      // A quoted string alone is the metric name.
      if (*has_name) {
        return InvalidArgument("metric name already set while parsing: ",
                               QuoteBody(entry_start_, lexer_.end()));
      }
      *has_name = true;
      if (token == Token::kComma) token = lexer_.Next();
      continue;
    }
    if (token != Token::kEqual) return Unexpected("expected equal", token);
    token = lexer_.Next();
    if (token != Token::kLabelValue) return Unexpected("expected label value", token);
    const std::string_view value = BodyBetween(lexer_.start(), lexer_.end());
    if (!IsValidUtf8(value)) {
      return InvalidArgument("invalid UTF-8 label value: ", Quote(value));
    }
    // Upstream does without the comma, too.
    token = lexer_.Next();
    if (token == Token::kComma) token = lexer_.Next();
  }
  return absl::OkStatus();
}

absl::Status PrometheusParser::ReadValueAndTimestamp(Token token, Entry* entry) {
  if (token != Token::kValue) return Unexpected("expected value after metric", token);
  const auto while_parsing = [&](std::string_view what) {
    return InvalidArgument(what, " while parsing: ", QuoteBody(entry_start_, lexer_.end()));
  };
  const absl::Status parsed = ParseValue(BodyBetween(lexer_.start(), lexer_.end()), &entry->value);
  if (!parsed.ok()) return while_parsing(Message(parsed));
  if (std::isnan(entry->value)) entry->value = NormalNan();
  token = lexer_.Next();
  entry->has_timestamp = token == Token::kTimestamp;
  if (entry->has_timestamp) {
    const std::string_view digits = BodyBetween(lexer_.start(), lexer_.end());
    if (!ParseInt64(digits, &entry->timestamp)) {
      return while_parsing(
          StrCat("strconv.ParseInt: parsing ", Quote(digits), ": value out of range"));
    }
    token = lexer_.Next();
    if (token != Token::kLinebreak) {
      return Unexpected("expected next entry after timestamp", token);
    }
  } else if (token != Token::kLinebreak) {
    return Unexpected("expected timestamp or new record", token);
  }
  return absl::OkStatus();
}

absl::Status PrometheusParser::Unexpected(std::string_view expected, Token got) const {
  const size_t end = std::min(lexer_.end() + 1, lexer_.size());
  return InvalidArgument(expected, ", got ", QuoteBody(lexer_.start(), end), " (",
                         Quote(TokenName(got)), ") while parsing: ", QuoteBody(entry_start_, end));
}

std::string PrometheusParser::QuoteBody(size_t start, size_t end) const {
  std::string text(body_.substr(std::min(start, body_.size()), end - start));
  if (end > body_.size() && start < end) text.push_back('\n');  // The one the lexer adds.
  return Quote(text);
}

std::string_view PrometheusParser::BodyBetween(size_t start, size_t end) const {
  return body_.substr(std::min(start, body_.size()), end - start);
}

std::string_view PrometheusParser::Unescape(std::string_view text, bool quotes) {
  if (text.find('\\') == std::string_view::npos) return text;
  unescaped_.push_back(ResolveEscapes(text, quotes));
  return unescaped_.back();
}

absl::StatusOr<Labels> PrometheusParser::ReadLabels(const Entry& series) {
  NARTHEX_DCHECK(series.kind == EntryKind::kSeries);
  labels_.clear();
  empty_labels_.clear();
  label_texts_.clear();
  const auto resolve = [&](std::string_view text, bool escapes) -> std::string_view {
    if (!escapes) return text;
    label_texts_.push_back(ResolveEscapes(text, /*quotes=*/true));
    return label_texts_.back();
  };

  // The text was checked when the entry was read; here it is only taken apart.
  const char* at = series.name.data();
  const char* const end = at + series.name.size();
  const char* const name_end = SkipName<NameKind::kMetric>(at, end);
  if (name_end != at) {
    labels_.push_back({kMetricName, {at, static_cast<size_t>(name_end - at)}});
  }
  at = name_end;
  const auto skip = [&](char separator) {
    while (at < end && (*at == separator || IsBlank(*at) || *at == '\0')) ++at;
  };
  // The string whose opening quote is at `at`.
  const auto take_string = [&]() -> std::string_view {
    QuotedText met;
    const char* const start = ++at;
    at = FindClosingQuote(start, end, &met);
    NARTHEX_CHECK(at != nullptr);
    return resolve({start, static_cast<size_t>(at++ - start)}, met.escapes);
  };
  skip('{');
  while (at < end && *at != '}') {
    std::string_view name;
    if (*at == '"') {
      name = take_string();
      skip(' ');
      if (*at == ',' || *at == '}') {
        if (!name.empty()) labels_.push_back({kMetricName, name});
        skip(',');
        continue;
      }
    } else {
      const char* const start = at;
      at = SkipName<NameKind::kLabel>(at, end);
      name = {start, static_cast<size_t>(at - start)};
    }
    skip('=');
    std::string_view value = take_string();
    double number;
    if (IsCanonicalized(series.type, name) && ParseValue(value, &number).ok()) {
      label_texts_.push_back(CanonicalFloat(number));
      value = label_texts_.back();
    }
    if (value.empty()) {
      empty_labels_.push_back(name);
    } else {
      labels_.push_back({name, value});
    }
    skip(',');
  }

  if (!std::is_sorted(labels_.begin(), labels_.end())) std::sort(labels_.begin(), labels_.end());
  for (size_t i = 1; i < labels_.size(); ++i) {
    if (labels_[i].name == labels_[i - 1].name) {
      return InvalidArgument("label name ", Quote(labels_[i].name),
                             " is not unique: invalid sample");
    }
  }
  return Labels::FromSorted(labels_);
}

}  // namespace narthex::textparse
