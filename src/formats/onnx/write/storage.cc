// Weights dequantized by ordinary nodes, which runtimes fold when they load the model:
//   linear     Cast(codes) [- zero point] * scale, with one scale for the tensor or for each index
//   of
//              an axis
//   in blocks  the same on the weight flattened to [blocks, block_size], the last block
//   zero-padded;
//              4-bit codes are a uint8 constant [bytes], taken apart by a look into a table of each
//              byte's two codes, since operator sets before 21 have no 4-bit type: one pass at
//              load, where arithmetic takes eight. Asymmetric zero points are packed and taken
//              apart in the same way.
//   floats     Cast(codes) [* scale of float8, for each index of an axis]
#include <algorithm>
#include <string>
#include <utility>

#include "base/checked.h"
#include "base/concat.h"
#include "formats/onnx/read/data_types.h"
#include "formats/onnx/write/writers.h"
#include "formats/output_view.h"

namespace modelshrink::onnx {
namespace {

// Multidirectional broadcasting of Sub and Mul.
constexpr int64_t kFirstOpsetForLinear = 7;
// Cast with a number as `to`.
constexpr int64_t kFirstOpsetForCast = 6;
constexpr int64_t kFirstOpsetForBFloat16 = 13;
constexpr int64_t kFirstOpsetForFloat8 = 19;
// Slice takes its bounds as inputs.
constexpr int64_t kFirstOpsetWithSliceInputs = 10;

std::string CastTo(int32_t data_type, const std::string& value, Replacement* r) {
  return r->AddNode("Cast", {value}, {IntAttributeProto("to", data_type)});
}

std::string CastToFloat(const std::string& value, Replacement* r) {
  return CastTo(kTypeFloat, value, r);
}

std::string Reshape(const std::string& value, const std::vector<int64_t>& dims, Replacement* r) {
  return r->AddNode("Reshape", {value, r->SharedInts(dims)});
}

// The first `size` elements along axis 0.
std::string Head(const std::string& value, uint64_t size, Replacement* r) {
  const int64_t end = static_cast<int64_t>(size);
  if (r->document().opset < kFirstOpsetWithSliceInputs) {
    return r->AddNode("Slice", {value},
                      {IntsAttributeProto("starts", {0}), IntsAttributeProto("ends", {end})});
  }
  return r->AddNode("Slice", {value, r->SharedInts({0}), r->SharedInts({end})});
}

// uint8 [n] → float [n, 2]: each byte's low and high nibble, less `zero_point`.
std::string UnpackNibbles(const std::string& packed, int zero_point, Replacement* r) {
  std::string table;
  for (int byte = 0; byte < 256; ++byte) {
    table.push_back(static_cast<char>(byte % 16 - zero_point));
    table.push_back(static_cast<char>(byte / 16 - zero_point));
  }
  const std::string nibbles = r->Shared(OnnxTypeOf(DType::kInt8), {256, 2}, table);
  const std::string indices = CastTo(OnnxTypeOf(DType::kInt32), packed, r);
  return CastToFloat(r->AddNode("Gather", {nibbles, indices}), r);
}

std::string SubtractSymmetricZeroPoint(const std::string& codes, DType type, Replacement* r) {
  const int32_t zero_point = SymmetricZeroPoint(type);
  if (zero_point == 0) return codes;
  return r->AddNode("Sub", {codes, r->SharedFloat(static_cast<float>(zero_point))});
}

void EndInSourceType(const std::string& value, Replacement* r) {
  if (r->constant().data_type != kTypeFloat) CastTo(r->constant().data_type, value, r);
  r->NameLastNodeAfterTensor();
}

Status AddFloatNodes(const Scheme& scheme, Replacement* r) {
  const int32_t data_type = OnnxTypeOf(scheme.type);
  RETURN_IF_ERROR(r->SetJob(r->constant().dims, scheme));
  const std::string codes = r->AddPart(Part::kCodes, data_type, r->constant().dims);
  CastTo(r->constant().data_type, codes, r);
  r->NameLastNodeAfterTensor();
  r->SetDescription(std::string(NameOf(scheme.type)));
  return {};
}

// Floats without scales, too.
Status AddAxisNodes(const Tensor& tensor, const TensorSpec& spec, Replacement* r) {
  const Shape& dims = r->constant().dims;
  const int32_t data_type = OnnxTypeOf(spec.scheme.type);
  Scheme scheme = spec.scheme;
  OutputView view{.shape = dims, .dims = dims};
  const bool by_axis = scheme.granularity == Granularity::kAxis && dims.size() > 1;
  scheme.granularity = Granularity::kTensor;
  if (const auto outputs = by_axis ? OutputViewOf(tensor, dims) : std::nullopt) {
    view = *outputs;
    view.ApplyTo(&scheme);
  }
  if (!HasScales(scheme)) return AddFloatNodes(scheme, r);
  RETURN_IF_ERROR(r->SetJob(view.shape, scheme));
  std::string value = CastToFloat(r->AddPart(Part::kCodes, data_type, view.dims), r);
  const std::string scale = r->AddPart(Part::kScales, kTypeFloat, view.scale_dims);
  if (spec.scheme.symmetric) {
    value = SubtractSymmetricZeroPoint(value, spec.scheme.type, r);
  } else {
    const std::string zero_point = r->AddPart(Part::kZeroPoints, data_type, view.scale_dims);
    value = r->AddNode("Sub", {value, CastToFloat(zero_point, r)});
  }
  value = r->AddNode("Mul", {value, scale});
  if (view.dims != dims) {
    value = Reshape(value, std::vector<int64_t>(dims.begin(), dims.end()), r);
  }
  EndInSourceType(value, r);
  r->SetDescription(std::string(NameOf(spec.scheme.type)));
  return {};
}

// A flat weight in blocks of `size` elements.
struct Blocks {
  uint64_t num_elements = 0;
  uint64_t size = 0;
  uint64_t count = 0;
  DType type = DType::kUint4;  // of the codes as quantized
  bool four_bits = true;
};

StatusOr<Blocks> BlocksOf(const TensorSpec& spec, const Shape& dims) {
  if (spec.scheme.block_size == 0)
    return ArgumentError("The block size is 0; it must be 1 or more.");
  Blocks blocks;
  if (!CheckedNumElements(dims, &blocks.num_elements)) return ArgumentError("The shape overflows.");
  blocks.four_bits = BitsOf(spec.scheme.type) == 4;
  // Taken apart by arithmetic on bytes, the signed and the unsigned type are the same.
  blocks.type = blocks.four_bits ? DType::kUint4 : spec.scheme.type;
  blocks.size = std::min<uint64_t>(spec.scheme.block_size, blocks.num_elements);
  if (blocks.four_bits) blocks.size += blocks.size % 2;
  blocks.count = DivideRoundingUp(blocks.num_elements, blocks.size);
  return blocks;
}

// → float [count, size] (symmetric: zero points subtracted).
std::string AddBlockCodes(const Blocks& blocks, bool symmetric, Replacement* r) {
  const int64_t size = static_cast<int64_t>(blocks.size);
  const uint64_t padded_bytes = blocks.count * blocks.size * BitsOf(blocks.type) / 8;
  if (!blocks.four_bits) {
    const std::string codes = r->AddPart(Part::kCodes, OnnxTypeOf(blocks.type),
                                         {blocks.count, blocks.size}, padded_bytes);
    const std::string value = CastToFloat(codes, r);
    return symmetric ? SubtractSymmetricZeroPoint(value, blocks.type, r) : value;
  }
  const std::string codes = r->AddPart(Part::kCodes, kTypeUint8, {padded_bytes}, padded_bytes);
  const int zero_point = symmetric ? SymmetricZeroPoint(blocks.type) : 0;
  return Reshape(UnpackNibbles(codes, zero_point, r), {-1, size}, r);
}

// → float [count, 1].
std::string AddBlockZeroPoints(const Blocks& blocks, Replacement* r) {
  if (!blocks.four_bits) {
    const std::string zero_points =
        r->AddPart(Part::kZeroPoints, OnnxTypeOf(blocks.type), {blocks.count, 1});
    return CastToFloat(zero_points, r);
  }
  const uint64_t num_bytes = DivideRoundingUp(blocks.count, 2);
  const std::string packed = r->AddPart(Part::kZeroPoints, kTypeUint8, {num_bytes});
  const std::string value = Reshape(UnpackNibbles(packed, 0, r), {-1, 1}, r);
  return blocks.count % 2 == 0 ? value : Head(value, blocks.count, r);
}

Status AddBlockNodes(const TensorSpec& spec, Replacement* r) {
  const Shape& dims = r->constant().dims;
  ASSIGN_OR_RETURN(const Blocks blocks, BlocksOf(spec, dims));
  Scheme scheme = spec.scheme;
  scheme.type = blocks.type;
  scheme.granularity = Granularity::kBlock;
  scheme.block_size = static_cast<uint32_t>(blocks.size);
  RETURN_IF_ERROR(r->SetJob({blocks.num_elements}, scheme));
  std::string value = AddBlockCodes(blocks, scheme.symmetric, r);
  const std::string scale = r->AddPart(Part::kScales, kTypeFloat, {blocks.count, 1});
  if (!scheme.symmetric) value = r->AddNode("Sub", {value, AddBlockZeroPoints(blocks, r)});
  value = r->AddNode("Mul", {value, scale});
  if (blocks.num_elements % blocks.size != 0) {
    value = Head(Reshape(value, {-1}, r), blocks.num_elements, r);
  }
  EndInSourceType(Reshape(value, std::vector<int64_t>(dims.begin(), dims.end()), r), r);
  r->SetDescription(Concat({NameOf(spec.scheme.type), " block ", blocks.size}));
  if (spec.scheme.granularity != Granularity::kBlock) r->AddReason(ReasonCode::k4BitsInBlocks);
  return {};
}

}  // namespace

std::optional<Reason> NeedsOpset(std::string_view what, int64_t needed, const Document& document) {
  if (document.opset >= needed) return std::nullopt;
  return Reason(ReasonCode::kNeedsOpset, {what, needed, document.opset});
}

std::optional<Reason> StorageObstacle(const Rewriter& rewriter, size_t tensor,
                                      const TensorSpec& spec) {
  const Document& document = rewriter.document();
  if (IsLinear(spec.scheme.type))
    return NeedsOpset(NameOf(spec.scheme.type), kFirstOpsetForLinear, document);
  if (!IsNarrowFloat(spec.scheme.type))
    return Reason(ReasonCode::kNoWeightType, {NameOf(spec.scheme.type)});
  if (spec.scheme.type == rewriter.model().tensors[tensor].scheme.type) {
    return Reason(ReasonCode::kIsAlready, {NameOf(spec.scheme.type)});
  }
  int64_t needed = kFirstOpsetForCast;
  if (spec.scheme.type == DType::kBFloat16) needed = kFirstOpsetForBFloat16;
  if (BitsOf(spec.scheme.type) == 8) needed = kFirstOpsetForFloat8;
  return NeedsOpset(NameOf(spec.scheme.type), needed, document);
}

StatusOr<Replacement> MakeStorage(const Rewriter& rewriter, size_t tensor, const TensorSpec& spec) {
  Replacement replacement(rewriter, tensor);
  const bool blocks =
      IsLinear(spec.scheme.type) &&
      (spec.scheme.granularity == Granularity::kBlock || BitsOf(spec.scheme.type) == 4);
  if (blocks) {
    RETURN_IF_ERROR(AddBlockNodes(spec, &replacement));
  } else {
    RETURN_IF_ERROR(AddAxisNodes(rewriter.model().tensors[tensor], spec, &replacement));
  }
  return replacement;
}

}  // namespace modelshrink::onnx
