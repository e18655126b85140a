// Weights dequantized by ordinary nodes, which runtimes fold when they load the model:
//   linear     Cast(codes) [- zero point] * scale, with one scale for the tensor or for each index
//   of
//              an axis
//   in blocks  the same on the weight as [blocks, block_size, n], whose blocks run along the inputs
//              of each output (n: what comes after them; without it where that is 1). Where
//              blocks do not divide the inputs, it is [m, inputs, n], and Tile, Reshape and Slice
//              give each element its scale.
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

// The first `size` elements along an axis.
std::string Head(const std::string& value, int64_t axis, uint64_t size, Replacement* r) {
  const int64_t end = static_cast<int64_t>(size);
  if (r->document().opset < kFirstOpsetWithSliceInputs) {
    return r->AddNode("Slice", {value},
                      {IntsAttributeProto("axes", {axis}), IntsAttributeProto("starts", {0}),
                       IntsAttributeProto("ends", {end})});
  }
  return r->AddNode("Slice",
                    {value, r->SharedInts({0}), r->SharedInts({end}), r->SharedInts({axis})});
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

// A weight as [outer, length, inner], in blocks along `length`: of the inputs of each output.
struct Blocks {
  uint64_t outer = 1;
  uint64_t length = 1;
  uint64_t inner = 1;
  uint64_t size = 1;           // of a block; the last one of a line may be shorter
  uint64_t lines = 1;          // of blocks: outer * blocks a line
  DType type = DType::kUint4;  // of the codes as quantized
  bool four_bits = true;

  bool is_ragged() const { return length % size != 0; }
  uint64_t num_elements() const { return outer * length * inner; }
  uint64_t num_scales() const { return lines * inner; }
  // `rows` and `columns` of each index of `inner`.
  Shape Dims(uint64_t rows, uint64_t columns) const {
    return inner == 1 ? Shape{rows, columns} : Shape{rows, columns, inner};
  }
  Shape ScaleDims() const { return Dims(lines, 1); }
  Shape ValueDims() const { return is_ragged() ? Dims(outer, length) : Dims(lines, size); }
};

// The longer of the runs of inputs before and behind the outputs is cut into blocks.
void SetLines(const OutputView& view, Blocks* blocks) {
  const uint64_t before = view.NumBefore(), behind = view.NumBehind();
  const uint64_t num_outputs = view.shape[view.axis];
  if (before >= behind) {
    *blocks = {view.num_matrices, before, num_outputs * behind};
  } else {
    *blocks = {view.num_matrices * before * num_outputs, behind, 1};
  }
}

StatusOr<Blocks> BlocksOf(const Tensor& tensor, const TensorSpec& spec, const Shape& dims) {
  if (spec.scheme.block_size == 0)
    return ArgumentError("The block size is 0; it must be 1 or more.");
  Blocks blocks;
  if (!CheckedNumElements(dims, &blocks.length)) return ArgumentError("The shape overflows.");
  const auto outputs = dims.size() > 1 ? OutputViewOf(tensor, dims) : std::nullopt;
  if (outputs && blocks.length > 0) SetLines(*outputs, &blocks);
  blocks.four_bits = BitsOf(spec.scheme.type) == 4;
  // Taken apart by arithmetic on bytes, the signed and the unsigned type are the same.
  blocks.type = blocks.four_bits ? DType::kUint4 : spec.scheme.type;
  blocks.size =
      std::clamp<uint64_t>(spec.scheme.block_size, 1, std::max<uint64_t>(blocks.length, 1));
  blocks.lines = blocks.outer * DivideRoundingUp(blocks.length, blocks.size);
  return blocks;
}

std::string ReshapeTo(const std::string& value, const Shape& dims, Replacement* r) {
  return Reshape(value, std::vector<int64_t>(dims.begin(), dims.end()), r);
}

// A part of `count` 4-bit codes → float, in `dims`.
std::string AddNibbles(Part part, uint64_t count, const Shape& dims, int zero_point,
                       Replacement* r) {
  const std::string packed = r->AddPart(part, kTypeUint8, {DivideRoundingUp(count, 2)});
  std::string value = UnpackNibbles(packed, zero_point, r);
  if (count % 2 != 0) value = Head(Reshape(value, {-1}, r), 0, count, r);
  return ReshapeTo(value, dims, r);
}

// → float in Blocks::ValueDims (symmetric: zero points subtracted).
std::string AddBlockCodes(const Blocks& blocks, bool symmetric, Replacement* r) {
  const Shape dims = blocks.ValueDims();
  if (blocks.four_bits) {
    const int zero_point = symmetric ? SymmetricZeroPoint(blocks.type) : 0;
    return AddNibbles(Part::kCodes, blocks.num_elements(), dims, zero_point, r);
  }
  const std::string value = CastToFloat(r->AddPart(Part::kCodes, OnnxTypeOf(blocks.type), dims), r);
  return symmetric ? SubtractSymmetricZeroPoint(value, blocks.type, r) : value;
}

// → float in Blocks::ScaleDims.
std::string AddBlockZeroPoints(const Blocks& blocks, Replacement* r) {
  const Shape dims = blocks.ScaleDims();
  if (blocks.four_bits) return AddNibbles(Part::kZeroPoints, blocks.num_scales(), dims, 0, r);
  return CastToFloat(r->AddPart(Part::kZeroPoints, OnnxTypeOf(blocks.type), dims), r);
}

// What there is one of for each block, to broadcast against Blocks::ValueDims. Shorter blocks among
// longer ones are no axis, so each element gets its own.
std::string Spread(const std::string& value, const Blocks& blocks, Replacement* r) {
  if (!blocks.is_ragged()) return value;
  const Shape repeats = blocks.Dims(1, blocks.size);
  std::vector<int64_t> tiles(repeats.begin(), repeats.end());
  if (tiles.size() > 2) tiles[2] = 1;
  const std::string all = r->AddNode("Tile", {value, r->SharedInts(tiles)});
  const uint64_t padded = blocks.lines / blocks.outer * blocks.size;
  return Head(ReshapeTo(all, blocks.Dims(blocks.outer, padded), r), 1, blocks.length, r);
}

Status AddBlockNodes(const Tensor& tensor, const TensorSpec& spec, Replacement* r) {
  const Shape& dims = r->constant().dims;
  ASSIGN_OR_RETURN(const Blocks blocks, BlocksOf(tensor, spec, dims));
  Scheme scheme = spec.scheme;
  scheme.type = blocks.type;
  scheme.granularity = Granularity::kBlock;
  scheme.block_size = static_cast<uint32_t>(blocks.size);
  scheme.count = blocks.inner > 1 ? blocks.inner : 0;
  Shape shape = blocks.Dims(blocks.outer, blocks.length);
  if (blocks.outer == 1 && blocks.inner > 1) shape.erase(shape.begin());
  RETURN_IF_ERROR(r->SetJob(std::move(shape), scheme));
  std::string value = AddBlockCodes(blocks, scheme.symmetric, r);
  const std::string scale = r->AddPart(Part::kScales, kTypeFloat, blocks.ScaleDims());
  if (!scheme.symmetric) {
    value = r->AddNode("Sub", {value, Spread(AddBlockZeroPoints(blocks, r), blocks, r)});
  }
  value = r->AddNode("Mul", {value, Spread(scale, blocks, r)});
  EndInSourceType(ReshapeTo(value, dims, r), r);
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
    RETURN_IF_ERROR(AddBlockNodes(rewriter.model().tensors[tensor], spec, &replacement));
  } else {
    RETURN_IF_ERROR(AddAxisNodes(rewriter.model().tensors[tensor], spec, &replacement));
  }
  return replacement;
}

}  // namespace modelshrink::onnx
