#include "lib/gotemplate/unicode.h"

#include <wctype.h>

#include <clocale>

#include "lib/base/utf8.h"

namespace narthex::gotemplate {
namespace {

// The locale whose tables hold Unicode's classes; it is part of the C library, not of installed
// locale files.
locale_t Utf8Locale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

bool Test(char32_t rune, int (*wide)(wint_t, locale_t), bool ascii) {
  if (rune < 0x80) return ascii;
  const locale_t locale = Utf8Locale();
  return locale != nullptr && wide(static_cast<wint_t>(rune), locale) != 0;
}

bool IsAsciiLetter(char32_t rune) {
  return (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z');
}
bool IsAsciiDigit(char32_t rune) { return rune >= '0' && rune <= '9'; }

std::string_view NextRune(std::string_view* text, char32_t* rune) {
  size_t length = 0;
  *rune = DecodeRune(*text, &length);
  const std::string_view bytes = text->substr(0, length);
  text->remove_prefix(length);
  return bytes;
}

// Whether a word goes on over this rune when letters (or digits) stand on both sides of it:
// Unicode's MidLetter, MidNum and MidNumLet classes, and the joiners that never end a word.
bool JoinsLetters(char32_t rune) {
  return rune == '\'' || rune == '.' || rune == ':' || rune == 0xB7 || rune == 0x2018 ||
         rune == 0x2019 || rune == 0x2024 || rune == 0x2027;
}

}  // namespace

bool IsLetterOrDigit(char32_t rune) {
  return Test(rune, iswalnum_l, IsAsciiLetter(rune) || IsAsciiDigit(rune));
}

bool IsSpaceRune(char32_t rune) {
  if (rune == 0x85 || rune == 0xA0 || rune == 0x2007 || rune == 0x202F) return true;
  return Test(rune, iswspace_l, rune == ' ' || (rune >= '\t' && rune <= '\r'));
}

bool IsPrintRune(char32_t rune) {
  // Go takes no space but the ASCII one for printable.
  if (rune >= 0x80 && IsSpaceRune(rune)) return false;
  return Test(rune, iswprint_l, rune >= 0x20 && rune < 0x7F);
}

std::string TitleCase(std::string_view text) {
  std::string out;
  bool in_word = false;  // A cased letter of this word has been seen.
  while (!text.empty()) {
    char32_t rune = 0;
    const std::string_view bytes = NextRune(&text, &rune);
    if (IsLetterOrDigit(rune)) {
      const bool letter = !IsAsciiDigit(rune);
      out.append(letter && !in_word ? ToUpperUtf8(bytes) : ToLowerUtf8(bytes));
      in_word = in_word || letter;
      continue;
    }
    out.append(bytes);
    if (rune == '_') continue;
    char32_t next = 0;
    std::string_view rest = text;
    if (!rest.empty()) NextRune(&rest, &next);
    if (!(in_word && JoinsLetters(rune) && IsLetterOrDigit(next) && !IsAsciiDigit(next))) {
      in_word = false;
    }
  }
  return out;
}

std::string CapitalizeWords(std::string_view text) {
  std::string out;
  bool after_separator = true;
  while (!text.empty()) {
    char32_t rune = 0;
    const std::string_view bytes = NextRune(&text, &rune);
    out.append(after_separator ? ToUpperUtf8(bytes) : std::string(bytes));
    if (IsLetterOrDigit(rune) || rune == '_') {
      after_separator = false;
    } else {
      after_separator = rune < 0x80 || IsSpaceRune(rune);
    }
  }
  return out;
}

}  // namespace narthex::gotemplate
