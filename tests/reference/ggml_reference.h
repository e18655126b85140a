// ggml's block formats, one value at a time, by their formulas.
#ifndef MODELSHRINK_TESTS_REFERENCE_GGML_REFERENCE_H_
#define MODELSHRINK_TESTS_REFERENCE_GGML_REFERENCE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace reference {

struct GgmlFormat {
  std::string name;
  int bits;
  bool has_minimum;
};
inline const GgmlFormat kGgmlFormats[] = {{"Q4_0", 4, false},
                                          {"Q4_1", 4, true},
                                          {"Q5_0", 5, false},
                                          {"Q5_1", 5, true},
                                          {"Q8_0", 8, false}};

// `values` are finite, in blocks of 32.
std::vector<uint8_t> EncodeGgml(const GgmlFormat& format, const std::vector<float>& values);
std::vector<float> DecodeGgml(const GgmlFormat& format, const std::vector<uint8_t>& blocks);

}  // namespace reference

#endif  // MODELSHRINK_TESTS_REFERENCE_GGML_REFERENCE_H_
