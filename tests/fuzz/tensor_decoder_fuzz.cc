// Any bytes as the parts of a tensor: each slice decodes to what the whole does, from no more than
// the bytes it asked for; and what was decoded can be encoded again, in bounds.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "base/checked.h"
#include "quantize/tensor_codec.h"

namespace modelshrink {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint64_t kMaxElements = 4096;

void Require(bool condition) {
  if (!condition) std::abort();
}

// Numbers, then the rest again and again; zeros when there is nothing.
class Input {
 public:
  explicit Input(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  uint8_t Byte() {
    if (position_ == bytes_.size()) return 0;
    return bytes_[position_++];
  }
  Bytes Fill(uint64_t size) {
    Bytes out(size);
    const std::span<const uint8_t> rest = bytes_.subspan(position_);
    for (size_t i = 0; i < size && !rest.empty(); ++i) out[i] = rest[(start_ + i) % rest.size()];
    start_ += size;
    return out;
  }

 private:
  std::span<const uint8_t> bytes_;
  size_t position_ = 0;
  size_t start_ = 0;
};

Scheme TakeScheme(Input* input) {
  static constexpr DType kTypes[] = {
      DType::kInt4,       DType::kUint4,      DType::kInt8,    DType::kUint8,
      DType::kInt16,      DType::kUint16,     DType::kFloat16, DType::kBFloat16,
      DType::kFloat8E4M3, DType::kFloat8E5M2, DType::kFloat32,
  };
  Scheme scheme;
  scheme.type = kTypes[input->Byte() % std::size(kTypes)];
  const uint8_t flags = input->Byte();
  scheme.granularity = static_cast<Granularity>(flags % 3);
  scheme.rule = flags & 0x10 ? LinearRule::kOnnxBlockwise : LinearRule::kOnnxLinear;
  scheme.symmetric = (flags & 0x20) != 0;
  scheme.transposed = (flags & 0x40) != 0;
  scheme.axis = input->Byte() % 5;
  scheme.block_size = input->Byte();
  scheme.non_finite = NonFinite::kZero;
  return scheme;
}

std::vector<float> Decode(const TensorDecoder& decoder, const std::array<Bytes, kNumParts>& parts,
                          ElementRange slice) {
  const auto ranges = decoder.RangesOf(slice);
  std::array<Bytes, kNumParts> exact;  // of their own, so that the sanitizer knows their ends
  std::array<std::span<const uint8_t>, kNumParts> spans;
  for (size_t p = 0; p < kNumParts; ++p) {
    Require(RangeFits(ranges[p].offset, ranges[p].size, parts[p].size()));
    const auto begin = parts[p].begin() + static_cast<std::ptrdiff_t>(ranges[p].offset);
    exact[p].assign(begin, begin + static_cast<std::ptrdiff_t>(ranges[p].size));
    spans[p] = exact[p];
  }
  std::vector<float> values(slice.count);
  Require(decoder.Decode(slice, spans, values).ok());
  return values;
}

void EncodeAgain(const Scheme& scheme, const Shape& shape, const PartSizes& sizes,
                 const std::vector<float>& values) {
  auto encoder = TensorEncoder::Create(scheme, shape);
  Require(encoder.ok());
  PartSizes written = {};
  while (const auto slice = encoder.value()->NextSlice()) {
    Require(RangeFits(slice->first, slice->count, values.size()));
    const std::vector<float> exact(
        values.begin() + static_cast<std::ptrdiff_t>(slice->first),
        values.begin() + static_cast<std::ptrdiff_t>(slice->first + slice->count));
    Require(encoder.value()->Feed(exact).ok());
    for (const PartWrite& write : encoder.value()->writes()) {
      const size_t p = static_cast<size_t>(write.part);
      Require(RangeFits(write.offset, write.bytes.size(), sizes[p]));
      written[p] += write.bytes.size();
    }
  }
  Require(written == sizes);
}

}  // namespace
}  // namespace modelshrink

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace modelshrink;
  Input input({data, size});
  const Scheme scheme = TakeScheme(&input);
  Shape shape(input.Byte() % 5);
  for (uint64_t& dim : shape) dim = input.Byte();
  const uint64_t first_seed = input.Byte() * 256u + input.Byte();
  const uint64_t count_seed = input.Byte() * 256u + input.Byte();

  uint64_t num_elements = 0;
  const auto sizes = PartSizesOf(scheme, shape);
  if (!sizes.ok() || !CheckedNumElements(shape, &num_elements)) return 0;
  if (num_elements == 0 || num_elements > kMaxElements) return 0;
  std::array<Bytes, kNumParts> parts;
  for (size_t p = 0; p < kNumParts; ++p) parts[p] = input.Fill(sizes.value()[p]);

  const auto decoder = TensorDecoder::Create(scheme, shape);
  Require(decoder.ok());
  const std::vector<float> all = Decode(*decoder.value(), parts, {0, num_elements});
  const uint64_t first = first_seed % num_elements;
  const uint64_t count = 1 + count_seed % (num_elements - first);
  const std::vector<float> some = Decode(*decoder.value(), parts, {first, count});
  Require(std::memcmp(some.data(), all.data() + first, count * sizeof(float)) == 0);
  EncodeAgain(scheme, shape, sizes.value(), all);
  return 0;
}
