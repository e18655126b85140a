#include "formats/gguf/types.h"

#include <iterator>

namespace modelshrink::gguf {
namespace {

// By id; those without a name were removed from ggml.
constexpr TensorType kTypes[] = {
    {"F32", 1, 4, DType::kFloat32},
    {"F16", 1, 2, DType::kFloat16},
    {"Q4_0", 32, 18, DType::kQ4_0},
    {"Q4_1", 32, 20, DType::kQ4_1},
    {},
    {},
    {"Q5_0", 32, 22, DType::kQ5_0},
    {"Q5_1", 32, 24, DType::kQ5_1},
    {"Q8_0", 32, 34, DType::kQ8_0},
    {"Q8_1", 32, 36},
    {"Q2_K", 256, 84},
    {"Q3_K", 256, 110},
    {"Q4_K", 256, 144},
    {"Q5_K", 256, 176},
    {"Q6_K", 256, 210},
    {"Q8_K", 256, 292},
    {"IQ2_XXS", 256, 66},
    {"IQ2_XS", 256, 74},
    {"IQ3_XXS", 256, 98},
    {"IQ1_S", 256, 50},
    {"IQ4_NL", 32, 18},
    {"IQ3_S", 256, 110},
    {"IQ2_S", 256, 82},
    {"IQ4_XS", 256, 136},
    {"I8", 1, 1, DType::kInt8},
    {"I16", 1, 2, DType::kInt16},
    {"I32", 1, 4, DType::kInt32},
    {"I64", 1, 8, DType::kInt64},
    {"F64", 1, 8, DType::kFloat64},
    {"IQ1_M", 256, 56},
    {"BF16", 1, 2, DType::kBFloat16},
    {},
    {},
    {},
    {"TQ1_0", 256, 54},
    {"TQ2_0", 256, 66},
    {},
    {},
    {},
    {"MXFP4", 32, 17},
    {"NVFP4", 64, 36},
    {"Q1_0", 128, 18},
    {"Q2_0", 64, 18},
};

}  // namespace

const TensorType* TypeOf(uint32_t id) {
  return id < std::size(kTypes) && kTypes[id].elements > 0 ? &kTypes[id] : nullptr;
}

bool IsRemovedType(uint32_t id) { return id < std::size(kTypes) && kTypes[id].elements == 0; }

uint32_t IdOf(DType type) {
  for (uint32_t id = 0; id < std::size(kTypes); ++id) {
    if (kTypes[id].dtype == type) return id;
  }
  return 0;
}

uint32_t FileTypeOf(DType type) {
  switch (type) {
    case DType::kFloat16:
      return 1;
    case DType::kQ4_0:
      return 2;
    case DType::kQ4_1:
      return 3;
    case DType::kQ8_0:
      return 7;
    case DType::kQ5_0:
      return 8;
    case DType::kQ5_1:
      return 9;
    case DType::kBFloat16:
      return 32;
    default:
      return 0;  // all float32
  }
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
