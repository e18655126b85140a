// How much of a file the reader holds: more than any real model has.
#ifndef MODELSHRINK_FORMATS_ONNX_READ_LIMITS_H_
#define MODELSHRINK_FORMATS_ONNX_READ_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace modelshrink::onnx {

// Names, nodes and tables of a real model are a few MB at most.
inline constexpr uint64_t kMaxMetadataBytes = uint64_t{256} << 20;
inline constexpr size_t kMaxRank = 64;
inline constexpr size_t kMaxInts = 4096;
// Location, offset, length and checksum, and what writers of the file may note for themselves.
inline constexpr uint32_t kMaxExternalEntries = 64;
// Real models have one, or one for each tensor.
inline constexpr size_t kMaxExternalFiles = 4096;
// Enough for the axes and shapes of any real rank and for a scalar.
inline constexpr size_t kMaxValueBytes = 64;

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_READ_LIMITS_H_
