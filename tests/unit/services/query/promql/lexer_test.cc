#include "services/query/promql/lexer.h"

#include <string>
#include <vector>

#include "catch2/catch.hpp"
#include "lib/base/strings.h"

namespace narthex::promql {
namespace {

// The tokens of a text, each as upstream names it, separated by blanks.
std::string Tokens(std::string_view text) {
  Lexer lexer(text);
  std::string out;
  while (true) {
    const Token token = lexer.Next();
    if (token.type == TokenType::kEof) return out;
    if (!out.empty()) out += " ";
    if (token.type == TokenType::kError) {
      return StrCat(out, "error at ", token.position.start, ": ", token.text);
    }
    out += Describe(token);
  }
}

TEST_CASE("The lexer cuts queries into tokens") {
  struct Row {
    const char* text;
    const char* tokens;
  };
  const std::vector<Row> rows = {
      {"", ""},
      {" \t\r\n", ""},
      {"# only a comment", ""},
      {"a # to the end\n b", "identifier \"a\" identifier \"b\""},
      {"a:b", "metric identifier \"a:b\""},
      {":x", "metric identifier \":x\""},
      {"1 1.5 .5 1. 1e3 1E-3 0x1F 1_000",
       "number \"1\" number \"1.5\" number \".5\" number \"1.\" "
       "number \"1e3\" number \"1E-3\" number \"0x1F\" number "
       "\"1_000\""},
      {"Inf NAN", "number \"Inf\" number \"NAN\""},
      {"5m 1h30m 1y2w3d4h5m6s7ms", "duration \"5m\" duration \"1h30m\" duration \"1y2w3d4h5m\"..."},
      {"== != <= < >= > </ >/ + - * / % ^",
       "<op:==> <op:!=> <op:<=> <op:<> <op:>=> <op:>> <op:</> <op:>/> <op:+> <op:-> <op:*> <op:/> "
       "<op:%> <op:^>"},
      {"AND or Unless ATAN2", "<op:AND> <op:or> <op:Unless> <op:ATAN2>"},
      {"sum TopK", "<aggr:sum> <aggr:TopK>"},
      {"by WITHOUT offset bool on ignoring group_left group_right",
       "<by> <WITHOUT> <offset> <bool> <on> <ignoring> <group_left> <group_right>"},
      {"start end step range anchored smoothed",
       "<start> <end> <step> <range> <anchored> <smoothed>"},
      {"fill fill (1) fill_left(2)",
       "identifier \"fill\" <fill> \"(\" number \"1\" \")\" <fill_left> \"(\" number \"2\" \")\""},
      {"{sum=\"x\", by!='y', a=~`z`, b!~\"\"}",
       "\"{\" identifier \"sum\" <op:=> string \"\\\"x\\\"\" \",\" identifier \"by\" <op:!=> "
       "string "
       "\"'y'\" \",\" identifier \"a\" <op:=~> string \"`z`\" \",\" identifier \"b\" <op:!~> "
       "string "
       "\"\\\"\\\"\" \"}\""},
      {"[5m:1m]", "\"[\" duration \"5m\" \":\" duration \"1m\" \"]\""},
      {"[step():x:y]",
       "\"[\" <step> \"(\" \")\" \":\" identifier \"x\" error at 9: unexpected colon ':'"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK(Tokens(row.text) == row.tokens);
  }
}

TEST_CASE("The lexer says what is wrong and where") {
  struct Row {
    const char* text;
    const char* message;
  };
  const std::vector<Row> rows = {
      {"(", "\"(\" error at 1: unclosed left parenthesis"},
      {")", "error at 0: unexpected right parenthesis ')'"},
      {"[", "\"[\" error at 1: unclosed left bracket"},
      {"]", "error at 0: unexpected right bracket ']'"},
      {"[[", "\"[\" error at 1: unexpected left bracket '['"},
      {"{", "\"{\" error at 1: unexpected end of input inside braces"},
      {"{{", "\"{\" error at 1: unexpected left brace '{'"},
      {"{a?", "\"{\" identifier \"a\" error at 2: unexpected character inside braces: '?'"},
      {"{a!?",
       "\"{\" identifier \"a\" error at 2: unexpected character after '!' inside braces: '?'"},
      {"a =~ b", "identifier \"a\" error at 2: unexpected character after '=': '~'"},
      {"a ! b", "identifier \"a\" error at 2: unexpected character after '!': ' '"},
      {"a $", "identifier \"a\" error at 2: unexpected character: '$'"},
      {"1x", "error at 0: bad number or duration syntax: \"1x\""},
      {"5mm", "error at 0: bad number or duration syntax: \"5mm\""},
      {"\"a", "error at 0: unterminated quoted string"},
      {"\"a\nb\"", "error at 0: unterminated quoted string"},
      {"`a", "error at 0: unterminated raw string"},
      {"'\\", "error at 0: escape sequence not terminated"},
      {"'\\q'", "error at 0: unknown escape sequence U+0071 'q'"},
      {"'\\xz0'", "error at 0: illegal character U+007A 'z' in escape sequence"},
      {"'\\400'", "error at 0: escape sequence is an invalid Unicode code point"},
      {"'\\ud800'", "error at 0: escape sequence is an invalid Unicode code point"},
      {"'\xff'", "error at 0: invalid UTF-8 rune"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    CHECK(Tokens(row.text) == row.message);
  }
}

TEST_CASE("Strings lose their quotes and escapes") {
  struct Row {
    const char* literal;
    std::string value;
  };
  const std::vector<Row> rows = {
      {"\"a\"", "a"},
      {"'a\"b'", "a\"b"},
      {"`a\\n`", "a\\n"},
      {"\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"\"", "\a\b\f\n\r\t\v\\\""},
      {"'\\''", "'"},
      {"\"\\101\\x42\\u0043\\U00000044\"", "ABCD"},
      {"\"\\u00e9\"", "\xC3\xA9"},
      {"\"\\000x\"", std::string("\0x", 2)},
  };
  for (const Row& row : rows) {
    INFO(row.literal);
    Lexer lexer(row.literal);
    const Token token = lexer.Next();
    REQUIRE(token.type == TokenType::kString);
    CHECK(UnquoteString(token.text) == row.value);
  }
}

TEST_CASE("The end and an error are given again and again") {
  Lexer empty("");
  CHECK(empty.Next().type == TokenType::kEof);
  CHECK(empty.Next().type == TokenType::kEof);
  Lexer wrong("$ a");
  CHECK(wrong.Next().type == TokenType::kError);
  CHECK(wrong.Next().type == TokenType::kError);
}

}  // namespace
}  // namespace narthex::promql
