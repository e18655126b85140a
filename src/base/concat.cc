#include "base/concat.h"

namespace modelshrink {

void TextPiece::AppendTo(std::string* text) const {
  if (!is_number_) {
    text->append(text_);
    return;
  }
  if (is_negative_) *text += '-';
  *text += std::to_string(number_);
}

std::string Concat(std::initializer_list<TextPiece> pieces) {
  std::string text;
  for (const TextPiece& piece : pieces) piece.AppendTo(&text);
  return text;
}

}  // namespace modelshrink
