// Text out of pieces: one call, where a chain of operator+ is many.
#ifndef MODELSHRINK_BASE_CONCAT_H_
#define MODELSHRINK_BASE_CONCAT_H_

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace modelshrink {

// Text, or an integer in decimal. Refers to the text.
class TextPiece {
 public:
  // NOLINTBEGIN(google-explicit-constructor): a list of pieces reads as what it gives.
  TextPiece(std::string_view text) : text_(text) {}
  TextPiece(const std::string& text) : text_(text) {}
  TextPiece(const char* text) : text_(text) {}
  template <std::integral T>
  requires(!std::same_as<T, char> && !std::same_as<T, bool>) TextPiece(T number)
      : is_number_(true),
        is_negative_(number < 0),
        number_(number < 0 ? uint64_t{0} - static_cast<uint64_t>(number)
                           : static_cast<uint64_t>(number)) {}
  // NOLINTEND(google-explicit-constructor)

  void AppendTo(std::string* text) const;

 private:
  std::string_view text_;
  bool is_number_ = false;
  bool is_negative_ = false;
  uint64_t number_ = 0;
};

std::string Concat(std::initializer_list<TextPiece> pieces);

}  // namespace modelshrink

#endif  // MODELSHRINK_BASE_CONCAT_H_
