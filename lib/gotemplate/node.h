#ifndef NARTHEX_LIB_GOTEMPLATE_NODE_H_
#define NARTHEX_LIB_GOTEMPLATE_NODE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace narthex::gotemplate {

struct Function;

enum class NodeType {
  kList,
  kText,
  kAction,
  kPipe,
  kCommand,
  kIdentifier,
  kVariable,
  kDot,
  kNil,
  kField,
  kChain,
  kBool,
  kNumber,
  kString,
  kIf,
  kWith,
  kRange,
  kTemplate,
  kBreak,
  kContinue,
  kEnd,   // Only while parsing.
  kElse,  // Only while parsing.
};

// A number literal with every type it can take without loss.
struct Number {
  bool is_int = false;
  bool is_uint = false;
  bool is_float = false;
  bool is_complex = false;
  int64_t int_value = 0;
  uint64_t uint_value = 0;
  double float_value = 0;
  double real = 0;
  double imaginary = 0;
};

// One node of a parsed template. Which fields mean something depends on the type; the rest stay
// empty.
struct Node {
  NodeType type = NodeType::kList;
  size_t pos = 0;  // Where errors point.
  // Text, identifier, the unquoted string, or the name of the template that is called.
  std::string text;
  std::string source;              // A literal as it was written.
  std::vector<std::string> names;  // Of fields, chains and variables ("$x" first).
  std::vector<std::unique_ptr<Node>>
      children;  // Of lists, pipes (commands) and commands (arguments).
  std::vector<std::unique_ptr<Node>> variables;  // Of a pipe: what it declares or assigns.
  bool is_assignment = false;
  bool boolean = false;
  Number number;
  const Function* function = nullptr;  // Of an identifier.
  std::unique_ptr<Node>
      pipe;  // Of actions, branches, template calls (may be null) and chains (the operand).
  std::unique_ptr<Node> list;
  std::unique_ptr<Node> else_list;  // May be null.

  // The source, in the form that error messages show.
  std::string ToString() const;
};

// A named template: its nodes, and the text they came from for error positions.
struct Tree {
  std::string name;
  std::string parse_name;  // The text's name, which error messages show.
  std::shared_ptr<const std::string> text;
  std::unique_ptr<Node> root;

  // Nothing but white space and definitions; such a template never replaces another one.
  bool IsEmpty() const;
};

}  // namespace narthex::gotemplate

#endif  // NARTHEX_LIB_GOTEMPLATE_NODE_H_
