// Operators that move elements: which axes of their outputs are those of their inputs.
#ifndef MODELSHRINK_FORMATS_ONNX_CHANNELS_SHAPE_RULES_H_
#define MODELSHRINK_FORMATS_ONNX_CHANNELS_SHAPE_RULES_H_

#include "formats/onnx/channels/follower.h"

namespace modelshrink::onnx {

void FollowTranspose(Follower& f);
void FollowSqueeze(Follower& f);
void FollowUnsqueeze(Follower& f);
void FollowFlatten(Follower& f);
void FollowReshape(Follower& f);
void FollowConcat(Follower& f);
void FollowGather(Follower& f);
void FollowSlice(Follower& f);
void FollowSplit(Follower& f);
void FollowPad(Follower& f);
void FollowResize(Follower& f);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_CHANNELS_SHAPE_RULES_H_
