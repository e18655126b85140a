#include "pack/element.h"

#include <algorithm>
#include <cstring>

#include "kernels/nibble.h"
#include "kernels/planes.h"

namespace modelshrink {
namespace {

#define MODELSHRINK_ELEMENT(id, size, ...) \
  constexpr Field kFieldsOf##id[] = {__VA_ARGS__ __VA_OPT__(, ){}};
#include "pack/elements.def"
#undef MODELSHRINK_ELEMENT

// Without the empty field at the end, which kinds without fields need.
template <size_t n>
constexpr std::span<const Field> WithoutLast(const Field (&fields)[n]) {
  return {fields, n - 1};
}

constexpr Element kElements[] = {
#define MODELSHRINK_ELEMENT(id, size, ...) {size, WithoutLast(kFieldsOf##id)},
#include "pack/elements.def"
#undef MODELSHRINK_ELEMENT
};

constexpr bool FieldsFillElements() {
  for (const Element& element : kElements) {
    size_t sum = 0;
    for (const Field& field : element.fields) sum += field.size;
    if (!element.fields.empty() && sum != element.size) return false;
  }
  return true;
}
static_assert(FieldsFillElements());

// Bytes of a number, or 1 where each byte is by itself.
int WidthOf(FieldType type) {
  switch (type) {
    case FieldType::kFloat16:
    case FieldType::kWords:
      return 2;
    case FieldType::kFloat32:
      return 4;
    case FieldType::kFloat64:
      return 8;
    default:
      return 1;
  }
}

size_t OffsetOf(const Element& element, size_t f) {
  size_t offset = 0;
  for (size_t i = 0; i < f; ++i) offset += element.fields[i].size;
  return offset;
}

}  // namespace

const Element& ElementOf(ElementKind kind) { return kElements[static_cast<size_t>(kind)]; }

size_t NumStreams(FieldType type) { return static_cast<size_t>(WidthOf(type)); }

size_t CodesPerElement(const Field& field) {
  return field.type == FieldType::kNibbles ? 2u * field.size : field.size / NumStreams(field.type);
}

CodeKind CodeKindOf(FieldType type) {
  return type == FieldType::kNibbles ? CodeKind::kSymbols : CodeKind::kSigned;
}

void SplitField(ElementKind kind, size_t f, std::span<const uint8_t> elements, uint8_t* scratch,
                uint8_t* streams, size_t stride) {
  const Element& element = ElementOf(kind);
  const Field& field = element.fields[f];
  const size_t count = elements.size() / element.size;
  const uint8_t* bytes = elements.data();
  if (field.size != element.size) {
    const uint8_t* from = elements.data() + OffsetOf(element, f);
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(scratch + i * field.size, from + i * element.size, field.size);
    }
    bytes = scratch;
  }
  const size_t size = count * field.size;
  const int width = WidthOf(field.type);
  if (width > 1) {
    SplitPlanes(bytes, size / static_cast<size_t>(width), width, field.type != FieldType::kWords,
                streams, stride);
  } else if (field.type == FieldType::kNibbles) {
    UnpackNibbles(bytes, size, false, streams);
  } else {
    std::copy_n(bytes, size, streams);
  }
}

void JoinField(ElementKind kind, size_t f, const uint8_t* streams, size_t stride, uint8_t* scratch,
               std::span<uint8_t> elements) {
  const Element& element = ElementOf(kind);
  const Field& field = element.fields[f];
  const size_t count = elements.size() / element.size;
  const bool is_whole = field.size == element.size;
  uint8_t* const bytes = is_whole ? elements.data() : scratch;
  const size_t size = count * field.size;
  const int width = WidthOf(field.type);
  if (width > 1) {
    JoinPlanes(streams, stride, size / static_cast<size_t>(width), width,
               field.type != FieldType::kWords, bytes);
  } else if (field.type == FieldType::kNibbles) {
    PackNibbles(streams, size, bytes);
  } else {
    std::copy_n(streams, size, bytes);
  }
  if (is_whole) return;
  uint8_t* const to = elements.data() + OffsetOf(element, f);
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(to + i * element.size, scratch + i * field.size, field.size);
  }
}

}  // namespace modelshrink
