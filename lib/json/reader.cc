#include "lib/json/reader.h"

#include <simdjson.h>

#include <cmath>
#include <optional>

#include "lib/base/strings.h"

namespace narthex::json {
namespace {

constexpr int kDepthMax = 512;

absl::Status Fail(simdjson::error_code error) {
  return InvalidArgument("invalid JSON: ", simdjson::error_message(error));
}

void Convert(simdjson::dom::element element, Value* out) {
  switch (element.type()) {
    case simdjson::dom::element_type::ARRAY: {
      out->type = Value::Type::kArray;
      const simdjson::dom::array items = element.get_array().value_unsafe();
      for (const simdjson::dom::element item : items) Convert(item, &out->array.emplace_back());
      break;
    }
    case simdjson::dom::element_type::OBJECT: {
      out->type = Value::Type::kObject;
      const simdjson::dom::object members = element.get_object().value_unsafe();
      for (const simdjson::dom::key_value_pair member : members) {
        auto& [key, value] = out->object.emplace_back();
        key = member.key;
        Convert(member.value, &value);
      }
      break;
    }
    case simdjson::dom::element_type::INT64: {
      const int64_t number = element.get_int64().value_unsafe();
      out->type = Value::Type::kNumber;
      out->number = static_cast<double>(number);
      out->text = StrCat(number);
      break;
    }
    case simdjson::dom::element_type::UINT64: {
      const uint64_t number = element.get_uint64().value_unsafe();
      out->type = Value::Type::kNumber;
      out->number = static_cast<double>(number);
      out->text = StrCat(number);
      break;
    }
    case simdjson::dom::element_type::DOUBLE:
      out->type = Value::Type::kNumber;
      out->number = element.get_double().value_unsafe();
      out->text = StrCat(out->number);
      break;
    case simdjson::dom::element_type::STRING:
      out->type = Value::Type::kString;
      out->text = element.get_string().value_unsafe();
      break;
    case simdjson::dom::element_type::BOOL:
      out->type = Value::Type::kBool;
      out->boolean = element.get_bool().value_unsafe();
      break;
    case simdjson::dom::element_type::NULL_VALUE:
      break;
  }
}

}  // namespace

const Value* Value::Find(std::string_view key) const {
  for (auto member = object.rbegin(); member != object.rend(); ++member) {
    if (member->first == key) return &member->second;
  }
  return nullptr;
}

absl::StatusOr<Value> Parse(std::string_view text) {
  simdjson::dom::parser parser;
  const simdjson::error_code allocated =
      parser.allocate(std::max<size_t>(text.size(), 64), kDepthMax);
  if (allocated != simdjson::SUCCESS) return Fail(allocated);
  simdjson::dom::element root;
  const simdjson::error_code parsed = parser.parse(text.data(), text.size()).get(root);
  if (parsed != simdjson::SUCCESS) return Fail(parsed);
  Value value;
  Convert(root, &value);
  return value;
}

}  // namespace narthex::json
