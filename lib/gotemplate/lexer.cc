#include "lib/gotemplate/lexer.h"

#include <array>
#include <utility>

#include "lib/base/strings.h"
#include "lib/base/utf8.h"
#include "lib/gotemplate/unicode.h"

namespace narthex::gotemplate {
namespace {

constexpr std::string_view kLeft = "{{";
constexpr std::string_view kRight = "}}";
constexpr std::string_view kLeftComment = "/*";
constexpr std::string_view kRightComment = "*/";
constexpr char32_t kEnd = 0xFFFFFFFF;

constexpr std::array<std::pair<std::string_view, TokenType>, 11> kKeywords = {{
    {"block", TokenType::kBlock},
    {"break", TokenType::kBreak},
    {"continue", TokenType::kContinue},
    {"define", TokenType::kDefine},
    {"else", TokenType::kElse},
    {"end", TokenType::kEnd},
    {"if", TokenType::kIf},
    {"nil", TokenType::kNil},
    {"range", TokenType::kRange},
    {"template", TokenType::kTemplate},
    {"with", TokenType::kWith},
}};

bool IsTemplateSpace(char32_t rune) {
  return rune == ' ' || rune == '\t' || rune == '\r' || rune == '\n';
}

bool IsWordRune(char32_t rune) { return rune == '_' || (rune != kEnd && IsLetterOrDigit(rune)); }

// Go's %#U: U+0040 '@'.
std::string DescribeRune(char32_t rune) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string hex;
  for (int shift = 20; shift >= 0; shift -= 4) {
    const auto digit = (rune >> static_cast<unsigned>(shift)) & 15U;
    if (digit != 0 || !hex.empty() || shift <= 12) hex.push_back(kDigits[digit]);
  }
  std::string out = StrCat("U+", hex);
  if (IsPrintRune(rune)) {
    out.append(" '");
    AppendRune(&out, rune);
    out.push_back('\'');
  }
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  std::vector<Token> Run() {
    while (LexText()) {
    }
    return std::move(tokens_);
  }

 private:
  bool StartsWith(std::string_view prefix) const { return text_.substr(pos_).starts_with(prefix); }

  char32_t Peek() const {
    if (pos_ >= text_.size()) return kEnd;
    size_t length = 0;
    return DecodeRune(text_.substr(pos_), &length);
  }

  char32_t Next() {
    if (pos_ >= text_.size()) return kEnd;
    size_t length = 0;
    const char32_t rune = DecodeRune(text_.substr(pos_), &length);
    pos_ += length;
    return rune;
  }

  void CountLinesTo(size_t pos) {
    for (; counted_ < pos; ++counted_) line_ += text_[counted_] == '\n' ? 1 : 0;
  }

  void Emit(TokenType type) {
    CountLinesTo(start_);
    tokens_.push_back({type, start_, line_, std::string(text_.substr(start_, pos_ - start_))});
    start_ = pos_;
  }

  bool Error(std::string message) {
    CountLinesTo(start_);
    tokens_.push_back({TokenType::kError, start_, line_, std::move(message)});
    return false;
  }

  bool HasLeftTrim(size_t at) const {
    return at + 1 < text_.size() && text_[at] == '-' &&
           IsTemplateSpace(static_cast<unsigned char>(text_[at + 1]));
  }
  bool HasRightTrim(size_t at) const {
    return at + 1 < text_.size() && IsTemplateSpace(static_cast<unsigned char>(text_[at])) &&
           text_[at + 1] == '-';
  }
  bool AtRightDelimiter(bool* trim) const {
    *trim = HasRightTrim(pos_) && text_.substr(pos_ + 2).starts_with(kRight);
    return *trim || StartsWith(kRight);
  }

  // One run of text and the action behind it. False at the end of the input.
  bool LexText() {
    const size_t left = text_.find(kLeft, pos_);
    if (left == std::string_view::npos) {
      pos_ = text_.size();
      if (pos_ > start_) Emit(TokenType::kText);
      Emit(TokenType::kEof);
      return false;
    }
    pos_ = left;
    if (HasLeftTrim(left + kLeft.size())) {
      while (pos_ > start_ && IsTemplateSpace(static_cast<unsigned char>(text_[pos_ - 1]))) --pos_;
    }
    if (pos_ > start_) Emit(TokenType::kText);
    pos_ = start_ = left;
    return LexAction();
  }

  bool LexAction() {
    pos_ += kLeft.size();
    const size_t trim_bytes = HasLeftTrim(pos_) ? 2 : 0;
    if (text_.substr(pos_ + trim_bytes).starts_with(kLeftComment)) {
      pos_ += trim_bytes;
      start_ = pos_;
      return LexComment();
    }
    Emit(TokenType::kLeftDelimiter);
    pos_ += trim_bytes;
    start_ = pos_;
    paren_depth_ = 0;
    bool closed = false;
    while (!closed) {
      if (!LexInsideAction(&closed)) return false;
    }
    return true;
  }

  void SkipSpaceAfterTrim() {
    while (pos_ < text_.size() && IsTemplateSpace(static_cast<unsigned char>(text_[pos_]))) ++pos_;
    start_ = pos_;
  }

  bool LexComment() {
    const size_t end = text_.find(kRightComment, pos_ + kLeftComment.size());
    if (end == std::string_view::npos) return Error("unclosed comment");
    pos_ = end + kRightComment.size();
    bool trim = false;
    if (!AtRightDelimiter(&trim)) return Error("comment ends before closing delimiter");
    pos_ += kRight.size() + (trim ? 2 : 0);
    start_ = pos_;
    if (trim) SkipSpaceAfterTrim();
    return true;
  }

  void LexRightDelimiter(bool trim) {
    if (trim) {
      pos_ += 2;
      start_ = pos_;
    }
    pos_ += kRight.size();
    Emit(TokenType::kRightDelimiter);
    if (trim) SkipSpaceAfterTrim();
  }

  bool LexInsideAction(bool* closed) {
    bool trim = false;
    if (AtRightDelimiter(&trim)) {
      if (paren_depth_ != 0) return Error("unclosed left paren");
      LexRightDelimiter(trim);
      *closed = true;
      return true;
    }
    const char32_t rune = Next();
    switch (rune) {
      case kEnd:
        return Error("unclosed action");
      case ' ':
      case '\t':
      case '\r':
      case '\n':
        LexSpace();
        return true;
      case '=':
        Emit(TokenType::kAssign);
        return true;
      case ':':
        if (Next() != '=') return Error("expected :=");
        Emit(TokenType::kDeclare);
        return true;
      case '|':
        Emit(TokenType::kPipe);
        return true;
      case '"':
        return LexQuoted('"', TokenType::kString, "unterminated quoted string");
      case '\'':
        return LexQuoted('\'', TokenType::kCharConstant, "unterminated character constant");
      case '`':
        return LexRawQuote();
      case '$':
        return LexFieldOrVariable(TokenType::kVariable);
      case '(':
        Emit(TokenType::kLeftParen);
        ++paren_depth_;
        return true;
      case ')':
        if (--paren_depth_ < 0) return Error("unexpected right paren");
        Emit(TokenType::kRightParen);
        return true;
      default:
        break;
    }
    if (rune == '.' && !(pos_ < text_.size() && text_[pos_] >= '0' && text_[pos_] <= '9')) {
      return LexFieldOrVariable(TokenType::kField);
    }
    if (rune == '.' || rune == '+' || rune == '-' || (rune >= '0' && rune <= '9')) {
      pos_ = start_;
      return LexNumber();
    }
    if (IsWordRune(rune)) return LexIdentifier();
    if (rune < 0x80 && IsPrintRune(rune)) {
      Emit(TokenType::kChar);
      return true;
    }
    return Error(StrCat("unrecognized character in action: ", DescribeRune(rune)));
  }

  // The first space has been read. The last one may belong to a right trim marker.
  void LexSpace() {
    while (pos_ < text_.size() && IsTemplateSpace(static_cast<unsigned char>(text_[pos_]))) ++pos_;
    if (HasRightTrim(pos_ - 1) && text_.substr(pos_ + 1).starts_with(kRight)) {
      --pos_;
      if (pos_ == start_) return;
    }
    Emit(TokenType::kSpace);
  }

  bool LexQuoted(char32_t quote, TokenType type, std::string_view unterminated) {
    for (;;) {
      char32_t rune = Next();
      if (rune == '\\') {
        rune = Next();
        if (rune != kEnd && rune != '\n') continue;
      }
      if (rune == kEnd || rune == '\n') return Error(std::string(unterminated));
      if (rune == quote) break;
    }
    Emit(type);
    return true;
  }

  bool LexRawQuote() {
    const size_t end = text_.find('`', pos_);
    if (end == std::string_view::npos) return Error("unterminated raw quoted string");
    pos_ = end + 1;
    Emit(TokenType::kRawString);
    return true;
  }

  bool AtTerminator() const {
    const char32_t rune = Peek();
    if (IsTemplateSpace(rune)) return true;
    switch (rune) {
      case kEnd:
      case '.':
      case ',':
      case '|':
      case ':':
      case ')':
      case '(':
        return true;
      default:
        return StartsWith(kRight);
    }
  }

  // The sigil has been read.
  bool LexFieldOrVariable(TokenType type) {
    if (AtTerminator()) {
      Emit(type == TokenType::kVariable ? type : TokenType::kDot);
      return true;
    }
    while (IsWordRune(Peek())) Next();
    if (!AtTerminator()) return Error(StrCat("bad character ", DescribeRune(Peek())));
    Emit(type);
    return true;
  }

  bool LexIdentifier() {
    while (IsWordRune(Peek())) Next();
    const std::string_view word = text_.substr(start_, pos_ - start_);
    if (!AtTerminator()) return Error(StrCat("bad character ", DescribeRune(Peek())));
    for (const auto& [keyword, type] : kKeywords) {
      if (keyword != word) continue;
      Emit(type);
      return true;
    }
    Emit(word == "true" || word == "false" ? TokenType::kBool : TokenType::kIdentifier);
    return true;
  }

  bool Accept(std::string_view valid) {
    if (pos_ >= text_.size() || valid.find(text_[pos_]) == std::string_view::npos) return false;
    ++pos_;
    return true;
  }
  void AcceptRun(std::string_view valid) {
    while (Accept(valid)) {
    }
  }

  bool ScanNumber() {
    Accept("+-");
    std::string_view digits = "0123456789_";
    bool hexadecimal = false;
    if (Accept("0")) {
      if (Accept("xX")) {
        digits = "0123456789abcdefABCDEF_";
        hexadecimal = true;
      } else if (Accept("oO")) {
        digits = "01234567_";
      } else if (Accept("bB")) {
        digits = "01_";
      }
    }
    const bool decimal = digits.size() == 11;
    AcceptRun(digits);
    if (Accept(".")) AcceptRun(digits);
    if ((decimal && Accept("eE")) || (hexadecimal && Accept("pP"))) {
      Accept("+-");
      AcceptRun("0123456789_");
    }
    Accept("i");
    if (IsWordRune(Peek())) {
      Next();
      return false;
    }
    return true;
  }

  bool LexNumber() {
    const auto bad = [this] {
      return Error(StrCat("bad number syntax: ", Quote(text_.substr(start_, pos_ - start_))));
    };
    if (!ScanNumber()) return bad();
    const char32_t sign = Peek();
    if (sign != '+' && sign != '-') {
      Emit(TokenType::kNumber);
      return true;
    }
    // 1+2i: the second half must be imaginary.
    if (!ScanNumber() || text_[pos_ - 1] != 'i') return bad();
    Emit(TokenType::kComplex);
    return true;
  }

  const std::string_view text_;
  std::vector<Token> tokens_;
  size_t start_ = 0;  // Of the token being read.
  size_t pos_ = 0;
  int paren_depth_ = 0;
  size_t counted_ = 0;  // Lines are counted up to here.
  int line_ = 1;
};

}  // namespace

std::string Token::ToString() const {
  if (type == TokenType::kEof) return "EOF";
  if (type == TokenType::kError) return text;
  if (is_keyword()) return StrCat("<", text, ">");
  // Go's %.10q: ten runes, then dots.
  constexpr size_t kShownRunes = 10;
  if (text.size() <= kShownRunes) return Quote(text);
  size_t bytes = 0;
  for (size_t runes = 0; runes < kShownRunes && bytes < text.size(); ++runes) {
    size_t length = 0;
    DecodeRune(std::string_view(text).substr(bytes), &length);
    bytes += length;
  }
  return StrCat(Quote(std::string_view(text).substr(0, bytes)), "...");
}

std::vector<Token> Tokenize(std::string_view text) { return Lexer(text).Run(); }

}  // namespace narthex::gotemplate
