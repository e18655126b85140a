// Floats without their zeros, as the sparse tensors of files have them (Scheme::sparse).
#ifndef MODELSHRINK_QUANTIZE_SPARSE_ENCODER_H_
#define MODELSHRINK_QUANTIZE_SPARSE_ENCODER_H_

#include <memory>

#include "base/status.h"
#include "quantize/scheme.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {

// Values are converted as CreateNarrowFloatEncoder does, NaN and infinities as they are: what is
// stored is what was there. -0 is a zero. More or fewer entries than the scheme has are an
// IntegrityError.
StatusOr<std::unique_ptr<TensorEncoder>> CreateSparseEncoder(const Scheme& scheme,
                                                             const Shape& shape);

}  // namespace modelshrink

#endif  // MODELSHRINK_QUANTIZE_SPARSE_ENCODER_H_
