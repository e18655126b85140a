#include "reference/ggml_reference.h"

#include <cmath>
#include <cstddef>
#include <cstdlib>

#include "reference/float_reference.h"

namespace reference {
namespace {

struct GgmlFormat {
  std::string_view name;
  int bits;
  bool has_minimum;
};
constexpr GgmlFormat kFormats[] = {{"Q4_0", 4, false},
                                   {"Q4_1", 4, true},
                                   {"Q5_0", 5, false},
                                   {"Q5_1", 5, true},
                                   {"Q8_0", 8, false}};

const GgmlFormat& FormatOf(std::string_view type) {
  for (const GgmlFormat& format : kFormats) {
    if (format.name == type) return format;
  }
  std::abort();
}

const NarrowFloat& Half() {
  static const NarrowFloat half(kFloat16);
  return half;
}

void AppendHalf(float value, std::vector<uint8_t>* out) {
  const uint32_t code = Half().Encode(value, false);
  out->push_back(static_cast<uint8_t>(code));
  out->push_back(static_cast<uint8_t>(code >> 8));
}

struct BlockParams {
  float scale;
  float minimum;
};

BlockParams ParamsOf(const GgmlFormat& format, const float* x) {
  float smallest = x[0], largest = x[0], magnitude = 0, extremum = 0;
  for (int i = 0; i < 32; ++i) {
    if (x[i] < smallest) smallest = x[i];
    if (x[i] > largest) largest = x[i];
    if (std::fabs(x[i]) > magnitude) {
      magnitude = std::fabs(x[i]);
      extremum = x[i];
    }
  }
  if (format.bits == 8) return {magnitude / 127.0f, 0};
  const float levels = static_cast<float>((1 << format.bits) - 1);
  if (format.has_minimum) return {(largest - smallest) / levels, smallest};
  return {extremum / -static_cast<float>(1 << (format.bits - 1)), 0};
}

int CodeOf(const GgmlFormat& format, const BlockParams& params, float x) {
  const float inverse = params.scale != 0 ? 1.0f / params.scale : 0.0f;
  if (std::isinf(inverse)) return 0;
  const float scaled = (format.has_minimum ? x - params.minimum : x) * inverse;
  if (format.bits == 8) return static_cast<int>(std::round(scaled));
  const float half = 0.5f;
  const float zero = format.has_minimum ? 0.0f : static_cast<float>(1 << (format.bits - 1));
  const int code = static_cast<int>(scaled + (zero + half));
  const int largest = (1 << format.bits) - 1;
  return code < largest ? code : largest;
}

}  // namespace

std::vector<uint8_t> EncodeGgml(std::string_view type, const std::vector<float>& values) {
  const GgmlFormat& format = FormatOf(type);
  std::vector<uint8_t> out;
  for (size_t begin = 0; begin < values.size(); begin += 32) {
    const float* x = values.data() + begin;
    const BlockParams params = ParamsOf(format, x);
    AppendHalf(params.scale, &out);
    if (format.has_minimum) AppendHalf(params.minimum, &out);
    int codes[32];
    for (int i = 0; i < 32; ++i) codes[i] = CodeOf(format, params, x[i]);
    if (format.bits == 8) {
      for (const int code : codes) out.push_back(static_cast<uint8_t>(code));
      continue;
    }
    if (format.bits == 5) {
      for (int byte = 0; byte < 4; ++byte) {
        int bits = 0;
        for (int i = 0; i < 8; ++i) bits |= (codes[8 * byte + i] / 16) << i;
        out.push_back(static_cast<uint8_t>(bits));
      }
    }
    for (int i = 0; i < 16; ++i) {
      out.push_back(static_cast<uint8_t>(codes[i] % 16 + 16 * (codes[i + 16] % 16)));
    }
  }
  return out;
}

std::vector<float> DecodeGgml(std::string_view type, const std::vector<uint8_t>& blocks) {
  const GgmlFormat& format = FormatOf(type);
  std::vector<float> values;
  const size_t header = format.has_minimum ? 4 : 2;
  const size_t size = header + (format.bits == 8 ? 32 : format.bits == 5 ? 20 : 16);
  for (size_t at = 0; at < blocks.size(); at += size) {
    const auto half = [&](size_t i) {
      return static_cast<float>(Half().Decode(blocks[at + i] + 256u * blocks[at + i + 1]));
    };
    const uint8_t* codes = blocks.data() + at + header;
    for (int i = 0; i < 32; ++i) {
      int code;
      if (format.bits == 8) {
        code = static_cast<int8_t>(codes[i]);
      } else {
        const uint8_t* low = codes + (format.bits == 5 ? 4 : 0);
        code = i < 16 ? low[i] % 16 : low[i - 16] / 16;
        if (format.bits == 5) code += 16 * ((codes[i / 8] >> (i % 8)) & 1);
        if (!format.has_minimum) code -= 1 << (format.bits - 1);
      }
      const float product = static_cast<float>(code) * half(0);
      values.push_back(format.has_minimum ? product + half(2) : product);
    }
  }
  return values;
}

}  // namespace reference
