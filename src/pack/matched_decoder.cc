#include "pack/matched_bytes.h"
#include "pack/matched_model.h"
#include "pack/range_coder.h"

namespace modelshrink {

StatusOr<MatchedDecoder> MatchedDecoder::Create() {
  MatchedDecoder decoder;
  ASSIGN_OR_RETURN(decoder.bits_, Buffer<uint32_t>::Allocate(matched::kNumBits));
  return decoder;
}

bool MatchedDecoder::Decode(std::span<const uint8_t> coded, std::span<uint8_t> out) {
  if (coded.empty() || coded[0] >= static_cast<uint8_t>(ByteLayout::kCount)) return false;
  RangeDecoder coder(coded.subspan(1));
  matched::Learner<RangeDecoder> learner{coder};
  using Model = matched::Model<matched::Learner<RangeDecoder>>;
  Model::Forget(bits_.span());
  Model model(learner, bits_.span(), static_cast<ByteLayout>(coded[0]));
  for (size_t at = 0; at < out.size();) {
    uint8_t* const to = out.data() + at;
    if (!model.IsCopy(at, false)) {
      const size_t distance = model.history().distances[0];
      *to = model.Literal(to, at, distance <= at ? *(to - distance) : 0, 0);
      ++at;
      continue;
    }
    const size_t length = model.Copy(at, 0, 1, matched::kMinLength);
    const size_t distance = model.history().distances[0];
    if (distance > at || length > out.size() - at) return false;
    // What is copied may overlap what it is copied to.
    for (size_t i = 0; i < length; ++i) to[i] = *(to + i - distance);
    at += length;
  }
  return coder.IsAtEnd();
}

}  // namespace modelshrink
