#ifndef NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_ANY_VALUE_H_
#define NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_ANY_VALUE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace narthex::otlp {

// A value of an attribute that is more than a string, until it is text.
struct AnyValue {
  enum class Kind { kNone, kString, kBool, kInt, kDouble, kBytes, kList, kMap };
  struct Member;
  Kind kind = Kind::kNone;
  std::string text;  // The string; of bytes their base64.
  bool boolean = false;
  int64_t integer = 0;
  double real = 0;
  std::vector<AnyValue> list;
  std::vector<Member> map;
};
struct AnyValue::Member {
  std::string key;
  AnyValue value;
};

// Values may be nested this deep.
inline constexpr int kAnyValueDepthMax = 64;

// As OpenTelemetry's libraries print values: strings as they are, numbers as JSON has them, bytes
// as base64, lists and maps as JSON with keys in order. A list with a number that JSON has not
// (NaN) is empty text.
std::string AnyValueText(const AnyValue& value);

std::string Base64(std::string_view bytes);

}  // namespace narthex::otlp

#endif  // NARTHEX_SERVICES_STORAGE_REMOTE_OTLP_ANY_VALUE_H_
