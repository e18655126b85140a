// The structs that the array functions take and give, and their lists of fields
// (array_fields.def).
#ifndef MODELSHRINK_BINDINGS_WASM_ARRAY_FIELDS_H_
#define MODELSHRINK_BINDINGS_WASM_ARRAY_FIELDS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/status.h"
#include "calibrated/layer.h"
#include "fields.h"
#include "linalg/gram.h"
#include "prune/masks.h"
#include "prune/target.h"
#include "quantize/error_stats.h"
#include "quantize/scheme.h"
#include "sparse/sparse.h"

namespace modelshrink::wasm {

// A Status that is not ok.
struct ErrorView {
  std::string_view error, message, tensor;
  std::optional<uint64_t> offset;
};

struct QuantizedSizes {
  uint64_t codes = 0, scales = 0, zero_points = 0;
};

enum class MaskPattern : uint8_t { kElements, kRuns, kChannels, kBlocks };

struct MaskRequest {
  MaskPattern pattern = MaskPattern::kElements;
  std::span<float> values;
  std::span<uint8_t> alive;
  std::span<const float> scores;
  std::optional<uint64_t> seed;
  std::span<uint8_t> mask;
  Shape shape;
  bool as_tfmot = false;
  Amount amount;
  uint32_t dim = 0;
  uint32_t n = 0, m = 0;
  Norm norm;
  uint32_t block_rows = 0, block_columns = 0;
  BlockPattern::Pooling pooling = BlockPattern::Pooling::kMean;
  uint32_t zeros_per_block = 0;
};

struct EntryCount {
  uint64_t count = 0;
};

enum class LayerMethod : uint8_t { kWanda, kFeedback, kObc, kRefit };

struct LayerFit {
  LayerShape shape;
  LayerMethod method = LayerMethod::kWanda;
  std::span<float> weights;
  std::span<uint8_t> mask;
  InputMoments moments;
  std::span<const float> norms;
  double damping = 0;
  PruneTarget target;
  std::optional<Scheme> scheme;
  bool act_order = false, static_groups = false;
  std::span<const float> cross_sums;
};

struct LayerFitResult {
  std::optional<double> damping;
  bool is_left_out = false;
  std::optional<std::span<const uint8_t>> codes, scales, zero_points;
};

struct LayerErrorRequest {
  LayerShape shape;
  InputMoments moments;
  std::span<const float> weights, approximation;
};

struct BiasRequest {
  LayerShape shape;
  std::span<const float> weights, mean, approximation, approximate_mean;
  std::span<float> out;
};

#include "array_fields.def"

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_ARRAY_FIELDS_H_
