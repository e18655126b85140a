// float64 ↔ decimal text, exactly. The C library's ways through printf and strtod bring 19 KB of
// code for every format and 128-bit arithmetic.
#ifndef MODELSHRINK_BASE_DECIMAL_H_
#define MODELSHRINK_BASE_DECIMAL_H_

#include <string>
#include <string_view>

namespace modelshrink {

// The nearest float64 of a JSON number (ties to even), infinite when it is too large. `text` is
// one, of any length.
double ParseDecimal(std::string_view text);

// A finite value as a JSON number of at most 24 characters that ParseDecimal gives back: 17
// significant digits, rounded half to even, without trailing zeros. -0 is "-0".
std::string DecimalOf(double value);

}  // namespace modelshrink

#endif  // MODELSHRINK_BASE_DECIMAL_H_
