// Shapes that a graph computes from the shapes of its values, as x.view(x.size(0), -1) does.
#ifndef MODELSHRINK_FORMATS_ONNX_CHANNELS_COMPUTED_SHAPES_H_
#define MODELSHRINK_FORMATS_ONNX_CHANNELS_COMPUTED_SHAPES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "formats/onnx/channels/follower.h"

namespace modelshrink::onnx {

// Only the sizes that are taken out of the shape have to stay.
void FollowShape(Follower& f);

// The target of a Reshape whose input has `rank` axes, where it is joined of constants and of sizes
// that the input has at these places: those are 0 in the target. nullopt: it is something else.
std::optional<std::vector<int64_t>> ComputedTarget(const Follower& f, size_t rank);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_CHANNELS_COMPUTED_SHAPES_H_
