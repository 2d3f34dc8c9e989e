#ifndef NARTHEX_SERVICES_QUERY_PROMQL_LEXER_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_LEXER_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "services/query/promql/token.h"

namespace narthex::promql {

// Cuts a query into tokens, one call at a time. What a character means depends on whether it stands
// inside braces (matchers), inside brackets (durations) or outside. After kError or kEof every
// further call gives the same token again.
//
// Thread safety: none. The query must outlive the lexer and its tokens; the text of an error lives
// as long as the lexer.
class Lexer {
 public:
  explicit Lexer(std::string_view query) : query_(query) {}
  Token Next();

 private:
  Token Scan();
  Token InsideBraces();
  Token Outside();
  Token Word();
  Token NumberOrDuration();
  bool ScanNumber();
  bool ScanRestOfDuration();
  Token QuotedString(char quote);
  Token RawString();
  // Empty when the escape after a backslash is right, else the message.
  std::string ScanEscape(char quote);
  void SkipBlanksAndComments();

  Token Make(TokenType type);
  Token Fail(std::string message);
  bool AtEnd() const { return pos_ >= query_.size(); }
  char Peek(size_t ahead = 0) const {
    return pos_ + ahead < query_.size() ? query_[pos_ + ahead] : '\0';
  }
  bool Accept(char c);
  bool AcceptAny(std::string_view set);
  // The character at pos_ as messages quote it; steps over it.
  std::string TakeQuotedRune();

  const std::string_view query_;
  size_t pos_ = 0;
  size_t start_ = 0;
  int paren_depth_ = 0;
  bool in_braces_ = false;
  bool in_brackets_ = false;
  bool got_colon_ = false;
  std::string message_;
  bool ended_ = false;
  Token last_;
};

// The value of a string token (quotes and escapes undone). The token must come from the Lexer,
// which has checked it.
std::string UnquoteString(std::string_view literal);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_LEXER_H_
