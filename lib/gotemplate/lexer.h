#ifndef NARTHEX_LIB_GOTEMPLATE_LEXER_H_
#define NARTHEX_LIB_GOTEMPLATE_LEXER_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace narthex::gotemplate {

enum class TokenType {
  kError,  // text is the message.
  kBool,
  kChar,  // A printable character that means something only to the parser: the comma.
  kCharConstant,
  kComplex,
  kAssign,
  kDeclare,
  kEof,
  kField,
  kIdentifier,
  kLeftDelimiter,
  kLeftParen,
  kNumber,
  kPipe,
  kRawString,
  kRightDelimiter,
  kRightParen,
  kSpace,
  kString,
  kText,
  kVariable,
  // Keywords.
  kBlock,
  kBreak,
  kContinue,
  kDot,
  kDefine,
  kElse,
  kEnd,
  kIf,
  kNil,
  kRange,
  kTemplate,
  kWith,
};

struct Token {
  TokenType type = TokenType::kEof;
  size_t pos = 0;  // Offset of the first byte in the text.
  int line = 1;
  std::string text;

  bool is_keyword() const { return type >= TokenType::kBlock; }
  // As error messages show it.
  std::string ToString() const;
};

// Cuts a template text into tokens. The last one is kEof, or kError where the text cannot go on.
// Comments and white space that trim markers take away yield nothing.
std::vector<Token> Tokenize(std::string_view text);

}  // namespace narthex::gotemplate

#endif  // NARTHEX_LIB_GOTEMPLATE_LEXER_H_
