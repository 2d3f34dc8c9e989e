#include "services/query/promql/lexer.h"

#include <cstdint>

#include "absl/strings/str_format.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"

namespace narthex::promql {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlpha(char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsAlphaNumeric(char c) { return IsAlpha(c) || IsDigit(c); }
bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

int DigitValue(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 16;
}

// U+0061 'a', as Go's %#U.
std::string UnicodeForm(char32_t rune) {
  std::string out = absl::StrFormat("U+%04X", static_cast<uint32_t>(rune));
  if (rune >= 0x20 && rune != 0x7f) {
    out += " '";
    AppendRune(&out, rune);
    out += "'";
  }
  return out;
}

}  // namespace

Token Lexer::Next() {
  if (ended_) return last_;
  last_ = Scan();
  ended_ = last_.type == TokenType::kEof || last_.type == TokenType::kError;
  return last_;
}

Token Lexer::Make(TokenType type) {
  Token token;
  token.type = type;
  token.text = query_.substr(start_, pos_ - start_);
  token.position = {static_cast<int>(start_), static_cast<int>(pos_)};
  return token;
}

Token Lexer::Fail(std::string message) {
  message_ = std::move(message);
  Token token;
  token.type = TokenType::kError;
  token.text = message_;
  token.position = {static_cast<int>(start_), static_cast<int>(query_.size())};
  return token;
}

bool Lexer::Accept(char c) {
  if (AtEnd() || query_[pos_] != c) return false;
  ++pos_;
  return true;
}

bool Lexer::AcceptAny(std::string_view set) {
  if (AtEnd() || set.find(query_[pos_]) == std::string_view::npos) return false;
  ++pos_;
  return true;
}

std::string Lexer::TakeQuotedRune() {
  if (AtEnd()) return "'\xEF\xBF\xBD'";
  size_t length = 0;
  const char32_t rune = DecodeRune(query_.substr(pos_), &length);
  pos_ += length;
  std::string text;
  AppendRune(&text, rune);
  if (text == "'") return "'\\''";
  if (text == "\"") return "'\"'";
  std::string quoted = Quote(text);
  quoted.front() = '\'';
  quoted.back() = '\'';
  return quoted;
}

void Lexer::SkipBlanksAndComments() {
  while (!AtEnd()) {
    if (IsBlank(Peek())) {
      ++pos_;
    } else if (Peek() == '#') {
      while (!AtEnd() && Peek() != '\n' && Peek() != '\r') ++pos_;
    } else {
      return;
    }
  }
}

Token Lexer::Scan() {
  SkipBlanksAndComments();
  start_ = pos_;
  return in_braces_ ? InsideBraces() : Outside();
}

Token Lexer::InsideBraces() {
  if (AtEnd()) return Fail("unexpected end of input inside braces");
  const char c = Peek();
  if (IsAlpha(c)) {
    while (IsAlphaNumeric(Peek())) ++pos_;
    return Make(TokenType::kIdentifier);
  }
  switch (c) {
    case ',':
      ++pos_;
      return Make(TokenType::kComma);
    case '"':
    case '\'':
      ++pos_;
      return QuotedString(c);
    case '`':
      ++pos_;
      return RawString();
    case '=':
      ++pos_;
      return Make(Accept('~') ? TokenType::kRegexMatch : TokenType::kAssign);
    case '!':
      ++pos_;
      if (Accept('~')) return Make(TokenType::kRegexNotMatch);
      if (Accept('=')) return Make(TokenType::kNotEqual);
      return Fail(StrCat("unexpected character after '!' inside braces: ", TakeQuotedRune()));
    case '{':
      return Fail("unexpected left brace '{'");
    case '}':
      ++pos_;
      in_braces_ = false;
      return Make(TokenType::kRightBrace);
    default:
      return Fail(StrCat("unexpected character inside braces: ", TakeQuotedRune()));
  }
}

Token Lexer::Outside() {
  if (AtEnd()) {
    if (paren_depth_ != 0) return Fail("unclosed left parenthesis");
    if (in_brackets_) return Fail("unclosed left bracket");
    return Make(TokenType::kEof);
  }
  const char c = Peek();
  if (IsDigit(c) || (c == '.' && IsDigit(Peek(1)))) return NumberOrDuration();
  if (c == ':' && in_brackets_) {
    if (got_colon_) return Fail("unexpected colon ':'");
    ++pos_;
    got_colon_ = true;
    return Make(TokenType::kColon);
  }
  if (IsAlpha(c) || c == ':') return Word();
  ++pos_;
  switch (c) {
    case ',':
      return Make(TokenType::kComma);
    case '+':
      return Make(TokenType::kAdd);
    case '-':
      return Make(TokenType::kSub);
    case '*':
      return Make(TokenType::kMul);
    case '/':
      return Make(TokenType::kDiv);
    case '%':
      return Make(TokenType::kMod);
    case '^':
      return Make(TokenType::kPow);
    case '@':
      return Make(TokenType::kAt);
    case '=':
      if (Accept('=')) return Make(TokenType::kEqual);
      // "=~" outside braces is a common slip.
      if (Peek() == '~') return Fail(StrCat("unexpected character after '=': ", TakeQuotedRune()));
      return Make(TokenType::kAssign);
    case '!':
      if (Accept('=')) return Make(TokenType::kNotEqual);
      return Fail(StrCat("unexpected character after '!': ", TakeQuotedRune()));
    case '<':
      if (Accept('=')) return Make(TokenType::kLessEqual);
      return Make(Accept('/') ? TokenType::kTrimUpper : TokenType::kLess);
    case '>':
      if (Accept('=')) return Make(TokenType::kGreaterEqual);
      return Make(Accept('/') ? TokenType::kTrimLower : TokenType::kGreater);
    case '"':
    case '\'':
      return QuotedString(c);
    case '`':
      return RawString();
    case '(':
      ++paren_depth_;
      return Make(TokenType::kLeftParen);
    case ')':
      if (paren_depth_ == 0) return Fail("unexpected right parenthesis ')'");
      --paren_depth_;
      return Make(TokenType::kRightParen);
    case '{':
      in_braces_ = true;
      return Make(TokenType::kLeftBrace);
    case '[':
      if (in_brackets_) return Fail("unexpected left bracket '['");
      in_brackets_ = true;
      got_colon_ = false;
      return Make(TokenType::kLeftBracket);
    case ']':
      if (!in_brackets_) return Fail("unexpected right bracket ']'");
      in_brackets_ = false;
      return Make(TokenType::kRightBracket);
    default:
      --pos_;
      return Fail(StrCat("unexpected character: ", TakeQuotedRune()));
  }
}

Token Lexer::Word() {
  bool colon = false;
  while (IsAlphaNumeric(Peek()) || (Peek() == ':' && !in_brackets_)) {
    colon = colon || Peek() == ':';
    ++pos_;
  }
  Token token = Make(colon ? TokenType::kMetricIdentifier : TokenType::kIdentifier);
  if (colon) return token;
  if (EqualsIgnoreCaseAscii(token.text, "inf") || EqualsIgnoreCaseAscii(token.text, "nan")) {
    token.type = TokenType::kNumber;
    return token;
  }
  token.type = LookupKeyword(token.text, &token.aggregate_op);
  if (token.type == TokenType::kFill || token.type == TokenType::kFillLeft ||
      token.type == TokenType::kFillRight) {
    // Metrics may be called so; a modifier is always followed by its parenthesis.
    size_t next = pos_;
    while (next < query_.size() && IsBlank(query_[next])) ++next;
    if (next >= query_.size() || query_[next] != '(') token.type = TokenType::kIdentifier;
  }
  return token;
}

bool Lexer::ScanNumber() {
  bool hex = false;
  if (Peek() == '0' && (Peek(1) == 'x' || Peek(1) == 'X')) {
    hex = true;
    pos_ += 2;
  }
  const auto is_digit = [hex](char c) { return hex ? IsHexDigit(c) : IsDigit(c); };
  const auto scan_digits = [this, &is_digit] {
    while (is_digit(Peek()) || (Peek() == '_' && is_digit(Peek(1)))) ++pos_;
  };
  if (hex && Peek() == '_') ++pos_;
  scan_digits();
  if (!hex) {
    if (Accept('.')) scan_digits();
    if (Peek() == 'e' || Peek() == 'E') {
      const size_t sign = Peek(1) == '+' || Peek(1) == '-' ? 1 : 0;
      if (IsDigit(Peek(1 + sign))) {
        pos_ += 1 + sign;
        scan_digits();
      }
    }
  }
  return !IsAlphaNumeric(Peek());
}

bool Lexer::ScanRestOfDuration() {
  if (!AcceptAny("smhdwy")) return false;
  Accept('s');
  while (IsDigit(Peek())) {
    while (IsDigit(Peek())) ++pos_;
    if (!AcceptAny("smhdwy")) return false;
    Accept('s');
  }
  return !IsAlphaNumeric(Peek());
}

Token Lexer::NumberOrDuration() {
  if (ScanNumber()) return Make(TokenType::kNumber);
  if (ScanRestOfDuration()) return Make(TokenType::kDuration);
  if (!AtEnd()) ++pos_;
  return Fail(
      StrCat("bad number or duration syntax: ", Quote(query_.substr(start_, pos_ - start_))));
}

std::string Lexer::ScanEscape(char quote) {
  if (AtEnd()) return "escape sequence not terminated";
  const char c = Peek();
  int digits = 0;
  int base = 0;
  uint32_t max = 0;
  if (c == quote || std::string_view("abfnrtv\\").find(c) != std::string_view::npos) {
    ++pos_;
    return "";
  }
  if (c >= '0' && c <= '7') {
    digits = 3;
    base = 8;
    max = 255;
  } else if (c == 'x') {
    ++pos_;
    digits = 2;
    base = 16;
    max = 255;
  } else if (c == 'u' || c == 'U') {
    ++pos_;
    digits = c == 'u' ? 4 : 8;
    base = 16;
    max = 0x10FFFF;
  } else {
    size_t length = 0;
    return StrCat("unknown escape sequence ",
                  UnicodeForm(DecodeRune(query_.substr(pos_), &length)));
  }
  uint32_t value = 0;
  for (; digits > 0; --digits) {
    if (AtEnd()) return "escape sequence not terminated";
    const int digit = DigitValue(Peek());
    if (digit >= base) {
      size_t length = 0;
      return StrCat("illegal character ", UnicodeForm(DecodeRune(query_.substr(pos_), &length)),
                    " in escape sequence");
    }
    value = value * static_cast<uint32_t>(base) + static_cast<uint32_t>(digit);
    ++pos_;
  }
  if (value > max || (max > 255 && value >= 0xD800 && value < 0xE000)) {
    return "escape sequence is an invalid Unicode code point";
  }
  return "";
}

Token Lexer::QuotedString(char quote) {
  while (true) {
    if (AtEnd() || Peek() == '\n') return Fail("unterminated quoted string");
    const char c = query_[pos_];
    if (c == quote) {
      ++pos_;
      return Make(TokenType::kString);
    }
    if (c == '\\') {
      ++pos_;
      std::string message = ScanEscape(quote);
      if (!message.empty()) return Fail(std::move(message));
      continue;
    }
    size_t length = 0;
    const char32_t rune = DecodeRune(query_.substr(pos_), &length);
    if (IsInvalidRune(rune, length)) return Fail("invalid UTF-8 rune");
    pos_ += length;
  }
}

Token Lexer::RawString() {
  while (!AtEnd()) {
    if (query_[pos_] == '`') {
      ++pos_;
      return Make(TokenType::kString);
    }
    size_t length = 0;
    const char32_t rune = DecodeRune(query_.substr(pos_), &length);
    if (IsInvalidRune(rune, length)) return Fail("invalid UTF-8 rune");
    pos_ += length;
  }
  return Fail("unterminated raw string");
}

std::string UnquoteString(std::string_view literal) {
  const char quote = literal.front();
  literal = literal.substr(1, literal.size() - 2);
  if (quote == '`') return std::string(literal);
  std::string out;
  out.reserve(literal.size());
  for (size_t i = 0; i < literal.size(); ++i) {
    if (literal[i] != '\\') {
      out += literal[i];
      continue;
    }
    const char c = literal[++i];
    const auto number = [&](size_t digits, uint32_t base) {
      uint32_t value = 0;
      for (size_t k = 0; k < digits; ++k) {
        value = value * base + static_cast<uint32_t>(DigitValue(literal[i + k]));
      }
      i += digits - 1;
      return value;
    };
    switch (c) {
      case 'a':
        out += '\a';
        break;
      case 'b':
        out += '\b';
        break;
      case 'f':
        out += '\f';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      case 't':
        out += '\t';
        break;
      case 'v':
        out += '\v';
        break;
      case 'x':
        ++i;
        out += static_cast<char>(number(2, 16));
        break;
      case 'u':
      case 'U':
        ++i;
        AppendRune(&out, number(c == 'u' ? 4 : 8, 16));
        break;
      default:
        if (c >= '0' && c <= '7') {
          out += static_cast<char>(number(3, 8));
        } else {
          out += c;  // A backslash or the quote.
        }
        break;
    }
  }
  return out;
}

}  // namespace narthex::promql
