#include "lib/gotemplate/builtins.h"

#include <array>
#include <optional>
#include <utility>

#include "lib/base/status_macros.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"
#include "lib/gotemplate/format.h"
#include "lib/gotemplate/unicode.h"

namespace narthex::gotemplate {
namespace {

using Args = std::span<const Value>;
using Result = absl::StatusOr<Value>;

// Comparison.

constexpr std::string_view kBadType = "invalid type for comparison";
constexpr std::string_view kNoOperand = "missing argument for comparison";

absl::Status BadTypes(const Value& a, const Value& b) {
  return InvalidArgument("incompatible types for comparison: ", a.type_name(), " and ",
                         b.type_name());
}

bool IsBasic(Kind kind) {
  return kind == Kind::kBool || kind == Kind::kInt || kind == Kind::kUint || kind == Kind::kFloat ||
         kind == Kind::kComplex || kind == Kind::kString;
}

// -1, 0 or 1; nothing when the two are of different kinds (a signed and an unsigned integer are
// not).
std::optional<int> CompareIntegers(const Value& a, const Value& b) {
  const auto compare = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (a.kind() == Kind::kInt && b.kind() == Kind::kInt)
    return compare(a.int_value(), b.int_value());
  if (a.kind() == Kind::kUint && b.kind() == Kind::kUint) {
    return compare(a.uint_value(), b.uint_value());
  }
  if (a.kind() == Kind::kInt && b.kind() == Kind::kUint) {
    if (a.int_value() < 0) return -1;
    return compare(static_cast<uint64_t>(a.int_value()), b.uint_value());
  }
  if (a.kind() == Kind::kUint && b.kind() == Kind::kInt) {
    if (b.int_value() < 0) return 1;
    return compare(a.uint_value(), static_cast<uint64_t>(b.int_value()));
  }
  return std::nullopt;
}

// Whether Go's == is defined for the type: lists and maps have none, nor structs that hold them.
bool IsComparable(const Value& value) {
  if (value.kind() == Kind::kList || value.kind() == Kind::kMap) return false;
  if (value.kind() != Kind::kStruct) return true;
  for (const Value& field : value.list()) {
    if (!IsComparable(field)) return false;
  }
  return true;
}

bool SameValue(const Value& a, const Value& b) {
  if (a.type() != b.type()) return false;
  if (a.kind() == Kind::kTime) return a.time_value().time == b.time_value().time;
  if (a.kind() == Kind::kStruct) {
    for (size_t i = 0; i < a.list().size(); ++i) {
      if (!SameValue(a.list()[i], b.list()[i])) return false;
    }
    return true;
  }
  switch (a.kind()) {
    case Kind::kBool:
      return a.bool_value() == b.bool_value();
    case Kind::kInt:
      return a.int_value() == b.int_value();
    case Kind::kUint:
      return a.uint_value() == b.uint_value();
    case Kind::kFloat:
      return a.float_value() == b.float_value();
    case Kind::kComplex:
      return a.complex_value() == b.complex_value();
    case Kind::kString:
      return a.string_value() == b.string_value();
    case Kind::kNil:
      return true;
    case Kind::kList:
    case Kind::kMap:
    case Kind::kStruct:
    case Kind::kTime:
      break;
  }
  return false;
}

absl::StatusOr<bool> Equal(const Value& a, const Value& b) {
  if (const std::optional<int> order = CompareIntegers(a, b)) return *order == 0;
  if (a.is_nil() || b.is_nil()) return a.is_nil() == b.is_nil();
  const bool basic_a = IsBasic(a.kind());
  const bool basic_b = IsBasic(b.kind());
  if ((basic_a || basic_b) && a.kind() != b.kind()) return BadTypes(a, b);
  if (a.kind() == b.kind() && !IsComparable(b)) {
    return InvalidArgument("non-comparable type ", Sprint({&b, 1}), ": ", b.type_name());
  }
  if (!IsComparable(a) || !IsComparable(b)) {
    return InvalidArgument("non-comparable types ", Sprint({&a, 1}), ": ", a.type_name(), ", ",
                           b.type_name(), ": ", Sprint({&b, 1}));
  }
  if (!basic_a) return SameValue(a, b);
  // Strings of different types (a template.HTML and a string) compare by content.
  if (a.kind() == Kind::kString) return a.string_value() == b.string_value();
  return SameValue(a, b);
}

absl::StatusOr<bool> Less(const Value& a, const Value& b) {
  if (!IsBasic(a.kind()) || !IsBasic(b.kind())) return InvalidArgument(kBadType);
  if (const std::optional<int> order = CompareIntegers(a, b)) return *order < 0;
  if (a.kind() != b.kind()) return BadTypes(a, b);
  if (a.kind() == Kind::kFloat) return a.float_value() < b.float_value();
  if (a.kind() == Kind::kString) return a.string_value() < b.string_value();
  return InvalidArgument(kBadType);
}

Result BuiltinEq(const Environment&, Args args) {
  if (args.size() < 2) return InvalidArgument(kNoOperand);
  for (const Value& other : args.subspan(1)) {
    NARTHEX_ASSIGN_OR_RETURN(const bool equal, Equal(args[0], other));
    if (equal) return Value::Bool(true);
  }
  return Value::Bool(false);
}

Result BuiltinNe(const Environment&, Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const bool equal, Equal(args[0], args[1]));
  return Value::Bool(!equal);
}

absl::StatusOr<bool> LessOrEqual(const Value& a, const Value& b) {
  NARTHEX_ASSIGN_OR_RETURN(const bool less, Less(a, b));
  if (less) return true;
  return Equal(a, b);
}

Result BuiltinLt(const Environment&, Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const bool less, Less(args[0], args[1]));
  return Value::Bool(less);
}

Result BuiltinLe(const Environment&, Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const bool less, LessOrEqual(args[0], args[1]));
  return Value::Bool(less);
}

Result BuiltinGt(const Environment&, Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const bool less, LessOrEqual(args[0], args[1]));
  return Value::Bool(!less);
}

Result BuiltinGe(const Environment&, Args args) {
  NARTHEX_ASSIGN_OR_RETURN(const bool less, Less(args[0], args[1]));
  return Value::Bool(!less);
}

// Containers.

// An index into something of `length` elements; `length` itself is allowed (slice takes it).
absl::StatusOr<size_t> IndexArgument(const Value& index, size_t length) {
  int64_t number = 0;
  if (index.kind() == Kind::kInt) {
    number = index.int_value();
  } else if (index.kind() == Kind::kUint) {
    number = static_cast<int64_t>(index.uint_value());
  } else if (index.is_nil()) {
    return InvalidArgument("cannot index slice/array with nil");
  } else {
    return InvalidArgument("cannot index slice/array with type ", index.type_name());
  }
  if (number < 0 || static_cast<uint64_t>(number) > length) {
    return InvalidArgument("index out of range: ", number);
  }
  return static_cast<size_t>(number);
}

Result IndexOnce(const Value& item, const Value& index) {
  if (item.kind() == Kind::kMap) {
    if (index.is_nil()) return InvalidArgument("value is nil; should be of type string");
    if (index.type() != StringType()) {
      return InvalidArgument("value has type ", index.type_name(), "; should be string");
    }
    const Value* found = item.Find(index.string_value());
    return found != nullptr ? *found : Value::Zero(item.type()->element);
  }
  if (item.kind() == Kind::kList) {
    NARTHEX_ASSIGN_OR_RETURN(const size_t at, IndexArgument(index, item.list().size()));
    if (at == item.list().size()) return InvalidArgument("reflect: slice index out of range");
    return item.list()[at];
  }
  if (item.kind() == Kind::kString) {
    NARTHEX_ASSIGN_OR_RETURN(const size_t at, IndexArgument(index, item.string_value().size()));
    if (at == item.string_value().size()) {
      return InvalidArgument("reflect: string index out of range");
    }
    return Value::Uint(static_cast<unsigned char>(item.string_value()[at]), ByteType());
  }
  return InvalidArgument("can't index item of type ", item.type_name());
}

Result BuiltinIndex(const Environment&, Args args) {
  Value item = args[0];
  if (item.is_nil()) return InvalidArgument("index of untyped nil");
  for (const Value& index : args.subspan(1)) {
    if (item.is_nil()) return InvalidArgument("index of nil pointer");
    NARTHEX_ASSIGN_OR_RETURN(item, IndexOnce(item, index));
  }
  return item;
}

Result BuiltinSlice(const Environment&, Args args) {
  const Value& item = args[0];
  const Args indexes = args.subspan(1);
  if (item.is_nil()) return InvalidArgument("slice of untyped nil");
  if (indexes.size() > 3) return InvalidArgument("too many slice indexes: ", indexes.size());
  const bool is_string = item.kind() == Kind::kString;
  if (is_string && indexes.size() == 3) return InvalidArgument("cannot 3-index slice a string");
  if (!is_string && item.kind() != Kind::kList) {
    return InvalidArgument("can't slice item of type ", item.type_name());
  }
  const size_t length = is_string ? item.string_value().size() : item.list().size();
  std::array<size_t, 3> bounds = {0, length, length};
  for (size_t i = 0; i < indexes.size(); ++i) {
    NARTHEX_ASSIGN_OR_RETURN(bounds[i], IndexArgument(indexes[i], length));
  }
  for (size_t i = 0; i + 1 < (indexes.size() == 3 ? 3 : 2); ++i) {
    if (bounds[i] > bounds[i + 1]) {
      return InvalidArgument("invalid slice index: ", bounds[i], " > ", bounds[i + 1]);
    }
  }
  if (is_string) {
    return Value::String(item.string_value().substr(bounds[0], bounds[1] - bounds[0]), item.type());
  }
  const auto begin = item.list().begin();
  return Value::MakeList(Value::List(begin + static_cast<ptrdiff_t>(bounds[0]),
                                     begin + static_cast<ptrdiff_t>(bounds[1])),
                         item.type());
}

Result BuiltinLen(const Environment&, Args args) {
  const Value& item = args[0];
  switch (item.kind()) {
    case Kind::kString:
      return Value::Int(static_cast<int64_t>(item.string_value().size()));
    case Kind::kList:
      return Value::Int(static_cast<int64_t>(item.list().size()));
    case Kind::kMap:
      return Value::Int(static_cast<int64_t>(item.map().size()));
    case Kind::kNil:
      return InvalidArgument(item.type() == nullptr
                                 ? "reflect: call of reflect.Value.Type on zero Value"
                                 : "len of nil pointer");
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kUint:
    case Kind::kFloat:
    case Kind::kComplex:
    case Kind::kStruct:
    case Kind::kTime:
      break;
  }
  return InvalidArgument("len of type ", item.type_name());
}

// Printing and escaping.

Result BuiltinPrint(const Environment&, Args args) { return Value::String(Sprint(args)); }
Result BuiltinPrintln(const Environment&, Args args) { return Value::String(Sprintln(args)); }
Result BuiltinPrintf(const Environment&, Args args) {
  return Value::String(Sprintf(args[0].string_value(), args.subspan(1)));
}

// The text that the escapers work on: a single string as it is, all else printed.
std::string TextOf(Args args) {
  if (args.size() == 1 && args[0].kind() == Kind::kString) return args[0].string_value();
  std::vector<Value> values(args.begin(), args.end());
  for (Value& value : values) {
    if (value.is_nil()) value = Value::String("<no value>");
  }
  return Sprint(values);
}

Result BuiltinHtml(const Environment&, Args args) {
  return Value::String(EscapeHtml(TextOf(args)));
}
Result BuiltinJs(const Environment&, Args args) { return Value::String(EscapeJs(TextOf(args))); }
Result BuiltinUrlQuery(const Environment&, Args args) {
  return Value::String(EscapeQuery(TextOf(args)));
}

Result BuiltinNot(const Environment&, Args args) { return Value::Bool(!args[0].Truth()); }

// No value of ours is a function.
Result BuiltinCall(const Environment&, Args args) {
  if (args[0].is_nil()) return InvalidArgument("call of nil");
  return InvalidArgument("non-function of type ", args[0].type_name());
}

// Reached only when `and` or `or` gets no argument that decides; see IsShortCircuit().
Result BuiltinLast(const Environment&, Args args) { return args.back(); }

std::vector<Function> MakeBuiltins() {
  const Type* any = AnyType();
  const Signature one = {{any}, false};
  const Signature two = {{any, any}, false};
  const Signature many = {{any}, true};
  const Signature one_and_many = {{any, any}, true};
  return {
      {"and", one_and_many, BuiltinLast},
      {"or", one_and_many, BuiltinLast},
      {"not", one, BuiltinNot},
      {"eq", one_and_many, BuiltinEq},
      {"ne", two, BuiltinNe},
      {"lt", two, BuiltinLt},
      {"le", two, BuiltinLe},
      {"gt", two, BuiltinGt},
      {"ge", two, BuiltinGe},
      {"len", one, BuiltinLen},
      {"index", one_and_many, BuiltinIndex},
      {"slice", one_and_many, BuiltinSlice},
      {"print", many, BuiltinPrint},
      {"println", many, BuiltinPrintln},
      {"printf", {{StringType(), any}, true}, BuiltinPrintf},
      {"html", many, BuiltinHtml},
      {"js", many, BuiltinJs},
      {"urlquery", many, BuiltinUrlQuery},
      {"call", one_and_many, BuiltinCall},
  };
}

const std::vector<Function>& Builtins() {
  static const auto* const builtins = new std::vector<Function>(MakeBuiltins());
  return *builtins;
}

void AppendHex(std::string* out, uint32_t value, int digits, bool upper) {
  const char* alphabet = upper ? "0123456789ABCDEF" : "0123456789abcdef";
  for (int shift = (digits - 1) * 4; shift >= 0; shift -= 4) {
    out->push_back(alphabet[(value >> static_cast<unsigned>(shift)) & 15U]);
  }
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

const Function* FindBuiltin(std::string_view name) {
  for (const Function& function : Builtins()) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

bool IsShortCircuit(const Function* function) {
  return function == &Builtins()[0] || function == &Builtins()[1];
}

bool IsCall(const Function* function) { return function == &Builtins().back(); }

std::string EscapeHtml(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '\0':
        AppendRune(&out, kReplacementRune);
        break;
      case '"':
        out.append("&#34;");
        break;
      case '\'':
        out.append("&#39;");
        break;
      case '&':
        out.append("&amp;");
        break;
      case '<':
        out.append("&lt;");
        break;
      case '>':
        out.append("&gt;");
        break;
      default:
        out.push_back(c);
    }
  }
  return out;
}

std::string EscapeJs(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    size_t length = 0;
    const char32_t rune = DecodeRune(text, &length);
    const std::string_view bytes = text.substr(0, length);
    text.remove_prefix(length);
    if (rune == '\\' || rune == '\'' || rune == '"') {
      out.push_back('\\');
      out.append(bytes);
    } else if (rune == '<' || rune == '>' || rune == '&' || rune == '=' || rune < ' ') {
      out.append("\\u");
      AppendHex(&out, rune, 4, true);
    } else if (rune < 0x80 || IsPrintRune(rune)) {
      out.append(bytes);
    } else {
      // Go prints %04X here, so runes beyond the basic plane take more digits.
      out.append("\\u");
      AppendHex(&out, rune, rune > 0xFFFFF ? 6 : rune > 0xFFFF ? 5 : 4, true);
    }
  }
  return out;
}

std::string EscapeQuery(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out.push_back(c);
    } else if (c == ' ') {
      out.push_back('+');
    } else {
      out.push_back('%');
      AppendHex(&out, static_cast<unsigned char>(c), 2, true);
    }
  }
  return out;
}

bool UnescapeQuery(std::string_view text, std::string* out) {
  out->clear();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out->push_back(' ');
    } else if (text[i] != '%') {
      out->push_back(text[i]);
    } else {
      const int high = i + 1 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        *out = StrCat("invalid URL escape ", Quote(text.substr(i, 3)));
        return false;
      }
      out->push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
  return true;
}

}  // namespace narthex::gotemplate
