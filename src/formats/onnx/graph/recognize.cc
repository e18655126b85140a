#include "formats/onnx/graph/recognize.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/checked.h"
#include "formats/onnx/graph/constant_values.h"
#include "formats/onnx/graph/operators.h"
#include "formats/onnx/read/data_types.h"
#include "formats/output_view.h"

namespace modelshrink::onnx {
namespace {

constexpr size_t kCodesPart = static_cast<size_t>(Part::kCodes);
constexpr size_t kScalesPart = static_cast<size_t>(Part::kScales);
// Links of the longest chain that the writer makes, and some more.
constexpr size_t kMaxSteps = 12;
constexpr size_t kZeroPointsPart = static_cast<size_t>(Part::kZeroPoints);

// What the name of codes says about their tensor.
struct CodesName {
  std::string base;
  bool is_rows = false;
};

// "W_quantized", "W_quantized_1", "W_quantized_rows", "W_quantized_rows_1" → "W".
CodesName ParseCodesName(const std::string& codes) {
  const size_t at = codes.rfind(kCodesSuffix);
  if (at == std::string::npos || at == 0) return {codes};
  std::string_view rest = std::string_view(codes).substr(at + kCodesSuffix.size());
  const bool is_rows = rest.starts_with(kRowsSuffix);
  if (is_rows) rest.remove_prefix(kRowsSuffix.size());
  const bool is_ours =
      rest.empty() || (rest[0] == '_' && rest.find_first_not_of("0123456789", 1) == rest.npos);
  return is_ours ? CodesName{codes.substr(0, at), is_rows} : CodesName{codes};
}

std::string BaseName(const std::string& codes) { return ParseCodesName(codes).base; }

// What is subtracted from the codes when no zero points are stored.
float MiddleOf(DType type) {
  switch (type) {
    case DType::kUint4:
      return 8;
    case DType::kUint8:
      return 128;
    case DType::kUint16:
      return 32768;
    default:
      return 0;
  }
}

class Recognizer {
 public:
  Recognizer(const Document& document, const ValueGraph& graph, size_t codes)
      : document_(document), graph_(graph), codes_(document.constants[codes]) {
    type_ = DTypeOf(codes_.data_type);
    result_.constants[kCodesPart] = codes;
    result_.scheme.type = type_;
    result_.shape = codes_.dims;
  }

  std::optional<Quantized> Run() {
    const bool is_candidate =
        (IsLinear(type_) || IsNarrowFloat(type_)) && codes_.data.size != 0 && !codes_.uses.empty();
    if (!is_candidate || codes_.is_graph_output) return std::nullopt;
    const Use use = codes_.uses[0];
    const Node& node = document_.nodes[use.node];
    result_.consumer = node.op_type;
    bool found = false;
    if (node.domain == "com.microsoft") {
      result_.name = BaseName(codes_.name);
      if (node.op_type == "MatMulNBits" && use.input == 1) found = MatMulNBits(node);
      if (node.op_type == "GatherBlockQuantized" && use.input == 0) found = BlockGather(node);
    } else if (node.domain.empty()) {
      if (node.op_type == "Cast" && codes_.uses.size() == 1) found = Cast(node);
      if (node.op_type == "DequantizeLinear" && use.input == 0) found = Dequantize(node);
      if (node.op_type == "Transpose" && codes_.uses.size() == 1) found = TransposedInteger(node);
      if (use.input == 1) found = found || IntegerProduct(node, false);
    }
    if (!found || !PartsFit()) return std::nullopt;
    return std::move(result_);
  }

 private:
  // Every part is there, long enough, and there is none that the scheme does not have.
  bool PartsFit() const {
    const StatusOr<PartSizes> sizes = PartSizesOf(result_.scheme, result_.shape);
    if (!sizes.ok()) return false;
    for (size_t p = 0; p < kNumParts; ++p) {
      const size_t constant = result_.constants[p];
      const uint64_t size = constant == kNone ? 0 : document_.constants[constant].data.size;
      const uint64_t needed = sizes.value()[p];
      if (size < needed || (needed == 0) != (size == 0)) return false;
    }
    return true;
  }

  size_t ConstantOfInput(const Node& node, size_t input) const {
    const size_t value = graph_.FindInput(node, input);
    return value == kNone ? kNone : graph_.value(value).constant;
  }

  // The node that alone consumes the first output of `node`.
  const Node* OnlyUser(const Node& node) const {
    if (node.outputs.empty()) return nullptr;
    const size_t value = graph_.Find(node.graph, node.outputs[0]);
    if (value == kNone || graph_.value(value).uses.size() != 1) return nullptr;
    const Node& user = document_.nodes[graph_.value(value).uses[0].node];
    return user.domain.empty() ? &user : nullptr;
  }

  const Node* OnlyUser(const Node& node, std::string_view op_type) const {
    const Node* user = OnlyUser(node);
    return user != nullptr && user->op_type == op_type ? user : nullptr;
  }

  const Node* ProducerOfInput(const Node& node, size_t input) const {
    const size_t value = graph_.FindInput(node, input);
    if (value == kNone || graph_.value(value).producer == kNone) return nullptr;
    return &document_.nodes[graph_.value(value).producer];
  }

  bool IsInputOf(const Node& user, size_t input, const Node& node) const {
    return input < user.inputs.size() && ProducerOfInput(user, input) == &node;
  }

  std::optional<float> ScalarFloat(size_t constant) const {
    if (constant == kNone) return std::nullopt;
    const auto values = FloatValuesOf(document_.constants[constant]);
    return values && values->size() == 1 ? std::optional(values->front()) : std::nullopt;
  }

  // ---- Parameters.

  // Scales that broadcast against the codes: one, or one for each index of an axis or of several.
  // `offset` is the axis of the codes that the scales' first one belongs to.
  bool TakeScales(size_t scale, size_t offset) {
    if (scale == kNone) return false;
    const Constant& s = document_.constants[scale];
    if (DTypeOf(s.data_type) != DType::kFloat32) return false;
    result_.constants[kScalesPart] = scale;
    const Shape& dims = codes_.dims;
    if (offset + s.dims.size() > dims.size()) return false;
    Shape full(offset, 1);
    full.insert(full.end(), s.dims.begin(), s.dims.end());
    full.resize(dims.size(), 1);
    return TakeFullScales(full);
  }

  bool TakeFullScales(const Shape& full) {
    const Shape& dims = codes_.dims;
    Flags is_output(dims.size());
    bool is_one = true;
    for (uint32_t i = 0; i < full.size(); ++i) {
      if (full[i] == 1) continue;
      if (full[i] != dims[i]) return false;
      is_output[i] = true;
      is_one = false;
    }
    if (is_one) return !IsFloat8(type_) || TakeOnlyOutput();
    const std::optional<OutputView> view = OutputViewOf(dims, is_output);
    // Another order of scales than a scheme has.
    if (!view || NumElements(view->scale_dims) != NumElements(full)) return false;
    view->ApplyTo(&result_.scheme);
    result_.shape = view->shape;
    return true;
  }

  // The one scale of a float8 lies along an axis of one index: that of a layer with one output.
  bool TakeOnlyOutput() {
    const Shape& dims = codes_.dims;
    const auto one = std::find(dims.begin(), dims.end(), uint64_t{1});
    result_.scheme.granularity = Granularity::kAxis;
    result_.scheme.axis = static_cast<uint32_t>(one - dims.begin());
    return one != dims.end();
  }

  // Zero points as a constant of the codes' type, or absent (0).
  bool TakeZeroPoints(size_t zero_point, bool absent_is_middle = false) {
    if (zero_point == kNone) return absent_is_middle || MiddleOf(type_) == 0;
    const Constant& z = document_.constants[zero_point];
    if (z.data_type != codes_.data_type) return false;
    if (z.value.size() == 1 && BitsOf(type_) == 8 &&
        static_cast<uint8_t>(z.value[0]) == static_cast<uint8_t>(MiddleOf(type_))) {
      return true;
    }
    result_.constants[kZeroPointsPart] = zero_point;
    result_.scheme.symmetric = false;
    return true;
  }

  // The subtrahend in float: a number, or a constant of codes behind nodes that widen and unpack
  // it.
  bool TakeSubtrahend(const Node& sub) {
    if (const std::optional<float> value = ScalarFloat(ConstantOfInput(sub, 1))) {
      return *value == MiddleOf(type_);
    }
    const Node* node = ProducerOfInput(sub, 1);
    for (size_t step = 0; node != nullptr && step < kMaxSteps; ++step) {
      const size_t input = node->op_type == "Gather" ? 1 : 0;  // 0 is the table of nibbles
      const size_t zero_point = ConstantOfInput(*node, input);
      if (zero_point == kNone) {
        node = ProducerOfInput(*node, input);
        continue;
      }
      result_.constants[kZeroPointsPart] = zero_point;
      result_.scheme.symmetric = false;
      return document_.constants[zero_point].data_type == codes_.data_type;
    }
    return false;
  }

  // ---- Forms.

  bool Cast(const Node& cast) {
    if (cast.outputs.empty()) return false;
    if (IsNarrowFloat(type_)) {
      const Node* scaled = IsFloat8(type_) ? OnlyUser(cast, "Mul") : nullptr;
      if (scaled != nullptr && !scaled->outputs.empty() && IsScaledByUs(*scaled)) {
        return Scaled(cast, false, true);
      }
      result_.name = cast.outputs[0];
      // Floats of 16 bits are weights like others, unless the writer made them.
      return IsFloat8(type_) || result_.name == BaseName(codes_.name);
    }
    const Node* nibbles = NibblesOf(cast);
    if (nibbles == nullptr) return Scaled(cast, false, MiddleOf(type_) == 0);
    type_ = result_.scheme.type = DType::kUint4;
    // The table has the zero point in it, unless zero points follow.
    return Scaled(*nibbles, true, true);
  }

  // Others may multiply what a Cast gives, too.
  bool IsScaledByUs(const Node& mul) const {
    return ConstantOfInput(mul, 1) != kNone && EndName(mul) == BaseName(codes_.name);
  }

  // value → [Slice, Reshape, of nibbles] → [Sub] → Mul. `has_zero_point`: it is subtracted already,
  // or 0.
  bool Scaled(const Node& value, bool is_nibbles, bool has_zero_point) {
    const Node* last = &value;
    const Node* next = OnlyUser(*last);
    for (size_t step = 0; step < kMaxSteps && next != nullptr && next->op_type != "Mul"; ++step) {
      if (!IsInputOf(*next, 0, *last)) return false;
      if (next->op_type == "Sub") {
        if (!TakeSubtrahend(*next)) return false;
        has_zero_point = true;
      } else if ((next->op_type != "Reshape" && next->op_type != "Slice") || !is_nibbles) {
        return false;
      }
      last = next;
      next = OnlyUser(*last);
    }
    if (next == nullptr || !has_zero_point || !IsInputOf(*next, 0, *last)) return false;
    if (next->op_type != "Mul" || next->outputs.empty()) return false;
    if (FinishBlocks(*next, BlockScalesOf(*next), is_nibbles)) return true;
    const size_t scale = ConstantOfInput(*next, 1);
    if (scale == kNone) return false;
    const Shape& scale_dims = document_.constants[scale].dims;
    if (is_nibbles || scale_dims.size() > codes_.dims.size()) return false;
    result_.name = EndName(*next);
    return TakeScales(scale, codes_.dims.size() - scale_dims.size());
  }

  // The writer casts back to a narrow source type; then the values' name is that node's.
  std::string EndName(const Node& node) const {
    const Node* end = &node;
    // What was reshaped to have its scales lie along axes gets its own shape again.
    const Node* reshape = OnlyUser(node, "Reshape");
    if (reshape != nullptr && !reshape->outputs.empty() && IsOurs(*reshape)) end = reshape;
    const Node* cast = OnlyUser(*end, "Cast");
    return cast != nullptr && !cast->outputs.empty() ? cast->outputs[0] : end->outputs[0];
  }

  // Whether the writer gives a node's output, or that of the Cast behind it, the codes' name.
  bool IsOurs(const Node& node) const {
    const std::string name = BaseName(codes_.name);
    const Node* cast = OnlyUser(node, "Cast");
    return node.outputs[0] == name ||
           (cast != nullptr && !cast->outputs.empty() && cast->outputs[0] == name);
  }

  // Whether the constant can be the writer's table of each byte's two codes. It is too large to be
  // looked at; the names of codes and weight, which FinishBlocks compares, are the writer's, too.
  bool IsTableOfNibbles(size_t table) const {
    return table != kNone && document_.constants[table].dims == Shape{256, 2} &&
           DTypeOf(document_.constants[table].data_type) == DType::kInt8;
  }

  // Cast → Gather from a table of nibbles → Cast; null when it is not that.
  const Node* NibblesOf(const Node& cast) const {
    if (type_ != DType::kUint8 || codes_.dims.size() != 1) return nullptr;
    const Node* gather = OnlyUser(cast, "Gather");
    const bool is_it = gather != nullptr && IsInputOf(*gather, 1, cast) &&
                       IntAttribute(*gather, "axis", 0) == 0 &&
                       IsTableOfNibbles(ConstantOfInput(*gather, 0));
    return is_it ? OnlyUser(*gather, "Cast") : nullptr;
  }

  // Scales of the writer's blocks.
  struct BlockScales {
    size_t constant = kNone;
    // Where blocks are ragged: their size, and how many lines of them there are; else 0.
    uint64_t size = 0, lines = 0;
  };

  // A constant, or one → Tile → Reshape → Slice.
  BlockScales BlockScalesOf(const Node& mul) const {
    const BlockScales plain = {.constant = ConstantOfInput(mul, 1)};
    if (plain.constant != kNone) return plain;
    const Node* slice = ProducerOfInput(mul, 1);
    const Node* reshape = slice == nullptr ? nullptr : ProducerOfInput(*slice, 0);
    const Node* tile = reshape == nullptr ? nullptr : ProducerOfInput(*reshape, 0);
    if (tile == nullptr || slice->op_type != "Slice" || tile->op_type != "Tile") return {};
    const std::optional<Shape> repeats = DimsOf(ConstantOfInput(*tile, 1));
    const std::optional<Shape> padded = DimsOf(ConstantOfInput(*reshape, 1));
    if (!repeats || !padded || repeats->size() < 2 || padded->size() != repeats->size()) return {};
    return {ConstantOfInput(*tile, 0), (*repeats)[1], (*padded)[0]};
  }

  // The writer's blocks: … → [Slice] → Reshape → [Cast], back to the weight's name.
  bool FinishBlocks(const Node& mul, const BlockScales& scales, bool is_nibbles) {
    const std::string name = BaseName(codes_.name);
    const Node* last = &mul;
    const Node* reshape = nullptr;
    for (size_t step = 0; step < kMaxSteps && last != nullptr; ++step) {
      if (!last->outputs.empty() && last->outputs[0] == name) break;
      last = OnlyUser(*last);
      if (last != nullptr && last->op_type == "Reshape") reshape = last;
    }
    const bool is_back = last != nullptr && !last->outputs.empty() && last->outputs[0] == name;
    if (!is_back || reshape == nullptr || scales.constant == kNone) return false;
    const std::optional<Shape> dims = DimsOf(ConstantOfInput(*reshape, 1));
    uint64_t num_elements = 0;
    if (!dims || !CheckedNumElements(*dims, &num_elements)) return false;
    result_.name = name;
    return TakeLines(scales, num_elements, is_nibbles);
  }

  // Scales [lines of blocks, 1] or [lines of blocks, 1, inner].
  bool TakeLines(const BlockScales& scales, uint64_t num_elements, bool is_nibbles) {
    const Shape& dims = document_.constants[scales.constant].dims;
    const bool is_known = (dims.size() == 2 || dims.size() == 3) && dims[0] != 0 && dims[1] == 1;
    const uint64_t inner = is_known && dims.size() == 3 ? dims[2] : 1;
    const uint64_t lines = scales.lines == 0 && is_known ? dims[0] : scales.lines;
    uint64_t num_lines = 0;
    if (!is_known || !CheckedMul(lines, inner, &num_lines) || num_lines == 0) return false;
    const uint64_t length = num_elements / num_lines;
    uint64_t size = scales.size == 0 ? length : scales.size;
    result_.shape = {num_elements};
    if (scales.lines == 0 && inner == 1) {
      // Earlier versions cut the whole weight into even blocks, and padded the last one.
      const bool is_even =
          num_elements % lines == 0 && codes_.data.size == DivideRoundingUp(num_elements, 2);
      if (is_nibbles && !is_even) size = codes_.data.size / lines * 2;
      if (!is_nibbles && codes_.dims.size() == 2) size = codes_.dims[1];
    } else {
      if (num_elements % num_lines != 0) return false;
      result_.shape = {lines, length};
      if (inner > 1) result_.shape.push_back(inner);
    }
    result_.scheme.count = inner > 1 ? inner : 0;
    return size <= UINT32_MAX && TakeBlocks(scales.constant, static_cast<int64_t>(size));
  }

  std::optional<Shape> DimsOf(size_t constant) const {
    if (constant == kNone || document_.constants[constant].value.empty()) return std::nullopt;
    const auto dims = Int64ValuesOf(document_.constants[constant]);
    return dims ? std::optional(Shape(dims->begin(), dims->end())) : std::nullopt;
  }

  bool Dequantize(const Node& node) {
    if (node.outputs.empty()) return false;
    result_.name = node.outputs[0];
    const size_t scale = ConstantOfInput(node, 1);
    if (scale == kNone) return false;
    if (node.inputs.size() > 2 && !node.inputs[2].empty() && ConstantOfInput(node, 2) == kNone) {
      return false;
    }
    if (!TakeZeroPoints(ConstantOfInput(node, 2))) return false;
    const Constant& s = document_.constants[scale];
    const int64_t rank = static_cast<int64_t>(codes_.dims.size());
    int64_t axis = IntAttribute(node, "axis", 1);
    if (axis < 0) axis += rank;
    const int64_t block_size = IntAttribute(node, "block_size", 0);
    if (block_size != 0) return DequantizeBlocks(scale, axis, block_size);
    const bool is_one = s.dims.empty() || (s.dims.size() == 1 && s.dims[0] == 1);
    if (is_one) {
      result_.constants[kScalesPart] = scale;
      return DTypeOf(s.data_type) == DType::kFloat32;
    }
    if (s.dims.size() != 1 || axis < 0 || axis >= rank) return false;
    return TakeScales(scale, static_cast<size_t>(axis));
  }

  bool DequantizeBlocks(size_t scale, int64_t axis, int64_t block_size) {
    if (axis + 1 != static_cast<int64_t>(codes_.dims.size())) return false;
    return TakeBlocks(scale, block_size);
  }

  bool TakeBlocks(size_t scale, int64_t block_size) {
    if (scale == kNone || block_size <= 0 || block_size > UINT32_MAX) return false;
    if (DTypeOf(document_.constants[scale].data_type) != DType::kFloat32) return false;
    result_.constants[kScalesPart] = scale;
    result_.scheme.granularity = Granularity::kBlock;
    result_.scheme.block_size = static_cast<uint32_t>(block_size);
    return true;
  }

  bool TransposedInteger(const Node& transpose) {
    const Node* user = OnlyUser(transpose, "MatMulInteger");
    return user != nullptr && IsInputOf(*user, 1, transpose) && IntegerProduct(*user, true);
  }

  // MatMulInteger | ConvInteger → Cast → Mul(·, Mul(activation's scale, scale)).
  bool IntegerProduct(const Node& node, bool is_transposed) {
    const bool is_conv = node.op_type == "ConvInteger";
    if (!is_conv && node.op_type != "MatMulInteger") return false;
    const size_t rank = codes_.dims.size();
    if (rank < 2 || !TakeZeroPoints(ConstantOfInput(node, 3))) return false;
    const Node* cast = OnlyUser(node, "Cast");
    const Node* mul = cast == nullptr ? nullptr : OnlyUser(*cast, "Mul");
    const Node* scales = mul == nullptr ? nullptr : ProducerOfInput(*mul, 1);
    if (scales == nullptr || scales->op_type != "Mul") return false;
    const size_t scale = ConstantOfInput(*scales, 1);
    if (scale == kNone) return false;
    result_.name = BaseName(codes_.name);
    result_.consumer = node.op_type;
    result_.constants[kScalesPart] = scale;
    const Constant& s = document_.constants[scale];
    uint64_t count = 0;
    if (DTypeOf(s.data_type) != DType::kFloat32 || !CheckedNumElements(s.dims, &count)) {
      return false;
    }
    if (count == 1) return true;
    result_.scheme.granularity = Granularity::kAxis;
    result_.scheme.axis = is_conv || is_transposed ? 0 : static_cast<uint32_t>(rank - 1);
    return true;
  }

  bool MatMulNBits(const Node& node) {
    const int64_t k = IntAttribute(node, "K", 0), n = IntAttribute(node, "N", 0);
    const int64_t bits = IntAttribute(node, "bits", 4);
    if (k <= 0 || n <= 0 || (bits != 4 && bits != 8) || type_ != DType::kUint8) return false;
    result_.scheme.type = bits == 4 ? DType::kUint4 : DType::kUint8;
    result_.scheme.rule = LinearRule::kOnnxBlockwise;
    const int64_t block_size = IntAttribute(node, "block_size", 0);
    if (!TakeBlocks(ConstantOfInput(node, 2), block_size)) return false;
    const size_t zero_points = ConstantOfInput(node, 3);
    if (node.inputs.size() > 3 && !node.inputs[3].empty()) {
      if (zero_points == kNone) return false;
      // Zero points may also be floats; those cannot be decoded.
      if (DTypeOf(document_.constants[zero_points].data_type) != DType::kUint8) return false;
      result_.constants[kZeroPointsPart] = zero_points;
      result_.scheme.symmetric = false;
    }
    const uint64_t rows = static_cast<uint64_t>(k), columns = static_cast<uint64_t>(n);
    // Codes and zero points without padding are those of the transpose, in plain order.
    const bool is_padded =
        k % block_size != 0 || (!result_.scheme.symmetric && bits == 4 && k / block_size % 2 != 0);
    result_.scheme.transposed = is_padded || !ParseCodesName(codes_.name).is_rows;
    result_.shape = result_.scheme.transposed ? Shape{rows, columns} : Shape{columns, rows};
    return true;
  }

  bool BlockGather(const Node& node) {
    const int64_t rank = static_cast<int64_t>(codes_.dims.size());
    int64_t axis = IntAttribute(node, "quantize_axis", 1);
    if (axis < 0) axis += rank;
    const bool is_packed_byte = type_ == DType::kUint8 && IntAttribute(node, "bits", 4) != 8;
    if (axis + 1 != rank || IntAttribute(node, "gather_axis", 0) != 0 || is_packed_byte) {
      return false;
    }
    if (node.inputs.size() > 3 && !node.inputs[3].empty() && ConstantOfInput(node, 3) == kNone) {
      return false;
    }
    if (!TakeZeroPoints(ConstantOfInput(node, 3), type_ == DType::kUint8)) return false;
    if (result_.scheme.symmetric) result_.scheme.rule = LinearRule::kOnnxBlockwise;
    return TakeBlocks(ConstantOfInput(node, 2), IntAttribute(node, "block_size", 128));
  }

  const Document& document_;
  const ValueGraph& graph_;
  const Constant& codes_;
  DType type_;
  Quantized result_;
};

}  // namespace

std::optional<Quantized> RecognizeQuantized(const Document& document, const ValueGraph& graph,
                                            size_t codes) {
  return Recognizer(document, graph, codes).Run();
}

}  // namespace modelshrink::onnx
