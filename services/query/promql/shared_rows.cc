#include "services/query/promql/shared_rows.h"

#include <utility>
#include <vector>

#include "services/query/promql/printer.h"
#include "services/query/promql/row_operators.h"

namespace narthex::promql {
namespace {

// Beyond this, finding repeats costs more than it saves: the text of a node contains those of all
// below it.
constexpr size_t kNodesMax = 256;

bool IsCandidate(const Expr& expr) {
  return TypeOf(expr) == ValueType::kVector && expr.kind != ExprKind::kParen;
}

void Collect(const Expr& expr, std::vector<const Expr*>* nodes) {
  if (nodes->size() > kNodesMax) return;
  nodes->push_back(&expr);
  for (const Expr* child : Children(expr)) Collect(*child, nodes);
}

}  // namespace

void Repeats::Find(const Expr& root) {
  std::vector<const Expr*> nodes;
  Collect(root, &nodes);
  if (nodes.size() > kNodesMax) return;
  size_t selectors = 0;
  for (const Expr* node : nodes) selectors += node->kind == ExprKind::kVectorSelector ? 1 : 0;
  for (const Expr* node : nodes) selectors += node->kind == ExprKind::kMatrixSelector ? 1 : 0;
  if (selectors < 2) return;
  absl::flat_hash_map<std::string, std::vector<const Expr*>> groups;
  for (const Expr* node : nodes) {
    if (IsCandidate(*node) && !Selectors(*node).empty()) groups[ToString(*node)].push_back(node);
  }
  for (const auto& [text, group] : groups) {
    if (group.size() < 2) continue;
    for (const Expr* node : group) texts_.emplace(node, text);
  }
}

const std::string* Repeats::TextOf(const Expr& expr, size_t steps) const {
  if (texts_.empty() || (steps > 1 && expr.kind != ExprKind::kAggregate)) return nullptr;
  const auto found = texts_.find(&expr);
  return found == texts_.end() ? nullptr : &found->second;
}

class SharedRows {
 public:
  SharedRows(EvalContext* context, VectorOperatorPtr child)
      : child_(std::move(child)), buffer_(context) {}

  // Null at the end or on an error.
  const Row* At(size_t index) {
    if (child_ != nullptr) {
      const VectorOperatorPtr child = std::move(child_);
      complete_ = buffer_.ReadAll(child.get());
    }
    return complete_ && index < buffer_.rows().size() ? &buffer_.rows()[index] : nullptr;
  }

 private:
  VectorOperatorPtr child_;  // Null once read.
  RowBuffer buffer_;
  bool complete_ = false;
};

namespace {

class SharedReader : public VectorOperator {
 public:
  explicit SharedReader(std::shared_ptr<SharedRows> rows) : rows_(std::move(rows)) {}

  bool Next(Row* row) override {
    const Row* const next = rows_->At(index_++);
    if (next == nullptr) return false;
    *row = *next;
    return true;
  }

 private:
  const std::shared_ptr<SharedRows> rows_;
  size_t index_ = 0;
};

}  // namespace

std::shared_ptr<SharedRows> MakeSharedRows(EvalContext* context, VectorOperatorPtr child) {
  return std::make_shared<SharedRows>(context, std::move(child));
}

VectorOperatorPtr MakeSharedReader(std::shared_ptr<SharedRows> rows) {
  return std::make_unique<SharedReader>(std::move(rows));
}

}  // namespace narthex::promql
