#include "services/storage/remote/otlp/any_value.h"

#include <algorithm>
#include <cmath>

#include "lib/base/float_format.h"
#include "lib/base/strings.h"
#include "lib/json/writer.h"

namespace narthex::otlp {
namespace {

// A number as Go's JSON has it, and the words that JSON has not.
std::string RealText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  std::string text;
  json::Writer(&text).Double(value);
  return text;
}

// False where a number is none of JSON's.
bool WriteJson(const AnyValue& value, json::Writer* writer) {
  switch (value.kind) {
    case AnyValue::Kind::kNone:
      writer->Null();
      return true;
    case AnyValue::Kind::kString:
    case AnyValue::Kind::kBytes:
      writer->String(value.text);
      return true;
    case AnyValue::Kind::kBool:
      writer->Bool(value.boolean);
      return true;
    case AnyValue::Kind::kInt:
      writer->Int(value.integer);
      return true;
    case AnyValue::Kind::kDouble:
      if (!std::isfinite(value.real)) return false;
      writer->Double(value.real);
      return true;
    case AnyValue::Kind::kList:
      writer->BeginArray();
      for (const AnyValue& one : value.list) {
        if (!WriteJson(one, writer)) return false;
      }
      writer->EndArray();
      return true;
    case AnyValue::Kind::kMap: {
      std::vector<const AnyValue::Member*> members;
      for (const AnyValue::Member& member : value.map) members.push_back(&member);
      std::stable_sort(members.begin(), members.end(),
                       [](const auto* a, const auto* b) { return a->key < b->key; });
      writer->BeginObject();
      for (size_t i = 0; i < members.size(); ++i) {
        // Of a key that comes twice the last counts.
        if (i + 1 < members.size() && members[i + 1]->key == members[i]->key) continue;
        writer->Key(members[i]->key);
        if (!WriteJson(members[i]->value, writer)) return false;
      }
      writer->EndObject();
      return true;
    }
  }
  return true;
}

}  // namespace

std::string Base64(std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - at);
    uint32_t group = 0;
    for (size_t i = 0; i < 3; ++i) {
      group = group << 8 | (i < count ? static_cast<uint8_t>(bytes[at + i]) : 0u);
    }
    for (size_t i = 0; i < 4; ++i) {
      text.push_back(i <= count ? kDigits[group >> (18 - 6 * i) & 63] : '=');
    }
  }
  return text;
}

std::string AnyValueText(const AnyValue& value) {
  switch (value.kind) {
    case AnyValue::Kind::kNone:
      return "";
    case AnyValue::Kind::kString:
    case AnyValue::Kind::kBytes:
      return value.text;
    case AnyValue::Kind::kBool:
      return value.boolean ? "true" : "false";
    case AnyValue::Kind::kInt:
      return StrCat(value.integer);
    case AnyValue::Kind::kDouble:
      return RealText(value.real);
    case AnyValue::Kind::kList:
    case AnyValue::Kind::kMap:
      break;
  }
  std::string text;
  json::Writer writer(&text);
  return WriteJson(value, &writer) ? text : std::string();
}

}  // namespace narthex::otlp
