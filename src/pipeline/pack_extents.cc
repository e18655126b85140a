#include <algorithm>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "pipeline/packing.h"

namespace modelshrink {
namespace {

ElementKind KindOf(DType type) {
  switch (type) {
    case DType::kFloat16:
    case DType::kBFloat16:
      return ElementKind::kFloat16;
    case DType::kFloat32:
    case DType::kInt32:
    case DType::kUint32:
      return ElementKind::kFloat32;
    case DType::kFloat64:
    case DType::kInt64:
    case DType::kUint64:
      return ElementKind::kFloat64;
    case DType::kInt16:
    case DType::kUint16:
      return ElementKind::kWords;
    case DType::kInt4:
    case DType::kUint4:
      return ElementKind::kNibbles;
    default:
      return ElementKind::kCodes;
  }
}

// The kind of blocks of ggml's type of this name; codes where the pack knows no fields of it.
ElementKind KindOfBlocks(std::string_view name) {
#define MODELSHRINK_ELEMENT(id, size, ...) \
  if (name == #id) return ElementKind::k##id;
#include "pack/elements.def"
#undef MODELSHRINK_ELEMENT
  return ElementKind::kCodes;
}

ElementKind KindOfPart(const Tensor& tensor, Part part) {
  const DType type = tensor.scheme.type;
  // Scales are mostly of 32 bits; a model does not tell.
  if (part == Part::kScales) return ElementKind::kFloat32;
  if (part == Part::kZeroPoints) return ElementKind::kCodes;
  if (type == DType::kOther) return KindOfBlocks(tensor.type_name);
  return IsGgmlBlock(type) ? KindOfBlocks(NameOf(type)) : KindOf(type);
}

// The codes of a row of a matrix; 0 where they are not known.
uint32_t RowLength(const Tensor& tensor, const Extent& extent) {
  if (extent.kind != ElementKind::kCodes && extent.kind != ElementKind::kNibbles) return 0;
  if (tensor.shape.empty()) return 0;
  const uint64_t rows = tensor.scheme.transposed ? tensor.shape.back() : tensor.shape[0];
  const uint64_t num_codes = extent.size * (extent.kind == ElementKind::kNibbles ? 2 : 1);
  if (rows <= 1 || num_codes % rows != 0) return 0;
  const uint64_t codes = num_codes / rows;
  return codes <= kMaxStreamCodes / 16 ? static_cast<uint32_t>(codes) : 0;
}

}  // namespace

std::vector<Extent> ExtentsOf(const Model& model) {
  std::vector<uint64_t> begins(model.files.size());
  for (size_t i = 1; i < begins.size(); ++i) {
    begins[i] = begins[i - 1] + model.files[i - 1].size_bytes;
  }
  std::vector<Extent> extents;
  for (const Tensor& tensor : model.tensors) {
    for (size_t p = 0; p < kNumParts; ++p) {
      const ByteRange& range = tensor.parts[p];
      if (range.size == 0 || !RangeFitsFiles(range, model.files)) continue;
      Extent extent = {.offset = begins[range.file] + range.offset,
                       .size = range.size,
                       .kind = KindOfPart(tensor, static_cast<Part>(p))};
      const size_t element_size = ElementOf(extent.kind).size;
      if (extent.size % element_size != 0) extent.kind = ElementKind::kCodes;
      extent.row_length = RowLength(tensor, extent);
      extents.push_back(extent);
    }
  }
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.offset < b.offset; });
  uint64_t end = 0;
  std::erase_if(extents, [&](const Extent& extent) {
    if (extent.offset < end) return true;
    end = extent.offset + extent.size;
    return false;
  });
  return extents;
}

}  // namespace modelshrink
