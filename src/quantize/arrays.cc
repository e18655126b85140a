#include "quantize/arrays.h"

#include <cstring>
#include <string>

#include "base/checked.h"
#include "base/concat.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {
namespace {

Status CheckNumValues(const Shape& shape, size_t num_values) {
  uint64_t num_elements;
  if (CheckedNumElements(shape, &num_elements) && num_elements == num_values) return Status();
  return ArgumentError(
      Concat({"the shape does not have as many elements as there are values (", num_values, ")"}));
}

}  // namespace

StatusOr<QuantizedArray> QuantizeArray(std::span<const float> values, const Shape& shape,
                                       const Scheme& scheme, std::span<const LinearParams> params,
                                       bool counts_overflows) {
  RETURN_IF_ERROR(CheckNumValues(shape, values.size()));
  ASSIGN_OR_RETURN(const PartSizes sizes, PartSizesOf(scheme, shape));
  QuantizedArray array{scheme, shape, {}};
  for (size_t p = 0; p < kNumParts; ++p) {
    ASSIGN_OR_RETURN(array.parts[p], Buffer<uint8_t>::Allocate(sizes[p]));
  }
  ASSIGN_OR_RETURN(auto encoder, TensorEncoder::Create(scheme, shape,
                                                       {.error_stats = false,
                                                        .params = params,
                                                        .counts_overflows = counts_overflows}));
  while (const std::optional<ElementRange> slice = encoder->NextSlice()) {
    RETURN_IF_ERROR(encoder->Feed(
        values.subspan(static_cast<size_t>(slice->first), static_cast<size_t>(slice->count))));
    for (const PartWrite& write : encoder->writes()) {
      std::memcpy(array.parts[static_cast<size_t>(write.part)].data() + write.offset,
                  write.bytes.data(), write.bytes.size());
    }
  }
  array.num_overflows = encoder->num_overflows();
  return array;
}

Status DequantizeArray(const Scheme& scheme, const Shape& shape,
                       const std::array<std::span<const uint8_t>, kNumParts>& parts,
                       std::span<float> out) {
  RETURN_IF_ERROR(CheckNumValues(shape, out.size()));
  ASSIGN_OR_RETURN(const PartSizes sizes, PartSizesOf(scheme, shape));
  static constexpr const char* kNames[kNumParts] = {"codes", "scales", "zero points"};
  for (size_t p = 0; p < kNumParts; ++p) {
    if (parts[p].size() == sizes[p]) continue;
    return ArgumentError(Concat({"the ", kNames[p], " have ", parts[p].size(), " bytes, not the ",
                                 sizes[p], " that the shape needs"}));
  }
  ASSIGN_OR_RETURN(auto decoder, TensorDecoder::Create(scheme, shape));
  return decoder->Decode({0, out.size()}, parts, out);
}

}  // namespace modelshrink
