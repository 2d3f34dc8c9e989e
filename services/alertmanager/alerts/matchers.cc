#include "services/alertmanager/alerts/matchers.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"
#include "lib/gotemplate/parser.h"
#include "lib/gotemplate/unicode.h"
#include "lib/relabel/name_validation.h"

namespace narthex::alerts {
namespace {

constexpr std::string_view kOperators = "an operator such as '=', '!=', '=~' or '!~'";

bool IsReserved(char32_t rune) {
  static constexpr std::u32string_view kReserved = U"{}!=~,\\\"'`";
  return gotemplate::IsSpaceRune(rune) || kReserved.find(rune) != std::u32string_view::npos;
}

bool HasReserved(std::string_view text) {
  while (!text.empty()) {
    size_t length = 0;
    if (IsReserved(DecodeRune(text, &length))) return true;
    text.remove_prefix(length);
  }
  return false;
}

bool ParseOperator(std::string_view text, MatchType* type) {
  for (const MatchType candidate :
       {MatchType::kEqual, MatchType::kNotEqual, MatchType::kRegex, MatchType::kNotRegex}) {
    if (MatchTypeText(candidate) != text) continue;
    *type = candidate;
    return true;
  }
  return false;
}

// The UTF-8 grammar: optional braces around name operator value, separated by commas, one of which
// may trail.

enum class TokenType { kEnd, kOpenBrace, kCloseBrace, kComma, kOperator, kWord, kQuoted };

struct Token {
  TokenType type = TokenType::kEnd;
  std::string_view text;
  size_t begin = 0;  // In runes, as errors count.
  size_t end = 0;
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : rest_(text) {}

  absl::StatusOr<Token> Next() {
    for (;;) {
      if (rest_.empty()) return Token{TokenType::kEnd, {}, column_, column_};
      size_t length = 0;
      const char32_t rune = DecodeRune(rest_, &length);
      if (!gotemplate::IsSpaceRune(rune)) return Scan(rune);
      Take(length);
    }
  }
  size_t column() const { return column_; }

 private:
  std::string_view Take(size_t bytes) {
    const std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    column_ += RuneCount(taken);
    return taken;
  }
  Token Make(TokenType type, size_t bytes) {
    const size_t begin = column_;
    const std::string_view text = Take(bytes);
    return {type, text, begin, column_};
  }

  absl::StatusOr<Token> Scan(char32_t rune) {
    switch (rune) {
      case '{':
        return Make(TokenType::kOpenBrace, 1);
      case '}':
        return Make(TokenType::kCloseBrace, 1);
      case ',':
        return Make(TokenType::kComma, 1);
      case '=':
        return Make(TokenType::kOperator, rest_.size() > 1 && rest_[1] == '~' ? 2 : 1);
      case '!':
        if (rest_.size() > 1 && (rest_[1] == '=' || rest_[1] == '~')) {
          return Make(TokenType::kOperator, 2);
        }
        if (rest_.size() == 1) {
          return InvalidArgument("0:", column_ + 1,
                                 ": unexpected end of input, expected one of '=~'");
        }
        return InvalidArgument(column_, ":", column_ + 2, ": ", rest_.substr(0, 2),
                               ": expected one of '=~'");
      case '"':
        return ScanQuoted();
      default:
        break;
    }
    if (IsReserved(rune)) {
      size_t length = 0;
      DecodeRune(rest_, &length);
      return InvalidArgument(column_, ":", column_ + 1, ": ", rest_.substr(0, length),
                             ": invalid input");
    }
    size_t bytes = 0;
    while (bytes < rest_.size()) {
      size_t length = 0;
      const char32_t next = DecodeRune(rest_.substr(bytes), &length);
      if (IsReserved(next)) break;
      bytes += length;
    }
    return Make(TokenType::kWord, bytes);
  }

  absl::StatusOr<Token> ScanQuoted() {
    for (size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == '\\') {
        ++i;
      } else if (rest_[i] == '"') {
        return Make(TokenType::kQuoted, i + 1);
      }
    }
    return InvalidArgument(column_, ":", column_ + RuneCount(rest_), ": ", rest_,
                           ": missing end \"");
  }

  std::string_view rest_;
  size_t column_ = 0;
};

class Utf8Parser {
 public:
  explicit Utf8Parser(std::string_view text) : lexer_(text) {}

  absl::StatusOr<std::vector<Matcher>> Run() {
    NARTHEX_RETURN_IF_ERROR(Advance());
    std::vector<Matcher> matchers;
    if (token_.type == TokenType::kEnd) return matchers;
    const bool braces = token_.type == TokenType::kOpenBrace;
    if (braces) NARTHEX_RETURN_IF_ERROR(Advance());
    while (token_.type != TokenType::kCloseBrace && token_.type != TokenType::kEnd) {
      NARTHEX_ASSIGN_OR_RETURN(Matcher matcher, ParseOne());
      matchers.push_back(std::move(matcher));
      if (token_.type == TokenType::kComma) {
        NARTHEX_RETURN_IF_ERROR(Advance());
      } else if (token_.type != TokenType::kCloseBrace && token_.type != TokenType::kEnd) {
        return Unexpected(braces ? "a comma or close brace" : "a comma");
      }
    }
    if (braces) {
      if (token_.type == TokenType::kEnd) return Unexpected("close brace");
      NARTHEX_RETURN_IF_ERROR(Advance());
      if (token_.type != TokenType::kEnd) return Unexpected("end of input");
    } else if (token_.type == TokenType::kCloseBrace) {
      return InvalidArgument("0:", lexer_.column(), ": }: expected opening brace");
    }
    return matchers;
  }

 private:
  absl::Status Advance() {
    NARTHEX_ASSIGN_OR_RETURN(token_, lexer_.Next());
    return absl::OkStatus();
  }
  absl::Status Unexpected(std::string_view wanted) const {
    if (token_.type == TokenType::kEnd) {
      return InvalidArgument("0:", lexer_.column(), ": end of input: expected ", wanted);
    }
    return InvalidArgument(token_.begin, ":", token_.end, ": unexpected ", token_.text,
                           ": expected ", wanted);
  }
  absl::StatusOr<std::string> Text(std::string_view wanted) {
    if (token_.type == TokenType::kWord) {
      if (!IsValidUtf8(token_.text)) {
        return InvalidArgument(token_.begin, ":", token_.end, ": ", token_.text, ": invalid UTF-8");
      }
      return std::string(token_.text);
    }
    if (token_.type != TokenType::kQuoted) return Unexpected(wanted);
    std::string text;
    if (!gotemplate::Unquote(token_.text, &text) || !IsValidUtf8(text)) {
      return InvalidArgument(token_.begin, ":", token_.end, ": ", token_.text, ": invalid input");
    }
    return text;
  }
  absl::StatusOr<Matcher> ParseOne() {
    NARTHEX_ASSIGN_OR_RETURN(const std::string name, Text("label name"));
    NARTHEX_RETURN_IF_ERROR(Advance());
    MatchType type = MatchType::kEqual;
    if (token_.type != TokenType::kOperator || !ParseOperator(token_.text, &type)) {
      return Unexpected(kOperators);
    }
    NARTHEX_RETURN_IF_ERROR(Advance());
    NARTHEX_ASSIGN_OR_RETURN(const std::string value, Text("label value"));
    NARTHEX_RETURN_IF_ERROR(Advance());
    absl::StatusOr<Matcher> matcher = Matcher::Create(type, name, value);
    if (matcher.ok()) return matcher;
    return Annotate(matcher.status(), "failed to create matcher");
  }

  Lexer lexer_;
  Token token_;
};

// The classic grammar: each matcher is a legacy name, an operator, and the rest of the text.

absl::StatusOr<std::string> UnescapeClassic(std::string_view raw, std::string_view shown) {
  bool trailing_quote = raw.starts_with('"');
  if (trailing_quote) raw.remove_prefix(1);
  if (!IsValidUtf8(raw)) return InvalidArgument("matcher value not valid UTF-8: ", shown);
  std::string value;
  for (size_t i = 0; i < raw.size(); ++i) {
    const char c = raw[i];
    if (c == '\\' && i + 1 < raw.size()) {
      const char next = raw[++i];
      if (next == 'n') {
        value.push_back('\n');
      } else {
        // Before anything else the backslash is a backslash.
        if (next != '"' && next != '\\') value.push_back('\\');
        value.push_back(next);
      }
    } else if (c == '"') {
      if (!trailing_quote || i + 1 < raw.size()) {
        return InvalidArgument("matcher value contains unescaped double quote: ", shown);
      }
      trailing_quote = false;
    } else {
      value.push_back(c);
    }
  }
  if (trailing_quote) {
    return InvalidArgument("matcher value contains unescaped double quote: ", shown);
  }
  return value;
}

absl::StatusOr<Matcher> ParseClassicMatcher(std::string_view text) {
  std::string_view rest = TrimSpace(text);
  size_t name_bytes = 0;
  const auto is_name = [](char c, bool first) {
    return c == '_' || c == ':' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (!first && c >= '0' && c <= '9');
  };
  while (name_bytes < rest.size() && is_name(rest[name_bytes], name_bytes == 0)) ++name_bytes;
  const std::string_view name = rest.substr(0, name_bytes);
  rest = TrimSpace(rest.substr(name_bytes));
  MatchType type = MatchType::kEqual;
  const size_t operator_bytes = ParseOperator(rest.substr(0, 2), &type)   ? rest.substr(0, 2).size()
                                : ParseOperator(rest.substr(0, 1), &type) ? 1
                                                                          : 0;
  if (name.empty() || operator_bytes == 0) return InvalidArgument("bad matcher format: ", text);
  const std::string_view raw = TrimSpace(rest.substr(operator_bytes));
  NARTHEX_ASSIGN_OR_RETURN(const std::string value, UnescapeClassic(raw, raw));
  return Matcher::Create(type, name, value);
}

absl::StatusOr<std::vector<Matcher>> ParseClassic(std::string_view text) {
  if (text.starts_with('{')) text.remove_prefix(1);
  if (text.ends_with('}')) text.remove_suffix(1);
  std::vector<Matcher> matchers;
  bool inside_quotes = false;
  bool escaped = false;
  size_t begin = 0;
  const auto add = [&](std::string_view token) -> absl::Status {
    NARTHEX_ASSIGN_OR_RETURN(Matcher matcher, ParseClassicMatcher(token));
    matchers.push_back(std::move(matcher));
    return absl::OkStatus();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ',' && !inside_quotes) {
      NARTHEX_RETURN_IF_ERROR(add(text.substr(begin, i - begin)));
      begin = i + 1;
    } else if (text[i] == '"') {
      if (!escaped) inside_quotes = !inside_quotes;
      escaped = false;
    } else {
      escaped = text[i] == '\\' && !escaped;
    }
  }
  const std::string_view last = TrimSpace(text.substr(begin));
  if (!last.empty()) NARTHEX_RETURN_IF_ERROR(add(last));
  return matchers;
}

void Warn(std::vector<std::string>* warnings, std::string text) {
  if (warnings != nullptr) warnings->push_back(std::move(text));
}

// One reading of two, as the mode says.
template <typename T>
absl::StatusOr<T> Choose(std::string_view text, MatcherMode mode, absl::StatusOr<T> utf8,
                         absl::StatusOr<T> classic, const std::string& suggestion,
                         std::vector<std::string>* warnings) {
  if (mode == MatcherMode::kUtf8) return utf8;
  if (mode == MatcherMode::kClassic) return classic;
  if (!classic.ok()) return utf8;
  if (!utf8.ok()) {
    Warn(warnings, StrCat("matchers ", Quote(text),
                          " are only valid in the classic grammar, which will go; write ",
                          suggestion, " instead"));
  } else if (!(*utf8 == *classic)) {
    Warn(warnings,
         StrCat("matchers ", Quote(text),
                " mean something else in the UTF-8 grammar; the classic meaning is used: ",
                suggestion));
  }
  return classic;
}

std::string EscapeOpenMetrics(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out.push_back('\\');
    if (c == '\n') {
      out.append("\\n");
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

absl::StatusOr<std::vector<Matcher>> ParseMatchers(std::string_view text, MatcherMode mode,
                                                   std::vector<std::string>* warnings) {
  absl::StatusOr<std::vector<Matcher>> classic = ParseClassic(text);
  const std::string suggestion = classic.ok() ? MatchersText(*classic) : "";
  return Choose(text, mode, Utf8Parser(text).Run(), std::move(classic), suggestion, warnings);
}

absl::StatusOr<Matcher> ParseMatcher(std::string_view text, MatcherMode mode,
                                     std::vector<std::string>* warnings) {
  absl::StatusOr<Matcher> utf8 = InvalidArgument("unexpected open or close brace: ", text);
  if (!text.starts_with('{') && !text.ends_with('}')) {
    absl::StatusOr<std::vector<Matcher>> list = Utf8Parser(text).Run();
    if (!list.ok()) {
      utf8 = list.status();
    } else if (list->size() != 1) {
      utf8 = list->empty() ? InvalidArgument("no matchers")
                           : InvalidArgument("expected 1 matcher, found ", list->size());
    } else {
      utf8 = std::move(list->front());
    }
  }
  absl::StatusOr<Matcher> classic = ParseClassicMatcher(text);
  const std::string suggestion = classic.ok() ? MatcherText(*classic) : "";
  return Choose(text, mode, std::move(utf8), std::move(classic), suggestion, warnings);
}

std::string MatcherText(const Matcher& matcher) {
  if (HasReserved(matcher.name())) {
    return StrCat(Quote(matcher.name()), MatchTypeText(matcher.type()), Quote(matcher.value()));
  }
  return StrCat(matcher.name(), MatchTypeText(matcher.type()), "\"",
                EscapeOpenMetrics(matcher.value()), "\"");
}

std::string MatchersText(const std::vector<Matcher>& matchers) {
  std::string out = "{";
  for (const Matcher& matcher : matchers) {
    if (out.size() > 1) out.push_back(',');
    out.append(MatcherText(matcher));
  }
  out.push_back('}');
  return out;
}

void SortMatchers(std::vector<Matcher>* matchers) {
  std::stable_sort(matchers->begin(), matchers->end(), [](const Matcher& a, const Matcher& b) {
    return std::tuple(std::string_view(a.name()), std::string_view(a.value()), a.type()) <
           std::tuple(std::string_view(b.name()), std::string_view(b.value()), b.type());
  });
}

bool MatchesAll(const std::vector<Matcher>& matchers, const Labels& labels) {
  return std::all_of(matchers.begin(), matchers.end(), [&labels](const Matcher& matcher) {
    return matcher.Matches(labels.Get(matcher.name()));
  });
}

}  // namespace narthex::alerts
