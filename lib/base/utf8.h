#ifndef NARTHEX_LIB_BASE_UTF8_H_
#define NARTHEX_LIB_BASE_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// UTF-8 as Go sees it: no surrogates, no overlong forms, nothing above U+10FFFF; a bad byte counts
// as one U+FFFD. All functions are pure and thread-safe.
namespace narthex {

inline constexpr char32_t kReplacementRune = 0xFFFD;

bool IsValidUtf8(std::string_view text);
// The rune at the start of `text` and its length; (kReplacementRune, 1) for a bad byte. REQUIRES:
// !text.empty().
char32_t DecodeRune(std::string_view text, size_t* length);
// True when DecodeRune() met a bad byte (a real U+FFFD has length 3).
inline bool IsInvalidRune(char32_t rune, size_t length) {
  return rune == kReplacementRune && length == 1;
}
// Surrogates and numbers out of range are written as kReplacementRune.
void AppendRune(std::string* out, char32_t rune);
size_t RuneCount(std::string_view text);
// Go's unicode.IsPrint: letters, marks, numbers, punctuation, symbols, and of all spaces the ASCII
// one.
bool IsPrintable(char32_t rune);
// Go's strings.ToLower and ToUpper: rune by rune, Unicode's simple mappings, bad bytes become
// U+FFFD.
std::string ToLowerUtf8(std::string_view text);
std::string ToUpperUtf8(std::string_view text);

}  // namespace narthex

#endif  // NARTHEX_LIB_BASE_UTF8_H_
