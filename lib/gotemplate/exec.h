#ifndef NARTHEX_LIB_GOTEMPLATE_EXEC_H_
#define NARTHEX_LIB_GOTEMPLATE_EXEC_H_

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/gotemplate/node.h"
#include "lib/gotemplate/template_set.h"

namespace narthex::gotemplate {

// Runs one template of a set once: walks its tree, keeps the variables, and collects the output.
// Made for one Execute() and thrown away. Thread safety: none.
class Executor {
 public:
  Executor(const TemplateSet& set, const Environment& environment, const Limits& limits)
      : set_(set), environment_(environment), limits_(limits) {}

  absl::StatusOr<std::string> Run(const Tree& tree, const Value& dot);

 private:
  // How a walk ended.
  enum class Flow { kNext, kBreak, kContinue };

  using NodeSpan = std::span<const std::unique_ptr<Node>>;

  absl::StatusOr<Flow> Walk(const Value& dot, const Node& node);
  absl::StatusOr<Flow> WalkNode(const Value& dot, const Node& node);
  absl::StatusOr<Flow> WalkBranch(const Value& dot, const Node& node);
  absl::StatusOr<Flow> WalkRange(const Value& dot, const Node& node);
  absl::StatusOr<Flow> WalkIteration(const Node& node, const Value& index, const Value& element);
  absl::StatusOr<Flow> WalkTemplate(const Value& dot, const Node& node);
  absl::Status Print(const Node& node, const Value& value);

  absl::StatusOr<Value> EvalPipeline(const Value& dot, const Node* pipe);
  absl::StatusOr<Value> EvalCommands(const Value& dot, const Node& pipe);
  absl::StatusOr<Value> EvalCommand(const Value& dot, const Node& command,
                                    const std::optional<Value>& final);
  // `args` are the operands of the command with the callee first, or empty; `final` is the value of
  // the pipeline so far.
  absl::StatusOr<Value> EvalVariable(const Value& dot, const Node& node, NodeSpan args,
                                     const std::optional<Value>& final);
  absl::StatusOr<Value> EvalChain(const Value& dot, const Node& node, NodeSpan args,
                                  const std::optional<Value>& final);
  absl::StatusOr<Value> EvalFields(const Value& dot, Value receiver, const Node& node,
                                   std::span<const std::string> names, NodeSpan args,
                                   const std::optional<Value>& final);
  absl::StatusOr<Value> EvalField(const Value& dot, const std::string& name, const Node& node,
                                  NodeSpan args, const std::optional<Value>& final,
                                  const Value& receiver);
  // `command` is what errors of the call point at.
  absl::StatusOr<Value> EvalFunction(const Value& dot, const Node& node, const Node& command,
                                     NodeSpan args, const std::optional<Value>& final);
  absl::StatusOr<Value> EvalShortCircuit(const Value& dot, const Function& function, NodeSpan args,
                                         const std::optional<Value>& final);
  absl::StatusOr<std::vector<Value>> EvalArguments(const Value& dot, const Signature& signature,
                                                   std::string_view name, NodeSpan args,
                                                   const std::optional<Value>& final);
  absl::Status CheckCount(const Signature& signature, std::string_view name, size_t args,
                          bool has_final);
  absl::StatusOr<Value> EvalArgument(const Value& dot, const Type* type, const Node& node);
  absl::StatusOr<Value> EvalLiteral(const Type* type, const Node& node);
  absl::StatusOr<Value> Constant(const Node& node);
  absl::StatusOr<Value> Validate(Value value, const Type* type);
  absl::Status CheckNoArguments(NodeSpan args, const std::optional<Value>& final);
  // The result of a call: bounded, or the error in Go's words.
  absl::StatusOr<Value> Finish(const Node& node, std::string_view name,
                               absl::StatusOr<Value> result, std::span<const Value> args);

  void At(const Node& node) { node_ = &node; }
  template <typename... Pieces>
  absl::Status Error(const Pieces&... pieces) const;
  std::string Location() const;
  absl::Status Step();
  // Null when it was assigned to but never declared.
  Value* FindVariable(std::string_view name);
  absl::Status SetVariable(std::string_view name, const Value& value);

  const TemplateSet& set_;
  const Environment& environment_;
  const Limits& limits_;
  std::string out_;
  const Tree* tree_ = nullptr;                                 // Being walked.
  const Node* node_ = nullptr;                                 // Where errors point.
  std::vector<std::pair<std::string_view, Value>> variables_;  // A stack; the innermost is last.
  size_t steps_ = 0;
  int templates_deep_ = 0;
  int nodes_deep_ = 0;
};

}  // namespace narthex::gotemplate

#endif  // NARTHEX_LIB_GOTEMPLATE_EXEC_H_
