#ifndef NARTHEX_SERVICES_QUERY_PROMQL_AST_H_
#define NARTHEX_SERVICES_QUERY_PROMQL_AST_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/labels/matcher.h"
#include "lib/model/timestamp.h"

// The tree of a PromQL expression. The set of nodes is closed: code that treats them switches over
// Expr::kind without a default, so that the compiler lists what a new node must touch.
namespace narthex::promql {

enum class ValueType : uint8_t { kNone, kScalar, kVector, kMatrix, kString };
// "instant vector", as messages say it.
std::string_view ValueTypeText(ValueType type);
// "vector", as the HTTP API says it.
std::string_view ValueTypeName(ValueType type);

// Bytes [start, end) of the query text.
struct PositionRange {
  int start = 0;
  int end = 0;
};

enum class ExprKind : uint8_t {
  kNumberLiteral,
  kStringLiteral,
  kVectorSelector,
  kMatrixSelector,
  kSubquery,
  kUnary,
  kBinary,
  kAggregate,
  kCall,
  kParen,
};

enum class BinaryOp : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMod,
  kPow,
  kAtan2,
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kTrimUpper,  // "</"
  kTrimLower,  // ">/"
  kAnd,
  kOr,
  kUnless,
};
std::string_view BinaryOpText(BinaryOp op);
bool IsComparison(BinaryOp op);
bool IsSetOperator(BinaryOp op);

enum class AggregateOp : uint8_t {
  kSum,
  kAvg,
  kMin,
  kMax,
  kCount,
  kGroup,
  kStddev,
  kStdvar,
  kTopK,
  kBottomK,
  kQuantile,
  kCountValues,
  kLimitK,
  kLimitRatio,
};
std::string_view AggregateOpText(AggregateOp op);

// A node. Nodes are immutable once the parser has handed the tree over, so one tree may be
// evaluated by several threads.
struct Expr {
  Expr(ExprKind node_kind, PositionRange node_position)
      : kind(node_kind), position(node_position) {}
  virtual ~Expr() = default;
  Expr(const Expr&) = delete;
  Expr& operator=(const Expr&) = delete;

  const ExprKind kind;
  PositionRange position;
  int height = 1;  // Of the tree that starts here; the parser bounds it, so that recursion is safe.
};
using ExprPtr = std::unique_ptr<Expr>;

// An arithmetic expression of seconds inside [...], after "offset", or after ':' ("2m*(10+5)",
// "step()+1").
struct DurationExpr {
  enum class Op : uint8_t {
    kNumber,  // `seconds`
    kStep,
    kRange,
    kNegate,  // left
    kPlus,    // left (an explicit sign)
    kAdd,
    kSub,
    kMul,
    kDiv,
    kMod,
    kPow,
    kMinOf,
    kMaxOf,
  };
  Op op = Op::kNumber;
  double seconds = 0;
  bool written_as_duration = false;  // "5m" rather than "300".
  bool wrapped = false;              // In parentheses.
  PositionRange position;
  std::unique_ptr<DurationExpr> left;
  std::unique_ptr<DurationExpr> right;
};

// A length of time that is either known at once or has to be computed when start, end and step of
// the query are.
struct DurationValue {
  int64_t ms = 0;  // When `expr` is null.
  std::shared_ptr<const DurationExpr> expr;
};

// Where on the time axis a selector or subquery reads.
struct TimeModifiers {
  enum class AtPreprocessor : uint8_t { kNone, kStart, kEnd };
  bool has_offset = false;
  DurationValue offset;
  std::optional<Timestamp> at;
  AtPreprocessor at_preprocessor = AtPreprocessor::kNone;
  bool has_at() const { return at.has_value() || at_preprocessor != AtPreprocessor::kNone; }
};

struct NumberLiteral : Expr {
  static constexpr ExprKind kKind = ExprKind::kNumberLiteral;
  NumberLiteral(PositionRange range, double literal) : Expr(kKind, range), value(literal) {}
  double value;
  bool written_as_duration = false;
};

struct StringLiteral : Expr {
  static constexpr ExprKind kKind = ExprKind::kStringLiteral;
  StringLiteral(PositionRange range, std::string literal)
      : Expr(kKind, range), value(std::move(literal)) {}
  std::string value;
};

struct VectorSelector : Expr {
  static constexpr ExprKind kKind = ExprKind::kVectorSelector;
  explicit VectorSelector(PositionRange range) : Expr(kKind, range) {}
  std::string name;  // Empty when written without one ({job="x"}).
  std::vector<Matcher>
      matchers;  // Includes __name__="name" when there is a name (last, as upstream keeps it).
  TimeModifiers time;
  bool anchored = false;
  bool smoothed = false;
  // Set on the selectors that info() reads besides its argument; they may match the empty string.
  bool bypass_empty_check = false;
};

struct MatrixSelector : Expr {
  static constexpr ExprKind kKind = ExprKind::kMatrixSelector;
  explicit MatrixSelector(PositionRange where) : Expr(kKind, where) {}
  std::unique_ptr<VectorSelector> selector;  // Holds the time modifiers.
  DurationValue range;
};

struct Subquery : Expr {
  static constexpr ExprKind kKind = ExprKind::kSubquery;
  explicit Subquery(PositionRange position_range) : Expr(kKind, position_range) {}
  ExprPtr expr;
  DurationValue range;
  bool has_step = false;
  DurationValue step;
  TimeModifiers time;
};

struct Unary : Expr {
  static constexpr ExprKind kKind = ExprKind::kUnary;
  explicit Unary(PositionRange range) : Expr(kKind, range) {}
  bool negate = false;
  ExprPtr expr;
};

struct VectorMatching {
  enum class Cardinality : uint8_t { kOneToOne, kManyToOne, kOneToMany, kManyToMany };
  Cardinality cardinality = Cardinality::kOneToOne;
  bool on = false;                   // Else ignoring.
  std::vector<std::string> labels;   // Of on(...) or ignoring(...).
  std::vector<std::string> include;  // Of group_left(...) or group_right(...).
  std::optional<double> fill_left;
  std::optional<double> fill_right;
};

struct Binary : Expr {
  static constexpr ExprKind kKind = ExprKind::kBinary;
  explicit Binary(PositionRange range) : Expr(kKind, range) {}
  BinaryOp op = BinaryOp::kAdd;
  PositionRange op_position;
  ExprPtr left;
  ExprPtr right;
  bool return_bool = false;
  // Set when both sides are vectors; the parser also keeps it for a wrong use, which the type check
  // refuses.
  std::optional<VectorMatching> matching;
};

struct Aggregate : Expr {
  static constexpr ExprKind kKind = ExprKind::kAggregate;
  explicit Aggregate(PositionRange range) : Expr(kKind, range) {}
  AggregateOp op = AggregateOp::kSum;
  ExprPtr param;  // Null where the operator has none.
  ExprPtr expr;
  std::vector<std::string> grouping;
  bool without = false;
};

struct FunctionSignature;

struct Call : Expr {
  static constexpr ExprKind kKind = ExprKind::kCall;
  Call(PositionRange range, const FunctionSignature* called)
      : Expr(kKind, range), function(called) {}
  const FunctionSignature* function;
  std::vector<ExprPtr> args;
};

struct Paren : Expr {
  static constexpr ExprKind kKind = ExprKind::kParen;
  explicit Paren(PositionRange range) : Expr(kKind, range) {}
  ExprPtr expr;
};

// REQUIRES: expr.kind == T::kKind.
template <typename T>
const T& As(const Expr& expr) {
  return static_cast<const T&>(expr);
}
template <typename T>
T& As(Expr& expr) {
  return static_cast<T&>(expr);
}

// The type that evaluating `expr` gives.
ValueType TypeOf(const Expr& expr);
// `expr` without the parentheses around it.
const Expr& Unparen(const Expr& expr);
// The direct parts of a node that are expressions, in the order written.
std::vector<const Expr*> Children(const Expr& expr);
// All selectors of the expression, those inside range selectors and subqueries included, in the
// order written.
std::vector<const VectorSelector*> Selectors(const Expr& expr);
// True when both trees say the same (positions aside).
bool Equal(const Expr& a, const Expr& b);
ExprPtr Clone(const Expr& expr);

}  // namespace narthex::promql

#endif  // NARTHEX_SERVICES_QUERY_PROMQL_AST_H_
