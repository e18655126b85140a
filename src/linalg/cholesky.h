// Factors of symmetric positive definite matrices, in float32, blocked over kernels/gemm.h.
//
// Matrices are n × n and row-major without gaps. Of a symmetric one only the upper triangle is
// read. The same bits on every SIMD target.
#ifndef MODELSHRINK_LINALG_CHOLESKY_H_
#define MODELSHRINK_LINALG_CHOLESKY_H_

#include <cstddef>

#include "base/status.h"
#include "kernels/gemm.h"

namespace modelshrink {

// Replaces A by the upper R of A = RᵀR; what is below the diagonal is left undefined. Returns n, or
// the first row whose pivot was not positive (or NaN): A is then not positive definite in float32
// and is left undefined.
size_t FactorUpper(size_t n, float* a, GemmWorkspace& workspace);

// Replaces an upper triangular R, whose diagonal has no zero, by its inverse; zeros below.
Status InvertUpper(size_t n, float* r, GemmWorkspace& workspace);

// Replaces H by the upper U of H⁻¹ = UᵀU; zeros below. With P the reversal of the order, PHP = RᵀR
// gives U = P(R⁻¹)ᵀP: one factorization and one triangular inverse instead of a full inverse and a
// second factorization. Returns as FactorUpper, with rows counted from the end.
StatusOr<size_t> FactorInverse(size_t n, float* h, GemmWorkspace& workspace);

// y[i] += x[i] · factor, product and sum rounded to float64; x and y do not overlap.
void AddScaled(double factor, const float* x, size_t size, double* y);

// Solves RᵀR x = b in place; x has n elements. Sums are in float64.
void SolveFactored(size_t n, const float* r, double* x);

}  // namespace modelshrink

#endif  // MODELSHRINK_LINALG_CHOLESKY_H_
