// The same bits as another type.
#ifndef MODELSHRINK_BASE_BITS_H_
#define MODELSHRINK_BASE_BITS_H_

namespace modelshrink {

// std::bit_cast, which the C++ library of Emscripten 3.1.6 lacks.
template <typename To, typename From>
constexpr To BitCast(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  return __builtin_bit_cast(To, from);
}

}  // namespace modelshrink

#endif  // MODELSHRINK_BASE_BITS_H_
