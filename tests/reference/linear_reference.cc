#include "reference/linear_reference.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>

namespace linear_reference {
namespace {

struct Params {
  float scale = 1;
  long zero_point = 0;
};

long Lowest(Type type) { return type.is_signed ? -(1L << (type.bits - 1)) : 0; }
long Highest(Type type) { return Lowest(type) + (1L << type.bits) - 1; }
long Middle(Type type) { return type.is_signed ? 0 : 1L << (type.bits - 1); }

// Rounding without the library: half to even, half away from zero.
double RoundEven(double x) {
  const double down = std::floor(x);
  const double fraction = x - down;
  if (fraction != 0.5) return fraction < 0.5 ? down : down + 1;
  return std::fmod(down, 2.0) == 0 ? down : down + 1;
}
double RoundAway(double x) { return x < 0 ? -std::floor(-x + 0.5) : std::floor(x + 0.5); }

Params FindParams(const std::vector<float>& group, const Options& options) {
  float low = 0, high = 0;
  for (float x : group) {
    low = std::min(low, x);
    high = std::max(high, x);
  }
  const Type type = options.type;
  Params params;
  if (options.blockwise && type.is_signed) {
    const float extreme = std::fabs(high) > std::fabs(low) ? high : low;
    const float signed_scale = extreme / static_cast<float>(Lowest(type));
    if (std::fabs(signed_scale) >= FLT_MIN) params.scale = signed_scale;
    return params;
  }
  if (options.blockwise && options.symmetric) {
    params.zero_point = Middle(type);
    const float extreme = std::fabs(high) > std::fabs(low) ? high : low;
    params.scale = -(extreme + 0.0f) / static_cast<float>(Middle(type));
    return params;
  }
  long lowest = Lowest(type);
  if (options.symmetric) {
    high = std::max(high, -low);
    low = -high;
    if (type.is_signed && type.bits > 4) ++lowest;
    params.zero_point = Middle(type);
  }
  double difference = high - low;
  if (std::isinf(difference)) difference = static_cast<double>(high) - static_cast<double>(low);
  double scale = difference / static_cast<double>(Highest(type) - lowest);
  if (scale < options.least_scale) scale = options.least_scale;
  if (options.blockwise) {
    params.scale = static_cast<float>(scale);
    if (params.scale != 0) {
      const float zero_point = 0.0f - low / params.scale;
      params.zero_point = static_cast<long>(
          RoundAway(std::min(static_cast<double>(zero_point), static_cast<double>(Highest(type)))));
    }
    return params;
  }
  if (scale < FLT_MIN) return params;
  params.scale = static_cast<float>(scale);
  if (!options.symmetric) {
    params.zero_point = static_cast<long>(RoundEven(static_cast<double>(lowest) - low / scale));
  }
  return params;
}

long CodeOf(float x, const Params& params, const Options& options) {
  double code;
  if (options.blockwise && !options.type.is_signed) {
    const float inverse = 1.0f / params.scale;
    const volatile float product = x * (std::isinf(inverse) ? 0.0f : inverse);
    const volatile float shifted = product + static_cast<float>(params.zero_point);
    code = RoundAway(static_cast<double>(shifted));
  } else {
    const volatile float quotient = x / params.scale;
    code = RoundEven(static_cast<double>(quotient)) + static_cast<double>(params.zero_point);
  }
  return static_cast<long>(std::clamp(code, static_cast<double>(Lowest(options.type)),
                                      static_cast<double>(Highest(options.type))));
}

void Put(std::vector<uint8_t>& bytes, Type type, size_t index, long code) {
  const size_t bit = index * static_cast<size_t>(type.bits);
  const size_t end = (bit + static_cast<size_t>(type.bits) + 7) / 8;
  if (bytes.size() < end) bytes.resize(end);
  for (int b = 0; b < type.bits; ++b) {
    if (code >> b & 1) bytes[(bit + b) / 8] |= static_cast<uint8_t>(1u << ((bit + b) % 8));
  }
}

long Get(const std::vector<uint8_t>& bytes, Type type, size_t index) {
  const size_t bit = index * static_cast<size_t>(type.bits);
  long code = 0;
  for (int b = 0; b < type.bits; ++b)
    code |= long{bytes[(bit + b) / 8] >> ((bit + b) % 8) & 1} << b;
  return code > Highest(type) ? code - (1L << type.bits) : code;
}

void PutFloat(std::vector<uint8_t>& bytes, float value) {
  uint8_t raw[4];
  std::memcpy(raw, &value, 4);
  bytes.insert(bytes.end(), raw, raw + 4);
}

// The number of the group of every element.
std::vector<size_t> Groups(size_t n, const std::vector<size_t>& shape, const Options& options) {
  std::vector<size_t> groups(n, 0);
  size_t inner = 1;
  if (options.grouping == Grouping::kAxis) {
    for (size_t d = options.axis + 1; d < shape.size(); ++d) inner *= shape[d];
  }
  size_t length = 1;
  if (options.grouping == Grouping::kBlock) {
    size_t behind = 1, axis = shape.size() - 1;
    for (; behind < options.stride; --axis) behind *= shape[axis];
    length = shape[axis];
  }
  for (size_t i = 0; i < n; ++i) {
    if (options.grouping == Grouping::kAxis) {
      // The matrix that the element lies in comes first.
      const size_t matrix = i / (n / options.matrices);
      groups[i] = matrix * shape[options.axis] + i / inner % shape[options.axis];
    }
    if (options.grouping == Grouping::kBlock) {
      // Which line along the axis of blocks, and where on it.
      const size_t line = i / options.stride / length, place = i / options.stride % length;
      const size_t per_line = (length + options.block_size - 1) / options.block_size;
      const size_t block = line * per_line + place / options.block_size;
      groups[i] = block * options.stride + i % options.stride;
    }
  }
  return groups;
}

}  // namespace

Quantized Quantize(const std::vector<float>& values, const std::vector<size_t>& shape,
                   const Options& options) {
  const std::vector<size_t> groups = Groups(values.size(), shape, options);
  std::vector<std::vector<float>> members;
  for (size_t i = 0; i < values.size(); ++i) {
    if (members.size() <= groups[i]) members.resize(groups[i] + 1);
    members[groups[i]].push_back(values[i]);
  }
  Quantized quantized;
  std::vector<Params> params;
  for (size_t g = 0; g < members.size(); ++g) {
    params.push_back(FindParams(members[g], options));
    PutFloat(quantized.scales, params[g].scale);
    if (!options.symmetric) Put(quantized.zero_points, options.type, g, params[g].zero_point);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    Put(quantized.codes, options.type, i, CodeOf(values[i], params[groups[i]], options));
  }
  return quantized;
}

Quantized QuantizeTransposed(const std::vector<float>& values, size_t rows, size_t columns,
                             const Options& options) {
  const size_t size = options.block_size, blocks = (rows + size - 1) / size;
  const size_t zero_points_per_column = options.type.bits == 4 ? (blocks + 1) / 2 * 2 : blocks;
  Quantized quantized;
  quantized.codes.resize(columns * blocks * size * static_cast<size_t>(options.type.bits) / 8);
  for (size_t c = 0; c < columns; ++c) {
    std::vector<long> codes;
    for (size_t b = 0; b < blocks; ++b) {
      std::vector<float> group;
      for (size_t r = b * size; r < std::min(rows, (b + 1) * size); ++r) {
        group.push_back(values[r * columns + c]);
      }
      const Params params = FindParams(group, options);
      PutFloat(quantized.scales, params.scale);
      if (!options.symmetric) {
        Put(quantized.zero_points, options.type, c * zero_points_per_column + b, params.zero_point);
      }
      for (float x : group) codes.push_back(CodeOf(x, params, options));
    }
    if (!options.symmetric && zero_points_per_column != blocks) {
      Put(quantized.zero_points, options.type, c * zero_points_per_column + blocks, 8);
    }
    // The reference packs pairs in a buffer of two codes that it clears for every two blocks.
    if (options.type.bits == 4 && rows % 2 != 0 && (rows - 1) % (2 * size) != 0) {
      codes.push_back(codes[rows - 2]);
    }
    for (size_t k = 0; k < codes.size(); ++k) {
      Put(quantized.codes, options.type, c * blocks * size + k, codes[k]);
    }
  }
  return quantized;
}

std::vector<float> Dequantize(const Quantized& quantized, const std::vector<size_t>& shape,
                              const Options& options) {
  size_t n = 1;
  for (size_t dim : shape) n *= dim;
  const std::vector<size_t> groups = Groups(n, shape, options);
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i) {
    const long zero_point = options.symmetric ? Middle(options.type)
                                              : Get(quantized.zero_points, options.type, groups[i]);
    float scale;
    std::memcpy(&scale, quantized.scales.data() + 4 * groups[i], 4);
    values[i] = static_cast<float>(Get(quantized.codes, options.type, i) - zero_point) * scale;
  }
  return values;
}

}  // namespace linear_reference
