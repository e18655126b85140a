#include "formats/reasons.h"

#include <utility>

namespace modelshrink {
namespace {

struct Row {
  const char* name;
  std::string_view sentence;
};

constexpr Row kRows[] = {
#define MODELSHRINK_REASON(code, name, sentence) {name, sentence},
#include "formats/reasons.def"
#undef MODELSHRINK_REASON
};

constexpr std::string_view kCause = "cause";

// A sentence's next place and what stands before it.
struct Place {
  std::string_view before, name, noun;
};

// Cuts the next place off the front of `sentence`; nullopt: there is none.
std::optional<Place> TakePlace(std::string_view* sentence) {
  const size_t begin = sentence->find('{');
  if (begin == std::string_view::npos) return std::nullopt;
  const size_t end = sentence->find('}', begin);
  const std::string_view inside = sentence->substr(begin + 1, end - begin - 1);
  const size_t colon = inside.find(':');
  Place place = {sentence->substr(0, begin), inside.substr(0, colon), {}};
  if (colon != std::string_view::npos) place.noun = inside.substr(colon + 1);
  sentence->remove_prefix(end + 1);
  return place;
}

}  // namespace

struct Reason::Details {
  std::vector<ReasonArgument> arguments;
  std::optional<Reason> cause;
};

Reason::Reason(ReasonCode code, std::initializer_list<ReasonArgument> arguments,
               std::optional<Reason> cause)
    : code_(code) {
  if (arguments.size() == 0 && !cause) return;
  details_ = std::make_unique<const Details>(Details{arguments, std::move(cause)});
}

Reason::Reason(const Reason& other)
    : code_(other.code_),
      details_(other.details_ ? std::make_unique<const Details>(*other.details_) : nullptr) {}
Reason::Reason(Reason&& other) noexcept = default;
Reason& Reason::operator=(const Reason& other) { return *this = Reason(other); }
Reason& Reason::operator=(Reason&& other) noexcept = default;
Reason::~Reason() = default;

std::span<const ReasonArgument> Reason::arguments() const {
  return details_ ? std::span<const ReasonArgument>(details_->arguments)
                  : std::span<const ReasonArgument>();
}

const Reason* Reason::cause() const {
  return details_ && details_->cause ? &*details_->cause : nullptr;
}

const char* NameOf(ReasonCode code) { return kRows[static_cast<size_t>(code)].name; }

std::string_view PlaceOf(ReasonCode code, size_t index) {
  std::string_view sentence = kRows[static_cast<size_t>(code)].sentence;
  while (const std::optional<Place> place = TakePlace(&sentence)) {
    if (place->name != kCause && index-- == 0) return place->name;
  }
  return {};
}

std::string SentenceOf(const Reason& reason) {
  std::string_view rest = kRows[static_cast<size_t>(reason.code())].sentence;
  std::string text;
  size_t next = 0;
  while (const std::optional<Place> place = TakePlace(&rest)) {
    text += place->before;
    if (place->name == kCause) {
      if (reason.cause() != nullptr) text += SentenceOf(*reason.cause());
      continue;
    }
    if (next == reason.arguments().size()) continue;
    const std::string& argument = reason.arguments()[next++].text;
    text += argument;
    if (place->noun.empty()) continue;
    text += ' ';
    text += place->noun;
    if (argument != "1") text += 's';
  }
  text += rest;
  return text;
}

std::string NoteOf(const Reasons& reasons) {
  std::string note;
  for (const Reason& reason : reasons) {
    if (!note.empty()) note += "; ";
    note += SentenceOf(reason);
  }
  return note;
}

void AddReason(std::optional<Reason> reason, Reasons* reasons) {
  if (reason) reasons->push_back(std::move(*reason));
}

void AddCount(ReasonCode code, uint64_t count, Reasons* reasons) {
  if (count > 0) reasons->push_back(Reason(code, {count}));
}

}  // namespace modelshrink
