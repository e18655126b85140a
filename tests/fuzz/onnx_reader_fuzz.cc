// Any bytes: read as a model, then written in a way that the first byte chooses.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "base/checked.h"
#include "formats/onnx/reader.h"

namespace modelshrink {
namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

bool Read(std::span<const uint8_t> bytes, Format& format) {
  for (;;) {
    const auto request = format.Next();
    if (!request.ok()) return false;
    if (!request.value()) return true;
    const ByteRange range = request.value()->range;
    Require(range.size > 0 && range.size <= 1 << 20);
    Require(RangeFits(range.offset, range.size, bytes.size()));
    Require(format.Feed(bytes.subspan(range.offset, range.size)).ok());
  }
}

TensorSpec SpecOf(uint8_t choice) {
  static constexpr DType kTypes[] = {DType::kInt8,    DType::kUint8,   DType::kInt4,
                                     DType::kUint4,   DType::kInt16,   DType::kUint16,
                                     DType::kFloat16, DType::kBFloat16};
  TensorSpec spec;
  spec.keep = false;
  spec.type = kTypes[choice % 8];
  spec.mode = static_cast<Mode>(choice / 8 % 3);
  spec.granularity = static_cast<Granularity>(choice / 24 % 3);
  spec.symmetric = choice / 72 % 2 == 0;
  return spec;
}

void CheckLayout(const Layout& layout, uint64_t size_bytes) {
  uint64_t total = 0;
  for (const Segment& segment : layout.files[0].segments) {
    total += segment.size;
    if (segment.kind == Segment::Kind::kCopy) {
      Require(RangeFits(segment.source_offset, segment.size, size_bytes));
    } else if (segment.kind == Segment::Kind::kLiteral) {
      Require(RangeFits(segment.source_offset, segment.size, layout.literals.size()));
    }
  }
  Require(total == layout.size_bytes && total <= size_bytes);
}

}  // namespace
}  // namespace modelshrink

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace modelshrink;
  if (size < 2) return 0;
  const std::span<const uint8_t> bytes(data + 1, size - 1);
  onnx::OnnxFormat format({"model.onnx", bytes.size()});
  if (!Read(bytes, format)) return 0;
  for (const Tensor& tensor : format.model().tensors) {
    for (const ByteRange& part : tensor.parts) {
      Require(RangeFits(part.offset, part.size, bytes.size()));
    }
  }
  const std::vector<TensorSpec> specs(format.model().tensors.size(), SpecOf(data[0]));
  const auto layout = format.Write(specs, {.strip = data[0] >= 144});
  if (layout.ok()) CheckLayout(layout.value(), bytes.size());
  return 0;
}
