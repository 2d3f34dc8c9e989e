#ifndef NARTHEX_LIB_JSON_READER_H_
#define NARTHEX_LIB_JSON_READER_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace narthex::json {

// A parsed JSON value. Objects keep the order of their members; of a repeated member Find() gives
// the last, as Go does.
struct Value {
  struct Member;  // An object's: {first, second}. No std::pair, which clang 14 wants complete here.
  enum class Type { kNull, kBool, kNumber, kString, kArray, kObject };
  Type type = Type::kNull;
  bool boolean = false;
  double number = 0;
  std::string text;  // The string; of a number its shortest form.
  std::vector<Value> array;
  std::vector<Member> object;

  bool is_null() const { return type == Type::kNull; }
  bool is_string() const { return type == Type::kString; }
  bool is_number() const { return type == Type::kNumber; }
  bool is_bool() const { return type == Type::kBool; }
  bool is_array() const { return type == Type::kArray; }
  bool is_object() const { return type == Type::kObject; }
  const Value* Find(std::string_view key) const;  // Null when absent or this is no object.
};

struct Value::Member {
  std::string first;
  Value second;
};

// One JSON document, at most 512 deep. InvalidArgument says what is wrong.
absl::StatusOr<Value> Parse(std::string_view text);

}  // namespace narthex::json

#endif  // NARTHEX_LIB_JSON_READER_H_
