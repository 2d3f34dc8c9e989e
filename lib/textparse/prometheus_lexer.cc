#include "lib/textparse/prometheus_lexer.h"

namespace narthex::textparse {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLabelNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool IsMetricNameStart(char c) { return IsLabelNameStart(c) || c == ':'; }

}  // namespace

std::string_view TokenName(Token token) {
  switch (token) {
    case Token::kInvalid:
      return "INVALID";
    case Token::kEof:
      return "EOF";
    case Token::kLinebreak:
      return "LINEBREAK";
    case Token::kBlank:
      return "WHITESPACE";
    case Token::kHelp:
      return "HELP";
    case Token::kType:
      return "TYPE";
    case Token::kText:
      return "TEXT";
    case Token::kComment:
      return "COMMENT";
    case Token::kMetricName:
      return "MNAME";
    case Token::kQuotedString:
      return "QSTRING";
    case Token::kBraceOpen:
      return "BOPEN";
    case Token::kBraceClose:
      return "BCLOSE";
    case Token::kLabelName:
      return "LNAME";
    case Token::kLabelValue:
      return "LVALUE";
    case Token::kComma:
      return "COMMA";
    case Token::kEqual:
      return "EQUAL";
    case Token::kTimestamp:
      return "TIMESTAMP";
    case Token::kValue:
      return "VALUE";
  }
  return "";
}

char PrometheusLexer::Current() const {
  if (end_ < body_.size()) return body_[end_];
  return end_ == body_.size() ? '\n' : '\0';
}

char PrometheusLexer::Advance() {
  if (end_ < size()) ++end_;
  const bool skips_nul =
      state_ == State::kLabelValue || state_ == State::kMetadataText || state_ == State::kComment;
  while (skips_nul && end_ < size() && Current() == '\0') ++end_;
  return Current();
}

void PrometheusLexer::SkipBlanks() {
  char c = Current();
  while (IsBlank(c)) c = Advance();
}

Token PrometheusLexer::Single(Token token, State next) {
  Advance();
  state_ = next;
  return token;
}

Token PrometheusLexer::Next() {
  Token token;
  do {
    token = Lex();
  } while (token == Token::kBlank);
  return token;
}

Token PrometheusLexer::Lex() {
  start_ = end_;
  if (end_ >= size()) return Token::kEof;
  if (IsBlank(Current()) && state_ != State::kMetadataText) {
    SkipBlanks();
    return Token::kBlank;
  }
  switch (state_) {
    case State::kInit:
      return LexInit();
    case State::kComment:
      return LexComment();
    case State::kMetadataName:
      return LexMetadataName();
    case State::kMetadataText:
      return LexMetadataText();
    case State::kLabels:
      return LexLabels();
    case State::kLabelValue:
      if (Current() == '"') return LexQuoted(Token::kLabelValue, State::kLabels);
      return Token::kInvalid;
    case State::kValue:
      return LexValue();
    case State::kTimestamp:
      return LexTimestamp();
  }
  return Token::kInvalid;
}

Token PrometheusLexer::LexInit() {
  const char c = Current();
  switch (c) {
    case '\0':
      return Single(Token::kEof, State::kInit);
    case '\n':
      return Single(Token::kLinebreak, State::kInit);
    case '{':
      return Single(Token::kBraceOpen, State::kLabels);
    case '#':
      if (!IsBlank(Advance())) return ConsumeComment();
      SkipBlanks();
      start_ = end_;
      state_ = State::kComment;
      return LexComment();
    default:
      return IsMetricNameStart(c) ? LexMetricName(State::kValue) : Token::kInvalid;
  }
}

Token PrometheusLexer::LexComment() {
  const bool help = Current() == 'H';
  const std::string_view keyword = help ? "HELP" : "TYPE";
  char c = Current();
  for (const char wanted : keyword) {
    if (c != wanted) return ConsumeComment();
    c = Advance();
  }
  if (!IsBlank(c)) return ConsumeComment();
  SkipBlanks();
  state_ = State::kMetadataName;
  return help ? Token::kHelp : Token::kType;
}

Token PrometheusLexer::ConsumeComment() {
  for (char c = Current();; c = Advance()) {
    if (c == '\0') return Token::kEof;
    if (c == '\n') {
      state_ = State::kInit;
      return Token::kComment;
    }
  }
}

Token PrometheusLexer::LexMetricName(State next) {
  char c = Advance();
  while (IsMetricNameStart(c) || IsDigit(c)) c = Advance();
  state_ = next;
  return Token::kMetricName;
}

// A string may go over several lines; a backslash takes the character behind it along, but no
// newline.
Token PrometheusLexer::LexQuoted(Token token, State next) {
  char c = Advance();
  while (c != '"') {
    if (c == '\\') {
      c = Advance();
      if (c == '\n') return Token::kInvalid;
    }
    if (c == '\0') return Token::kInvalid;
    c = Advance();
  }
  Advance();
  state_ = next;
  return token;
}

Token PrometheusLexer::LexMetadataName() {
  const char c = Current();
  if (c == '"') return LexQuoted(Token::kMetricName, State::kMetadataText);
  return IsMetricNameStart(c) ? LexMetricName(State::kMetadataText) : Token::kInvalid;
}

// The text goes to the end of the line, with the blank before it; only blanks are no text.
Token PrometheusLexer::LexMetadataText() {
  bool blank = IsBlank(Current());
  for (char c = Current(); c != '\n' && c != '\0'; c = Advance()) blank = blank && IsBlank(c);
  if (blank) return Token::kBlank;
  state_ = State::kInit;
  return Token::kText;
}

Token PrometheusLexer::LexLabels() {
  char c = Current();
  switch (c) {
    case '}':
      return Single(Token::kBraceClose, State::kValue);
    case '=':
      return Single(Token::kEqual, State::kLabelValue);
    case ',':
      return Single(Token::kComma, State::kLabels);
    case '"':
      return LexQuoted(Token::kQuotedString, State::kLabels);
    default:
      break;
  }
  if (!IsLabelNameStart(c)) return Token::kInvalid;
  while (IsLabelNameStart(c) || IsDigit(c)) c = Advance();
  return Token::kLabelName;
}

Token PrometheusLexer::LexValue() {
  char c = Current();
  if (c == '{') return Single(Token::kBraceOpen, State::kLabels);
  if (c == '\n' || c == '\0') return Token::kInvalid;
  while (c != '{' && !IsBlank(c) && c != '\n' && c != '\0') c = Advance();
  state_ = State::kTimestamp;
  return Token::kValue;
}

Token PrometheusLexer::LexTimestamp() {
  char c = Current();
  if (c == '\n') return Single(Token::kLinebreak, State::kInit);
  if (!IsDigit(c)) return Token::kInvalid;
  while (IsDigit(c)) c = Advance();
  return Token::kTimestamp;
}

}  // namespace narthex::textparse
