#include "lib/gotemplate/parser.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"
#include "lib/gotemplate/lexer.h"

namespace narthex::gotemplate {
namespace {

// Nested parentheses and control structures; a bound on the stack of the parser and of whoever
// walks the tree.
constexpr int kDepthMax = 500;

using NodePtr = std::unique_ptr<Node>;
using Trees = std::vector<std::unique_ptr<Tree>>;

NodePtr MakeNode(NodeType type, size_t pos) {
  auto node = std::make_unique<Node>();
  node->type = type;
  node->pos = pos;
  return node;
}

// The value of hexadecimal, octal or binary digits, or of decimal ones, with Go's underscores; base
// 0 of strconv.
bool ParseUintGo(std::string_view text, uint64_t* value) {
  int base = 10;
  bool prefixed = false;
  if (text.size() > 1 && text[0] == '0') {
    const char letter = static_cast<char>(text[1] | 0x20);
    base = letter == 'x' ? 16 : letter == 'b' ? 2 : 8;
    prefixed = true;
    text.remove_prefix(letter == 'x' || letter == 'b' || letter == 'o' ? 2 : 1);
  }
  std::string digits;
  bool digit_before = prefixed;
  for (const char c : text) {
    if (c != '_') {
      digits.push_back(c);
      digit_before = true;
      continue;
    }
    if (!digit_before) return false;
    digit_before = false;
  }
  if (digits.empty() || !digit_before) return false;
  const char* end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, *value, base);
  return result.ec == std::errc() && result.ptr == end;
}

bool ParseFloatGo(std::string_view text, double* value) {
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      digits.push_back(text[i]);
      continue;
    }
    const auto is_digit = [&text](size_t at) {
      return at < text.size() && std::isxdigit(static_cast<unsigned char>(text[at])) != 0;
    };
    if (i == 0 || !(is_digit(i - 1) || text[i - 1] == 'x' || text[i - 1] == 'X') ||
        !is_digit(i + 1)) {
      return false;
    }
  }
  std::string_view rest = digits;
  const bool negative = rest.starts_with('-');
  if (rest.starts_with('+') || negative) rest.remove_prefix(1);
  auto format = std::chars_format::general;
  if (rest.starts_with("0x") || rest.starts_with("0X")) {
    if (rest.find_first_of("pP") == std::string_view::npos) return false;
    rest.remove_prefix(2);
    format = std::chars_format::hex;
  }
  // from_chars would take words; a number begins with a digit or a point.
  if (rest.empty() || rest[0] == '-' || rest[0] == 'i' || rest[0] == 'n') return false;
  const auto result = std::from_chars(rest.data(), rest.data() + rest.size(), *value, format);
  if (result.ec != std::errc() || result.ptr != rest.data() + rest.size()) return false;
  if (negative) *value = -*value;
  return true;
}

void ParseInteger(std::string_view text, Number* number) {
  const bool negative = text.starts_with('-');
  const bool sign = negative || text.starts_with('+');
  uint64_t magnitude = 0;
  if (!ParseUintGo(sign ? text.substr(1) : text, &magnitude)) return;
  if (!sign) {
    number->is_uint = true;
    number->uint_value = magnitude;
  }
  constexpr uint64_t kMinMagnitude = uint64_t{1} << 63;
  if (magnitude < kMinMagnitude || (negative && magnitude == kMinMagnitude)) {
    number->is_int = true;
    number->int_value = static_cast<int64_t>(negative ? ~magnitude + 1 : magnitude);
    // "-0" is a valid unsigned number too.
    if (number->int_value == 0) {
      number->is_uint = true;
      number->uint_value = 0;
    }
  }
}

void SetIntegersOfFloat(Number* number) {
  const double value = number->float_value;
  constexpr double kTwo63 = 9223372036854775808.0;
  if (!number->is_int && value >= -kTwo63 && value < kTwo63 &&
      static_cast<double>(static_cast<int64_t>(value)) == value) {
    number->is_int = true;
    number->int_value = static_cast<int64_t>(value);
  }
  if (!number->is_uint && value >= 0 && value < 2 * kTwo63 &&
      static_cast<double>(static_cast<uint64_t>(value)) == value) {
    number->is_uint = true;
    number->uint_value = static_cast<uint64_t>(value);
  }
}

// A complex number whose imaginary part is zero is also a float and maybe an integer.
void SimplifyComplex(Number* number) {
  if (number->imaginary != 0) return;
  number->is_float = true;
  number->float_value = number->real;
  SetIntegersOfFloat(number);
}

// Empty on success, else the message.
std::string ParseNumber(std::string_view text, TokenType type, Number* number) {
  if (type == TokenType::kCharConstant) {
    std::string rune_text;
    if (!Unquote(text, &rune_text)) {
      return rune_text.empty() ? "invalid syntax" : StrCat("malformed character constant: ", text);
    }
    size_t length = 0;
    const char32_t rune = DecodeRune(rune_text, &length);
    number->is_int = number->is_uint = number->is_float = true;
    number->int_value = static_cast<int64_t>(rune);
    number->uint_value = rune;
    number->float_value = rune;
    return "";
  }
  if (type == TokenType::kComplex) {
    const size_t split = text.find_last_of("+-");
    // The sign of an exponent is no split: "1e+2i" never comes as kComplex without a second sign.
    if (split == 0 || split == std::string_view::npos ||
        !ParseFloatGo(text.substr(0, split), &number->real) ||
        !ParseFloatGo(text.substr(split, text.size() - split - 1), &number->imaginary)) {
      return StrCat("illegal number syntax: ", Quote(text));
    }
    number->is_complex = true;
    SimplifyComplex(number);
    return "";
  }
  if (text.ends_with('i') && ParseFloatGo(text.substr(0, text.size() - 1), &number->imaginary)) {
    number->is_complex = true;
    SimplifyComplex(number);
    return "";
  }
  ParseInteger(text, number);
  if (number->is_int) {
    number->is_float = true;
    number->float_value = static_cast<double>(number->int_value);
  } else if (number->is_uint) {
    number->is_float = true;
    number->float_value = static_cast<double>(number->uint_value);
  } else if (ParseFloatGo(text, &number->float_value)) {
    if (text.find_first_of(".eEpP") == std::string_view::npos) {
      return StrCat("integer overflow: ", Quote(text));
    }
    number->is_float = true;
    SetIntegersOfFloat(number);
  }
  if (!number->is_int && !number->is_uint && !number->is_float) {
    return StrCat("illegal number syntax: ", Quote(text));
  }
  return "";
}

// A recursive-descent parser. Methods that build a node return null after Fail(); the first error
// stays.
class Parser {
 public:
  Parser(std::string_view name, std::string_view text,
         const std::function<const Function*(std::string_view)>& find_function)
      : name_(name),
        text_(std::make_shared<const std::string>(text)),
        find_function_(find_function),
        tokens_(Tokenize(text)) {}

  absl::StatusOr<Trees> Run() {
    NodePtr root = MakeNode(NodeType::kList, 0);
    variables_ = {"$"};
    while (Peek().type != TokenType::kEof) {
      if (Peek().type == TokenType::kLeftDelimiter) {
        const size_t mark = index_;
        Next();
        if (NextNonSpace().type == TokenType::kDefine) {
          if (!ParseDefinition()) return error_;
          continue;
        }
        index_ = mark;
      }
      NodePtr node = TextOrAction();
      if (node == nullptr) return error_;
      if (node->type == NodeType::kEnd || node->type == NodeType::kElse) {
        Fail("unexpected ", node->ToString());
        return error_;
      }
      root->children.push_back(std::move(node));
    }
    if (!AddTree(std::string(name_), std::move(root))) return error_;
    return std::move(trees_);
  }

 private:
  // Tokens.

  const Token& Peek() {
    furthest_ = std::max(furthest_, index_);
    return tokens_[index_];
  }
  // The last token (the end, or an error) is given again and again.
  const Token& Next() {
    const Token& token = Peek();
    if (index_ + 1 < tokens_.size()) ++index_;
    return token;
  }
  void SkipSpace() {
    while (Peek().type == TokenType::kSpace) ++index_;
  }
  const Token& NextNonSpace() {
    SkipSpace();
    return Next();
  }
  const Token& PeekNonSpace() {
    SkipSpace();
    return Peek();
  }

  // Errors.

  template <typename... Pieces>
  std::nullptr_t Fail(const Pieces&... pieces) {
    if (error_.ok()) {
      error_ = InvalidArgument("template: ", name_, ":", tokens_[furthest_].line, ": ", pieces...);
    }
    return nullptr;
  }
  std::nullptr_t Unexpected(const Token& token, std::string_view context) {
    if (token.type != TokenType::kError)
      return Fail("unexpected ", token.ToString(), " in ", context);
    std::string_view in_action;
    std::string extra;
    if (action_line_ != 0 && action_line_ != token.line) {
      extra = StrCat(" in action started at ", name_, ":", action_line_);
      in_action = extra;
      // "unclosed action started at …", not "unclosed action in action".
      if (token.text.ends_with(" action"))
        in_action.remove_prefix(std::string_view(" in action").size());
    }
    return Fail(token.text, in_action);
  }
  bool Expect(TokenType type, std::string_view context) {
    const Token& token = NextNonSpace();
    if (token.type == type) return true;
    Unexpected(token, context);
    return false;
  }

  // One level deeper; false (with the error) beyond the bound.
  bool Enter() {
    if (++depth_ <= kDepthMax) return true;
    Fail("nested too deeply");
    return false;
  }
  void Leave() { --depth_; }

  // Grammar.

  // {{define "name"}} list {{end}}; the keyword has been read.
  bool ParseDefinition() {
    constexpr std::string_view kContext = "define clause";
    std::string name;
    if (!ParseTemplateName(NextNonSpace(), kContext, &name)) return false;
    if (!Expect(TokenType::kRightDelimiter, kContext)) return false;
    return ParseBody(std::move(name), kContext);
  }

  // The list of a definition or block up to its end, as a tree of its own.
  bool ParseBody(std::string name, std::string_view context) {
    std::vector<std::string> outer_variables = std::exchange(variables_, {"$"});
    const int outer_range_depth = std::exchange(range_depth_, 0);
    NodePtr end;
    NodePtr list = ItemList(&end);
    variables_ = std::move(outer_variables);
    range_depth_ = outer_range_depth;
    if (list == nullptr) return false;
    if (end->type != NodeType::kEnd) {
      Fail("unexpected ", end->ToString(), " in ", context);
      return false;
    }
    return AddTree(std::move(name), std::move(list));
  }

  bool AddTree(std::string name, NodePtr root) {
    auto tree = std::make_unique<Tree>();
    tree->name = std::move(name);
    tree->parse_name = std::string(name_);
    tree->text = text_;
    tree->root = std::move(root);
    for (std::unique_ptr<Tree>& existing : trees_) {
      if (existing->name != tree->name) continue;
      if (existing->IsEmpty()) {
        existing = std::move(tree);
      } else if (!tree->IsEmpty()) {
        Fail("template: multiple definition of template ", Quote(tree->name));
        return false;
      }
      return true;
    }
    trees_.push_back(std::move(tree));
    return true;
  }

  bool ParseTemplateName(const Token& token, std::string_view context, std::string* name) {
    if (token.type != TokenType::kString && token.type != TokenType::kRawString) {
      Unexpected(token, context);
      return false;
    }
    if (Unquote(token.text, name)) return true;
    Fail("invalid syntax");
    return false;
  }

  // Nodes up to {{end}} or {{else}}, which goes to *end.
  NodePtr ItemList(NodePtr* end) {
    NodePtr list = MakeNode(NodeType::kList, PeekNonSpace().pos);
    while (PeekNonSpace().type != TokenType::kEof) {
      NodePtr node = TextOrAction();
      if (node == nullptr) return nullptr;
      if (node->type == NodeType::kEnd || node->type == NodeType::kElse) {
        *end = std::move(node);
        return list;
      }
      list->children.push_back(std::move(node));
    }
    return Fail("unexpected EOF");
  }

  NodePtr TextOrAction() {
    const Token& token = NextNonSpace();
    if (token.type == TokenType::kText) {
      NodePtr node = MakeNode(NodeType::kText, token.pos);
      node->text = token.text;
      return node;
    }
    if (token.type != TokenType::kLeftDelimiter) return Unexpected(token, "input");
    action_line_ = token.line;
    NodePtr node = Action();
    action_line_ = 0;
    return node;
  }

  NodePtr Action() {
    const size_t mark = index_;
    const Token& token = NextNonSpace();
    // Only these types begin an action of their own; everything else is a pipeline.
    if (token.type == TokenType::kBlock) return BlockControl(token);
    if (token.type == TokenType::kBreak) return LoopControl(token, NodeType::kBreak, "{{break}}");
    if (token.type == TokenType::kContinue) {
      return LoopControl(token, NodeType::kContinue, "{{continue}}");
    }
    if (token.type == TokenType::kElse) return ElseControl(token);
    if (token.type == TokenType::kEnd) {
      if (!Expect(TokenType::kRightDelimiter, "end")) return nullptr;
      return MakeNode(NodeType::kEnd, token.pos);
    }
    if (token.type == TokenType::kIf) return Control(token.pos, NodeType::kIf, "if");
    if (token.type == TokenType::kRange) return Control(token.pos, NodeType::kRange, "range");
    if (token.type == TokenType::kWith) return Control(token.pos, NodeType::kWith, "with");
    if (token.type == TokenType::kTemplate) return TemplateControl();
    index_ = mark;
    NodePtr node = MakeNode(NodeType::kAction, PeekNonSpace().pos);
    node->pipe = Pipeline("command", TokenType::kRightDelimiter);
    if (node->pipe == nullptr) return nullptr;
    return node;
  }

  NodePtr LoopControl(const Token& keyword, NodeType type, std::string_view shown) {
    const Token& token = NextNonSpace();
    if (token.type != TokenType::kRightDelimiter) return Unexpected(token, shown);
    if (range_depth_ == 0) return Fail(shown, " outside {{range}}");
    return MakeNode(type, keyword.pos);
  }

  NodePtr ElseControl(const Token& keyword) {
    // {{else if}} and {{else with}} leave the second keyword to the branch that asked.
    const TokenType next = PeekNonSpace().type;
    if (next != TokenType::kIf && next != TokenType::kWith &&
        !Expect(TokenType::kRightDelimiter, "else")) {
      return nullptr;
    }
    return MakeNode(NodeType::kElse, keyword.pos);
  }

  NodePtr Control(size_t pos, NodeType type, std::string_view context) {
    if (!Enter()) return nullptr;
    const size_t variables_mark = variables_.size();
    NodePtr node = MakeNode(type, pos);
    const bool ok = ControlBody(node.get(), context);
    variables_.resize(variables_mark);
    Leave();
    if (!ok) return nullptr;
    return node;
  }

  bool ControlBody(Node* node, std::string_view context) {
    node->pipe = Pipeline(context, TokenType::kRightDelimiter);
    if (node->pipe == nullptr) return false;
    if (node->type == NodeType::kRange) ++range_depth_;
    NodePtr end;
    node->list = ItemList(&end);
    if (node->type == NodeType::kRange) --range_depth_;
    if (node->list == nullptr) return false;
    if (end->type == NodeType::kEnd) return true;

    const Token& token = Peek();
    const bool else_if = node->type == NodeType::kIf && token.type == TokenType::kIf;
    const bool else_with = node->type == NodeType::kWith && token.type == TokenType::kWith;
    if (else_if || else_with) {
      // {{else if x}} is {{else}}{{if x}} and shares the one {{end}}.
      const size_t pos = token.pos;
      Next();
      node->else_list = MakeNode(NodeType::kList, end->pos);
      NodePtr inner = Control(pos, node->type, context);
      if (inner == nullptr) return false;
      node->else_list->children.push_back(std::move(inner));
      return true;
    }
    node->else_list = ItemList(&end);
    if (node->else_list == nullptr) return false;
    if (end->type != NodeType::kEnd) {
      Fail("expected end; found ", end->ToString());
      return false;
    }
    return true;
  }

  // {{block "name" pipeline}} list {{end}} defines the template and calls it.
  NodePtr BlockControl(const Token&) {
    constexpr std::string_view kContext = "block clause";
    const Token& token = NextNonSpace();
    NodePtr node = MakeNode(NodeType::kTemplate, token.pos);
    if (!ParseTemplateName(token, kContext, &node->text)) return nullptr;
    node->pipe = Pipeline(kContext, TokenType::kRightDelimiter);
    if (node->pipe == nullptr || !Enter()) return nullptr;
    const bool ok = ParseBody(node->text, kContext);
    Leave();
    if (!ok) return nullptr;
    return node;
  }

  NodePtr TemplateControl() {
    constexpr std::string_view kContext = "template clause";
    const Token& token = NextNonSpace();
    NodePtr node = MakeNode(NodeType::kTemplate, token.pos);
    if (!ParseTemplateName(token, kContext, &node->text)) return nullptr;
    if (PeekNonSpace().type == TokenType::kRightDelimiter) {
      Next();
      return node;
    }
    node->pipe = Pipeline(kContext, TokenType::kRightDelimiter);
    if (node->pipe == nullptr) return nullptr;
    return node;
  }

  NodePtr MakeVariable(const Token& token) {
    NodePtr node = MakeNode(NodeType::kVariable, token.pos);
    node->names.push_back(token.text);
    return node;
  }

  // "$x :=", "$x =", "$i, $x :=" before a pipeline; nothing is consumed when there is none.
  bool Declarations(Node* pipe, std::string_view context) {
    for (;;) {
      if (PeekNonSpace().type != TokenType::kVariable) return true;
      const size_t mark = index_;
      const Token variable = Next();
      const Token& next = PeekNonSpace();
      if (next.type == TokenType::kAssign || next.type == TokenType::kDeclare) {
        pipe->is_assignment = next.type == TokenType::kAssign;
        Next();
        pipe->variables.push_back(MakeVariable(variable));
        variables_.push_back(variable.text);
        return true;
      }
      if (next.type != TokenType::kChar || next.text != ",") {
        index_ = mark;
        return true;
      }
      Next();
      pipe->variables.push_back(MakeVariable(variable));
      variables_.push_back(variable.text);
      if (context != "range" || pipe->variables.size() >= 2) {
        Fail("too many declarations in ", context);
        return false;
      }
      const TokenType after = PeekNonSpace().type;
      if (after != TokenType::kVariable && after != TokenType::kRightDelimiter &&
          after != TokenType::kRightParen) {
        Fail("range can only initialize variables");
        return false;
      }
    }
  }

  NodePtr Pipeline(std::string_view context, TokenType end) {
    NodePtr pipe = MakeNode(NodeType::kPipe, PeekNonSpace().pos);
    if (!Declarations(pipe.get(), context)) return nullptr;
    for (;;) {
      const Token& token = PeekNonSpace();
      if (token.type == end) {
        Next();
        if (!CheckPipeline(*pipe, context)) return nullptr;
        return pipe;
      }
      if (!StartsOperand(token.type)) {
        Next();
        return Unexpected(token, context);
      }
      NodePtr command = Command();
      if (command == nullptr) return nullptr;
      pipe->children.push_back(std::move(command));
    }
  }

  static bool StartsOperand(TokenType type) {
    constexpr TokenType kOperands[] = {
        TokenType::kBool,   TokenType::kCharConstant, TokenType::kComplex,
        TokenType::kDot,    TokenType::kField,        TokenType::kIdentifier,
        TokenType::kNumber, TokenType::kNil,          TokenType::kRawString,
        TokenType::kString, TokenType::kVariable,     TokenType::kLeftParen};
    return std::find(std::begin(kOperands), std::end(kOperands), type) != std::end(kOperands);
  }

  bool CheckPipeline(const Node& pipe, std::string_view context) {
    if (pipe.children.empty()) {
      Fail("missing value for ", context);
      return false;
    }
    for (size_t i = 1; i < pipe.children.size(); ++i) {
      const NodeType type = pipe.children[i]->children[0]->type;
      if (type == NodeType::kBool || type == NodeType::kDot || type == NodeType::kNil ||
          type == NodeType::kNumber || type == NodeType::kString) {
        Fail("non executable command in pipeline stage ", i + 1);
        return false;
      }
    }
    return true;
  }

  NodePtr Command() {
    NodePtr command = MakeNode(NodeType::kCommand, PeekNonSpace().pos);
    for (;;) {
      PeekNonSpace();
      NodePtr operand = Operand();
      if (!error_.ok()) return nullptr;
      if (operand != nullptr) command->children.push_back(std::move(operand));
      const Token& token = Peek();
      if (token.type == TokenType::kSpace) {
        Next();
        continue;
      }
      if (token.type == TokenType::kPipe) {
        Next();
      } else if (token.type != TokenType::kRightDelimiter && token.type != TokenType::kRightParen) {
        return Unexpected(token, "operand");
      }
      break;
    }
    if (command->children.empty()) return Fail("empty command");
    return command;
  }

  // A term and the fields behind it; null without an error when there is none.
  NodePtr Operand() {
    NodePtr node = Term();
    if (node == nullptr || Peek().type != TokenType::kField) return node;
    const size_t pos = Peek().pos;
    std::vector<std::string> names;
    while (Peek().type == TokenType::kField) names.push_back(Next().text.substr(1));
    if (node->type == NodeType::kField || node->type == NodeType::kVariable) {
      node->pos = pos;
      node->names.insert(node->names.end(), names.begin(), names.end());
      return node;
    }
    if (node->type == NodeType::kBool || node->type == NodeType::kString ||
        node->type == NodeType::kNumber || node->type == NodeType::kNil ||
        node->type == NodeType::kDot) {
      return Fail("unexpected . after term ", Quote(node->ToString()));
    }
    NodePtr chain = MakeNode(NodeType::kChain, pos);
    chain->pipe = std::move(node);
    chain->names = std::move(names);
    return chain;
  }

  NodePtr Term() {
    const size_t mark = index_;
    const Token& token = NextNonSpace();
    const auto make = [&token](NodeType type) { return MakeNode(type, token.pos); };
    NodePtr node;
    if (token.type == TokenType::kIdentifier) {
      node = make(NodeType::kIdentifier);
      node->text = token.text;
      node->function = find_function_(token.text);
      if (node->function == nullptr) return Fail("function ", Quote(token.text), " not defined");
    } else if (token.type == TokenType::kDot) {
      node = make(NodeType::kDot);
    } else if (token.type == TokenType::kNil) {
      node = make(NodeType::kNil);
    } else if (token.type == TokenType::kVariable) {
      if (std::find(variables_.begin(), variables_.end(), token.text) == variables_.end()) {
        return Fail("undefined variable ", Quote(token.text));
      }
      node = MakeVariable(token);
    } else if (token.type == TokenType::kField) {
      node = make(NodeType::kField);
      node->names.push_back(token.text.substr(1));
    } else if (token.type == TokenType::kBool) {
      node = make(NodeType::kBool);
      node->boolean = token.text == "true";
    } else if (token.type == TokenType::kCharConstant || token.type == TokenType::kComplex ||
               token.type == TokenType::kNumber) {
      node = make(NodeType::kNumber);
      node->source = token.text;
      const std::string message = ParseNumber(token.text, token.type, &node->number);
      if (!message.empty()) return Fail(message);
    } else if (token.type == TokenType::kLeftParen) {
      if (!Enter()) return nullptr;
      node = Pipeline("parenthesized pipeline", TokenType::kRightParen);
      Leave();
    } else if (token.type == TokenType::kString || token.type == TokenType::kRawString) {
      node = make(NodeType::kString);
      node->source = token.text;
      if (!Unquote(token.text, &node->text)) return Fail("invalid syntax");
    } else {
      index_ = mark;
    }
    return node;
  }

  const std::string_view name_;
  const std::shared_ptr<const std::string> text_;
  const std::function<const Function*(std::string_view)>& find_function_;
  const std::vector<Token> tokens_;
  size_t index_ = 0;
  size_t furthest_ = 0;  // The last token looked at; errors name its line.
  std::vector<std::string> variables_;
  int range_depth_ = 0;
  int action_line_ = 0;  // Where the open action began; 0 when there is none.
  int depth_ = 0;
  Trees trees_;
  absl::Status error_;
};

// One escape after the backslash; false when it is malformed. Bytes (\x41, \101) are appended as
// such, runes in UTF-8.
bool UnquoteEscape(std::string_view text, size_t* pos, char quote, std::string* out) {
  if (*pos >= text.size()) return false;
  const char c = text[(*pos)++];
  static constexpr std::string_view kLetters = "abfnrtv\\";
  static constexpr std::string_view kBytes = "\a\b\f\n\r\t\v\\";
  if (const size_t at = kLetters.find(c); at != std::string_view::npos) {
    out->push_back(kBytes[at]);
    return true;
  }
  if (c == '\'' || c == '"') {
    if (c != quote) return false;
    out->push_back(c);
    return true;
  }
  size_t digits = 0;
  int base = 16;
  if (c == 'x') {
    digits = 2;
  } else if (c == 'u') {
    digits = 4;
  } else if (c == 'U') {
    digits = 8;
  } else if (c >= '0' && c <= '7') {
    digits = 3;
    base = 8;
    --*pos;
  } else {
    return false;
  }
  if (*pos + digits > text.size()) return false;
  uint32_t value = 0;
  const char* begin = text.data() + *pos;
  const auto result = std::from_chars(begin, begin + digits, value, base);
  if (result.ec != std::errc() || result.ptr != begin + digits) return false;
  *pos += digits;
  if (c == 'u' || c == 'U') {
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return false;
    AppendRune(out, value);
    return true;
  }
  if (value > 255) return false;
  // In a character constant a byte is the rune of that number.
  if (quote == '\'') {
    AppendRune(out, value);
  } else {
    out->push_back(static_cast<char>(value));
  }
  return true;
}

}  // namespace

bool Unquote(std::string_view quoted, std::string* out) {
  out->clear();
  if (quoted.size() < 2 || quoted.front() != quoted.back()) return false;
  const char quote = quoted.front();
  const std::string_view text = quoted.substr(1, quoted.size() - 2);
  if (quote == '`') {
    for (const char c : text) {
      if (c != '\r') out->push_back(c);
    }
    return true;
  }
  for (size_t pos = 0; pos < text.size();) {
    const char c = text[pos];
    if (c == quote || c == '\n') return false;
    if (c != '\\') {
      size_t length = 0;
      const char32_t rune = DecodeRune(text.substr(pos), &length);
      if (quote == '\'' && IsInvalidRune(rune, length)) return false;
      out->append(text.substr(pos, length));
      pos += length;
    } else {
      ++pos;
      if (!UnquoteEscape(text, &pos, quote, out)) return false;
    }
  }
  if (quote != '\'') return true;
  return RuneCount(*out) == 1;
}

absl::StatusOr<Trees> ParseTemplate(
    std::string_view name, std::string_view text,
    const std::function<const Function*(std::string_view)>& find_function) {
  return Parser(name, text, find_function).Run();
}

}  // namespace narthex::gotemplate
