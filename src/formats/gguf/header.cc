#include "formats/gguf/header.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/checked.h"
#include "base/concat.h"
#include "base/sort.h"

namespace modelshrink::gguf {
namespace {

// The caps of FORMAT.md.
constexpr uint64_t kMaxKeys = 100'000;
constexpr uint64_t kMaxTensors = 10'000'000;
constexpr uint64_t kMaxKeyBytes = 65'535;
constexpr uint64_t kMaxStringBytes = 10'000'000;
constexpr uint64_t kMaxArrayElements = uint64_t{1} << 20;
constexpr uint64_t kMaxDim = uint64_t{1} << 32;
constexpr size_t kMaxNesting = 4;
constexpr uint64_t kMaxNameBytes = 63;
constexpr uint32_t kMaxRank = 4;
constexpr uint64_t kMaxAlignment = uint64_t{1} << 20;
// Of strings that are shown.
constexpr uint64_t kMaxShownBytes = 1024;

constexpr uint64_t kMaxWindowBytes = uint64_t{1} << 20;
constexpr uint64_t kStartBytes = 24;

template <typename T>
T Load(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

uint64_t HashOf(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3u;
  return hash;
}

std::string_view TextOf(const uint8_t* bytes, uint64_t size) {
  return {reinterpret_cast<const char*>(bytes), static_cast<size_t>(size)};
}

bool IsReplaced(std::string_view key) {
  return key == "general.file_type" || key == "general.quantization_version" || key == "split.no" ||
         key == "split.count" || key == "split.tensors.count";
}

// The types that readers of these keys count on; of an array, its elements' type.
struct KnownKey {
  std::string_view key;
  ValueType type;
  bool is_array = false;
};
constexpr KnownKey kKnownKeys[] = {
    {"general.architecture", ValueType::kString},
    {"general.name", ValueType::kString},
    {"general.file_type", ValueType::kUint32},
    {"general.quantization_version", ValueType::kUint32},
    {"general.alignment", ValueType::kUint32},
    {"split.no", ValueType::kUint16},
    {"split.count", ValueType::kUint16},
    {"split.tensors.count", ValueType::kInt32},
    {"tokenizer.ggml.tokens", ValueType::kString, true},
    {"tokenizer.ggml.merges", ValueType::kString, true},
    {"tokenizer.ggml.scores", ValueType::kFloat32, true},
    {"tokenizer.ggml.token_type", ValueType::kInt32, true},
};

const KnownKey* KnownKeyOf(std::string_view key) {
  for (const KnownKey& known : kKnownKeys) {
    if (known.key == key) return &known;
  }
  return nullptr;
}

}  // namespace

StatusOr<std::optional<ByteRange>> HeaderReader::Next() {
  while (state_ != State::kDone) {
    num_wanted_ = 0;
    RETURN_IF_ERROR(Step());
    if (num_wanted_ == 0) continue;
    const uint64_t size = std::max(num_wanted_, std::min(window_size_, size_bytes_ - pos_));
    window_size_ = std::min(2 * window_size_, kMaxWindowBytes);
    return std::optional(ByteRange{pos_, size, file_});
  }
  window_ = {};
  return std::optional<ByteRange>();
}

Status HeaderReader::Feed(std::span<const uint8_t> bytes) {
  if (bytes.size() < num_wanted_ || num_wanted_ == 0) {
    return ArgumentError(Concat({"expected ", num_wanted_, " bytes, got ", bytes.size()}));
  }
  window_.assign(bytes.begin(), bytes.end());
  window_begin_ = pos_;
  return {};
}

const uint8_t* HeaderReader::Peek(uint64_t size) {
  is_truncated_ = !RangeFits(pos_, size, size_bytes_);
  if (is_truncated_) return nullptr;
  if (pos_ >= window_begin_ && RangeFits(pos_ - window_begin_, size, window_.size())) {
    return window_.data() + (pos_ - window_begin_);
  }
  num_wanted_ = size;
  return nullptr;
}

Status HeaderReader::Truncated(const char* what) const {
  if (!is_truncated_) return {};
  return FormatError(std::string("the file ends within ") + what).AtOffset(pos_);
}

Status HeaderReader::Step() {
  switch (state_) {
    case State::kStart:
      return ReadStart();
    case State::kKey:
      return ReadKey();
    case State::kValue:
      return ReadValue();
    case State::kElements:
      return ReadElement();
    case State::kTensors:
      return ReadTensor();
    case State::kDone:
      break;
  }
  return {};
}

Status HeaderReader::ReadStart() {
  const uint8_t* start = Peek(kStartBytes);
  if (start == nullptr) return Truncated("GGUF's first 24 bytes");
  if (TextOf(start, 4) != "GGUF") {
    return FormatError("this is no GGUF file: it begins otherwise").AtOffset(0);
  }
  header_.version = Load<uint32_t>(start + 4);
  if (header_.version != 0 && header_.version % 65'536 == 0) {
    return UnsupportedError("this is a big-endian GGUF file").AtOffset(4);
  }
  if (header_.version != 2 && header_.version != 3) {
    return UnsupportedError(
               Concat({"GGUF version ", header_.version, " is not known; 2 and 3 are"}))
        .AtOffset(4);
  }
  num_tensors_left_ = Load<uint64_t>(start + 8);
  num_keys_left_ = Load<uint64_t>(start + 16);
  if (num_tensors_left_ > kMaxTensors) {
    return UnsupportedError(
               Concat({"it has ", num_tensors_left_, " tensors; ", kMaxTensors, " are the most"}))
        .AtOffset(8);
  }
  if (num_keys_left_ > kMaxKeys) {
    return UnsupportedError(
               Concat({"it has ", num_keys_left_, " keys; ", kMaxKeys, " are the most"}))
        .AtOffset(16);
  }
  header_.num_tensors = static_cast<size_t>(num_tensors_left_);
  ReserveTensors();
  header_.num_keys = num_keys_left_;
  pos_ = kStartBytes;
  header_.keys = {pos_, pos_};
  state_ = State::kKey;
  return {};
}

Status HeaderReader::ReadKey() {
  if (num_keys_left_ == 0) {
    header_.keys.end = pos_;
    RETURN_IF_ERROR(CheckKeys());
    state_ = State::kTensors;
    return {};
  }
  const uint8_t* length = Peek(8);
  if (length == nullptr) return Truncated("the length of a key");
  const uint64_t size = Load<uint64_t>(length);
  if (size == 0 || size > kMaxKeyBytes) {
    return FormatError(Concat({"a key has ", size, " bytes; 1 to 65535 are allowed"}))
        .AtOffset(pos_);
  }
  const uint8_t* record = Peek(8 + size + 4);
  if (record == nullptr) return Truncated("a key");
  key_ = TextOf(record + 8, size);
  const uint32_t type = Load<uint32_t>(record + 8 + size);
  if (type >= kNumValueTypes) {
    return FormatError(Concat({"key \"", key_, "\" has a value of unknown type ", type}))
        .AtOffset(pos_ + 8 + size);
  }
  value_type_ = static_cast<ValueType>(type);
  const KnownKey* known = KnownKeyOf(key_);
  if (known != nullptr && value_type_ != (known->is_array ? ValueType::kArray : known->type)) {
    return FormatError(Concat({"key \"", key_, "\" has a value of the wrong type"}))
        .AtOffset(pos_ + 8 + size);
  }
  key_hashes_.push_back({HashOf(key_), pos_});
  key_begin_ = pos_;
  pos_ += 8 + size + 4;
  state_ = State::kValue;
  return {};
}

void HeaderReader::EndValue() {
  if (IsReplaced(key_)) header_.replaced.push_back({key_begin_, pos_});
  --num_keys_left_;
  state_ = State::kKey;
}

Status HeaderReader::ReadValue() {
  if (value_type_ == ValueType::kArray) {
    RETURN_IF_ERROR(OpenArray());
    if (num_wanted_ > 0) return {};
    if (arrays_.empty()) {
      EndValue();
    } else {
      state_ = State::kElements;
    }
    return {};
  }
  RETURN_IF_ERROR(TakeValue());
  if (num_wanted_ > 0) return {};
  if (value_type_ == ValueType::kString) {
    RETURN_IF_ERROR(SkipString());
  } else {
    const uint8_t* value = Peek(SizeOf(value_type_));
    if (value == nullptr) return Truncated("a value");
    if (value_type_ == ValueType::kBool && *value > 1) {
      return FormatError(Concat({"key \"", key_, "\" is neither true nor false"})).AtOffset(pos_);
    }
    pos_ += SizeOf(value_type_);
  }
  if (num_wanted_ == 0) EndValue();
  return {};
}

// Of the types that the known keys have.
Status HeaderReader::TakeUnsigned(uint64_t* value) {
  const uint32_t size = SizeOf(value_type_);
  const uint8_t* bytes = Peek(size);
  if (bytes == nullptr) return Truncated("a value");
  *value = size == 2 ? Load<uint16_t>(bytes) : Load<uint32_t>(bytes);
  return {};
}

// Notes the values that matter; pos_ stays.
Status HeaderReader::TakeValue() {
  std::string* shown = key_ == "general.architecture" ? &header_.architecture
                       : key_ == "general.name"       ? &header_.name
                                                      : nullptr;
  if (shown != nullptr) {
    const uint8_t* length = Peek(8);
    if (length == nullptr) return Truncated("the length of a string");
    const uint64_t size = Load<uint64_t>(length);
    if (size > kMaxShownBytes) return {};
    const uint8_t* text = Peek(8 + size);
    if (text == nullptr) return Truncated("a string");
    *shown = TextOf(text + 8, size);
    return {};
  }
  if (key_ == "split.no") return TakeUnsigned(&header_.split_no);
  if (key_ == "split.count") return TakeUnsigned(&header_.split_count);
  if (key_ == "split.tensors.count") return TakeUnsigned(&header_.split_tensors);
  if (key_ == "general.file_type") {
    header_.file_type = 0;
    return TakeUnsigned(&*header_.file_type);
  }
  if (key_ != "general.alignment") return {};
  RETURN_IF_ERROR(TakeUnsigned(&header_.alignment));
  const uint64_t alignment = header_.alignment;
  if (num_wanted_ > 0 ||
      (alignment != 0 && (alignment & (alignment - 1)) == 0 && alignment <= kMaxAlignment)) {
    return {};
  }
  return FormatError(Concat({"the alignment ", alignment, " is no power of two up to 2^20"}))
      .AtOffset(pos_);
}

Status HeaderReader::SkipString() {
  const uint8_t* length = Peek(8);
  if (length == nullptr) return Truncated("the length of a string");
  const uint64_t size = Load<uint64_t>(length);
  if (!RangeFits(pos_ + 8, size, size_bytes_)) {
    return FormatError(
               Concat({"a string of key \"", key_, "\" has ", size, " bytes, more than are left"}))
        .AtOffset(pos_);
  }
  if (size > kMaxStringBytes) {
    return UnsupportedError(Concat({"a string of key \"", key_, "\" has ", size,
                                    " bytes; 10 million are the most"}))
        .AtOffset(pos_);
  }
  pos_ += 8 + size;
  return {};
}

Status HeaderReader::OpenArray() {
  const uint8_t* start = Peek(12);
  if (start == nullptr) return Truncated("the start of an array");
  const uint32_t type = Load<uint32_t>(start);
  const uint64_t count = Load<uint64_t>(start + 4);
  if (type >= kNumValueTypes) {
    return FormatError(Concat({"key \"", key_, "\" is an array of unknown type ", type}))
        .AtOffset(pos_);
  }
  uint64_t size_bytes = 0;
  const auto element = static_cast<ValueType>(type);
  const KnownKey* known = arrays_.empty() ? KnownKeyOf(key_) : nullptr;
  if (known != nullptr && element != known->type) {
    return FormatError(Concat({"key \"", key_, "\" is an array of the wrong type"})).AtOffset(pos_);
  }
  // Strings and arrays have at least a length each.
  const uint64_t least = SizeOf(element) > 0 ? SizeOf(element) : 8;
  if (!CheckedMul(count, least, &size_bytes) || !RangeFits(pos_ + 12, size_bytes, size_bytes_)) {
    return FormatError(Concat({"an array of key \"", key_, "\" has ", count,
                               " elements, more than are left"}))
        .AtOffset(pos_ + 4);
  }
  if (count > kMaxArrayElements) {
    return UnsupportedError(Concat({"an array of key \"", key_, "\" has ", count,
                                    " elements; 2^20 are the most"}))
        .AtOffset(pos_ + 4);
  }
  if (arrays_.size() == kMaxNesting) {
    return FormatError(Concat({"arrays of key \"", key_, "\" are nested more than 4 deep"}))
        .AtOffset(pos_);
  }
  pos_ += 12;
  if (SizeOf(element) > 0) {
    pos_ += size_bytes;
  } else if (count > 0) {
    arrays_.push_back({element, count});
  }
  return {};
}

Status HeaderReader::ReadElement() {
  if (arrays_.empty()) {
    EndValue();
    return {};
  }
  const size_t depth = arrays_.size() - 1;
  if (arrays_[depth].num_left == 0) {
    arrays_.pop_back();
    return {};
  }
  RETURN_IF_ERROR(arrays_[depth].type == ValueType::kString ? SkipString() : OpenArray());
  if (num_wanted_ == 0) --arrays_[depth].num_left;
  return {};
}

// Equal hashes of different keys refuse a file that only an attacker makes.
Status HeaderReader::CheckKeys() {
  HeapSort(key_hashes_, [](const KeyHash& a, const KeyHash& b) {
    return a.hash != b.hash ? a.hash < b.hash : a.offset < b.offset;
  });
  const auto twice =
      std::adjacent_find(key_hashes_.begin(), key_hashes_.end(),
                         [](const KeyHash& a, const KeyHash& b) { return a.hash == b.hash; });
  if (twice != key_hashes_.end()) {
    return FormatError("a key occurs twice").AtOffset((twice + 1)->offset);
  }
  key_hashes_ = {};
  return {};
}

Status HeaderReader::ReadTensor() {
  if (num_tensors_left_ == 0) return Finish();
  const uint8_t* length = Peek(8);
  if (length == nullptr) return Truncated("the length of a tensor's name");
  const uint64_t size = Load<uint64_t>(length);
  if (size == 0 || size > kMaxNameBytes) {
    return FormatError(Concat({"a tensor's name has ", size, " bytes; 1 to 63 are allowed"}))
        .AtOffset(pos_);
  }
  const uint8_t* record = Peek(8 + size + 4);
  if (record == nullptr) return Truncated("a tensor's name");
  std::string name(TextOf(record + 8, size));
  const uint32_t rank = Load<uint32_t>(record + 8 + size);
  if (rank == 0 || rank > kMaxRank) {
    return FormatError(Concat({"it has ", rank, " dimensions; 1 to 4 are allowed"}))
        .AtOffset(pos_ + 8 + size)
        .WithTensor(name);
  }
  const uint64_t record_size = 8 + size + 4 + uint64_t{8} * rank + 12;
  record = Peek(record_size);
  if (record == nullptr) return Truncated("a tensor's description").WithTensor(name);
  RETURN_IF_ERROR(AddTensor(record + 8 + size + 4, std::move(name), rank));
  pos_ += record_size;
  --num_tensors_left_;
  return {};
}

// Growing as they come takes three times their memory; what is declared may be a lie.
void HeaderReader::ReserveTensors() {
  constexpr uint64_t kMaxReserved = 1 << 16;
  constexpr uint64_t kMinRecordBytes = 8 + 4 + 8 + 12;
  const uint64_t most = std::min(kMaxReserved, size_bytes_ / kMinRecordBytes);
  const size_t needed = tensors_->size() + static_cast<size_t>(std::min(num_tensors_left_, most));
  const size_t capacity = tensors_->capacity();
  if (needed > capacity) tensors_->reserve(std::max(needed, capacity + capacity / 2));
}

// `record` begins at the dimensions.
Status HeaderReader::AddTensor(const uint8_t* record, std::string name, uint32_t rank) {
  Tensor tensor;
  const auto broken = [&](const std::string& message) {
    return FormatError(message).AtOffset(pos_).WithTensor(name);
  };
  // The innermost dimension comes first in the file. For ggml, outer ones of 1 do not count.
  tensor.shape.reserve(rank);
  for (uint32_t i = rank; i-- > 0;) {
    const uint64_t dim = Load<uint64_t>(record + uint64_t{8} * i);
    if (dim == 0) return broken("a dimension is 0");
    if (dim > kMaxDim) return broken(Concat({"a dimension is ", dim, ", above 2^32"}));
    if (dim > 1 || i == 0 || !tensor.shape.empty()) tensor.shape.push_back(dim);
  }
  const uint32_t id = Load<uint32_t>(record + uint64_t{8} * rank);
  const uint64_t offset = Load<uint64_t>(record + uint64_t{8} * rank + 4);
  const TensorType* type = TypeOf(id);
  if (type == nullptr) {
    const std::string number = std::to_string(id);
    if (IsRemovedType(id)) return broken(Concat({"its type ", number, " was removed from ggml"}));
    return broken(Concat({"its type ", number, " is not known"}));
  }
  if (tensor.shape.back() % type->block.elements != 0) {
    return broken(Concat({"its rows have ", tensor.shape.back(),
                          " elements, which are no whole blocks of ", type->name}));
  }
  uint64_t num_elements, size_bytes, padded, end;
  if (!CheckedNumElements(tensor.shape, &num_elements) ||
      !CheckedMul(num_elements / type->block.elements, type->block.bytes, &size_bytes)) {
    return broken("its size does not fit 64 bits");
  }
  if (offset % header_.alignment != 0) {
    return broken(Concat({"its offset ", offset, " is not aligned to ", header_.alignment}));
  }
  if (offset < next_offset_) return broken("its bytes overlap those of the tensor before");
  if (offset > next_offset_) return broken("there is a hole before its bytes");
  if (!CheckedAdd(size_bytes, header_.alignment - 1, &padded) ||
      !CheckedAdd(next_offset_, padded / header_.alignment * header_.alignment, &end)) {
    return broken("its end does not fit 64 bits");
  }
  next_offset_ = end;
  tensor.name = std::move(name);
  tensor.scheme.type = type->dtype;
  tensor.type_name = type->name;
  tensor.parts[0] = {offset, size_bytes, file_};
  tensor.stored_bytes = size_bytes;
  tensors_->push_back(std::move(tensor));
  return {};
}

Status HeaderReader::Finish() {
  const uint64_t alignment = header_.alignment;
  header_.data_begin = DivideRoundingUp(pos_, alignment) * alignment;
  for (size_t i = header_.first_tensor; i < tensors_->size(); ++i) {
    Tensor& tensor = (*tensors_)[i];
    ByteRange& part = tensor.parts[0];
    if (!CheckedAdd(part.offset, header_.data_begin, &part.offset) ||
        !RangeFits(part.offset, part.size, size_bytes_)) {
      return FormatError(Concat({"its ", part.size, " bytes lie past the end of the file"}))
          .AtOffset(part.offset)
          .WithTensor(tensor.name);
    }
  }
  state_ = State::kDone;
  return {};
}

}  // namespace modelshrink::gguf
