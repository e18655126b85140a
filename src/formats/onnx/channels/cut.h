// Channels that leave a graph: which can, and the Document without them.
#ifndef MODELSHRINK_FORMATS_ONNX_CHANNELS_CUT_H_
#define MODELSHRINK_FORMATS_ONNX_CHANNELS_CUT_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "formats/layout.h"
#include "formats/onnx/read/document.h"

namespace modelshrink::onnx {

struct Cut {
  // As read, but for the dims of cut constants, the values of shapes, attributes `group`, and the
  // shapes of values. Extents and places are still those of the file.
  Document document;
  ChannelPlan channels;
  std::vector<KeptIndices> kept;    // by constant; empty: it is not cut
  std::vector<size_t> shapes;       // constants whose values have changed
  std::vector<size_t> nodes;        // whose attributes have changed
  std::vector<size_t> value_infos;  // that have changed
  bool is_held = false;             // whether weights that are to stay keep channels of others
  // By tensor: why its output channels stay (kKeepsChannels), where they were asked to leave.
  std::vector<std::optional<Reason>> keeping;

  bool IsCut(size_t constant) const { return !kept[constant].empty(); }
};

// `specs` has one for each tensor of `model`. A channel can go when all weights that are on its way
// have a spec of kChannels; the smallest of their amounts is the set's, and one channel always
// stays. Nothing to remove at all is an UnsupportedError with the reasons; `removed` of a wrong
// length, or that removes other numbers than the plan's, an ArgumentError.
StatusOr<Cut> CutChannels(const Document& document, const Model& model, const TensorSpecs& specs,
                          std::span<const uint8_t> removed);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_CHANNELS_CUT_H_
