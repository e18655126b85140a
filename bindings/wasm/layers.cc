#include "layers.h"

#include <algorithm>
#include <utility>

#include "arrays.h"
#include "base/checked.h"
#include "calibrated/error_feedback.h"
#include "calibrated/layer.h"
#include "calibrated/obc.h"
#include "calibrated/refit.h"
#include "calibrated/wanda.h"
#include "kernels/mask.h"
#include "linalg/gram.h"
#include "values.h"

namespace modelshrink::wasm {
namespace {

enum class Method : uint8_t { kWanda, kFeedback, kObc, kRefit };
constexpr Word<Method> kMethods[] = {{"wanda", Method::kWanda},
                                     {"feedback", Method::kFeedback},
                                     {"obc", Method::kObc},
                                     {"refit", Method::kRefit}};
constexpr Word<PruneTarget::Kind> kTargets[] = {{"none", PruneTarget::Kind::kNone},
                                                {"count", PruneTarget::Kind::kCount},
                                                {"n:m", PruneTarget::Kind::kNofM}};

StatusOr<LayerShape> LayerFrom(const val& object) {
  LayerShape shape;
  ASSIGN_OR_RETURN(shape.rows, Uint32From(object, "rows"));
  ASSIGN_OR_RETURN(shape.columns, Uint32From(object, "columns"));
  ASSIGN_OR_RETURN(shape.inputs_first, BoolFrom(object, "inputsFirst"));
  return shape;
}

StatusOr<InputMoments> MomentsFrom(const val& object) {
  InputMoments moments;
  ASSIGN_OR_RETURN(moments.sums, HeapArrayFrom<const float>(object, "sums"));
  ASSIGN_OR_RETURN(moments.num_samples, IntegerFrom(object["samples"], "samples", kMaxInteger));
  return moments;
}

StatusOr<PruneTarget> TargetFrom(const val& object) {
  PruneTarget target;
  ASSIGN_OR_RETURN(target.kind, WordFrom(object, "target", kTargets));
  if (target.kind == PruneTarget::Kind::kCount) {
    ASSIGN_OR_RETURN(target.count, IntegerFrom(object["count"], "count", kMaxInteger));
  } else if (target.kind == PruneTarget::Kind::kNofM) {
    ASSIGN_OR_RETURN(target.n, Uint32From(object, "n"));
    ASSIGN_OR_RETURN(target.m, Uint32From(object, "m"));
  }
  return target;
}

// CoreLayerFit, the parts that all methods have.
struct Fit {
  LayerShape shape;
  std::span<float> weights;
  std::span<uint8_t> mask;
};

StatusOr<Fit> FitFrom(const val& object) {
  Fit fit;
  ASSIGN_OR_RETURN(fit.shape, LayerFrom(object));
  ASSIGN_OR_RETURN(fit.weights, HeapArrayFrom<float>(object, "weights"));
  ASSIGN_OR_RETURN(fit.mask, HeapArrayFrom<uint8_t>(object, "mask"));
  return fit;
}

Status RunWanda(const val& object, const Fit& fit) {
  ASSIGN_OR_RETURN(const auto norms, HeapArrayFrom<const float>(object, "norms"));
  ASSIGN_OR_RETURN(const PruneTarget target, TargetFrom(object));
  RETURN_IF_ERROR(MaskByWanda(fit.shape, fit.weights, norms, target, fit.mask));
  ApplyMask(fit.weights, fit.mask, fit.weights);
  return {};
}

Status RunFeedback(const val& object, const Fit& fit, double damping, val* result) {
  FeedbackOptions options = {.damping = damping};
  ASSIGN_OR_RETURN(options.prune, TargetFrom(object));
  ASSIGN_OR_RETURN(options.act_order, BoolFrom(object, "actOrder"));
  ASSIGN_OR_RETURN(options.static_groups, BoolFrom(object, "staticGroups"));
  ASSIGN_OR_RETURN(const InputMoments moments, MomentsFrom(object));
  const val given = object["scheme"];
  Scheme scheme;
  if (!given.isUndefined()) {
    ASSIGN_OR_RETURN(scheme, SchemeFrom(given));
    options.scheme = &scheme;
  }
  ASSIGN_OR_RETURN(const FeedbackResult found,
                   RunErrorFeedback(fit.shape, fit.weights, moments, options));
  result->set("damping", found.damping);
  if (found.mask.size() > 0) {
    if (fit.mask.size() != found.mask.size()) {
      return ArgumentError("the mask must be as long as the weights");
    }
    std::copy_n(found.mask.data(), found.mask.size(), fit.mask.begin());
  }
  if (options.scheme == nullptr) return {};
  const Shape lies = fit.shape.inputs_first ? Shape{fit.shape.columns, fit.shape.rows}
                                            : Shape{fit.shape.rows, fit.shape.columns};
  ASSIGN_OR_RETURN(QuantizedArray quantized,
                   QuantizeArray(fit.weights, lies, scheme, found.params.span()));
  *result = QuantizedOf(std::move(quantized));
  result->set("damping", found.damping);
  return {};
}

Status RunObc(const val& object, const Fit& fit, double damping, val* result) {
  ASSIGN_OR_RETURN(const PruneTarget target, TargetFrom(object));
  ASSIGN_OR_RETURN(const InputMoments moments, MomentsFrom(object));
  ASSIGN_OR_RETURN(const double used,
                   PruneByObc(fit.shape, fit.weights, moments, target, damping, fit.mask));
  result->set("damping", used);
  return {};
}

Status RunRefit(const val& object, const Fit& fit, double damping, val* result) {
  RefitOptions options = {.damping = damping};
  ASSIGN_OR_RETURN(options.cross_sums, HeapArrayFrom<const float>(object, "crossSums"));
  ASSIGN_OR_RETURN(const InputMoments moments, MomentsFrom(object));
  ASSIGN_OR_RETURN(const double used,
                   RefitMasked(fit.shape, fit.weights, fit.mask, moments, options));
  result->set("damping", used);
  return {};
}

Status RunFit(const val& object, val* result) {
  RETURN_IF_ERROR(CheckObject(object, "layer"));
  ASSIGN_OR_RETURN(const Method method, WordFrom(object, "method", kMethods));
  ASSIGN_OR_RETURN(const Fit fit, FitFrom(object));
  if (method == Method::kWanda) return RunWanda(object, fit);
  ASSIGN_OR_RETURN(const double damping, NumberFrom(object, "damping"));
  if (method == Method::kFeedback) return RunFeedback(object, fit, damping, result);
  return method == Method::kObc ? RunObc(object, fit, damping, result)
                                : RunRefit(object, fit, damping, result);
}

StatusOr<ConvGeometry> GeometryFrom(const val& object) {
  RETURN_IF_ERROR(CheckObject(object, "geometry"));
  ConvGeometry g;
  const std::pair<const char*, size_t*> members[] = {{"channels", &g.channels},
                                                     {"height", &g.height},
                                                     {"width", &g.width},
                                                     {"kernelHeight", &g.kernel_height},
                                                     {"kernelWidth", &g.kernel_width},
                                                     {"strideY", &g.stride_y},
                                                     {"strideX", &g.stride_x},
                                                     {"dilationY", &g.dilation_y},
                                                     {"dilationX", &g.dilation_x},
                                                     {"padTop", &g.pad_top},
                                                     {"padLeft", &g.pad_left},
                                                     {"padBottom", &g.pad_bottom},
                                                     {"padRight", &g.pad_right}};
  for (const auto& [name, member] : members) {
    ASSIGN_OR_RETURN(*member, Uint32From(object, name));
  }
  RETURN_IF_ERROR(CheckConvGeometry(g));
  return g;
}

Status Im2ColInto(const val& object, const val& image, double first, double step, const val& out) {
  ASSIGN_OR_RETURN(const ConvGeometry g, GeometryFrom(object));
  ASSIGN_OR_RETURN(const auto pixels, HeapBytesFrom(image, "image"));
  ASSIGN_OR_RETURN(const auto rows, HeapBytesFrom(out, "out"));
  const uint64_t places = uint64_t{g.OutputHeight()} * g.OutputWidth();
  ASSIGN_OR_RETURN(const uint64_t begin, IntegerFrom(first, "first", places));
  ASSIGN_OR_RETURN(const uint64_t stride, IntegerFrom(step, "step", UINT32_MAX));
  const uint64_t row_bytes = g.Columns() * sizeof(float);
  const uint64_t num_rows = rows.size() / row_bytes;
  uint64_t image_bytes, span;
  if (!CheckedMul(g.channels * sizeof(float), uint64_t{g.height} * g.width, &image_bytes) ||
      pixels.size() != image_bytes || rows.size() % row_bytes != 0 ||
      !CheckedMul(num_rows, stride, &span) || stride == 0 ||
      (num_rows > 0 && !RangeFits(begin, span - stride + 1, places))) {
    return ArgumentError("the image or the rows do not have the convolution's size");
  }
  Im2Col(g, reinterpret_cast<const float*>(pixels.data()), static_cast<size_t>(begin),
         static_cast<size_t>(stride), static_cast<size_t>(num_rows),
         reinterpret_cast<float*>(rows.data()));
  return {};
}

Status GramInto(const val& x, double columns, const val& sums) {
  ASSIGN_OR_RETURN(const auto from, HeapBytesFrom(x, "x"));
  ASSIGN_OR_RETURN(const auto to, HeapBytesFrom(sums, "sums"));
  ASSIGN_OR_RETURN(const uint64_t width, IntegerFrom(columns, "columns", UINT32_MAX));
  ASSIGN_OR_RETURN(GemmWorkspace workspace, GemmWorkspace::Create());
  return AddToGram({reinterpret_cast<const float*>(from.data()), from.size() / sizeof(float)},
                   static_cast<size_t>(width),
                   {reinterpret_cast<float*>(to.data()), to.size() / sizeof(float)}, workspace);
}

Status ErrorsInto(const val& object, val* result) {
  ASSIGN_OR_RETURN(const LayerShape shape, LayerFrom(object));
  ASSIGN_OR_RETURN(const auto weights, HeapArrayFrom<const float>(object, "weights"));
  ASSIGN_OR_RETURN(const auto approximation, HeapArrayFrom<const float>(object, "approximation"));
  ASSIGN_OR_RETURN(const InputMoments moments, MomentsFrom(object));
  ASSIGN_OR_RETURN(const LayerError found, LayerErrorOf(shape, weights, approximation, moments));
  // Not "error", which would be a CoreError.
  result->set("squaredError", found.error);
  result->set("power", found.power);
  return {};
}

Status CorrectionInto(const val& object) {
  ASSIGN_OR_RETURN(const LayerShape shape, LayerFrom(object));
  ASSIGN_OR_RETURN(const auto weights, HeapArrayFrom<const float>(object, "weights"));
  ASSIGN_OR_RETURN(const auto mean, HeapArrayFrom<const float>(object, "mean"));
  ASSIGN_OR_RETURN(const auto approximation, HeapArrayFrom<const float>(object, "approximation"));
  ASSIGN_OR_RETURN(const auto approximate_mean,
                   HeapArrayFrom<const float>(object, "approximateMean"));
  ASSIGN_OR_RETURN(const auto out, HeapArrayFrom<float>(object, "out"));
  if (weights.size() != uint64_t{shape.rows} * shape.columns ||
      approximation.size() != weights.size() || mean.size() != shape.columns ||
      approximate_mean.size() != shape.columns || out.size() != shape.rows) {
    return ArgumentError("the weights, the means and the layer do not have matching sizes");
  }
  BiasCorrection(shape, weights, mean, approximation, approximate_mean, out);
  return {};
}

val Finished(const Status& status, const val& result) {
  return status.ok() ? result : ErrorOf(status);
}

}  // namespace

val AddToGramOf(const val& x, double columns, const val& sums) {
  return ResultOf(GramInto(x, columns, sums));
}

val Im2ColOf(const val& geometry, const val& image, double first, double step, const val& out) {
  return ResultOf(Im2ColInto(geometry, image, first, step, out));
}

val FitLayer(const val& request) {
  val result = val::object();
  const Status status = RunFit(request, &result);
  return Finished(status, result);
}

val LayerErrorsOf(const val& request) {
  val result = val::object();
  const Status status = ErrorsInto(request, &result);
  return Finished(status, result);
}

val BiasCorrectionOf(const val& request) { return ResultOf(CorrectionInto(request)); }

}  // namespace modelshrink::wasm
