#include "formats/onnx/graph/weight_roles.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include "base/checked.h"
#include "formats/onnx/graph/constant_values.h"
#include "formats/onnx/graph/operators.h"

namespace modelshrink::onnx {
namespace {

// Operators that change each element of input 0 by itself, or not at all.
constexpr std::string_view kElementwise[] = {
    "Identity",         "Cast", "CastLike", "Dropout", "QuantizeLinear",
    "DequantizeLinear", "Clip", "Round",    "Floor",   "Neg"};
// The same where the other operand is a constant, too.
constexpr std::string_view kElementwiseWithConstant[] = {"Mul", "Div", "Add", "Sub"};

template <size_t n>
bool IsOneOf(std::string_view name, const std::string_view (&names)[n]) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// What an axis is of: by the value of a bit each, outputs and inputs.
enum : unsigned { kOfOutputs = 1, kOfInputs = 2 };

unsigned KindOf(const FactoredAxes& axes, uint64_t axis) {
  unsigned kind = 0;
  for (const OutputAxis& factor : axes) {
    if (factor.axis != axis) continue;
    if (factor.is_output) kind |= kOfOutputs;
    if (!factor.is_output && factor.size != 1) kind |= kOfInputs;
  }
  return kind;
}

bool HasMixedAxes(const FactoredAxes& axes, size_t rank) {
  for (size_t i = 0; i < rank; ++i) {
    if (KindOf(axes, i) == (kOfOutputs | kOfInputs)) return true;
  }
  return false;
}

// The axis of a Transpose's input that becomes `axis` of its output.
std::optional<size_t> AxisBeforeTranspose(const Node& node, size_t axis, size_t rank) {
  const Attribute* perm = FindAttribute(node, "perm");
  if (perm == nullptr) return rank - 1 - axis;
  if (perm->ints.size() != rank || axis >= rank) return std::nullopt;
  const int64_t source = perm->ints[axis];
  if (source < 0 || source >= static_cast<int64_t>(rank)) return std::nullopt;
  return static_cast<size_t>(source);
}

// The axes of a value, given those of what it is reshaped to: a factor that lies in two of the
// value's axes is cut. Where the two shapes have no common factors nothing is of outputs.
FactoredAxes AxesBeforeReshape(const Shape& shape, const FactoredAxes& reshaped) {
  FactoredAxes axes;
  size_t next = 0;   // in `reshaped`
  uint64_t cut = 1;  // what of that factor lies in earlier axes
  bool fits = true;
  const auto skip_ones = [&] {
    while (next < reshaped.size() && reshaped[next].size == cut) {
      ++next;
      cut = 1;
    }
  };
  for (uint32_t i = 0; i < shape.size(); ++i) {
    uint64_t missing = shape[i];
    skip_ones();
    // An axis of unknown length, as of pieces that are cut and joined, is one or nothing.
    if (missing == 0 && next < reshaped.size() && reshaped[next].size == 0) {
      axes.push_back({.size = 0, .axis = i, .is_output = reshaped[next++].is_output});
      continue;
    }
    for (skip_ones(); missing > 1 && fits; skip_ones()) {
      const uint64_t left = next < reshaped.size() ? reshaped[next].size / cut : 0;
      fits = left > 1 && (missing % left == 0 || left % missing == 0);
      if (!fits) break;
      const uint64_t size = std::min(left, missing);
      axes.push_back({.size = size, .axis = i, .is_output = reshaped[next].is_output});
      missing /= size;
      cut *= size;
    }
    if (shape[i] <= 1) axes.push_back({.size = shape[i], .axis = i});
  }
  if (fits && next == reshaped.size()) return axes;
  axes.clear();
  for (uint32_t i = 0; i < shape.size(); ++i) axes.push_back({.size = shape[i], .axis = i});
  return axes;
}

// Follows a constant through nodes that only move its elements, or change them one by one.
class RoleFinder {
 public:
  RoleFinder(const Document& document, const ValueGraph& graph)
      : document_(document), graph_(graph) {}

  // The roles of a value of this shape, with axes of that value.
  std::vector<WeightRole> Find(size_t value, const Shape& shape, size_t chain = 0) {
    std::vector<WeightRole> roles;
    for (const Use& use : graph_.value(value).uses) {
      if (budget_ == 0) return roles;
      --budget_;
      const Node& node = document_.nodes[use.node];
      if (std::optional<FactoredAxes> axes = WeightAxesOf(node, use.input, shape)) {
        roles.push_back({.axes = *std::move(axes), .consumer = use.node, .input = use.input});
      } else if (chain < kMaxChain) {
        for (WeightRole& role : FindBehind(node, use.input, shape, chain + 1)) {
          roles.push_back(std::move(role));
        }
      }
    }
    return roles;
  }

 private:
  using Roles = std::vector<WeightRole>;

  // Cyclic and heavily branched graphs would otherwise be followed for ever; real chains have a
  // few links.
  static constexpr size_t kMaxChain = 8;
  static constexpr size_t kMaxUses = 1024;
  static constexpr size_t kMaxRank = 64;

  // With axes of `input`, which has this shape.
  Roles FindBehind(const Node& node, size_t input, const Shape& shape, size_t chain) {
    const std::string& op = node.op_type;
    const bool is_quantizer = op == "QuantizeLinear" || op == "DequantizeLinear";
    if (!node.domain.empty() && !(is_quantizer && node.domain == "com.microsoft")) return {};
    if (op == "Concat" || (input == 0 && (op == "Slice" || op == "Split"))) {
      return BehindPieces(node, shape, chain);
    }
    if (IsOneOf(op, kElementwiseWithConstant)) {
      return KeepsShape(node, 1 - input, shape) ? BehindOutput(node, 0, shape, chain) : Roles();
    }
    if (input != 0) return {};
    if (IsOneOf(op, kElementwise)) return BehindOutput(node, 0, shape, chain);
    if (op == "Transpose") return BehindTranspose(node, shape, chain);
    const std::optional<Shape> reshaped = ReshapedBy(node, shape);
    if (!reshaped || reshaped->size() > kMaxRank) return {};
    Roles roles = BehindOutput(node, 0, *reshaped, chain);
    for (WeightRole& role : roles) {
      role.axes = AxesBeforeReshape(shape, role.axes);
      if (HasMixedAxes(role.axes, shape.size())) role.keeps_inputs = false;
    }
    return roles;
  }

  Roles BehindOutput(const Node& node, size_t output, const Shape& shape, size_t chain) {
    const size_t value =
        output < node.outputs.size() ? graph_.Find(node.graph, node.outputs[output]) : kNone;
    return value == kNone ? Roles() : Find(value, shape, chain);
  }

  // Of a constant that is joined with others, or of parts of it.
  Roles BehindPieces(const Node& node, const Shape& shape, size_t chain) {
    const size_t num_outputs = node.op_type == "Split" ? node.outputs.size() : 1;
    Shape piece(shape.size(), 0);
    for (size_t i = 0; i < shape.size(); ++i) {
      if (!CutsAxis(node, i, shape.size())) piece[i] = shape[i];
    }
    Roles all;
    for (size_t o = 0; o < num_outputs; ++o) {
      for (WeightRole& role : BehindOutput(node, o, piece, chain)) {
        FactoredAxes axes;
        for (uint32_t i = 0; i < shape.size(); ++i) {
          if (piece[i] == shape[i] && piece[i] != 0) {
            AppendAxis(role.axes, i, i, &axes);
            continue;
          }
          const unsigned kind = KindOf(role.axes, i);
          if ((kind & kOfOutputs) == 0) role.keeps_inputs = false;
          axes.push_back({.size = shape[i], .axis = i, .is_output = kind == kOfOutputs});
        }
        role.axes = std::move(axes);
        role.moves_outputs = true;
        all.push_back(std::move(role));
      }
    }
    return all;
  }

  Roles BehindTranspose(const Node& node, const Shape& shape, size_t chain) {
    const size_t rank = shape.size();
    Shape moved;
    Shape target(rank, rank);  // where an axis of the input is in the output
    for (size_t i = 0; i < rank; ++i) {
      const std::optional<size_t> source = AxisBeforeTranspose(node, i, rank);
      // A `perm` may name an axis twice.
      if (!source || target[*source] != rank) return {};
      moved.push_back(shape[*source]);
      target[*source] = i;
    }
    Roles roles = BehindOutput(node, 0, moved, chain);
    for (WeightRole& role : roles) {
      FactoredAxes axes;
      uint64_t last = 0;
      for (uint32_t i = 0; i < rank; ++i) {
        if ((KindOf(role.axes, target[i]) & kOfOutputs) == 0) {
          // All axes of inputs come in the order of the constant's.
          if (target[i] < last) role.keeps_inputs = false;
          last = target[i];
        }
        AppendAxis(role.axes, target[i], i, &axes);
      }
      role.axes = std::move(axes);
    }
    return roles;
  }

  // Adds the factors of one axis as those of another.
  static void AppendAxis(const FactoredAxes& from, uint64_t axis, uint32_t as, FactoredAxes* to) {
    for (const OutputAxis& factor : from) {
      if (factor.axis != axis) continue;
      to->push_back(factor);
      to->back().axis = as;
    }
  }

  // The int64 values of a small constant that is this input of `node`, or of the attribute that
  // older operator sets had instead.
  std::optional<std::vector<int64_t>> IntsOf(const Node& node, size_t input,
                                             std::string_view attribute) const {
    if (const Attribute* ints = FindAttribute(node, attribute)) return ints->ints;
    const size_t value = graph_.FindInput(node, input);
    if (value == kNone || graph_.value(value).constant == kNone) return std::nullopt;
    const Constant& constant = document_.constants[graph_.value(value).constant];
    return constant.value.empty() ? std::nullopt : Int64ValuesOf(constant);
  }

  // Whether Slice, Split or Concat change this axis; those of a Slice may be unknown.
  bool CutsAxis(const Node& node, size_t axis, size_t rank) const {
    std::optional<std::vector<int64_t>> axes;
    if (node.op_type != "Slice") {
      axes = {IntAttribute(node, "axis", 0)};
    } else {
      axes = IntsOf(node, 3, "axes");
    }
    return !axes || std::any_of(axes->begin(), axes->end(), [axis, rank](int64_t it) {
      return (it < 0 ? it + static_cast<int64_t>(rank) : it) == static_cast<int64_t>(axis);
    });
  }

  // Whether the other operand is a constant that is broadcast to this shape.
  bool KeepsShape(const Node& node, size_t other, const Shape& shape) const {
    const size_t value = node.inputs.size() == 2 ? graph_.FindInput(node, other) : kNone;
    if (value == kNone || graph_.value(value).constant == kNone) return false;
    const Shape& dims = document_.constants[graph_.value(value).constant].dims;
    if (dims.size() > shape.size()) return false;
    for (size_t i = 0; i < dims.size(); ++i) {
      const uint64_t own = shape[shape.size() - dims.size() + i];
      if (dims[i] != 1 && dims[i] != own) return false;
    }
    return true;
  }

  // ---- Shapes; nullopt: the node is none of these, or its result is not known.

  std::optional<Shape> ReshapedBy(const Node& node, const Shape& shape) const {
    if (node.op_type == "Reshape") return Reshaped(node, shape);
    if (node.op_type == "Flatten") return Flattened(node, shape);
    if (node.op_type == "Squeeze") return Squeezed(node, shape);
    if (node.op_type == "Unsqueeze") return Unsqueezed(node, shape);
    return std::nullopt;
  }

  std::optional<Shape> Reshaped(const Node& node, const Shape& shape) const {
    const std::optional<std::vector<int64_t>> dims = IntsOf(node, 1, "shape");
    uint64_t num_elements = 1;
    if (!dims || !CheckedNumElements(shape, &num_elements) || num_elements == 0) {
      return std::nullopt;
    }
    const bool allows_zero = IntAttribute(node, "allowzero", 0) != 0;
    Shape reshaped;
    uint64_t known = 1;
    std::optional<size_t> open;
    for (size_t i = 0; i < dims->size(); ++i) {
      const int64_t dim = (*dims)[i];
      reshaped.push_back(static_cast<uint64_t>(dim));
      if (dim == 0 && !allows_zero && i < shape.size()) reshaped[i] = shape[i];
      if (dim == -1 && !open) {
        open = i;
      } else if (dim < 0 || reshaped[i] == 0 || !CheckedMul(known, reshaped[i], &known)) {
        return std::nullopt;
      }
    }
    if (open) reshaped[*open] = num_elements / known;
    if (num_elements % known != 0 || (!open && known != num_elements)) return std::nullopt;
    return reshaped;
  }

  static std::optional<Shape> Flattened(const Node& node, const Shape& shape) {
    const int64_t rank = static_cast<int64_t>(shape.size());
    int64_t axis = IntAttribute(node, "axis", 1);
    if (axis < 0) axis += rank;
    uint64_t num_elements = 1;
    if (axis < 0 || axis > rank || !CheckedNumElements(shape, &num_elements)) return std::nullopt;
    Shape flat = {1, 1};
    for (int64_t i = 0; i < rank; ++i) flat[i < axis ? 0 : 1] *= shape[static_cast<size_t>(i)];
    return flat;
  }

  std::optional<Shape> Squeezed(const Node& node, const Shape& shape) const {
    const bool has_axes = node.inputs.size() > 1 || FindAttribute(node, "axes") != nullptr;
    const std::optional<std::vector<int64_t>> axes = IntsOf(node, 1, "axes");
    if (has_axes && !axes) return std::nullopt;
    Shape squeezed;
    for (size_t i = 0; i < shape.size(); ++i) {
      const bool is_named = axes && Names(*axes, i, shape.size());
      if (is_named && shape[i] != 1) return std::nullopt;
      if (!is_named && (has_axes || shape[i] != 1)) squeezed.push_back(shape[i]);
    }
    return squeezed;
  }

  std::optional<Shape> Unsqueezed(const Node& node, const Shape& shape) const {
    const std::optional<std::vector<int64_t>> axes = IntsOf(node, 1, "axes");
    if (!axes || axes->size() > kMaxChain) return std::nullopt;
    const size_t rank = shape.size() + axes->size();
    Shape unsqueezed;
    for (size_t i = 0, next = 0; i < rank; ++i) {
      const bool is_new = Names(*axes, i, rank);
      if (!is_new && next == shape.size()) return std::nullopt;
      unsqueezed.push_back(is_new ? 1 : shape[next++]);
    }
    return unsqueezed;
  }

  static bool Names(const std::vector<int64_t>& axes, size_t axis, size_t rank) {
    return std::any_of(axes.begin(), axes.end(), [axis, rank](int64_t it) {
      return (it < 0 ? it + static_cast<int64_t>(rank) : it) == static_cast<int64_t>(axis);
    });
  }

  const Document& document_;
  const ValueGraph& graph_;
  size_t budget_ = kMaxUses;
};

}  // namespace

std::vector<WeightRole> FindWeightRoles(const Document& document, const ValueGraph& graph,
                                        size_t constant) {
  const size_t value = graph.ValueOfConstant(constant);
  if (value == kNone) return {};
  return RoleFinder(document, graph).Find(value, document.constants[constant].dims);
}

}  // namespace modelshrink::onnx
