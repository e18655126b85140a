#include "base/dtype.h"

#include "base/checked.h"

namespace modelshrink {

std::optional<DType> DTypeFromName(std::string_view name) {
  for (size_t i = 0; i < kNumDTypes; ++i) {
    if (kNumberTypes[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

uint32_t BitsOf(DType type) {
  const TypeBlock block = BlockOf(type);
  return block.elements == 1 || block.elements == 2 ? block.bytes * 8 / block.elements : 0;
}

bool CheckedBytesOf(DType type, uint64_t num_elements, uint64_t* size_bytes) {
  const TypeBlock block = BlockOf(type);
  if (block.elements == 0) return false;
  return CheckedMul(DivideRoundingUp(num_elements, block.elements), block.bytes, size_bytes);
}

}  // namespace modelshrink
