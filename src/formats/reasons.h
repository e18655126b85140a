// Why a tensor stays as it is, or becomes something else than asked: a code with arguments for
// programs, a sentence for people.
#ifndef MODELSHRINK_FORMATS_REASONS_H_
#define MODELSHRINK_FORMATS_REASONS_H_

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace modelshrink {

enum class ReasonCode : uint8_t {
#define MODELSHRINK_REASON(code, name, sentence) code,
#include "formats/reasons.def"
#undef MODELSHRINK_REASON
};

// What stands in a place of a reason's sentence.
struct ReasonArgument {
  // NOLINTBEGIN(google-explicit-constructor): a list of arguments reads as what it gives.
  ReasonArgument(std::string_view value) : text(value) {}
  ReasonArgument(const std::string& value) : text(value) {}
  ReasonArgument(const char* value) : text(value) {}
  template <std::integral T>
  ReasonArgument(T value) : text(std::to_string(value)), is_number(true) {}
  // NOLINTEND(google-explicit-constructor)

  std::string text;
  bool is_number = false;  // then `text` is an integer in decimal
};

class Reason {
 public:
  // One argument for each place of the code's sentence, in order; `cause` where it has {cause}.
  // NOLINTNEXTLINE(google-explicit-constructor): a code alone is a reason.
  Reason(ReasonCode code, std::initializer_list<ReasonArgument> arguments = {},
         std::optional<Reason> cause = std::nullopt);

  Reason(const Reason& other);
  Reason(Reason&& other) noexcept;
  Reason& operator=(const Reason& other);
  Reason& operator=(Reason&& other) noexcept;
  ~Reason();

  ReasonCode code() const { return code_; }
  std::span<const ReasonArgument> arguments() const;
  // Null: it has none.
  const Reason* cause() const;

 private:
  struct Details;

  ReasonCode code_;
  // Null: no arguments and no cause. Apart, because a model has a reason for each of its tensors.
  std::unique_ptr<const Details> details_;
};

// In the order in which they were found; all hold.
using Reasons = std::vector<Reason>;

// The code as JavaScript spells it: "wouldNotShrink".
const char* NameOf(ReasonCode code);
// The name of the place that argument number `index` stands in; "" when there is none.
std::string_view PlaceOf(ReasonCode code, size_t index);

std::string SentenceOf(const Reason& reason);
// All sentences, with "; " between them.
std::string NoteOf(const Reasons& reasons);

// Appends the reason, if there is one.
void AddReason(std::optional<Reason> reason, Reasons* reasons);
// Appends a reason whose one argument is `count`, unless that is 0.
void AddCount(ReasonCode code, uint64_t count, Reasons* reasons);

}  // namespace modelshrink

#endif  // MODELSHRINK_FORMATS_REASONS_H_
