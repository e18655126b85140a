#include "quantize/tensor_codec.h"

#include <algorithm>

#include "quantize/blockwise_codec.h"
#include "quantize/ggml_codec.h"
#include "quantize/linear_codec.h"
#include "quantize/narrow_float.h"
#include "quantize/sparse_encoder.h"
#include "quantize/tfjs_codec.h"

namespace modelshrink {
namespace {

// The linear codecs may divide by any dimension: no elements, nothing to do.
bool IsEmpty(const Shape& shape) {
  return std::find(shape.begin(), shape.end(), uint64_t{0}) != shape.end();
}

Scheme EmptyScheme() {
  Scheme scheme;
  scheme.type = DType::kUint8;
  return scheme;
}

}  // namespace

StatusOr<std::unique_ptr<TensorEncoder>> TensorEncoder::Create(const Scheme& scheme,
                                                               const Shape& shape,
                                                               const EncoderOptions& options) {
  ASSIGN_OR_RETURN(const PartSizes sizes, PartSizesOf(scheme, shape));
  if (!options.params.empty() &&
      (scheme.rule == LinearRule::kTfjs ||
       options.params.size() * sizeof(float) != sizes[static_cast<size_t>(Part::kScales)])) {
    return ArgumentError("there must be parameters for each group of the scheme");
  }
  if (scheme.sparse != SparseCoding::kNone) return CreateSparseEncoder(scheme, shape);
  if (IsGgmlBlock(scheme.type)) return CreateGgmlEncoder(scheme, shape, options);
  if (!IsLinear(scheme.type)) return CreateNarrowFloatEncoder(scheme, shape, options);
  if (IsEmpty(shape)) return CreateRunEncoder(EmptyScheme(), RunGeometry(), options);
  if (scheme.transposed) return CreateTransposedEncoder(scheme, shape, options);
  if (scheme.rule == LinearRule::kTfjs) return CreateTfjsEncoder(scheme, shape, options);
  return CreateLinearEncoder(scheme, shape, options);
}

StatusOr<std::unique_ptr<TensorDecoder>> TensorDecoder::Create(const Scheme& scheme,
                                                               const Shape& shape) {
  ASSIGN_OR_RETURN(const PartSizes sizes, PartSizesOf(scheme, shape));
  (void)sizes;
  if (scheme.sparse != SparseCoding::kNone) {
    return UnsupportedError("sparse tensors are only written");
  }
  if (IsGgmlBlock(scheme.type)) return CreateGgmlDecoder(scheme, shape);
  if (!IsLinear(scheme.type)) return CreateNarrowFloatDecoder(scheme, shape);
  if (IsEmpty(shape)) return CreateLinearDecoder(EmptyScheme(), {0});
  if (scheme.transposed) return CreateTransposedDecoder(scheme, shape);
  if (scheme.rule == LinearRule::kTfjs) return CreateTfjsDecoder(scheme, shape);
  return CreateLinearDecoder(scheme, shape);
}

}  // namespace modelshrink
