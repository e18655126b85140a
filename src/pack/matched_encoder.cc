#include "pack/matched_bytes.h"
#include "pack/matched_model.h"
#include "pack/matched_parser.h"
#include "pack/range_coder.h"

namespace modelshrink {
StatusOr<MatchedEncoder> MatchedEncoder::Create() {
  MatchedEncoder encoder;
  ASSIGN_OR_RETURN(encoder.bits_, Buffer<uint32_t>::Allocate(matched::kNumBits));
  ASSIGN_OR_RETURN(encoder.heads_, Buffer<uint32_t>::Allocate(size_t{1} << matched::kHashBits));
  ASSIGN_OR_RETURN(encoder.chain_, Buffer<uint32_t>::Allocate(kMaxMatchedBytes));
  return encoder;
}

void MatchedEncoder::Encode(std::span<const uint8_t> bytes, ByteLayout layout, ByteWriter& out) {
  out.Number(layout);
  RangeEncoder coder(out);
  matched::Learner<RangeEncoder> learner{coder};
  using Model = matched::Model<matched::Learner<RangeEncoder>>;
  Model::Forget(bits_.span());
  Model model(learner, bits_.span(), layout);
  matched::Parser parser(bytes, bits_.span(), layout, heads_.span(), chain_.span());
  for (size_t at = 0; at < bytes.size() && !out.failed();) {
    for (const matched::Choice& choice : parser.Next(model.history())) {
      model.IsCopy(at, choice.length > 0);
      if (choice.length > 0) {
        model.Copy(at, choice.number, choice.distance, choice.length);
        at += choice.length;
        continue;
      }
      const uint8_t* const byte = bytes.data() + at;
      const size_t distance = model.history().distances[0];
      model.Literal(byte, at, distance <= at ? *(byte - distance) : 0, *byte);
      ++at;
    }
  }
  coder.Finish();
}

}  // namespace modelshrink
