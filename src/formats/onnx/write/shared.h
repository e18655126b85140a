// What replaced tensors have in common: constants, and quantizers of activations.
#ifndef MODELSHRINK_FORMATS_ONNX_WRITE_SHARED_H_
#define MODELSHRINK_FORMATS_ONNX_WRITE_SHARED_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "formats/onnx/read/document.h"
#include "formats/onnx/write/emit.h"

namespace modelshrink::onnx {

// A small constant of the main graph, visible in every subgraph and made once for each value.
struct SharedConstant {
  int32_t data_type = 0;
  Shape dims;
  std::string bytes;

  bool operator<(const SharedConstant& other) const {
    return std::tie(data_type, dims, bytes) < std::tie(other.data_type, other.dims, other.bytes);
  }
};
using SharedConstants = std::map<SharedConstant, std::string>;  // → its name

// A DynamicQuantizeLinear node: one for each activation and graph, before its first user.
struct ActivationQuantizer {
  size_t graph = 0;
  std::string input;
  std::string wide;  // the input as float32; empty: it is
  std::string codes, scale, zero_point;
  size_t first_user = 0;  // in Document::nodes
};
using ActivationQuantizers = std::map<std::pair<size_t, std::string>, ActivationQuantizer>;

// Adds `quantizer` to `all`; where the same activation of the same graph has one already, that one
// serves this user, too.
void Merge(const ActivationQuantizer& quantizer, const Document& document,
           ActivationQuantizers* all);

// IR version 4 was the first in which an initializer need not be a graph input too.
inline constexpr int64_t kFirstIrWithFreeInitializers = 4;

// How a graph holds a constant. Before operator set 9 Constant nodes have floats only, and before
// IR version 4 initializers are inputs, too, which only the main graph can have.
enum class ConstantForm : uint8_t { kNode, kInitializer, kMainGraphInput };
// `as_initializer`: an initializer rather than a node, where both can be.
ConstantForm FormOfConstant(const Document& document, int32_t data_type, bool as_initializer);

// The field of a GraphProto that declares an input.
Fragment FieldOfInput(const std::string& name, int32_t data_type, const Shape& dims);
// The fields of a GraphProto that make this constant, and of a ModelProto that imports Microsoft's
// operators.
Fragment FieldsOfConstant(const Document& document, const std::string& name,
                          const SharedConstant& constant);
Fragment MicrosoftImport();

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_WRITE_SHARED_H_
