// A linear layer y = Wx whose inputs' second moments are known, and what changing W does to y.
//
// W is [rows, columns]: a row an output, a column an input. The weights lie as models have them:
// row by row (Conv, Gemm with transB) or column by column (`inputs_first`: MatMul's [K, N]).
#ifndef MODELSHRINK_CALIBRATED_LAYER_H_
#define MODELSHRINK_CALIBRATED_LAYER_H_

#include <cstddef>
#include <span>

#include "base/buffer.h"
#include "base/status.h"
#include "kernels/gemm.h"

namespace modelshrink {

struct LayerShape {
  size_t rows = 0;
  size_t columns = 0;
  bool inputs_first = false;

  size_t NumWeights() const { return rows * columns; }
  size_t IndexOf(size_t row, size_t column) const {
    return inputs_first ? column * rows + row : row * columns + column;
  }
};

// XᵀX over `num_samples` rows of inputs (linalg/gram.h): an upper triangle with zeros below.
struct InputMoments {
  std::span<const float> sums;
  uint64_t num_samples = 0;
  // Some of these rows, by which a fit is judged (fit.h): [count, columns]. Empty: it is not.
  std::span<const float> held_out;
  // What the same rows were before the inputs changed (FitOptions::cross_sums); empty where they
  // did not.
  std::span<const float> held_out_before;
};

// An ArgumentError when sizes contradict each other, the layer is empty or there are no samples,
// or a weight or a sum is not finite.
Status CheckLayer(const LayerShape& shape, std::span<const float> weights,
                  const InputMoments& moments);

// Copies the weights column by column, and back.
void ToInputsFirst(const LayerShape& shape, std::span<const float> weights, std::span<float> out);
void FromInputsFirst(const LayerShape& shape, std::span<const float> from,
                     std::span<float> weights);

// H = sums / num_samples, with damping · (mean of its diagonal) added to the diagonal. Inputs that
// were never seen (0 on the diagonal) get the mean itself: they are independent of the others. The
// upper triangle; zeros below.
StatusOr<Buffer<float>> DampedHessian(size_t columns, const InputMoments& moments, double damping);

// Singular moments (fewer samples than columns, copies of a column) may need more damping than was
// asked for: it grows until a factorization succeeds, at most to kMaxDamping.
inline constexpr double kMaxDamping = 100;
Status CheckDamping(double damping);
double MoreDamping(double damping);
Status NotInvertibleError();

// The upper U of H⁻¹ = UᵀU.
struct InverseFactor {
  Buffer<float> u;
  double damping = 0;  // that was needed: at least what was asked
};

// `order`: column j of U is input order[j]; empty: as they are. An UnsupportedError when no damping
// helps.
StatusOr<InverseFactor> InverseFactorOf(size_t columns, const InputMoments& moments, double damping,
                                        std::span<const uint32_t> order, GemmWorkspace& workspace);

// E‖Wx − Ŵx‖² and E‖Wx‖², per sample, in float64 over products in float32.
struct LayerError {
  double error = 0;
  double power = 0;
};
StatusOr<LayerError> LayerErrorOf(const LayerShape& shape, std::span<const float> weights,
                                  std::span<const float> approximation,
                                  const InputMoments& moments);

// W·mean − Ŵ·approximate_mean: what to add to the bias so that the mean output stays, where the
// layer's inputs may have changed, too. `out` has a float a row.
void BiasCorrection(const LayerShape& shape, std::span<const float> weights,
                    std::span<const float> mean, std::span<const float> approximation,
                    std::span<const float> approximate_mean, std::span<float> out);

}  // namespace modelshrink

#endif  // MODELSHRINK_CALIBRATED_LAYER_H_
