#include "lib/gotemplate/exec.h"

#include <algorithm>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/gotemplate/builtins.h"
#include "lib/gotemplate/format.h"

namespace narthex::gotemplate {
namespace {

// A bound on the C++ stack: each level is a few hundred bytes, more under sanitizers.
constexpr int kNodesDeepMax = 3000;
// Nested lists are freed and printed by recursion.
constexpr int kValueDepthMax = 100;
// Argument bytes that count as one step, so that long strings cannot buy unbounded work.
constexpr size_t kBytesPerStep = 256;

const std::optional<Value> kNoFinal;

size_t SizeOf(const Value& value) {
  if (value.kind() == Kind::kString) return value.string_value().size();
  if (value.kind() == Kind::kList) return value.list().size() * sizeof(Value);
  if (value.kind() == Kind::kMap) return value.map().size() * sizeof(Value);
  return 0;
}

// Go's assignability: the same type, an interface, or two types of one shape of which one has no
// name of its own.
bool IsAssignable(const Value& value, const Type* type) {
  if (type->kind == Kind::kNil || value.type() == type) return true;
  return (!value.type()->underlying.empty() && value.type()->underlying == type->name) ||
         (!type->underlying.empty() && type->underlying == value.type()->name);
}

bool CanBeNil(const Type* type) {
  return type->kind == Kind::kNil || type->kind == Kind::kList || type->kind == Kind::kMap;
}

}  // namespace

absl::StatusOr<std::string> Executor::Run(const Tree& tree, const Value& dot) {
  tree_ = &tree;
  variables_.emplace_back("$", dot);
  NARTHEX_RETURN_IF_ERROR(Walk(dot, *tree.root).status());
  return std::move(out_);
}

// Errors and bounds.

std::string Executor::Location() const {
  const std::string_view before = std::string_view(*tree_->text).substr(0, node_->pos);
  const size_t newline = before.rfind('\n');
  const size_t column = newline == std::string_view::npos ? node_->pos : node_->pos - newline - 1;
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  return StrCat(tree_->parse_name, ":", line, ":", column);
}

template <typename... Pieces>
absl::Status Executor::Error(const Pieces&... pieces) const {
  if (node_ == nullptr) return InvalidArgument("template: ", tree_->name, ": ", pieces...);
  return InvalidArgument("template: ", Location(), ": executing ", Quote(tree_->name), " at <",
                         node_->ToString(), ">: ", pieces...);
}

absl::Status Executor::Step() {
  if (++steps_ <= limits_.steps_max) return absl::OkStatus();
  return ResourceExhausted("template: ", tree_->name, ": more than ", limits_.steps_max, " steps");
}

Value* Executor::FindVariable(std::string_view name) {
  const auto found = std::find_if(variables_.rbegin(), variables_.rend(),
                                  [&](const auto& variable) { return variable.first == name; });
  return found == variables_.rend() ? nullptr : &found->second;
}

absl::Status Executor::SetVariable(std::string_view name, const Value& value) {
  Value* const variable = FindVariable(name);
  if (variable == nullptr) return Error("undefined variable: ", name);
  *variable = value;
  return absl::OkStatus();
}

// Walking.

absl::StatusOr<Executor::Flow> Executor::Walk(const Value& dot, const Node& node) {
  NARTHEX_RETURN_IF_ERROR(Step());
  if (++nodes_deep_ > kNodesDeepMax) {
    return ResourceExhausted("template: ", tree_->name, ": nested more than ", kNodesDeepMax,
                             " deep");
  }
  absl::StatusOr<Flow> flow = WalkNode(dot, node);
  --nodes_deep_;
  return flow;
}

absl::StatusOr<Executor::Flow> Executor::WalkNode(const Value& dot, const Node& node) {
  At(node);
  switch (node.type) {
    case NodeType::kList:
      for (const auto& child : node.children) {
        NARTHEX_ASSIGN_OR_RETURN(const Flow flow, Walk(dot, *child));
        if (flow != Flow::kNext) return flow;
      }
      return Flow::kNext;
    case NodeType::kText:
      out_.append(node.text);
      if (out_.size() > limits_.output_bytes_max) {
        return ResourceExhausted("template: ", tree_->name, ": more than ",
                                 limits_.output_bytes_max, " bytes of output");
      }
      return Flow::kNext;
    case NodeType::kAction: {
      NARTHEX_ASSIGN_OR_RETURN(const Value value, EvalPipeline(dot, node.pipe.get()));
      if (node.pipe->variables.empty()) NARTHEX_RETURN_IF_ERROR(Print(node, value));
      return Flow::kNext;
    }
    case NodeType::kIf:
    case NodeType::kWith:
      return WalkBranch(dot, node);
    case NodeType::kRange:
      return WalkRange(dot, node);
    case NodeType::kTemplate:
      return WalkTemplate(dot, node);
    case NodeType::kBreak:
      return Flow::kBreak;
    case NodeType::kContinue:
      return Flow::kContinue;
    case NodeType::kPipe:
    case NodeType::kCommand:
    case NodeType::kIdentifier:
    case NodeType::kVariable:
    case NodeType::kDot:
    case NodeType::kNil:
    case NodeType::kField:
    case NodeType::kChain:
    case NodeType::kBool:
    case NodeType::kNumber:
    case NodeType::kString:
    case NodeType::kEnd:
    case NodeType::kElse:
      break;
  }
  return absl::InternalError("template: a node that cannot be walked");
}

absl::StatusOr<Executor::Flow> Executor::WalkBranch(const Value& dot, const Node& node) {
  const size_t mark = variables_.size();
  NARTHEX_ASSIGN_OR_RETURN(const Value value, EvalPipeline(dot, node.pipe.get()));
  Flow flow = Flow::kNext;
  if (value.Truth()) {
    NARTHEX_ASSIGN_OR_RETURN(flow, Walk(node.type == NodeType::kWith ? value : dot, *node.list));
  } else if (node.else_list != nullptr) {
    NARTHEX_ASSIGN_OR_RETURN(flow, Walk(dot, *node.else_list));
  }
  variables_.resize(mark);
  return flow;
}

absl::StatusOr<Executor::Flow> Executor::WalkIteration(const Node& node, const Value& index,
                                                       const Value& element) {
  const auto& names = node.pipe->variables;
  if (!names.empty()) {
    // With one variable it is the element; with two the index comes first. Declared variables are
    // the newest on the stack.
    if (node.pipe->is_assignment) {
      if (names.size() > 1) NARTHEX_RETURN_IF_ERROR(SetVariable(names[0]->names[0], index));
      NARTHEX_RETURN_IF_ERROR(SetVariable(names.back()->names[0], element));
    } else {
      variables_.back().second = element;
      if (names.size() > 1) variables_[variables_.size() - 2].second = index;
    }
  }
  const size_t mark = variables_.size();
  absl::StatusOr<Flow> flow = Walk(element, *node.list);
  variables_.resize(mark);
  return flow;
}

absl::StatusOr<Executor::Flow> Executor::WalkRange(const Value& dot, const Node& node) {
  const size_t mark = variables_.size();
  NARTHEX_ASSIGN_OR_RETURN(const Value value, EvalPipeline(dot, node.pipe.get()));
  bool any = false;
  // Ends the loop on {{break}}.
  const auto iterate = [&](const Value& index, const Value& element) -> absl::StatusOr<bool> {
    any = true;
    NARTHEX_ASSIGN_OR_RETURN(const Flow flow, WalkIteration(node, index, element));
    return flow != Flow::kBreak;
  };
  bool going = true;
  if (value.kind() == Kind::kList) {
    const Value::List& list = value.list();
    for (size_t i = 0; i < list.size() && going; ++i) {
      NARTHEX_ASSIGN_OR_RETURN(going, iterate(Value::Int(static_cast<int64_t>(i)), list[i]));
    }
  } else if (value.kind() == Kind::kMap) {
    for (const auto& [key, element] : value.map()) {
      NARTHEX_ASSIGN_OR_RETURN(going, iterate(Value::String(key), element));
      if (!going) break;
    }
  } else if (value.kind() == Kind::kInt && value.type() == IntType()) {
    // Go 1.24 counts up to an integer.
    for (int64_t i = 0; i < value.int_value() && going; ++i) {
      NARTHEX_ASSIGN_OR_RETURN(going, iterate(Value::Int(i), Value::Int(i)));
    }
  } else if (!value.is_nil()) {
    return Error("range can't iterate over ", Sprint({&value, 1}, limits_.output_bytes_max));
  }
  Flow flow = Flow::kNext;
  if (!any && node.else_list != nullptr) {
    NARTHEX_ASSIGN_OR_RETURN(flow, Walk(dot, *node.else_list));
  }
  variables_.resize(mark);
  return flow;
}

absl::StatusOr<Executor::Flow> Executor::WalkTemplate(const Value& dot, const Node& node) {
  const auto found = set_.trees_.find(node.text);
  if (found == set_.trees_.end()) return Error("template ", Quote(node.text), " not defined");
  if (templates_deep_ == limits_.depth_max) {
    return Error("exceeded maximum template depth (", limits_.depth_max, ")");
  }
  NARTHEX_ASSIGN_OR_RETURN(const Value inner_dot, EvalPipeline(dot, node.pipe.get()));
  // The called template sees no variables but its own "$".
  std::vector<std::pair<std::string_view, Value>> outer_variables;
  outer_variables.emplace_back("$", inner_dot);
  outer_variables.swap(variables_);
  const Tree* const outer_tree = std::exchange(tree_, found->second.get());
  ++templates_deep_;
  absl::StatusOr<Flow> flow = Walk(inner_dot, *tree_->root);
  if (!flow.ok()) return flow;
  --templates_deep_;
  tree_ = outer_tree;
  variables_ = std::move(outer_variables);
  return Flow::kNext;
}

absl::Status Executor::Print(const Node& node, const Value& value) {
  At(node);
  if (value.kind() == Kind::kString && value.type()->print == nullptr) {
    out_.append(value.string_value());
  } else if (value.is_nil()) {
    out_.append("<no value>");
  } else {
    out_.append(Sprint({&value, 1}, limits_.output_bytes_max));
  }
  if (out_.size() <= limits_.output_bytes_max) return absl::OkStatus();
  return ResourceExhausted("template: ", tree_->name, ": more than ", limits_.output_bytes_max,
                           " bytes of output");
}

// Evaluating.

absl::StatusOr<Value> Executor::EvalPipeline(const Value& dot, const Node* pipe) {
  if (pipe == nullptr) return Value();
  if (++nodes_deep_ > kNodesDeepMax) {
    return ResourceExhausted("template: ", tree_->name, ": nested more than ", kNodesDeepMax,
                             " deep");
  }
  absl::StatusOr<Value> value = EvalCommands(dot, *pipe);
  --nodes_deep_;
  return value;
}

absl::StatusOr<Value> Executor::EvalCommands(const Value& dot, const Node& pipe) {
  At(pipe);
  std::optional<Value> value;
  for (const auto& command : pipe.children) {
    NARTHEX_ASSIGN_OR_RETURN(value, EvalCommand(dot, *command, value));
    // A nil that came out of a map of anything is just nil from here on.
    if (value->is_nil()) value = Value();
  }
  for (const auto& variable : pipe.variables) {
    if (pipe.is_assignment) {
      NARTHEX_RETURN_IF_ERROR(SetVariable(variable->names[0], *value));
    } else {
      variables_.emplace_back(variable->names[0], *value);
    }
  }
  return *std::move(value);
}

absl::StatusOr<Value> Executor::EvalCommand(const Value& dot, const Node& command,
                                            const std::optional<Value>& final) {
  NARTHEX_RETURN_IF_ERROR(Step());
  const Node& first = *command.children[0];
  const NodeSpan args = command.children;
  if (first.type == NodeType::kField) {
    At(first);
    return EvalFields(dot, dot, first, first.names, args, final);
  }
  if (first.type == NodeType::kChain) return EvalChain(dot, first, args, final);
  if (first.type == NodeType::kIdentifier) return EvalFunction(dot, first, command, args, final);
  if (first.type == NodeType::kVariable) return EvalVariable(dot, first, args, final);
  if (first.type == NodeType::kPipe) {
    NARTHEX_RETURN_IF_ERROR(CheckNoArguments(args, final));
    return EvalPipeline(dot, &first);
  }
  At(first);
  NARTHEX_RETURN_IF_ERROR(CheckNoArguments(args, final));
  if (first.type == NodeType::kBool) return Value::Bool(first.boolean);
  if (first.type == NodeType::kDot) return dot;
  if (first.type == NodeType::kNil) return Error("nil is not a command");
  if (first.type == NodeType::kNumber) return Constant(first);
  return Value::String(first.text);
}

absl::Status Executor::CheckNoArguments(NodeSpan args, const std::optional<Value>& final) {
  if (args.size() <= 1 && !final.has_value()) return absl::OkStatus();
  return Error("can't give argument to non-function ", args.empty() ? "" : args[0]->ToString());
}

absl::StatusOr<Value> Executor::EvalVariable(const Value& dot, const Node& node, NodeSpan args,
                                             const std::optional<Value>& final) {
  At(node);
  const Value* const variable = FindVariable(node.names[0]);
  if (variable == nullptr) return Error("undefined variable: ", node.names[0]);
  Value value = *variable;
  if (node.names.size() == 1) {
    NARTHEX_RETURN_IF_ERROR(CheckNoArguments(args, final));
    return value;
  }
  return EvalFields(dot, std::move(value), node, std::span(node.names).subspan(1), args, final);
}

absl::StatusOr<Value> Executor::EvalChain(const Value& dot, const Node& node, NodeSpan args,
                                          const std::optional<Value>& final) {
  At(node);
  if (node.pipe->type == NodeType::kNil) {
    return Error("indirection through explicit nil in ", node.ToString());
  }
  NARTHEX_ASSIGN_OR_RETURN(Value receiver, EvalArgument(dot, nullptr, *node.pipe));
  return EvalFields(dot, std::move(receiver), node, node.names, args, final);
}

absl::StatusOr<Value> Executor::EvalFields(const Value& dot, Value receiver, const Node& node,
                                           std::span<const std::string> names, NodeSpan args,
                                           const std::optional<Value>& final) {
  for (size_t i = 0; i + 1 < names.size(); ++i) {
    NARTHEX_ASSIGN_OR_RETURN(receiver, EvalField(dot, names[i], node, {}, kNoFinal, receiver));
  }
  return EvalField(dot, names.back(), node, args, final, receiver);
}

absl::StatusOr<Value> Executor::EvalField(const Value& dot, const std::string& name,
                                          const Node& node, NodeSpan args,
                                          const std::optional<Value>& final,
                                          const Value& receiver) {
  if (receiver.type() == nullptr) return Value();
  if (receiver.is_nil()) return Error("nil pointer evaluating ", receiver.type_name(), ".", name);
  if (const Method* method = receiver.type()->FindMethod(name)) {
    NARTHEX_ASSIGN_OR_RETURN(const std::vector<Value> values,
                             EvalArguments(dot, method->signature, name, args, final));
    return Finish(node, name, method->call(receiver, values), values);
  }
  const bool has_args = args.size() > 1 || final.has_value();
  const Value* found = receiver.Find(name);
  if (receiver.kind() == Kind::kMap) {
    if (has_args) return Error(name, " is not a method but has arguments");
    // missingkey=zero.
    return found != nullptr ? *found : Value::Zero(receiver.type()->element);
  }
  if (found == nullptr) {
    return Error("can't evaluate field ", name, " in type ", receiver.type_name());
  }
  if (has_args) return Error(name, " has arguments but cannot be invoked as function");
  return *found;
}

absl::StatusOr<Value> Executor::EvalFunction(const Value& dot, const Node& node,
                                             const Node& command, NodeSpan args,
                                             const std::optional<Value>& final) {
  At(node);
  const Function& function = *node.function;
  if (IsShortCircuit(&function)) return EvalShortCircuit(dot, function, args, final);
  NARTHEX_ASSIGN_OR_RETURN(const std::vector<Value> values,
                           EvalArguments(dot, function.signature, function.name, args, final));
  if (IsCall(&function) && args.size() > 1 && !values[0].is_nil()) {
    At(command);
    return Error("error calling call: non-function ", args[1]->ToString(), " of type ",
                 values[0].type_name());
  }
  return Finish(command, function.name, function.call(environment_, values), values);
}

absl::StatusOr<Value> Executor::EvalShortCircuit(const Value& dot, const Function& function,
                                                 NodeSpan args, const std::optional<Value>& final) {
  const bool is_or = function.name == "or";
  NARTHEX_RETURN_IF_ERROR(
      CheckCount(function.signature, function.name, args.size() - 1, final.has_value()));
  Value value;
  for (size_t i = 1; i < args.size(); ++i) {
    NARTHEX_ASSIGN_OR_RETURN(value, EvalArgument(dot, AnyType(), *args[i]));
    if (value.Truth() == is_or) return value;
  }
  return final.has_value() ? *final : value;
}

absl::Status Executor::CheckCount(const Signature& signature, std::string_view name, size_t args,
                                  bool has_final) {
  const size_t given = args + (has_final ? 1 : 0);
  const size_t params = signature.params.size();
  if (signature.variadic) {
    if (given + 1 >= params) return absl::OkStatus();
    return Error("wrong number of args for ", name, ": want at least ", params - 1, " got ", args);
  }
  if (given == params) return absl::OkStatus();
  return Error("wrong number of args for ", name, ": want ", params, " got ", given);
}

absl::StatusOr<std::vector<Value>> Executor::EvalArguments(const Value& dot,
                                                           const Signature& signature,
                                                           std::string_view name, NodeSpan args,
                                                           const std::optional<Value>& final) {
  if (!args.empty()) args = args.subspan(1);
  NARTHEX_RETURN_IF_ERROR(CheckCount(signature, name, args.size(), final.has_value()));
  const auto type_of = [&signature](size_t i) {
    return signature.params[std::min(i, signature.params.size() - 1)];
  };
  std::vector<Value> values;
  values.reserve(args.size() + 1);
  for (size_t i = 0; i < args.size(); ++i) {
    NARTHEX_ASSIGN_OR_RETURN(Value value, EvalArgument(dot, type_of(i), *args[i]));
    values.push_back(std::move(value));
  }
  if (final.has_value()) {
    NARTHEX_ASSIGN_OR_RETURN(Value value, Validate(*final, type_of(values.size())));
    values.push_back(std::move(value));
  }
  return values;
}

absl::StatusOr<Value> Executor::Finish(const Node& node, std::string_view name,
                                       absl::StatusOr<Value> result, std::span<const Value> args) {
  for (const Value& arg : args) steps_ += SizeOf(arg) / kBytesPerStep;
  NARTHEX_RETURN_IF_ERROR(Step());
  if (!result.ok()) {
    if (absl::IsResourceExhausted(result.status())) return result.status();
    At(node);
    return Error("error calling ", name, ": ", Message(result.status()));
  }
  if (SizeOf(*result) > limits_.output_bytes_max || result->depth() > kValueDepthMax) {
    return ResourceExhausted("template: ", tree_->name, ": the result of ", name, " is too large");
  }
  return result;
}

// Arguments.

// `type` null asks for no type: the operand of a chain.
absl::StatusOr<Value> Executor::Validate(Value value, const Type* type) {
  if (type == nullptr) return value;
  if (value.type() == nullptr) {
    if (type->kind == Kind::kNil) return value;
    if (CanBeNil(type)) return Value::Zero(type);
    return Error("invalid value; expected ", type->name);
  }
  if (IsAssignable(value, type)) return value;
  return Error("wrong type for value; expected ", type->name, "; got ", value.type_name());
}

absl::StatusOr<Value> Executor::EvalArgument(const Value& dot, const Type* type, const Node& node) {
  At(node);
  switch (node.type) {
    case NodeType::kDot:
      return Validate(dot, type);
    case NodeType::kNil:
      if (type != nullptr && CanBeNil(type)) return Validate(Value(), type);
      return Error("cannot assign nil to ", type == nullptr ? "nothing" : type->name);
    case NodeType::kField: {
      NARTHEX_ASSIGN_OR_RETURN(Value value, EvalFields(dot, dot, node, node.names, {}, kNoFinal));
      return Validate(std::move(value), type);
    }
    case NodeType::kVariable: {
      NARTHEX_ASSIGN_OR_RETURN(Value value, EvalVariable(dot, node, {}, kNoFinal));
      return Validate(std::move(value), type);
    }
    case NodeType::kPipe: {
      NARTHEX_ASSIGN_OR_RETURN(Value value, EvalPipeline(dot, &node));
      return Validate(std::move(value), type);
    }
    case NodeType::kIdentifier: {
      NARTHEX_ASSIGN_OR_RETURN(Value value, EvalFunction(dot, node, node, {}, kNoFinal));
      return Validate(std::move(value), type);
    }
    case NodeType::kChain: {
      NARTHEX_ASSIGN_OR_RETURN(Value value, EvalChain(dot, node, {}, kNoFinal));
      return Validate(std::move(value), type);
    }
    case NodeType::kBool:
    case NodeType::kNumber:
    case NodeType::kString:
    case NodeType::kList:
    case NodeType::kText:
    case NodeType::kAction:
    case NodeType::kCommand:
    case NodeType::kIf:
    case NodeType::kWith:
    case NodeType::kRange:
    case NodeType::kTemplate:
    case NodeType::kBreak:
    case NodeType::kContinue:
    case NodeType::kEnd:
    case NodeType::kElse:
      break;
  }
  return EvalLiteral(type == nullptr ? AnyType() : type, node);
}

absl::StatusOr<Value> Executor::EvalLiteral(const Type* type, const Node& node) {
  const bool number = node.type == NodeType::kNumber;
  switch (type->kind) {
    case Kind::kNil:
      if (number) return Constant(node);
      if (node.type == NodeType::kBool) return Value::Bool(node.boolean);
      return Value::String(node.text);
    case Kind::kBool:
      if (node.type == NodeType::kBool) return Value::Bool(node.boolean);
      return Error("expected bool; found ", node.ToString());
    case Kind::kInt:
      if (number && node.number.is_int) return Value::Int(node.number.int_value, type);
      return Error("expected integer; found ", node.ToString());
    case Kind::kUint:
      if (number && node.number.is_uint) return Value::Uint(node.number.uint_value, type);
      return Error("expected unsigned integer; found ", node.ToString());
    case Kind::kFloat:
      if (number && node.number.is_float) return Value::Float(node.number.float_value);
      return Error("expected float; found ", node.ToString());
    case Kind::kString:
      if (node.type == NodeType::kString) return Value::String(node.text, type);
      return Error("expected string; found ", node.ToString());
    case Kind::kComplex:
    case Kind::kList:
    case Kind::kMap:
    case Kind::kStruct:
    case Kind::kTime:
      break;
  }
  return Error("can't handle ", node.ToString(), " for arg of type ", type->name);
}

absl::StatusOr<Value> Executor::Constant(const Node& node) {
  const Number& number = node.number;
  const std::string_view source = node.source;
  if (number.is_complex) return Value::Complex({number.real, number.imaginary});
  const bool hexadecimal = source.size() > 2 && source[0] == '0' && (source[1] | 0x20) == 'x' &&
                           source.find_first_of("pP") == std::string_view::npos;
  if (number.is_float && !hexadecimal && !source.starts_with('\'') &&
      source.find_first_of(".eEpP") != std::string_view::npos) {
    return Value::Float(number.float_value);
  }
  if (number.is_int) return Value::Int(number.int_value);
  return Error(source, " overflows int");
}

}  // namespace narthex::gotemplate
