#include "lib/gotemplate/node.h"

#include "lib/base/strings.h"

namespace narthex::gotemplate {
namespace {

void Append(std::string* out, const Node& node);

void AppendOperand(std::string* out, const Node& node) {
  if (node.type != NodeType::kPipe) return Append(out, node);
  out->push_back('(');
  Append(out, node);
  out->push_back(')');
}

void AppendBranch(std::string* out, std::string_view keyword, const Node& node) {
  StrAppend(out, "{{", keyword, " ");
  Append(out, *node.pipe);
  out->append("}}");
  Append(out, *node.list);
  if (node.else_list != nullptr) {
    out->append("{{else}}");
    Append(out, *node.else_list);
  }
  out->append("{{end}}");
}

void AppendPipe(std::string* out, const Node& node) {
  for (size_t i = 0; i < node.variables.size(); ++i) {
    if (i > 0) out->append(", ");
    Append(out, *node.variables[i]);
  }
  if (!node.variables.empty()) out->append(node.is_assignment ? " = " : " := ");
  for (size_t i = 0; i < node.children.size(); ++i) {
    if (i > 0) out->append(" | ");
    Append(out, *node.children[i]);
  }
}

void Append(std::string* out, const Node& node) {
  switch (node.type) {
    case NodeType::kList:
      for (const auto& child : node.children) Append(out, *child);
      return;
    case NodeType::kText:
    case NodeType::kIdentifier:
      out->append(node.text);
      return;
    case NodeType::kAction:
      out->append("{{");
      Append(out, *node.pipe);
      out->append("}}");
      return;
    case NodeType::kPipe:
      AppendPipe(out, node);
      return;
    case NodeType::kCommand:
      for (size_t i = 0; i < node.children.size(); ++i) {
        if (i > 0) out->push_back(' ');
        AppendOperand(out, *node.children[i]);
      }
      return;
    case NodeType::kVariable:
      out->append(Join(node.names, "."));
      return;
    case NodeType::kDot:
      out->push_back('.');
      return;
    case NodeType::kNil:
      out->append("nil");
      return;
    case NodeType::kField:
      for (const std::string& name : node.names) StrAppend(out, ".", name);
      return;
    case NodeType::kChain:
      AppendOperand(out, *node.pipe);
      for (const std::string& name : node.names) StrAppend(out, ".", name);
      return;
    case NodeType::kBool:
      out->append(node.boolean ? "true" : "false");
      return;
    case NodeType::kNumber:
    case NodeType::kString:
      out->append(node.source);
      return;
    case NodeType::kIf:
      return AppendBranch(out, "if", node);
    case NodeType::kWith:
      return AppendBranch(out, "with", node);
    case NodeType::kRange:
      return AppendBranch(out, "range", node);
    case NodeType::kTemplate:
      StrAppend(out, "{{template ", Quote(node.text));
      if (node.pipe != nullptr) {
        out->push_back(' ');
        Append(out, *node.pipe);
      }
      out->append("}}");
      return;
    case NodeType::kBreak:
      out->append("{{break}}");
      return;
    case NodeType::kContinue:
      out->append("{{continue}}");
      return;
    case NodeType::kEnd:
      out->append("{{end}}");
      return;
    case NodeType::kElse:
      out->append("{{else}}");
      return;
  }
}

}  // namespace

std::string Node::ToString() const {
  std::string out;
  Append(&out, *this);
  return out;
}

bool Tree::IsEmpty() const {
  for (const auto& node : root->children) {
    if (node->type != NodeType::kText) return false;
    for (const char c : node->text) {
      if (c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != '\v' && c != '\f') return false;
    }
  }
  return true;
}

}  // namespace narthex::gotemplate
