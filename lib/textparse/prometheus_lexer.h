#ifndef NARTHEX_LIB_TEXTPARSE_PROMETHEUS_LEXER_H_
#define NARTHEX_LIB_TEXTPARSE_PROMETHEUS_LEXER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace narthex::textparse {

enum class Token : uint8_t {
  kInvalid,
  kEof,
  kLinebreak,
  kBlank,
  kHelp,
  kType,
  kText,
  kComment,
  kMetricName,
  kQuotedString,
  kBraceOpen,
  kBraceClose,
  kLabelName,
  kLabelValue,
  kComma,
  kEqual,
  kTimestamp,
  kValue,
};

std::string_view TokenName(Token token);  // As upstream prints them: "MNAME", "BOPEN", …

// Splits text format 0.0.4 into tokens exactly as upstream's lexer does, one character at a time.
// PrometheusParser uses it for lines that its fast path does not take, and for every error. Which
// tokens are possible depends on those before: the lexer keeps a state. The text ends with a
// newline even where the body does not. Thread safety: none.
class PrometheusLexer {
 public:
  explicit PrometheusLexer(std::string_view body) : body_(body) {}

  // Goes to `offset`, the start of a line.
  void Seek(size_t offset) {
    start_ = end_ = offset;
    state_ = State::kInit;
  }
  // The next token that is not white space.
  Token Next();

  // The last token's extent.
  size_t start() const { return start_; }
  size_t end() const { return end_; }
  // One more than the body has: the newline at its end.
  size_t size() const { return body_.size() + 1; }

 private:
  enum class State : uint8_t {
    kInit,
    kComment,
    kMetadataName,
    kMetadataText,
    kLabels,
    kLabelValue,
    kValue,
    kTimestamp,
  };

  char Current() const;
  // Moves on by one and returns the character there; NUL at the end. NULs inside comments, texts
  // and label values are skipped.
  char Advance();
  Token Lex();
  Token LexInit();
  Token LexComment();
  Token LexMetadataName();
  Token LexMetadataText();
  Token LexLabels();
  Token LexValue();
  Token LexTimestamp();
  Token LexMetricName(State next);
  Token LexQuoted(Token token, State next);
  Token ConsumeComment();
  Token Single(Token token, State next);
  void SkipBlanks();

  const std::string_view body_;
  State state_ = State::kInit;
  size_t start_ = 0;
  size_t end_ = 0;
};

}  // namespace narthex::textparse

#endif  // NARTHEX_LIB_TEXTPARSE_PROMETHEUS_LEXER_H_
