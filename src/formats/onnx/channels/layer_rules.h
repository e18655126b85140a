// Operators that compute: what a layer, a norm, a pool or arithmetic says of the channels that go
// through it.
#ifndef MODELSHRINK_FORMATS_ONNX_CHANNELS_LAYER_RULES_H_
#define MODELSHRINK_FORMATS_ONNX_CHANNELS_LAYER_RULES_H_

#include "formats/onnx/channels/follower.h"

namespace modelshrink::onnx {

void FollowElementwise(Follower& f);
void FollowArithmetic(Follower& f);
void FollowConv(Follower& f);
void FollowConvTranspose(Follower& f);
void FollowNormalizeChannels(Follower& f);
void FollowGlobalPool(Follower& f);
void FollowPool(Follower& f);
void FollowReduce(Follower& f);
void FollowGemm(Follower& f);
void FollowMatMul(Follower& f);
void FollowAlongAxis(Follower& f);
void FollowRecurrent(Follower& f);

}  // namespace modelshrink::onnx

#endif  // MODELSHRINK_FORMATS_ONNX_CHANNELS_LAYER_RULES_H_
