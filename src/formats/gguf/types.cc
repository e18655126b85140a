#include "formats/gguf/types.h"

#include <array>
#include <iterator>

namespace modelshrink::gguf {
namespace {

struct Row {
  uint32_t id;
  TensorType type;
};

constexpr Row kCopiedTypes[] = {
#define GGML_TYPE(name, elements, bytes, ggml) {ggml, {name, {elements, bytes}}},
#include "base/number_types.def"
#undef GGML_TYPE
};
constexpr uint32_t kLastId = 42;

// By id; those without elements were removed from ggml.
constexpr std::array<TensorType, kLastId + 1> kTypes = [] {
  std::array<TensorType, kLastId + 1> types{};
  for (size_t i = 0; i < kNumDTypes; ++i) {
    const NumberType& type = kNumberTypes[i];
    if (type.ggml < 0) continue;
    types[static_cast<size_t>(type.ggml)] = {type.name, type.block, static_cast<DType>(i)};
  }
  for (const Row& row : kCopiedTypes) types[row.id] = row.type;
  return types;
}();

}  // namespace

const TensorType* TypeOf(uint32_t id) {
  return id <= kLastId && kTypes[id].block.elements > 0 ? &kTypes[id] : nullptr;
}

bool IsRemovedType(uint32_t id) { return id <= kLastId && kTypes[id].block.elements == 0; }

uint32_t IdOf(DType type, std::string_view name) {
  if (type != DType::kOther) return static_cast<uint32_t>(InfoOf(type).ggml);
  for (const Row& row : kCopiedTypes) {
    if (row.type.name == name) return row.id;
  }
  return 0;
}

std::string FileTypeName(uint64_t file_type) {
  // In the order of their numbers; "" where there is none any more.
  constexpr const char* kNames[] = {
      "F32",   "F16",     "Q4_0",      "Q4_1",   "",       "",        "",       "Q8_0",   "Q5_0",
      "Q5_1",  "Q2_K",    "Q3_K_S",    "Q3_K_M", "Q3_K_L", "Q4_K_S",  "Q4_K_M", "Q5_K_S", "Q5_K_M",
      "Q6_K",  "IQ2_XXS", "IQ2_XS",    "Q2_K_S", "IQ3_XS", "IQ3_XXS", "IQ1_S",  "IQ4_NL", "IQ3_S",
      "IQ3_M", "IQ2_S",   "IQ2_M",     "IQ4_XS", "IQ1_M",  "BF16",    "",       "",       "",
      "TQ1_0", "TQ2_0",   "MXFP4_MOE", "NVFP4",  "Q1_0",   "Q2_0"};
  const std::string name = file_type < std::size(kNames) ? kNames[file_type] : "";
  return name.empty() ? std::to_string(file_type) : name;
}

uint32_t SizeOf(ValueType type) {
  constexpr uint8_t kSizes[kNumValueTypes] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return kSizes[static_cast<uint32_t>(type)];
}

}  // namespace modelshrink::gguf
