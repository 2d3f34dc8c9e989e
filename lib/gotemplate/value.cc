#include "lib/gotemplate/value.h"

#include <algorithm>

#include "lib/base/check.h"
#include "lib/gotemplate/format.h"

namespace narthex::gotemplate {
namespace {

template <typename Range, typename Get>
int DepthOf(const Range& range, const Get& get) {
  int depth = 0;
  for (const auto& element : range) depth = std::max(depth, get(element).depth());
  return depth + 1;
}

// Types live as long as the process and are never destroyed, because values may be.
const Type* NewType(std::string_view name, Kind kind, const Type* element = nullptr,
                    std::string_view underlying = {}) {
  auto* type = new Type();
  type->name = name;
  type->kind = kind;
  type->element = element;
  type->underlying = underlying;
  return type;
}

}  // namespace

const Method* Type::FindMethod(std::string_view method_name) const {
  for (const Method& method : methods) {
    if (method.name == method_name) return &method;
  }
  return nullptr;
}

#define NARTHEX_GOTEMPLATE_TYPE(function, ...)            \
  const Type* function() {                                \
    static const Type* const type = NewType(__VA_ARGS__); \
    return type;                                          \
  }
NARTHEX_GOTEMPLATE_TYPE(AnyType, "interface {}", Kind::kNil)
NARTHEX_GOTEMPLATE_TYPE(BoolType, "bool", Kind::kBool)
NARTHEX_GOTEMPLATE_TYPE(IntType, "int", Kind::kInt)
NARTHEX_GOTEMPLATE_TYPE(Int64Type, "int64", Kind::kInt)
NARTHEX_GOTEMPLATE_TYPE(RuneType, "int32", Kind::kInt)
NARTHEX_GOTEMPLATE_TYPE(ByteType, "uint8", Kind::kUint)
NARTHEX_GOTEMPLATE_TYPE(UintType, "uint", Kind::kUint)
NARTHEX_GOTEMPLATE_TYPE(FloatType, "float64", Kind::kFloat)
NARTHEX_GOTEMPLATE_TYPE(ComplexType, "complex128", Kind::kComplex)
NARTHEX_GOTEMPLATE_TYPE(StringType, "string", Kind::kString)
NARTHEX_GOTEMPLATE_TYPE(HtmlType, "template.HTML", Kind::kString)
NARTHEX_GOTEMPLATE_TYPE(UrlType, "template.URL", Kind::kString)
NARTHEX_GOTEMPLATE_TYPE(StringListType, "[]string", Kind::kList, StringType())
NARTHEX_GOTEMPLATE_TYPE(AnyListType, "[]interface {}", Kind::kList, AnyType())
NARTHEX_GOTEMPLATE_TYPE(StringMapType, "map[string]string", Kind::kMap, StringType())
NARTHEX_GOTEMPLATE_TYPE(AnyMapType, "map[string]interface {}", Kind::kMap, AnyType())
#undef NARTHEX_GOTEMPLATE_TYPE

Value Value::Bool(bool value) { return Value(BoolType(), value); }
Value Value::Int(int64_t value, const Type* type) { return Value(type, value); }
Value Value::Uint(uint64_t value, const Type* type) { return Value(type, value); }
Value Value::Float(double value) { return Value(FloatType(), value); }
Value Value::Complex(std::complex<double> value) { return Value(ComplexType(), value); }
Value Value::String(std::string_view value, const Type* type) {
  return Value(type, std::string(value));
}

Value Value::MakeList(List values, const Type* type) {
  const int depth = DepthOf(values, [](const Value& value) -> const Value& { return value; });
  return Value(type, std::make_shared<const List>(std::move(values)), depth);
}

Value Value::MakeStrings(const std::vector<std::string>& values) {
  List list;
  list.reserve(values.size());
  for (const std::string& value : values) list.push_back(String(value));
  return MakeList(std::move(list), StringListType());
}

Value Value::MakeMap(Map values, const Type* type) {
  const int depth = DepthOf(values, [](const auto& entry) -> const Value& { return entry.second; });
  return Value(type, std::make_shared<const Map>(std::move(values)), depth);
}

Value Value::MakeStringMap(const std::vector<std::pair<std::string, std::string>>& pairs,
                           const Type* type) {
  Map map;
  for (const auto& [name, value] : pairs) map.insert_or_assign(name, String(value));
  return MakeMap(std::move(map), type);
}

Value Value::MakeStruct(const Type* type, List values) {
  NARTHEX_CHECK(values.size() == type->fields.size());
  const int depth = DepthOf(values, [](const Value& value) -> const Value& { return value; });
  return Value(type, std::make_shared<const List>(std::move(values)), depth);
}

Value Value::Time(ZonedTime value, const Type* type) { return Value(type, value); }
Value Value::Duration(absl::Duration value) {
  return Value(DurationType(), static_cast<int64_t>(absl::ToInt64Nanoseconds(value)));
}

Value Value::Zero(const Type* type) {
  switch (type->kind) {
    case Kind::kNil:
      return Value(type, std::monostate());
    case Kind::kBool:
      return Value(type, false);
    case Kind::kInt:
      return Value(type, int64_t{0});
    case Kind::kUint:
      return Value(type, uint64_t{0});
    case Kind::kFloat:
      return Value(type, 0.0);
    case Kind::kComplex:
      return Value(type, std::complex<double>());
    case Kind::kString:
      return Value(type, std::string());
    case Kind::kList:
      return MakeList({}, type);
    case Kind::kMap:
      return MakeMap({}, type);
    case Kind::kStruct:
      return MakeStruct(type, List(type->fields.size()));
    case Kind::kTime:
      return Value(type, ZonedTime{absl::FromCivil(absl::CivilSecond(1, 1, 1), absl::UTCTimeZone()),
                                   absl::UTCTimeZone()});
  }
  return {};
}

std::string_view Value::type_name() const { return type_ == nullptr ? "<nil>" : type_->name; }

const Value* Value::Find(std::string_view name) const {
  if (kind() == Kind::kMap) {
    const auto found = map().find(name);
    return found == map().end() ? nullptr : &found->second;
  }
  if (kind() != Kind::kStruct) return nullptr;
  const auto& fields = type_->fields;
  const auto found = std::find(fields.begin(), fields.end(), name);
  return found == fields.end() ? nullptr : &list()[static_cast<size_t>(found - fields.begin())];
}

bool Value::Truth() const {
  switch (kind()) {
    case Kind::kNil:
      return false;
    case Kind::kBool:
      return bool_value();
    case Kind::kInt:
      return int_value() != 0;
    case Kind::kUint:
      return uint_value() != 0;
    case Kind::kFloat:
      return float_value() != 0;
    case Kind::kComplex:
      return complex_value() != std::complex<double>();
    case Kind::kString:
      return !string_value().empty();
    case Kind::kList:
      return !list().empty();
    case Kind::kMap:
      return !map().empty();
    case Kind::kStruct:
    case Kind::kTime:
      return true;
  }
  return false;
}

std::string PrintValue(const Value& value) {
  if (value.is_nil()) return "<no value>";
  return Sprint({&value, 1}, kFormatBytesMax);
}

}  // namespace narthex::gotemplate
