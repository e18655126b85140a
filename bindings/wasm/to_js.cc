#include "to_js.h"

#include "array_fields.h"
#include "base/quoted.h"

namespace modelshrink::wasm {

val JsonWriter::Parsed() const {
  // Never destroyed: JavaScript ends the instance without a word.
  static const val& decoder = *new val(val::global("TextDecoder").new_());
  static const val& json = *new val(val::global("JSON"));
  const val bytes(
      emscripten::typed_memory_view(text_.size(), reinterpret_cast<const uint8_t*>(text_.data())));
  return json.call<val>("parse", decoder.call<val>("decode", bytes));
}

void JsonWriter::AddSeparator() {
  if (!is_first_) text_ += ',';
  is_first_ = false;
}

void JsonWriter::AddKey(const char* name) {
  AddSeparator();
  text_ += '"';
  text_ += name;
  text_ += "\":";
}

void JsonWriter::WriteText(std::string_view value) { AppendQuoted(value, &text_); }

void JsonWriter::WriteWord(std::span<const Word> words, uint8_t value) {
  for (const Word& word : words) {
    if (word.value == value) return WriteText(word.text);
  }
  text_ += "null";
}

void JsonWriter::WritePlace(const void* data, size_t size) {
  BeginObject();
  AddKey("ptr");
  text_ += std::to_string(reinterpret_cast<uintptr_t>(data));
  AddKey("size");
  text_ += std::to_string(size);
  EndObject();
}

val ErrorOf(const Status& status) {
  return ObjectOf(ErrorView{.error = ErrorClassOf(status.code()),
                            .message = status.message(),
                            .tensor = status.tensor(),
                            .offset = status.offset()});
}

val ResultOf(const Status& status) { return status.ok() ? val::object() : ErrorOf(status); }

val HeapBytesOf(std::span<const uint8_t> bytes) {
  JsonWriter json;
  json.Write(bytes);
  return json.Parsed();
}

}  // namespace modelshrink::wasm
