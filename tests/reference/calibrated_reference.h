// Calibrated pruning and quantization in float64, the slow and obvious way: explicit inverses, one
// weight at a time.
#ifndef MODELSHRINK_TESTS_REFERENCE_CALIBRATED_REFERENCE_H_
#define MODELSHRINK_TESTS_REFERENCE_CALIBRATED_REFERENCE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace reference {

using Matrix = std::vector<double>;  // row-major, square unless said otherwise

// By Gauss-Jordan elimination with pivoting.
Matrix Inverse(size_t n, Matrix a);
// XᵀX / rows + damping · mean diagonal; a column of zeros has the mean.
Matrix Hessian(size_t columns, const std::vector<float>& x, double damping);
// min (w − v)ᵀH(w − v) over v with zeros where mask is 0.
std::vector<double> RefitRow(size_t n, const Matrix& h, const std::vector<double>& w,
                             const std::vector<uint8_t>& mask);
// (w − v)ᵀH(w − v).
double RowError(size_t n, const Matrix& h, const std::vector<double>& w,
                const std::vector<double>& v);

// The order in which a row's weights go: each time the one whose removal, with the others fitted
// anew, raises the error least. may_go(input, mask) says whether one may go now.
struct Removal {
  size_t input;
  double cost;  // how much the error grew
};
using MayGo = std::function<bool(size_t, const std::vector<uint8_t>&)>;
std::vector<Removal> ObcOrder(size_t n, const Matrix& h, const std::vector<double>& w, size_t count,
                              const MayGo& may_go);

// Visits the inputs of one row in order: replace(j, current row) gives the new weight j; the error
// is made up for by later inputs with what minimizes the row's error.
std::vector<double> FeedbackRow(
    size_t n, const Matrix& h, std::vector<double> w,
    const std::function<double(size_t, const std::vector<double>&)>& replace);

}  // namespace reference

#endif  // MODELSHRINK_TESTS_REFERENCE_CALIBRATED_REFERENCE_H_
