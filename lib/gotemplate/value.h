#ifndef NARTHEX_LIB_GOTEMPLATE_VALUE_H_
#define NARTHEX_LIB_GOTEMPLATE_VALUE_H_

#include <complex>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace narthex::gotemplate {

class Value;

// What a value is at run time; Go's reflect.Kind as far as templates can tell. A time.Duration is
// kInt with a type of its own.
enum class Kind {
  kNil,
  kBool,
  kInt,
  kUint,
  kFloat,
  kComplex,
  kString,
  kList,
  kMap,
  kStruct,
  kTime
};

struct Type;

// The parameters of a function or method. With `variadic` the last one stands for any number of
// arguments, also none.
struct Signature {
  std::vector<const Type*> params;
  bool variadic = false;
};

// A method that templates may call: {{ .CommonLabels.Remove (stringSlice "a") }}.
struct Method {
  std::string_view name;
  Signature signature;
  // The arguments were checked against the signature.
  absl::StatusOr<Value> (*call)(const Value& self, std::span<const Value> args);
};

// A Go type: its name (shown by %T and in errors), its kind, and what can be reached through a dot.
// Types are made once, live for ever and are compared by address.
struct Type {
  std::string_view name;          // "template.KV"
  Kind kind = Kind::kNil;         // kNil: interface {}, which takes everything.
  const Type* element = nullptr;  // Of lists and maps; a missing map key gives its zero value.
  std::vector<std::string_view> fields = {};  // Of structs, in the order of the values.
  std::vector<Method> methods = {};
  // The name that an unnamed type of the same shape has ("map[string]string" for template.KV); such
  // types are assignable.
  std::string_view underlying = {};
  // What printing shows (Go's String method); null: Go's form for the kind.
  std::string (*print)(const Value& self) = nullptr;

  const Method* FindMethod(std::string_view method_name) const;
};

const Type* AnyType();         // interface {}
const Type* BoolType();        // bool
const Type* IntType();         // int
const Type* Int64Type();       // int64
const Type* RuneType();        // int32
const Type* ByteType();        // uint8
const Type* UintType();        // uint
const Type* FloatType();       // float64
const Type* ComplexType();     // complex128
const Type* StringType();      // string
const Type* HtmlType();        // template.HTML: text that is trusted in HTML mode
const Type* UrlType();         // template.URL
const Type* StringListType();  // []string
const Type* AnyListType();     // []interface {}
const Type* StringMapType();   // map[string]string
const Type* AnyMapType();      // map[string]interface {}
const Type* TimeType();        // time.Time, with its methods
const Type* DurationType();    // time.Duration, with its methods

// An instant and the zone it is shown in.
struct ZonedTime {
  absl::Time time;
  absl::TimeZone zone = absl::UTCTimeZone();
};

// One immutable value of a template: nil, a boolean, a number, a string, a list, a map ordered by
// key, a struct or a time. Lists, maps and structs are shared, so a copy is cheap. Thread-safe as
// an int is.
class Value {
 public:
  using List = std::vector<Value>;
  using Map = std::map<std::string, Value, std::less<>>;

  Value() = default;  // nil
  static Value Bool(bool value);
  static Value Int(int64_t value, const Type* type = IntType());
  static Value Uint(uint64_t value, const Type* type = UintType());
  static Value Float(double value);
  static Value Complex(std::complex<double> value);
  static Value String(std::string_view value, const Type* type = StringType());
  static Value MakeList(List values, const Type* type = AnyListType());
  static Value MakeStrings(const std::vector<std::string>& values);  // []string
  static Value MakeMap(Map values, const Type* type = AnyMapType());
  // Every value is a string: map[string]string or a type like it.
  static Value MakeStringMap(const std::vector<std::pair<std::string, std::string>>& pairs,
                             const Type* type = StringMapType());
  // REQUIRES: as many values as type->fields.
  static Value MakeStruct(const Type* type, List values);
  static Value Time(ZonedTime value, const Type* type = TimeType());
  static Value Duration(absl::Duration value);
  // The value that Go gives a variable of this type before anything is stored in it.
  static Value Zero(const Type* type);

  const Type* type() const { return type_; }  // Null for nil.
  Kind kind() const { return type_ == nullptr ? Kind::kNil : type_->kind; }
  bool is_nil() const { return kind() == Kind::kNil; }
  // "string", "template.KV", "<nil>".
  std::string_view type_name() const;

  // REQUIRES: the kind fits.
  bool bool_value() const { return std::get<bool>(data_); }
  int64_t int_value() const { return std::get<int64_t>(data_); }
  uint64_t uint_value() const { return std::get<uint64_t>(data_); }
  double float_value() const { return std::get<double>(data_); }
  std::complex<double> complex_value() const { return std::get<std::complex<double>>(data_); }
  const std::string& string_value() const { return std::get<std::string>(data_); }
  const List& list() const {
    return *std::get<std::shared_ptr<const List>>(data_);
  }  // Also a struct's fields.
  const Map& map() const { return *std::get<std::shared_ptr<const Map>>(data_); }
  const ZonedTime& time_value() const { return std::get<ZonedTime>(data_); }
  absl::Duration duration_value() const { return absl::Nanoseconds(int_value()); }

  // How deep lists, maps and structs nest below this value: 0 for what is none of them.
  int depth() const { return depth_; }
  // A struct's field or a map's element; null when there is none.
  const Value* Find(std::string_view name) const;
  // Go templates' truth: false, zero, "", nil and what is empty are false; structs and times are
  // true.
  bool Truth() const;

 private:
  using Data =
      std::variant<std::monostate, bool, int64_t, uint64_t, double, std::complex<double>,
                   std::string, std::shared_ptr<const List>, std::shared_ptr<const Map>, ZonedTime>;
  Value(const Type* type, Data data, int depth = 0)
      : type_(type), depth_(depth), data_(std::move(data)) {}

  const Type* type_ = nullptr;  // AnyType() without data is a nil that a map or list holds.
  int depth_ = 0;
  Data data_;
};

// What {{ }} prints: Go's fmt.Sprint of one value, but "<no value>" for nil.
std::string PrintValue(const Value& value);

}  // namespace narthex::gotemplate

#endif  // NARTHEX_LIB_GOTEMPLATE_VALUE_H_
