// The core's values as JavaScript sees them: objects of the lists of fields (fields.h).
#ifndef MODELSHRINK_BINDINGS_WASM_TO_JS_H_
#define MODELSHRINK_BINDINGS_WASM_TO_JS_H_

#include <emscripten/val.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/status.h"
#include "fields.h"

namespace modelshrink::wasm {

using emscripten::val;

// True for types whose values may be infinite or NaN, which JSON has no words for.
template <typename T>
inline constexpr bool kIsFraction =
    std::same_as<T, double> || std::same_as<T, std::optional<double>>;

// Writes a value as JSON, but for members that are a double or a std::optional<double>.
class JsonWriter {
 public:
  // A visitor of VisitFields.
  template <typename T>
  void Field(const char* name, const T& member) {
    if constexpr (!kIsFraction<T>) {
      AddKey(name);
      Write(member);
    }
  }
  template <typename T>
  void Optional(const char* name, const T& member) {
    if (!IsEmpty(member)) Field(name, member);
  }

  template <typename T>
  void Write(const T& value) {
    if constexpr (std::same_as<T, bool>) {
      text_ += value ? "true" : "false";
    } else if constexpr (std::is_integral_v<T>) {
      text_ += std::to_string(value);
    } else if constexpr (Text<T>) {
      WriteText(value);
    } else if constexpr (kIsOptional<T> || std::is_pointer_v<T>) {
      Write(*value);
    } else if constexpr (kIsPlace<T>) {
      WritePlace(value.data(), value.size() * sizeof(*value.data()));
    } else if constexpr (std::same_as<T, FlagBytes>) {
      text_ += '"';
      for (const uint8_t flag : value) text_ += flag != 0 ? '1' : '0';
      text_ += '"';
    } else if constexpr (std::same_as<T, std::vector<TextPair>>) {
      BeginObject();
      for (const auto& [key, item] : value) {
        AddSeparator();
        WriteText(key);
        text_ += ':';
        WriteText(item);
      }
      EndObject();
    } else if constexpr (std::same_as<T, std::vector<NamedArgument>>) {
      BeginObject();
      for (const auto& [name, argument] : value) {
        AddSeparator();
        WriteText(name);
        text_ += ':';
        if (argument->is_number) {
          text_ += argument->text;
        } else {
          WriteText(argument->text);
        }
      }
      EndObject();
    } else if constexpr (kIsVector<T>) {
      WriteArray(std::span<const typename T::value_type>(value));
    } else if constexpr (std::is_enum_v<T>) {
      WriteWord(decltype(WordsOf(TypeTag<T>()))::kWords, static_cast<uint8_t>(value));
    } else if constexpr (requires { ViewOf(TypeTag<T>(), value); }) {
      Write(ViewOf(TypeTag<T>(), value));
    } else {
      BeginObject();
      VisitFields(*this, value);
      EndObject();
    }
  }
  template <typename T>
  void WriteArray(std::span<const T> items) {
    text_ += '[';
    is_first_ = true;
    for (const T& item : items) {
      AddSeparator();
      Write(item);
    }
    text_ += ']';
    is_first_ = false;
  }
  void BeginObject() {
    text_ += '{';
    is_first_ = true;
  }
  void EndObject() {
    text_ += '}';
    is_first_ = false;
  }

  // The value as JSON.parse gives it.
  val Parsed() const;
  std::string_view text() const { return text_; }

 private:
  template <typename T>
  static bool IsEmpty(const T& value) {
    if constexpr (kIsOptional<T>) {
      return !value.has_value();
    } else if constexpr (Text<T> || kIsVector<T>) {
      return value.empty();
    } else {
      return value == T();
    }
  }
  void AddSeparator();
  void AddKey(const char* name);
  void WriteText(std::string_view value);
  void WriteWord(std::span<const Word> words, uint8_t value);
  void WritePlace(const void* data, size_t size);

  std::string text_;
  bool is_first_ = true;  // of the members or items of what is open
};

// Sets the members that JsonWriter leaves out, of an object and of those in its lists.
class FractionSetter {
 public:
  explicit FractionSetter(val* object) : object_(object) {}

  template <typename T>
  void Field(const char* name, const T& member) {
    if constexpr (std::same_as<T, double>) {
      object_->set(name, member);
    } else if constexpr (kIsVector<T>) {
      FieldOfList(name, member);
    }
  }
  template <typename T>
  void Optional(const char* name, const T& member) {
    if constexpr (std::same_as<T, std::optional<double>>) {
      if (member) object_->set(name, *member);
    }
  }

 private:
  // Finds out whether there is anything to set: asking JavaScript for the item costs more.
  struct Seeker {
    template <typename T>
    void Field(const char* /*name*/, const T& /*member*/) {
      if constexpr (std::same_as<T, double>) is_found = true;
    }
    template <typename T>
    void Optional(const char* /*name*/, const T& member) {
      if constexpr (std::same_as<T, std::optional<double>>) is_found |= member.has_value();
    }
    bool is_found = false;
  };

  template <typename T>
  void FieldOfList(const char* name, const std::vector<T>& items) {
    Seeker seeker;
    if constexpr (requires { VisitFields(seeker, items[0]); }) {
      for (size_t i = 0; i < items.size(); ++i) {
        seeker.is_found = false;
        VisitFields(seeker, items[i]);
        if (!seeker.is_found) continue;
        val item = (*object_)[name][i];
        FractionSetter setter(&item);
        VisitFields(setter, items[i]);
      }
    }
  }

  val* const object_;
};

// Objects cross as JSON: Embind drops U+FEFF where a string begins, an object's "__proto__" is no
// key, a string's copy may go to what malloc gives when it gives nothing, and a call into
// JavaScript for each member takes several times as long.
template <typename T>
val ObjectOf(const T& value) {
  JsonWriter json;
  json.Write(value);
  val object = json.Parsed();
  FractionSetter setter(&object);
  VisitFields(setter, value);
  return object;
}

// An array of objects without fractions.
template <typename T>
val ArrayOf(std::span<const T> items) {
  JsonWriter json;
  json.WriteArray(items);
  return json.Parsed();
}

// CoreError; `status` is not ok.
val ErrorOf(const Status& status);

// `{}`, or a CoreError.
val ResultOf(const Status& status);

// The object of a struct that is in one of the lists of fields, or a CoreError.
template <typename T>
val ResultOf(const StatusOr<T>& result) {
  return result.ok() ? ObjectOf(result.value()) : ErrorOf(result.status());
}

// A place in the heap.
val HeapBytesOf(std::span<const uint8_t> bytes);

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_TO_JS_H_
