// The structs that cross into JavaScript, written once. array_fields.def and model_fields.def list
// their members; this header makes each list a function VisitFields(visitor, s), which Reader
// (from_js.h) and JsonWriter (to_js.h) walk, and `npm run generate` writes the TypeScript
// interfaces of the same lists (bindings/js/core/structs.ts). The compiler holds each member's C++
// type against its TypeScript kind.
//
//   WORDS(Name, Enum)            an enum that crosses as one of these strings:
//     WORD("axis", kAxis)
//   END_WORDS(Name, Enum)
//
//   STRUCT(Type, Name)           the C++ type and the TypeScript interface
//     EXTENDS(Base, member)      the members of another struct, as if they were its own
//     FIELD(name, member, kind)
//     OPTIONAL(name, member, kind)   from JavaScript: undefined leaves the member as it is. To
//                                    JavaScript: left out when it is empty, 0 or nullopt
//   END_STRUCT
//
//   UNION(Type, Name)            a struct with a member `kind`, an enum, that tells which others
//     CASE(kRead)                count
//     …
//   END_UNION
//
// `member` is whatever may follow "s.": a path or a call, too.
#ifndef MODELSHRINK_BINDINGS_WASM_FIELDS_H_
#define MODELSHRINK_BINDINGS_WASM_FIELDS_H_

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/dtype.h"
#include "formats/reasons.h"

namespace modelshrink::wasm {

struct Word {
  std::string_view text;
  uint8_t value;
};

// Finds the functions below, whose arguments' own namespace is another.
template <typename T>
struct TypeTag {};

using TextPair = std::pair<std::string, std::string>;

// A word or a number of a sentence, by the name of its place.
struct NamedArgument {
  std::string_view name;
  const ReasonArgument* argument;
};

template <typename T>
inline constexpr bool kIsVector = false;
template <typename T>
inline constexpr bool kIsVector<std::vector<T>> = true;
template <typename T>
inline constexpr bool kIsOptional = false;
template <typename T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
// Bytes that stay in the heap; JavaScript gets their place.
template <typename T>
inline constexpr bool kIsPlace = false;
template <typename T>
inline constexpr bool kIsPlace<std::span<T>> = true;
template <typename T>
inline constexpr bool kIsPlace<Buffer<T>> = true;

template <typename T>
concept Text = std::same_as<T, std::string> || std::same_as<T, std::string_view>;

// A std::vector<uint8_t> is a flag an element, and crosses as a string of "0" and "1".
using FlagBytes = std::vector<uint8_t>;

// Tells whether `kind` is what TypeScript calls a T.
template <typename T>
consteval bool HasKind(std::string_view kind) {
  if constexpr (std::same_as<T, bool>) {
    return kind == "boolean";
  } else if constexpr (std::is_arithmetic_v<T>) {
    return kind == "number";
  } else if constexpr (Text<T>) {
    return kind == "string" || kind == "FormatName" || kind == "ReasonCode";
  } else if constexpr (std::same_as<T, DType> || std::same_as<T, FlagBytes>) {
    return kind == "string";
  } else if constexpr (std::same_as<T, std::vector<TextPair>>) {
    return kind == "Record<string, string>";
  } else if constexpr (std::same_as<T, std::vector<NamedArgument>>) {
    return kind == "Record<string, string | number>";
  } else if constexpr (std::is_pointer_v<T>) {
    return HasKind<std::remove_const_t<std::remove_pointer_t<T>>>(kind);
  } else if constexpr (kIsPlace<T>) {
    return kind == "HeapBytes";
  } else if constexpr (kIsOptional<T>) {
    return HasKind<typename T::value_type>(kind);
  } else if constexpr (kIsVector<T>) {
    return kind.ends_with("[]") && HasKind<typename T::value_type>(kind.substr(0, kind.size() - 2));
  } else if constexpr (std::is_enum_v<T>) {
    return kind == decltype(WordsOf(TypeTag<T>()))::kName;
  } else {
    return kind == StructNameOf(TypeTag<T>());
  }
}

}  // namespace modelshrink::wasm

#define WORDS(Name, Enum)                            \
  struct Name##Words {                               \
    using Type = Enum;                               \
    static constexpr std::string_view kName = #Name; \
    static constexpr Word kWords[] = {
#define WORD(text, value) {text, static_cast<uint8_t>(Type::value)},
#define END_WORDS(Name, Enum) \
  }                           \
  ;                           \
  }                           \
  ;                           \
  constexpr Name##Words WordsOf(TypeTag<Enum>) { return {}; }

#define STRUCT(Type, Name)                                                 \
  consteval std::string_view StructNameOf(TypeTag<Type>) { return #Name; } \
  template <typename Visitor, typename S>                                  \
  requires std::same_as<std::remove_const_t<S>, Type>                      \
  void VisitFields(Visitor& visitor, S& s) {
#define EXTENDS(Base, member) VisitFields(visitor, s.member);
#define FIELD(name, member, ...)                                                                   \
  static_assert(HasKind<std::remove_cvref_t<decltype(s.member)>>(#__VA_ARGS__), "kind of " #name); \
  visitor.Field(#name, s.member);
#define OPTIONAL(name, member, ...)                                                                \
  static_assert(HasKind<std::remove_cvref_t<decltype(s.member)>>(#__VA_ARGS__), "kind of " #name); \
  visitor.Optional(#name, s.member);
#define END_STRUCT }

#define UNION(Type, Name)        \
  STRUCT(Type, Name)             \
  using Kind = decltype(s.kind); \
  visitor.Field("kind", s.kind); \
  switch (s.kind) {
#define CASE(value) \
  break;            \
  case Kind::value:
#define END_UNION \
  break;          \
  }               \
  }

#endif  // MODELSHRINK_BINDINGS_WASM_FIELDS_H_
