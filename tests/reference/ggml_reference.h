// ggml's block formats, one value at a time, by their formulas.
#ifndef MODELSHRINK_TESTS_REFERENCE_GGML_REFERENCE_H_
#define MODELSHRINK_TESTS_REFERENCE_GGML_REFERENCE_H_

#include <cstdint>
#include <string_view>
#include <vector>

namespace reference {

// `type` is the format's name: "Q4_0". `values` are finite, in whole blocks.
std::vector<uint8_t> EncodeGgml(std::string_view type, const std::vector<float>& values);
std::vector<float> DecodeGgml(std::string_view type, const std::vector<uint8_t>& blocks);

}  // namespace reference

#endif  // MODELSHRINK_TESTS_REFERENCE_GGML_REFERENCE_H_
