// Any bytes as the parts of a tensor: each slice decodes to what the whole does, from no more than
// the bytes it asked for; and what was decoded can be encoded again, in bounds.
#include <cstdint>
#include <cstring>
#include <vector>

#include "codec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace modelshrink;
  Input input({data, size});
  Scheme scheme = TakeScheme(&input);
  const Shape shape = TakeShape(&input);
  TakeCount(&input, shape, &scheme);
  const uint64_t first_seed = input.Byte() * 256u + input.Byte();
  const uint64_t count_seed = input.Byte() * 256u + input.Byte();
  const uint64_t num_elements = NumElements(scheme, shape);
  if (num_elements == 0) return 0;
  const auto sizes = PartSizesOf(scheme, shape);
  Parts parts;
  for (size_t p = 0; p < kNumParts; ++p) {
    parts[p] = input.Fill(static_cast<size_t>(sizes.value()[p]));
  }

  const auto decoder = TensorDecoder::Create(scheme, shape);
  Require(decoder.ok());
  const std::vector<float> all = Decode(*decoder.value(), parts, {0, num_elements});
  const uint64_t first = first_seed % num_elements;
  const uint64_t count = 1 + count_seed % (num_elements - first);
  const std::vector<float> some = Decode(*decoder.value(), parts, {first, count});
  Require(std::memcmp(some.data(), all.data() + first, some.size() * sizeof(float)) == 0);
  // ggml's scales are float16: those of a hostile file may decode to values that have none.
  Require(Encode(scheme, shape, all).has_value() || IsGgmlBlock(scheme.type));
  return 0;
}
