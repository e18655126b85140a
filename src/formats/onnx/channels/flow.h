// How channels go through a graph: operator by operator, which axes of inputs, constants and
// outputs have the same indices.
#ifndef MODELSHRINK_FORMATS_ONNX_CHANNELS_FLOW_H_
#define MODELSHRINK_FORMATS_ONNX_CHANNELS_FLOW_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "formats/onnx/channels/labels.h"
#include "formats/onnx/graph/value_graph.h"
#include "formats/onnx/read/document.h"

namespace modelshrink::onnx {

// A number in the file that counts channels, and so falls with them.
struct ChannelCount {
  enum class Kind : uint8_t {
    kGroups,      // attribute "group" of node `target`
    kShapeEntry,  // entry `index` of constant `target`, the shape that a Reshape gives
  };
  Kind kind = Kind::kGroups;
  size_t target = 0;
  size_t index = 0;
  Labels labels;
};

struct ChannelFlow {
  LabelSets labels;
  std::vector<Axes> values;  // as ValueGraph has them, of the main graph
  std::vector<ChannelCount> counts;
};

// Follows the main graph in the order of its nodes. Whatever is not understood (unknown operators
// and sizes, nested graphs, what the graph takes and gives) keeps all its channels. Shapes that
// contradict each other do, too.
ChannelFlow FollowChannels(const Document& document, const ValueGraph& graph);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_CHANNELS_FLOW_H_
