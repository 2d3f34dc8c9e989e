#ifndef NARTHEX_LIB_BASE_FLOAT_FORMAT_H_
#define NARTHEX_LIB_BASE_FLOAT_FORMAT_H_

#include <string>

// Go's strconv.FormatFloat(x, format, -1, 64): the fewest digits that read back as the same number;
// "NaN", "+Inf", "-Inf".
namespace narthex {

void AppendFloatF(std::string* out, double value);  // 'f': never an exponent.
// 'g': an exponent below 1e-4 and from 1e+06 on ("%v" of fmt; the exposition format).
void AppendFloatG(std::string* out, double value);
void AppendFloatE(std::string* out, double value);  // 'e': "1e+00", the form of /api/v1/alerts.
// The sample values of the HTTP API: 'f', but an exponent where |x| < 1e-6 (not 0) or |x| >= 1e21.
void AppendSampleValue(std::string* out, double value);
std::string FormatFloat(double value);  // 'f' as a string.
std::string FormatFloatG(double value);

}  // namespace narthex

#endif  // NARTHEX_LIB_BASE_FLOAT_FORMAT_H_
