#include "model_table.h"

#include <utility>

#include "base/quoted.h"

namespace modelshrink::wasm {
namespace {

val BytesOf(const std::string& text) {
  return ArrayOfNumbers("Uint8Array", reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

val Numbers32(const std::vector<uint32_t>& numbers) {
  return ArrayOfNumbers("Uint32Array", numbers.data(), numbers.size());
}

}  // namespace

uint32_t TextPool::NumberOf(std::string_view text) {
  // Neighbours are often alike.
  if (!ends_.empty() && TextAt(last_) == text) return last_;
  if (2 * (ends_.size() + 1) > slots_.size()) Grow();
  uint32_t& slot = slots_[SlotOf(text)];
  if (slot == 0) {
    texts_ += text;
    ends_.push_back(static_cast<uint32_t>(texts_.size()));
    slot = static_cast<uint32_t>(ends_.size());
  }
  return last_ = slot - 1;
}

std::string_view TextPool::TextAt(uint32_t number) const {
  const uint32_t begin = number == 0 ? 0 : ends_[number - 1];
  return std::string_view(texts_).substr(begin, ends_[number] - begin);
}

size_t TextPool::SlotOf(std::string_view text) const {
  uint32_t hash = 2166136261;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619;
  // The number of slots is a power of two.
  const size_t mask = slots_.size() - 1;
  size_t slot = (hash ^ hash >> 15) & mask;
  while (slots_[slot] != 0 && TextAt(slots_[slot] - 1) != text) slot = (slot + 1) & mask;
  return slot;
}

void TextPool::Grow() {
  slots_.assign(slots_.empty() ? 64 : 2 * slots_.size(), 0);
  for (uint32_t i = 0; i < ends_.size(); ++i) slots_[SlotOf(TextAt(i))] = i + 1;
}

TableWriter::TableWriter(size_t num_rows) : num_rows_(num_rows) {
  name_ends_.reserve(num_rows);
  shared_.reserve(num_rows);
}

void TableWriter::AddNumber(const char* name, double value, bool is_there, bool is_optional) {
  if (next_column_ == columns_.size()) columns_.push_back({name, is_optional, {}});
  std::vector<double>& values = columns_[next_column_++].values;
  if (!is_there) return;
  // Most rows of a table have the same members: a column that none has takes no memory.
  values.resize(num_rows_);
  values[shared_.size()] = value;
  row_.Field(name, 0);
}

std::vector<LayerInput> TableWriter::WithoutPlaces(std::vector<LayerInput> inputs) {
  for (LayerInput& input : inputs) {
    if (places_.size() > (place_ends_.empty() ? 0 : place_ends_.back())) places_ += ',';
    AppendQuoted(input.value, &places_);
    places_ += ',';
    places_ += std::to_string(input.node);
    input.value = {};
    input.node = 0;
  }
  return inputs;
}

void TableWriter::EndRow() {
  name_ends_.push_back(static_cast<uint32_t>(names_.size()));
  if (!places_.empty()) {
    place_ends_.resize(shared_.size());
    place_ends_.push_back(static_cast<uint32_t>(places_.size()));
  }
  shared_.push_back(pool_.NumberOf(row_.text()));
}

val TableWriter::NumbersOf(bool only_optional) const {
  val numbers = val::object();
  for (const Column& column : columns_) {
    if (column.values.empty() || (only_optional && !column.is_optional)) continue;
    numbers.set(column.name,
                ArrayOfNumbers("Float64Array", column.values.data(), column.values.size()));
  }
  return numbers;
}

val TableWriter::Found() const {
  val texts = val::array();
  for (uint32_t i = 0; i < pool_.ends().size(); ++i) {
    texts.call<void>("push", std::string(pool_.TextAt(i)));
  }
  val found = val::object();
  found.set("numbers", NumbersOf(true));
  found.set("texts", texts);
  found.set("shared", Numbers32(shared_));
  return found;
}

val TableWriter::Table() const {
  val table = val::object();
  table.set("names", BytesOf(names_));
  table.set("nameEnds", Numbers32(name_ends_));
  table.set("places", BytesOf(places_));
  table.set("placeEnds", Numbers32(place_ends_));
  table.set("numbers", NumbersOf(false));
  table.set("texts", BytesOf(pool_.texts()));
  table.set("textEnds", Numbers32(pool_.ends()));
  table.set("shared", Numbers32(shared_));
  return table;
}

}  // namespace modelshrink::wasm
