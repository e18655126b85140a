#include "layers.h"

#include <algorithm>
#include <utility>

#include "array_fields.h"
#include "base/checked.h"
#include "calibrated/fit.h"
#include "calibrated/layer.h"
#include "calibrated/wanda.h"
#include "from_js.h"
#include "kernels/mask.h"
#include "linalg/gram.h"
#include "quantize/arrays.h"
#include "to_js.h"

namespace modelshrink::wasm {
namespace {

// The codes of the last fit; JavaScript copies them out of the heap before its next call.
QuantizedArray& LastCodes() {
  static QuantizedArray codes;
  return codes;
}

Status RunWanda(const LayerFit& fit) {
  RETURN_IF_ERROR(MaskByWanda(fit.shape, fit.weights, fit.norms, fit.target, fit.mask));
  ApplyMask(fit.weights, fit.mask, fit.weights);
  return {};
}

FitOptions OptionsOf(const LayerFit& fit) {
  FitOptions options = {.damping = fit.damping,
                        .prune = fit.target,
                        .scheme = fit.scheme ? &*fit.scheme : nullptr,
                        .act_order = fit.act_order,
                        .static_groups = fit.static_groups,
                        .cross_sums = fit.cross_sums};
  if (fit.method == LayerMethod::kObc) options.method = FitMethod::kObc;
  if (fit.method == LayerMethod::kRefit) options.method = FitMethod::kRefit;
  if (fit.method == LayerMethod::kWanda) options.method = FitMethod::kWanda;
  return options;
}

StatusOr<LayerFitResult> RunFit(const val& object) {
  LastCodes() = {};
  ASSIGN_OR_RETURN(const LayerFit fit, From<LayerFit>(object, "layer"));
  LayerFitResult result;
  if (!fit.norms.empty()) {
    RETURN_IF_ERROR(RunWanda(fit));
    return result;
  }
  ASSIGN_OR_RETURN(const FitResult found,
                   FitLayer(fit.shape, fit.weights, fit.mask, fit.moments, OptionsOf(fit)));
  if (fit.method != LayerMethod::kWanda) result.damping = found.damping;
  result.is_left_out = found.is_left_out;
  if (!fit.scheme) return result;
  const Shape lies = fit.shape.inputs_first ? Shape{fit.shape.columns, fit.shape.rows}
                                            : Shape{fit.shape.rows, fit.shape.columns};
  ASSIGN_OR_RETURN(LastCodes(), QuantizeArray(fit.weights, lies, *fit.scheme, found.params.span()));
  result.codes = LastCodes().parts[0].span();
  result.scales = LastCodes().parts[1].span();
  result.zero_points = LastCodes().parts[2].span();
  return result;
}

Status Im2ColInto(const val& object, const val& image, double first, double step, const val& out) {
  ASSIGN_OR_RETURN(const auto g, From<ConvGeometry>(object, "geometry"));
  RETURN_IF_ERROR(CheckConvGeometry(g));
  ASSIGN_OR_RETURN(const auto pixels, HeapArrayFrom<const float>(image, "image"));
  ASSIGN_OR_RETURN(const auto rows, HeapArrayFrom<float>(out, "out"));
  const uint64_t places = uint64_t{g.OutputHeight()} * g.OutputWidth();
  ASSIGN_OR_RETURN(const uint64_t begin, IntegerFrom(first, "first", places));
  ASSIGN_OR_RETURN(const uint64_t stride, IntegerFrom(step, "step", UINT32_MAX));
  const uint64_t num_rows = rows.size() / g.Columns();
  uint64_t num_pixels, span;
  if (!CheckedMul(g.channels, uint64_t{g.height} * g.width, &num_pixels) ||
      pixels.size() != num_pixels || rows.size() % g.Columns() != 0 ||
      !CheckedMul(num_rows, stride, &span) || stride == 0 ||
      (num_rows > 0 && !RangeFits(begin, span - stride + 1, places))) {
    return ArgumentError("the image or the rows do not have the convolution's size");
  }
  Im2Col(g, pixels.data(), static_cast<size_t>(begin), static_cast<size_t>(stride),
         static_cast<size_t>(num_rows), rows.data());
  return {};
}

Status GramInto(const val& x, double columns, const val& sums) {
  ASSIGN_OR_RETURN(const auto from, HeapArrayFrom<const float>(x, "x"));
  ASSIGN_OR_RETURN(const auto to, HeapArrayFrom<float>(sums, "sums"));
  ASSIGN_OR_RETURN(const uint64_t width, IntegerFrom(columns, "columns", UINT32_MAX));
  ASSIGN_OR_RETURN(GemmWorkspace workspace, GemmWorkspace::Create());
  return AddToGram(from, static_cast<size_t>(width), to, workspace);
}

StatusOr<LayerError> ErrorOfLayer(const val& object) {
  ASSIGN_OR_RETURN(const auto r, From<LayerErrorRequest>(object, "layer"));
  return LayerErrorOf(r.shape, r.weights, r.approximation, r.moments);
}

Status CorrectionInto(const val& object) {
  ASSIGN_OR_RETURN(const auto r, From<BiasRequest>(object, "layer"));
  if (r.weights.size() != uint64_t{r.shape.rows} * r.shape.columns ||
      r.approximation.size() != r.weights.size() || r.mean.size() != r.shape.columns ||
      r.approximate_mean.size() != r.shape.columns || r.out.size() != r.shape.rows) {
    return ArgumentError("the weights, the means and the layer do not have matching sizes");
  }
  BiasCorrection(r.shape, r.weights, r.mean, r.approximation, r.approximate_mean, r.out);
  return {};
}

}  // namespace

val AddToGramOf(const val& x, double columns, const val& sums) {
  return ResultOf(GramInto(x, columns, sums));
}

val Im2ColOf(const val& geometry, const val& image, double first, double step, const val& out) {
  return ResultOf(Im2ColInto(geometry, image, first, step, out));
}

val FitLayer(const val& request) { return ResultOf(RunFit(request)); }

val LayerErrorsOf(const val& request) { return ResultOf(ErrorOfLayer(request)); }

val BiasCorrectionOf(const val& request) { return ResultOf(CorrectionInto(request)); }

}  // namespace modelshrink::wasm
