#include "services/query/api/parse_query.h"

#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/float_format.h"
#include "services/query/api/value_writer.h"
#include "services/query/promql/functions.h"

namespace narthex::query_api {
namespace {

using promql::As;
using promql::DurationExpr;
using promql::Expr;
using promql::ExprKind;

// One object of the tree; the caller writes its keys in alphabetical order.
class NodeWriter {
 public:
  explicit NodeWriter(json::Writer* writer) : writer_(writer) { writer_->BeginObject(); }
  ~NodeWriter() { writer_->EndObject(); }
  NodeWriter(const NodeWriter&) = delete;
  NodeWriter& operator=(const NodeWriter&) = delete;

  json::Writer* Value(std::string_view key) {
    writer_->Key(key);
    return writer_;
  }
  void Text(std::string_view key, std::string_view text) { Value(key)->String(text); }
  void Bool(std::string_view key, bool value) { Value(key)->Bool(value); }
  void Texts(std::string_view key, const std::vector<std::string>& texts) {
    Value(key)->BeginArray();
    for (const std::string& text : texts) writer_->String(text);
    writer_->EndArray();
  }
  void Node(std::string_view key, const Expr* expr) {
    writer_->Key(key);
    if (expr == nullptr) {
      writer_->Null();
    } else {
      WriteAst(*expr, writer_);
    }
  }

 private:
  json::Writer* const writer_;
};

std::string_view OpText(DurationExpr::Op op) {
  switch (op) {
    case DurationExpr::Op::kNumber:
      return "";
    case DurationExpr::Op::kStep:
      return "step";
    case DurationExpr::Op::kRange:
      return "range";
    case DurationExpr::Op::kNegate:
    case DurationExpr::Op::kSub:
      return "-";
    case DurationExpr::Op::kPlus:
    case DurationExpr::Op::kAdd:
      return "+";
    case DurationExpr::Op::kMul:
      return "*";
    case DurationExpr::Op::kDiv:
      return "/";
    case DurationExpr::Op::kMod:
      return "%";
    case DurationExpr::Op::kPow:
      return "^";
    case DurationExpr::Op::kMinOf:
      return "min";
    case DurationExpr::Op::kMaxOf:
      return "max";
  }
  return "";
}

void WriteDuration(const DurationExpr* expr, json::Writer* writer) {
  if (expr == nullptr) return writer->Null();
  NodeWriter node(writer);
  if (expr->op == DurationExpr::Op::kNumber) {
    node.Bool("duration", expr->written_as_duration);
    node.Text("type", "numberLiteral");
    node.Text("val", FormatFloat(expr->seconds));
    return;
  }
  // A sign stands before its operand, which upstream keeps at the right.
  const bool sign = expr->op == DurationExpr::Op::kNegate || expr->op == DurationExpr::Op::kPlus;
  WriteDuration(sign ? nullptr : expr->left.get(), node.Value("lhs"));
  node.Text("op", OpText(expr->op));
  WriteDuration(sign ? expr->left.get() : expr->right.get(), node.Value("rhs"));
  node.Text("type", "durationExpr");
  node.Bool("wrapped", expr->wrapped);
}

void WriteTime(const promql::TimeModifiers& time, NodeWriter* node) {
  if (time.at_preprocessor == promql::TimeModifiers::AtPreprocessor::kNone) {
    node->Value("startOrEnd")->Null();
  } else {
    const bool start = time.at_preprocessor == promql::TimeModifiers::AtPreprocessor::kStart;
    node->Text("startOrEnd", start ? "start" : "end");
  }
}

void WriteTimestamp(const promql::TimeModifiers& time, NodeWriter* node) {
  if (time.at.has_value()) {
    node->Value("timestamp")->Int(*time.at);
  } else {
    node->Value("timestamp")->Null();
  }
}

void WriteMatchers(const std::vector<Matcher>& matchers, NodeWriter* node) {
  json::Writer* const writer = node->Value("matchers");
  writer->BeginArray();
  for (const Matcher& matcher : matchers) {
    NodeWriter object(writer);
    object.Text("name", matcher.name());
    object.Text("type", MatchTypeText(matcher.type()));
    object.Text("value", matcher.value());
  }
  writer->EndArray();
}

// A vector selector, or the one inside a range selector.
void WriteSelector(const promql::VectorSelector& selector, const promql::DurationValue* range,
                   json::Writer* writer) {
  NodeWriter node(writer);
  node.Bool("anchored", selector.anchored);
  WriteMatchers(selector.matchers, &node);
  node.Text("name", selector.name);
  node.Value("offset")->Int(selector.time.offset.ms);
  WriteDuration(selector.time.offset.expr.get(), node.Value("offsetExpr"));
  if (range != nullptr) {
    node.Value("range")->Int(range->ms);
    WriteDuration(range->expr.get(), node.Value("rangeExpr"));
  }
  node.Bool("smoothed", selector.smoothed);
  WriteTime(selector.time, &node);
  WriteTimestamp(selector.time, &node);
  node.Text("type", range != nullptr ? "matrixSelector" : "vectorSelector");
}

void WriteSubquery(const promql::Subquery& subquery, json::Writer* writer) {
  NodeWriter node(writer);
  node.Node("expr", subquery.expr.get());
  node.Value("offset")->Int(subquery.time.offset.ms);
  WriteDuration(subquery.time.offset.expr.get(), node.Value("offsetExpr"));
  node.Value("range")->Int(subquery.range.ms);
  WriteDuration(subquery.range.expr.get(), node.Value("rangeExpr"));
  WriteTime(subquery.time, &node);
  node.Value("step")->Int(subquery.step.ms);
  WriteDuration(subquery.step.expr.get(), node.Value("stepExpr"));
  WriteTimestamp(subquery.time, &node);
  node.Text("type", "subquery");
}

std::string_view CardinalityText(promql::VectorMatching::Cardinality cardinality) {
  switch (cardinality) {
    case promql::VectorMatching::Cardinality::kOneToOne:
      return "one-to-one";
    case promql::VectorMatching::Cardinality::kManyToOne:
      return "many-to-one";
    case promql::VectorMatching::Cardinality::kOneToMany:
      return "one-to-many";
    case promql::VectorMatching::Cardinality::kManyToMany:
      return "many-to-many";
  }
  return "";
}

void WriteFill(std::optional<double> value, json::Writer* writer) {
  // JSON has no name for the others.
  if (value.has_value() && std::isfinite(*value)) {
    writer->Double(*value);
  } else {
    writer->Null();
  }
}

void WriteMatching(const std::optional<promql::VectorMatching>& matching, json::Writer* writer) {
  if (!matching.has_value()) return writer->Null();
  NodeWriter node(writer);
  node.Text("card", CardinalityText(matching->cardinality));
  {
    NodeWriter fill(node.Value("fillValues"));
    WriteFill(matching->fill_left, fill.Value("lhs"));
    WriteFill(matching->fill_right, fill.Value("rhs"));
  }
  node.Texts("include", matching->include);
  node.Texts("labels", matching->labels);
  node.Bool("on", matching->on);
}

void WriteCall(const promql::Call& call, json::Writer* writer) {
  NodeWriter node(writer);
  node.Value("args")->BeginArray();
  for (const promql::ExprPtr& arg : call.args) WriteAst(*arg, writer);
  writer->EndArray();
  {
    NodeWriter function(node.Value("func"));
    function.Value("argTypes")->BeginArray();
    for (int i = 0; i < call.function->arg_count; ++i) {
      writer->String(promql::ValueTypeName(call.function->arg_types[static_cast<size_t>(i)]));
    }
    writer->EndArray();
    function.Text("name", call.function->name);
    function.Text("returnType", promql::ValueTypeName(call.function->return_type));
    function.Value("variadic")->Int(call.function->variadic);
  }
  node.Text("type", "call");
}

}  // namespace

void WriteAst(const Expr& expr, json::Writer* writer) {
  switch (expr.kind) {
    case ExprKind::kNumberLiteral: {
      NodeWriter node(writer);
      node.Text("type", "numberLiteral");
      node.Text("val", FormatFloat(As<promql::NumberLiteral>(expr).value));
      return;
    }
    case ExprKind::kStringLiteral: {
      NodeWriter node(writer);
      node.Text("type", "stringLiteral");
      node.Text("val", As<promql::StringLiteral>(expr).value);
      return;
    }
    case ExprKind::kVectorSelector:
      return WriteSelector(As<promql::VectorSelector>(expr), nullptr, writer);
    case ExprKind::kMatrixSelector: {
      const auto& matrix = As<promql::MatrixSelector>(expr);
      return WriteSelector(*matrix.selector, &matrix.range, writer);
    }
    case ExprKind::kSubquery:
      return WriteSubquery(As<promql::Subquery>(expr), writer);
    case ExprKind::kUnary: {
      const auto& unary = As<promql::Unary>(expr);
      NodeWriter node(writer);
      node.Node("expr", unary.expr.get());
      node.Text("op", unary.negate ? "-" : "+");
      node.Text("type", "unaryExpr");
      return;
    }
    case ExprKind::kBinary: {
      const auto& binary = As<promql::Binary>(expr);
      NodeWriter node(writer);
      node.Bool("bool", binary.return_bool);
      node.Node("lhs", binary.left.get());
      WriteMatching(binary.matching, node.Value("matching"));
      node.Text("op", promql::BinaryOpText(binary.op));
      node.Node("rhs", binary.right.get());
      node.Text("type", "binaryExpr");
      return;
    }
    case ExprKind::kAggregate: {
      const auto& aggregate = As<promql::Aggregate>(expr);
      NodeWriter node(writer);
      node.Node("expr", aggregate.expr.get());
      node.Texts("grouping", aggregate.grouping);
      node.Text("op", promql::AggregateOpText(aggregate.op));
      node.Node("param", aggregate.param.get());
      node.Text("type", "aggregation");
      node.Bool("without", aggregate.without);
      return;
    }
    case ExprKind::kCall:
      return WriteCall(As<promql::Call>(expr), writer);
    case ExprKind::kParen: {
      NodeWriter node(writer);
      node.Node("expr", As<promql::Paren>(expr).expr.get());
      node.Text("type", "parenExpr");
      return;
    }
  }
}

}  // namespace narthex::query_api
