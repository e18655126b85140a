// Many structs of one kind as columns: an object for each would take several times the memory, and
// so would their JSON. bindings/js/core/table.ts makes the objects of them when they are wanted.
#ifndef MODELSHRINK_BINDINGS_WASM_MODEL_TABLE_H_
#define MODELSHRINK_BINDINGS_WASM_MODEL_TABLE_H_

#include <emscripten/val.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/model.h"
#include "to_js.h"

namespace modelshrink::wasm {

// A typed array of this class in JavaScript's own memory.
template <typename T>
val ArrayOfNumbers(const char* type, const T* values, size_t count) {
  return val::global(type).new_(val(emscripten::typed_memory_view(count, values)));
}

// Texts, each of them once.
class TextPool {
 public:
  // The number of this text, in the order in which texts came first.
  uint32_t NumberOf(std::string_view text);
  std::string_view TextAt(uint32_t number) const;
  // The texts one after the other, and where each ends.
  const std::string& texts() const { return texts_; }
  const std::vector<uint32_t>& ends() const { return ends_; }

 private:
  // The place of this text in `slots_`, or that where it belongs.
  size_t SlotOf(std::string_view text) const;
  void Grow();

  std::string texts_;
  std::vector<uint32_t> ends_;
  std::vector<uint32_t> slots_;  // an open hash table of numbers + 1; 0: free
  uint32_t last_ = 0;            // the number that was given last
};

// Members named "name" and numbers of 64 bits tell rows apart and become columns, and so do the
// values and nodes of LayerInputs. All other members of a row are JSON that most rows share. There
// the members of columns are 0 or empty, so that it tells which of them a row has, and in which
// order.
class TableWriter {
 public:
  explicit TableWriter(size_t num_rows);

  // `row` is a struct of the lists of fields.
  template <typename T>
  void Add(const T& row) {
    row_ = JsonWriter();
    next_column_ = 0;
    row_.BeginObject();
    VisitFields(*this, row);
    row_.EndObject();
    EndRow();
  }

  // CoreTable.
  val Table() const;
  // CoreUnitReports: what a plan's rows do not tell.
  val Found() const;

  // A visitor of VisitFields.
  template <typename T>
  void Field(const char* name, const T& member) {
    if constexpr (std::same_as<T, uint64_t> || std::same_as<T, double>) {
      AddNumber(name, static_cast<double>(member), true, false);
    } else if constexpr (Text<T>) {
      if (std::string_view(name) == "name") {
        names_ += member;
        row_.Field(name, 0);
      } else {
        row_.Field(name, member);
      }
    } else {
      row_.Field(name, member);
    }
  }
  template <typename T>
  void Optional(const char* name, const T& member) {
    if constexpr (std::same_as<T, std::vector<LayerInput>>) {
      row_.Optional(name, WithoutPlaces(member));
    } else if constexpr (std::same_as<T, std::optional<uint64_t>> ||
                         std::same_as<T, std::optional<double>>) {
      AddNumber(name, member ? static_cast<double>(*member) : 0, member.has_value(), true);
    } else {
      row_.Optional(name, member);
    }
  }

 private:
  struct Column {
    const char* name;
    bool is_optional;
    std::vector<double> values;
  };

  void AddNumber(const char* name, double value, bool is_there, bool is_optional);
  // Columns by name: all, or the optional ones.
  val NumbersOf(bool only_optional) const;
  // Takes the values and nodes of `inputs`, and gives what is left of them.
  std::vector<LayerInput> WithoutPlaces(std::vector<LayerInput> inputs);
  void EndRow();

  const size_t num_rows_;
  JsonWriter row_;
  std::string names_;
  std::vector<uint32_t> name_ends_;
  std::string places_;  // by row: JSON of the values and nodes of its layer inputs, with commas
  std::vector<uint32_t> place_ends_;  // empty while no row has some
  std::vector<Column> columns_;
  size_t next_column_ = 0;
  TextPool pool_;
  std::vector<uint32_t> shared_;  // by row: the number of its JSON
};

}  // namespace modelshrink::wasm

#endif  // MODELSHRINK_BINDINGS_WASM_MODEL_TABLE_H_
