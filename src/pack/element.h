// What the bytes of a piece of a file are, as the pack tells it: elements of one size, whose fields
// become streams of codes.
#ifndef MODELSHRINK_PACK_ELEMENT_H_
#define MODELSHRINK_PACK_ELEMENT_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "pack/code_stream.h"

namespace modelshrink {

// Numbers in the file: they never change their meaning, and new ones are added at the end.
enum class ElementKind : uint8_t {
#define MODELSHRINK_ELEMENT(id, size, ...) k##id,
#include "pack/elements.def"
#undef MODELSHRINK_ELEMENT
  kCount
};

// Whether it is one of the kinds of matrices, of which a chunk has one piece at most.
inline bool IsMatrix(ElementKind kind) {
  return kind == ElementKind::kMatrix || kind == ElementKind::kNibbleMatrix ||
         kind == ElementKind::kTrellisMatrix;
}

// How the bytes of a field are cut into codes.
enum class FieldType : uint8_t {
  kCodes,    // a byte is a signed code (or an unsigned one: a common value is taken from them)
  kNibbles,  // two symbols a byte, the low half first
  kFloat16,  // two planes of 16-bit floats: mantissa and sign; exponent
  kFloat32,  // four planes
  kFloat64,  // eight planes
  kWords,    // two planes of 16-bit integers
};

struct Field {
  FieldType type;
  uint16_t size;  // bytes in each element, one field after the other
};

struct Element {
  uint16_t size;  // bytes
  std::span<const Field> fields;
};

// `kind` is below kCount. kBytes has no fields: it is no stream of codes.
const Element& ElementOf(ElementKind kind);

// How many streams a field has, and how many codes each of them has for each element.
size_t NumStreams(FieldType type);
size_t CodesPerElement(const Field& field);
CodeKind CodeKindOf(FieldType type);

// Writes the streams of field `f` of whole elements, one after the other, `stride` bytes from each
// other's beginning. `scratch` has room for the field of all elements.
void SplitField(ElementKind kind, size_t f, std::span<const uint8_t> elements, uint8_t* scratch,
                uint8_t* streams, size_t stride);

// The reverse: writes the field's bytes of all `elements`.
void JoinField(ElementKind kind, size_t f, const uint8_t* streams, size_t stride, uint8_t* scratch,
               std::span<uint8_t> elements);

}  // namespace modelshrink

#endif  // MODELSHRINK_PACK_ELEMENT_H_
