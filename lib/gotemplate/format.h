#ifndef NARTHEX_LIB_GOTEMPLATE_FORMAT_H_
#define NARTHEX_LIB_GOTEMPLATE_FORMAT_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "lib/gotemplate/value.h"

// Go's fmt.Sprint, Sprintln and Sprintf over template values, wrong uses in band ("%!d(string=a)").
// Output stops a little beyond `bytes_max`; who must not pass it on cut looks at the size. All
// functions are pure and thread-safe.
namespace narthex::gotemplate {

inline constexpr size_t kFormatBytesMax = size_t{64} << 20;

std::string Sprint(std::span<const Value> values, size_t bytes_max = kFormatBytesMax);
std::string Sprintln(std::span<const Value> values, size_t bytes_max = kFormatBytesMax);
std::string Sprintf(std::string_view format, std::span<const Value> values,
                    size_t bytes_max = kFormatBytesMax);

}  // namespace narthex::gotemplate

#endif  // NARTHEX_LIB_GOTEMPLATE_FORMAT_H_
