// How a quantized tensor W is stored: codes in the tensor `W` itself, `W.scale` and `W.zero_point`
// beside it, and its scheme as JSON in `__metadata__` under "modelshrink.W".
#ifndef MODELSHRINK_FORMATS_SAFETENSORS_COMPANIONS_H_
#define MODELSHRINK_FORMATS_SAFETENSORS_COMPANIONS_H_

#include <array>
#include <string>
#include <string_view>

#include "base/status.h"
#include "formats/safetensors/dtypes.h"
#include "quantize/scheme.h"

namespace modelshrink::safetensors {

inline constexpr std::string_view kMetadataPrefix = "modelshrink.";
// What a part adds to the name of its tensor.
inline constexpr std::array<std::string_view, kNumParts> kPartSuffixes = {"", ".scale",
                                                                          ".zero_point"};

// The same for what compressed-tensors makes of a sparse matrix, which has no tensor `W`: its
// "sparse-bitmask", and beside it the shape.
inline constexpr std::array<std::string_view, kNumParts> kSparseSuffixes = {
    ".compressed", ".bitmask", ".row_offsets"};
inline constexpr std::string_view kSparseShapeSuffix = ".shape";

// How a part is stored.
struct StoredPart {
  Dtype dtype = Dtype::kU8;
  Shape shape;
  uint64_t size_bytes = 0;  // 0: there is none
};
using StoredParts = std::array<StoredPart, kNumParts>;

// Codes have the tensor's shape; 4-bit codes are bytes with half the last dimension, or flat if
// that is odd. Scales and zero points multiply with NumPy's broadcasting: [1], or [N, 1, …], or
// [..., number of blocks]; zero points of 4 bits are flat bytes. A float has codes only. An
// ArgumentError when the scheme does not fit the shape.
StatusOr<StoredParts> StoredPartsOf(const Scheme& scheme, const Shape& shape);

// What the metadata says about a quantized tensor.
struct SavedScheme {
  Scheme scheme;
  Shape shape;
  DType restored_type = DType::kFloat32;
};

std::string SchemeText(const SavedScheme& saved);
// Hostile; an error says what is wrong with `text`.
StatusOr<SavedScheme> ParseScheme(std::string_view text);

}  // namespace modelshrink::safetensors

#endif  // MODELSHRINK_FORMATS_SAFETENSORS_COMPANIONS_H_
