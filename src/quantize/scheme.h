// What a quantized tensor is: its number format, how its elements share parameters, and by which
// reference's formulas those are found. Plain data; formats and pipeline pass it around.
#ifndef MODELSHRINK_QUANTIZE_SCHEME_H_
#define MODELSHRINK_QUANTIZE_SCHEME_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/dtype.h"
#include "base/status.h"

namespace modelshrink {

using Shape = std::vector<uint64_t>;

// Which elements share one scale (and zero point).
enum class Granularity : uint8_t {
  kTensor,  // all
  kAxis,    // those with the same index along `Scheme::axis`
  kBlock,   // runs of `block_size` along one axis (`Scheme::count`); the last may be shorter
};

// Whose arithmetic finds scale, zero point and code.
enum class LinearRule : uint8_t {
  // onnxruntime's python quantization tool: float64 scale rounded to float32, division, half to
  // even.
  kOnnxLinear,
  // tensorflowjs: everything in float64, x ≈ code * scale + min, half to even. kTensor, uint8 and
  // uint16 only.
  kTfjs,
  // onnxruntime's MatMulNBits "default" algorithm: signed extremum / -2^(bits-1), reciprocal
  // multiply, half away from zero.
  kOnnxBlockwise,
};

enum class NonFinite : uint8_t {
  kError,  // a NaN or an infinity is an ArgumentError that names its index
  kZero,   // it is quantized as if it were 0
};

// How zeros are left out.
enum class SparseCoding : uint8_t {
  kNone,
  kIndices,  // ONNX's sparse tensors: the flat index of each entry, as int64
  // compressed-tensors' "sparse-bitmask": a bit an element, each row filled up to bytes, and for
  // each row, as int64, how many entries come before it. Matrices only.
  kBitmask,
};

struct Scheme {
  // kFloat32: not quantized. Other floats: converted element by element, no scales; float8 with
  // kAxis: x ≈ value * scale (HasScales). Integers up to 16 bits: linear, x ≈ (code - zero_point) *
  // scale. ggml's block types (Q4_0 …): kBlock along the last axis, block_size 32; the whole block
  // is one record in kCodes.
  DType type = DType::kFloat32;
  Granularity granularity = Granularity::kTensor;
  LinearRule rule = LinearRule::kOnnxLinear;
  // kFloat16 and kBFloat16: a finite value beyond the type's range becomes its largest value of
  // that sign instead of an infinity. float8 always does so.
  bool saturate = false;
  uint32_t axis = 0;        // kAxis only
  uint32_t block_size = 0;  // kBlock only
  // Symmetric: the zero point is the middle of the code range (0 for signed types) for all
  // elements and is not stored.
  bool symmetric = true;
  // The codes are stored transposed: a [K, N] matrix in blocks along K, as [N, ceil(K/block_size),
  // block_size*bits/8] bytes (the layout of MatMulNBits, K zero-padded). kBlock and
  // kOnnxBlockwise only.
  bool transposed = false;
  NonFinite non_finite = NonFinite::kError;
  // float32, float16 and bfloat16 only: what is not zero, in order, is the codes; the indices or
  // the bits take the place of scales, and the rows' offsets that of zero points.
  SparseCoding sparse = SparseCoding::kNone;
  // Sparse: the entries that are not zero. kAxis: the tensor is so many matrices one after the
  // other, equal cuts of the axes before `axis`, each with scales of its own along it; 0 and 1: one
  // matrix. kBlock: the blocks run along the axis that has so many elements behind each of its
  // indices, and each of these has blocks of its own: [K, N] with N here has blocks along K and
  // scales [ceil(K / block_size), N]; 0 and 1: along the last axis. One field, since every tensor
  // of a model has it.
  uint64_t count = 0;
  // No scale is smaller: x is a multiple of a step that may be coarser than the type needs, so that
  // the codes are small numbers, and pack into fewer bits. 0: none. kOnnxLinear, symmetric.
  float least_scale = 0;
  // kOnnxLinear, int8 and uint8, symmetric, not in blocks: codes are chosen along a trellis
  // (kernels/trellis.h), so that the pack leaves out a bit of each. They are multiples of half a
  // step, and no scale is smaller than half the least one. See HasTrellis().
  bool trellis = false;

  uint64_t num_matrices() const {
    return granularity == Granularity::kAxis && count > 1 ? count : 1;
  }
  // How far the elements of a block are apart.
  uint64_t block_stride() const {
    return granularity == Granularity::kBlock && count > 1 ? count : 1;
  }
  bool operator==(const Scheme&) const = default;
};

// Whether elements share scales that are stored beside the codes: linear schemes, and float8 with
// kAxis, whose largest value then stands for the largest magnitude of an index along the axis.
bool HasScales(const Scheme& scheme);

// The scheme with what does not matter to its type and granularity as it is by default, so that two
// that mean the same are equal.
Scheme Canonical(const Scheme& scheme);

// Whether a tensor's codes are along a trellis: that of few elements is quantized as without, since
// the pack puts small tensors together.
inline constexpr uint64_t kMinTrellisElements = 16 * 1024;
bool HasTrellis(const Scheme& scheme, std::span<const uint64_t> shape);

// The axis that a kBlock scheme's blocks run along, the last where there are several; the number of
// axes when there is none.
size_t BlockAxisOf(const Scheme& scheme, std::span<const uint64_t> shape);

// A quantized tensor is stored in up to three pieces.
enum class Part : uint8_t { kCodes, kScales, kZeroPoints };
inline constexpr size_t kNumParts = 3;

// The zero point that a symmetric scheme does not store: 0 for signed types, the middle for others.
int32_t SymmetricZeroPoint(DType type);

// The elements of a shape whose number PartSizesOf() has checked.
uint64_t NumElements(const Shape& shape);

// Tells whether a tensor of this shape has no elements.
bool IsEmpty(const Shape& shape);

// The exact size of each part in bytes, 0 for a part that the scheme does not have. kTfjs: kScales
// is the scale and kZeroPoints the minimum, one float64 each. Otherwise scales are float32; zero
// points have the codes' type and are packed like them (transposed: each of the N rows is padded to
// a byte). An ArgumentError says which option does not fit the shape.
using PartSizes = std::array<uint64_t, kNumParts>;
StatusOr<PartSizes> PartSizesOf(const Scheme& scheme, std::span<const uint64_t> shape);

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_SCHEME_H_
