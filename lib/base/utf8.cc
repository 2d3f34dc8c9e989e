#include "lib/base/utf8.h"

#include <wctype.h>

#include <algorithm>
#include <clocale>
#include <iterator>

#include "lib/base/printable_ranges.h"

namespace narthex {
namespace {

// The locale whose tables hold Unicode's simple case mappings; it is part of the C library, not of
// installed locale files.
locale_t Utf8Locale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

char32_t LowerRune(char32_t rune) {
  if (rune < 0x80) return rune >= 'A' && rune <= 'Z' ? rune + 0x20 : rune;
  const locale_t locale = Utf8Locale();
  return locale == nullptr ? rune
                           : static_cast<char32_t>(towlower_l(static_cast<wint_t>(rune), locale));
}

char32_t UpperRune(char32_t rune) {
  if (rune < 0x80) return rune >= 'a' && rune <= 'z' ? rune - 0x20 : rune;
  const locale_t locale = Utf8Locale();
  return locale == nullptr ? rune
                           : static_cast<char32_t>(towupper_l(static_cast<wint_t>(rune), locale));
}

std::string MapRunes(std::string_view text, char32_t (*map)(char32_t)) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    size_t length = 0;
    AppendRune(&out, map(DecodeRune(text, &length)));
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace

char32_t DecodeRune(std::string_view text, size_t* length) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  *length = 1;
  const unsigned char first = byte(0);
  if (first < 0x80) return first;
  size_t size = 0;
  char32_t rune = 0;
  char32_t least = 0;  // Below it the form is overlong.
  if ((first & 0xE0) == 0xC0) {
    size = 2, rune = first & 0x1F, least = 0x80;
  } else if ((first & 0xF0) == 0xE0) {
    size = 3, rune = first & 0x0F, least = 0x800;
  } else if ((first & 0xF8) == 0xF0) {
    size = 4, rune = first & 0x07, least = 0x10000;
  } else {
    return kReplacementRune;
  }
  if (text.size() < size) return kReplacementRune;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return kReplacementRune;
    rune = (rune << 6) | (byte(i) & 0x3F);
  }
  if (rune < least || rune > 0x10FFFF || (rune >= 0xD800 && rune <= 0xDFFF)) {
    return kReplacementRune;
  }
  *length = size;
  return rune;
}

bool IsValidUtf8(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      ++i;
      continue;
    }
    size_t length = 0;
    DecodeRune(text.substr(i), &length);
    if (length == 1) return false;  // Only a bad byte has length 1 here.
    i += length;
  }
  return true;
}

void AppendRune(std::string* out, char32_t rune) {
  if (rune > 0x10FFFF || (rune >= 0xD800 && rune <= 0xDFFF)) rune = kReplacementRune;
  const auto put = [out](char32_t byte) { out->push_back(static_cast<char>(byte)); };
  if (rune < 0x80) {
    put(rune);
  } else if (rune < 0x800) {
    put(0xC0 | (rune >> 6));
    put(0x80 | (rune & 0x3F));
  } else if (rune < 0x10000) {
    put(0xE0 | (rune >> 12));
    put(0x80 | ((rune >> 6) & 0x3F));
    put(0x80 | (rune & 0x3F));
  } else {
    put(0xF0 | (rune >> 18));
    put(0x80 | ((rune >> 12) & 0x3F));
    put(0x80 | ((rune >> 6) & 0x3F));
    put(0x80 | (rune & 0x3F));
  }
}

size_t RuneCount(std::string_view text) {
  size_t count = 0;
  while (!text.empty()) {
    size_t length = 0;
    DecodeRune(text, &length);
    text.remove_prefix(length);
    ++count;
  }
  return count;
}

bool IsPrintable(char32_t rune) {
  if (rune < 0x80) return rune >= 0x20 && rune < 0x7F;
  const RuneRange* const range =
      std::lower_bound(std::begin(kPrintableRanges), std::end(kPrintableRanges), rune,
                       [](const RuneRange& r, char32_t wanted) { return r.last < wanted; });
  return range != std::end(kPrintableRanges) && range->first <= rune;
}

std::string ToLowerUtf8(std::string_view text) { return MapRunes(text, LowerRune); }
std::string ToUpperUtf8(std::string_view text) { return MapRunes(text, UpperRune); }

}  // namespace narthex
