#include "lib/json/writer.h"

#include <array>
#include <cmath>

#include "lib/base/float_format.h"
#include "lib/base/strings.h"
#include "lib/base/utf8.h"

namespace narthex::json {
namespace {

// Bytes that are copied as they are: printable ASCII less the quote, the backslash and < > &.
constexpr std::array<bool, 256> MakePlain() {
  std::array<bool, 256> plain{};
  for (size_t c = 0x20; c < 0x7f; ++c) plain[c] = true;
  for (const char c : {'"', '\\', '<', '>', '&'}) plain[static_cast<size_t>(c)] = false;
  plain[0x7f] = true;
  return plain;
}
constexpr auto kPlain = MakePlain();

void AppendEscapedByte(std::string* out, unsigned char c) {
  constexpr char kHex[] = "0123456789abcdef";
  switch (c) {
    case '"':
      out->append("\\\"");
      break;
    case '\\':
      out->append("\\\\");
      break;
    case '\n':
      out->append("\\n");
      break;
    case '\r':
      out->append("\\r");
      break;
    case '\t':
      out->append("\\t");
      break;
    default:
      out->append("\\u00");
      out->push_back(kHex[c >> 4]);
      out->push_back(kHex[c & 15]);
  }
}

}  // namespace

void AppendQuoted(std::string* out, std::string_view text) {
  out->push_back('"');
  size_t start = 0;
  size_t i = 0;
  while (i < text.size()) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (kPlain[c]) {
      ++i;
      continue;
    }
    if (c < 0x80) {
      out->append(text.substr(start, i - start));
      AppendEscapedByte(out, c);
      start = ++i;
      continue;
    }
    size_t length = 0;
    const char32_t rune = DecodeRune(text.substr(i), &length);
    const bool invalid = IsInvalidRune(rune, length);
    if (invalid || rune == 0x2028 || rune == 0x2029) {
      out->append(text.substr(start, i - start));
      out->append(invalid ? "\\ufffd" : rune == 0x2028 ? "\\u2028" : "\\u2029");
      start = i + length;
    }
    i += length;
  }
  out->append(text.substr(start));
  out->push_back('"');
}

void Writer::Separate() {
  if (need_comma_) out_->push_back(',');
  need_comma_ = true;
}

void Writer::BeginObject() {
  Separate();
  out_->push_back('{');
  need_comma_ = false;
}

void Writer::EndObject() {
  out_->push_back('}');
  need_comma_ = true;
}

void Writer::BeginArray() {
  Separate();
  out_->push_back('[');
  need_comma_ = false;
}

void Writer::EndArray() {
  out_->push_back(']');
  need_comma_ = true;
}

void Writer::Key(std::string_view key) {
  Separate();
  AppendQuoted(out_, key);
  out_->push_back(':');
  need_comma_ = false;
}

void Writer::String(std::string_view value) {
  Separate();
  AppendQuoted(out_, value);
}

void Writer::Int(int64_t value) {
  Separate();
  StrAppend(out_, value);
}

void Writer::Uint(uint64_t value) {
  Separate();
  StrAppend(out_, value);
}

void Writer::Double(double value) {
  Separate();
  const double magnitude = std::fabs(value);
  if (value == 0 || (magnitude >= 1e-6 && magnitude < 1e21)) {
    AppendFloatF(out_, value);
    return;
  }
  AppendFloatE(out_, value);
  // Go's encoder writes e-09 as e-9.
  const size_t n = out_->size();
  if (n >= 4 && out_->compare(n - 4, 3, "e-0") == 0) out_->erase(n - 2, 1);
}

void Writer::Bool(bool value) {
  Separate();
  out_->append(value ? "true" : "false");
}

void Writer::Null() {
  Separate();
  out_->append("null");
}

void Writer::Raw(std::string_view json) {
  Separate();
  out_->append(json);
}

}  // namespace narthex::json
