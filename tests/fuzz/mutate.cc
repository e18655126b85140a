#include "mutate.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/protobuf_bytes.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace modelshrink {
namespace {

constexpr size_t kMaxFields = 4096;
constexpr int kMaxDepth = 16;

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

struct Field {
  uint32_t number = 0;
  uint32_t wire = 0;
  std::string body;             // without the tag and the length; unused when there are fields
  std::vector<Field> children;  // of a message
};

bool TakeVarint(std::string_view* bytes, uint64_t* value) {
  *value = 0;
  for (size_t i = 0; i < bytes->size() && i < 10; ++i) {
    const uint8_t byte = static_cast<uint8_t>((*bytes)[i]);
    *value |= uint64_t{byte & 0x7Fu} << 7 * i;
    if (byte < 0x80) {
      bytes->remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

// False when the bytes are not fields, which texts and numbers rarely are by chance.
bool Parse(std::string_view bytes, int depth, size_t* budget, std::vector<Field>* fields) {
  while (!bytes.empty()) {
    uint64_t tag;
    if (*budget == 0 || !TakeVarint(&bytes, &tag) || tag < 8 || tag >> 32 != 0) return false;
    --*budget;
    Field field = {.number = static_cast<uint32_t>(tag >> 3),
                   .wire = static_cast<uint32_t>(tag & 7)};
    uint64_t size = field.wire == kFixed64 ? 8 : 4;
    const std::string_view rest = bytes;
    if (field.wire == kVarint) {
      uint64_t value;
      if (!TakeVarint(&bytes, &value)) return false;
      field.body = rest.substr(0, rest.size() - bytes.size());
    } else if (field.wire == kLengthDelimited || field.wire == kFixed64 || field.wire == kFixed32) {
      if (field.wire == kLengthDelimited && !TakeVarint(&bytes, &size)) return false;
      if (size > bytes.size()) return false;
      field.body = bytes.substr(0, static_cast<size_t>(size));
      bytes.remove_prefix(static_cast<size_t>(size));
    } else {
      return false;
    }
    if (field.wire == kLengthDelimited && depth > 0 && field.body.size() > 1) {
      if (!Parse(field.body, depth - 1, budget, &field.children)) field.children.clear();
    }
    fields->push_back(std::move(field));
  }
  return true;
}

std::string Serialize(const std::vector<Field>& fields) {
  std::string bytes;
  for (const Field& field : fields) {
    bytes += Varint(field.number * 8 + field.wire);
    const std::string body = field.children.empty() ? field.body : Serialize(field.children);
    if (field.wire == kLengthDelimited) bytes += Varint(body.size());
    bytes += body;
  }
  return bytes;
}

struct Place {
  std::vector<Field>* siblings;
  size_t index;
  Field& field() const { return (*siblings)[index]; }
};

void Collect(std::vector<Field>* fields, std::vector<Place>* places) {
  for (size_t i = 0; i < fields->size(); ++i) {
    places->push_back({fields, i});
    Collect(&(*fields)[i].children, places);
  }
}

std::string MutatedBody(const std::string& body) {
  std::string room = body;
  room.resize(2 * body.size() + 16);
  const size_t size =
      LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(room.data()), body.size(), room.size());
  room.resize(size);
  return room;
}

void MutateLeaf(Field* field, std::minstd_rand* random) {
  static constexpr uint64_t kNumbers[] = {
      0, 1, 2, 3, 4, 7, 8, 16, 127, UINT64_MAX, uint64_t{1} << 31};
  if (field->wire == kVarint) {
    field->body = Varint(kNumbers[(*random)() % std::size(kNumbers)]);
  } else if (field->wire == kLengthDelimited) {
    field->body = MutatedBody(field->children.empty() ? field->body : Serialize(field->children));
    field->children.clear();
  } else {
    MutateInPlace(reinterpret_cast<uint8_t*>(field->body.data()), field->body.size(), random);
  }
}

void MutateFields(std::vector<Field>* fields, std::minstd_rand* random) {
  std::vector<Place> places;
  Collect(fields, &places);
  if (places.empty()) return;
  const Place place = places[(*random)() % places.size()];
  const auto at = place.siblings->begin() + static_cast<std::ptrdiff_t>(place.index);
  const auto kind = (*random)() % 8;
  if (kind == 0) {
    place.siblings->erase(at);
    return;
  }
  if (kind == 1) {
    place.siblings->insert(at, Field(place.field()));
    return;
  }
  if (kind == 2 && place.siblings->size() > 1) {
    std::swap(place.field(), (*place.siblings)[(*random)() % place.siblings->size()]);
    return;
  }
  if (kind < 6) {
    // Names that are one connect nodes, and shapes and types fit other values.
    std::vector<Place> alike;
    for (const Place& other : places) {
      if (other.field().number == place.field().number &&
          other.field().wire == place.field().wire) {
        alike.push_back(other);
      }
    }
    const Field other = alike[(*random)() % alike.size()].field();
    place.field() = other;
    return;
  }
  MutateLeaf(&place.field(), random);
}

size_t Put(const std::string& bytes, uint8_t* data) {
  if (!bytes.empty()) std::memcpy(data, bytes.data(), bytes.size());
  return bytes.size();
}

}  // namespace

size_t MutateProtobuf(uint8_t* data, size_t size, size_t max_size, std::minstd_rand* random) {
  std::vector<Field> fields;
  size_t budget = kMaxFields;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if ((*random)() % 16 == 0 || !Parse(bytes, kMaxDepth, &budget, &fields)) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  for (auto i = (*random)() % 3 + 1; i > 0; --i) MutateFields(&fields, random);
  const std::string changed = Serialize(fields);
  if (changed.empty() || changed.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  return Put(changed, data);
}

size_t MutateSafetensors(uint8_t* data, size_t size, size_t max_size, std::minstd_rand* random) {
  uint64_t length = 0;
  if (size >= sizeof(length)) std::memcpy(&length, data, sizeof(length));
  if (size < sizeof(length) || length > size - sizeof(length) || (*random)() % 8 == 0) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  const std::string file(reinterpret_cast<const char*>(data), size);
  const size_t json_size = static_cast<size_t>(length);
  std::string json = file.substr(8, json_size), rest = file.substr(8 + json_size);
  std::string& part = (*random)() % 4 == 0 ? rest : json;
  part = MutatedBody(part);
  length = json.size();
  std::string changed(sizeof(length), '\0');
  std::memcpy(changed.data(), &length, sizeof(length));
  changed += json + rest;
  if (changed.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  return Put(changed, data);
}

void MutateInPlace(uint8_t* data, size_t size, std::minstd_rand* random) {
  for (auto i = (*random)() % 4 + 1; i > 0 && size > 0; --i) {
    data[(*random)() % size] = static_cast<uint8_t>((*random)() >> 8);
  }
}

}  // namespace modelshrink
