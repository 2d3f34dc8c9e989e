#ifndef NARTHEX_LIB_GOTEMPLATE_UNICODE_H_
#define NARTHEX_LIB_GOTEMPLATE_UNICODE_H_

#include <string>
#include <string_view>

// The Unicode classes that Go's template language and formatting ask for, from the C library's
// UTF-8 tables. All functions are pure and thread-safe.
namespace narthex::gotemplate {

bool IsLetterOrDigit(char32_t rune);
bool IsSpaceRune(char32_t rune);
bool IsPrintRune(char32_t rune);

// golang.org/x/text/cases.Title for American English: the first letter of each word (as Unicode
// finds words) in upper case, the others in lower case.
std::string TitleCase(std::string_view text);
// Go's strings.Title: the first letter after each separator in upper case, the rest as it is.
std::string CapitalizeWords(std::string_view text);

}  // namespace narthex::gotemplate

#endif  // NARTHEX_LIB_GOTEMPLATE_UNICODE_H_
