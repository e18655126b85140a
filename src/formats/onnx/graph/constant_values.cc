#include "formats/onnx/graph/constant_values.h"

#include "base/bits.h"
#include "base/checked.h"
#include "formats/onnx/read/data_types.h"

namespace modelshrink::onnx {
namespace {

void AppendLittleEndian(uint64_t value, size_t num_bytes, std::string* out) {
  for (size_t i = 0; i < num_bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

// The bits of each element; nullopt as in the header.
template <typename Bits>
std::optional<std::vector<Bits>> BitsOfElements(const Constant& constant, DType type) {
  uint64_t count = 0;
  if (DTypeOf(constant.data_type) != type || !CheckedNumElements(constant.dims, &count) ||
      constant.value.size() % sizeof(Bits) != 0 || constant.value.size() / sizeof(Bits) != count) {
    return std::nullopt;
  }
  std::vector<Bits> elements(static_cast<size_t>(count));
  for (size_t i = 0; i < constant.value.size(); ++i) {
    const Bits byte = static_cast<uint8_t>(constant.value[i]);
    elements[i / sizeof(Bits)] |= byte << (8 * (i % sizeof(Bits)));
  }
  return elements;
}

}  // namespace

std::optional<std::vector<int64_t>> Int64ValuesOf(const Constant& constant) {
  const auto bits = BitsOfElements<uint64_t>(constant, DType::kInt64);
  if (!bits) return std::nullopt;
  return std::vector<int64_t>(bits->begin(), bits->end());
}

std::optional<std::vector<float>> FloatValuesOf(const Constant& constant) {
  const auto bits = BitsOfElements<uint32_t>(constant, DType::kFloat32);
  if (!bits) return std::nullopt;
  std::vector<float> values;
  for (const uint32_t element : *bits) values.push_back(BitCast<float>(element));
  return values;
}

std::string BytesOf(const std::vector<int64_t>& values) {
  std::string bytes;
  for (const int64_t value : values) AppendLittleEndian(static_cast<uint64_t>(value), 8, &bytes);
  return bytes;
}

std::string BytesOf(float value) {
  std::string bytes;
  AppendLittleEndian(BitCast<uint32_t>(value), 4, &bytes);
  return bytes;
}

}  // namespace modelshrink::onnx
