#ifndef NARTHEX_LIB_BASE_SAMPLE_TEXT_H_
#define NARTHEX_LIB_BASE_SAMPLE_TEXT_H_

#include <cstddef>

namespace narthex {

// AppendSampleValue() of float_format.h for long answers: the text goes to a buffer of at least
// kSampleValueBytesMax bytes; returns its end. Numbers with up to three decimals take a short cut.
inline constexpr size_t kSampleValueBytesMax = 64;
char* WriteSampleValue(char* out, double value);

}  // namespace narthex

#endif  // NARTHEX_LIB_BASE_SAMPLE_TEXT_H_
