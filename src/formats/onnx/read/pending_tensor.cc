#include "formats/onnx/read/pending_tensor.h"

#include <utility>

#include "base/checked.h"
#include "base/concat.h"
#include "formats/onnx/read/builder.h"
#include "formats/onnx/read/data_types.h"
#include "formats/onnx/read/limits.h"
#include "formats/onnx/read/schema.h"
#include "formats/path.h"

namespace modelshrink::onnx {
namespace {

// TensorProto.DataType.
enum DataType : int32_t {
  kFloat = 1,
  kInt64 = 7,
  kString = 8,
  kDouble = 11,
  kUint32Type = 12,
  kUint64Type = 13,
  kComplex64 = 14,
  kComplex128 = 15,
};

// The typed data field that values of this type belong in.
uint32_t DataFieldOf(int32_t data_type) {
  switch (data_type) {
    case kFloat:
    case kComplex64:
      return kTensorFloatData;
    case kDouble:
    case kComplex128:
      return kTensorDoubleData;
    case kString:
      return kTensorStringData;
    case kInt64:
      return kTensorInt64Data;
    case kUint32Type:
    case kUint64Type:
      return kTensorUint64Data;
    default:
      return kTensorInt32Data;
  }
}

const char* NameOfDataField(uint32_t field) {
  for (const FieldRule& rule : OnnxSchema()[kTensorProto].fields) {
    if (rule.number == field) return rule.name;
  }
  return "";
}

// A decimal number as external_data has it.
StatusOr<uint64_t> NumberFrom(const std::string& key, const std::string& text) {
  uint64_t number = 0;
  bool is_number = !text.empty();
  for (const char c : text) {
    const bool is_digit = c >= '0' && c <= '9';
    is_number = is_number && is_digit && CheckedMul(number, 10, &number) &&
                CheckedAdd(number, static_cast<uint64_t>(c - '0'), &number);
  }
  if (is_number) return number;
  return FormatError(Concat({"the ", key, " of its external data is \"", text.substr(0, 40),
                             "\", not a whole number of bytes"}));
}

Status AddDim(uint64_t value, Shape* dims) {
  if (static_cast<int64_t>(value) < 0) {
    return FormatError(
        Concat({"dimension ", dims->size(), " is negative: ", static_cast<int64_t>(value)}));
  }
  if (dims->size() == kMaxRank) {
    return UnsupportedError("the rank is over " + std::to_string(kMaxRank));
  }
  dims->push_back(value);
  return {};
}

}  // namespace

Status AddDims(const Event& event, Shape* dims) {
  if (event.wire == Wire::kVarint) return AddDim(event.value, dims);
  if (!event.has_bytes) return UnsupportedError("the rank is over " + std::to_string(kMaxRank));
  for (size_t pos = 0; pos < event.bytes.size();) {
    uint64_t value = 0;
    if (!DecodeVarint(event.bytes, &pos, &value)) {
      return FormatError("a packed dimension is a truncated or over-long varint");
    }
    RETURN_IF_ERROR(AddDim(value, dims));
  }
  return {};
}

Status PendingTensor::AddData(const Event& event) {
  const uint32_t number = event.rule->number;
  const uint64_t size = event.body.size();
  if (size == 0 && event.wire == Wire::kBytes && number != kTensorStringData) return {};
  if (data_field != 0 && data_field != number) {
    return FormatError(Concat(
        {"values are given in both ", NameOfDataField(data_field), " and ", event.rule->name}));
  }
  data_field = number;
  data_bytes += size;
  ++num_extents;
  is_packed = event.wire == Wire::kBytes;
  data = event.body;
  // An attacker's many small ones are never moved.
  if (num_extents == 1) value_fields.push_back(event.field);
  return TakeValue(event);
}

Status PendingTensor::TakeValue(const Event& event) {
  const auto append = [this](uint64_t number) {
    for (size_t i = 0; i < 8; ++i) value.push_back(static_cast<char>(number >> (8 * i)));
  };
  if (event.rule->number == kTensorRawData) {
    if (event.bytes.size() <= kMaxValueBytes) value = TextOf(event);
    return {};
  }
  if (event.rule->number != kTensorInt64Data) return {};
  if (event.wire == Wire::kVarint && value.size() <= kMaxValueBytes) append(event.value);
  for (size_t pos = 0; event.has_bytes && pos < event.bytes.size();) {
    uint64_t number = 0;
    if (!DecodeVarint(event.bytes, &pos, &number)) {
      return FormatError("a packed integer is a truncated or over-long varint");
    }
    if (value.size() <= kMaxValueBytes) append(number);
  }
  return {};
}

StatusOr<ByteRange> PendingTensor::LocateData(uint64_t num_elements) const {
  const uint32_t field = data_field;
  const DType type = DTypeOf(data_type);
  uint64_t expected = 0;
  if (field == kTensorRawData) {
    if (data_type == kString) return FormatError("strings are given in raw_data");
    if (type == DType::kOther) return ByteRange{};
    if (!CheckedBytesOf(type, num_elements, &expected)) {
      return FormatError("the size of the values overflows 64 bits");
    }
  } else if (type == DType::kOther) {
    return ByteRange{};
  } else if (field == 0 || field != DataFieldOf(data_type)) {
    if (field == 0 && num_elements == 0) return ByteRange{};
    return FormatError(field == 0 ? std::string("the values are missing")
                                  : Concat({"values of type ", NameOf(type), " are given in ",
                                            NameOfDataField(field)}));
  } else if (field != kTensorFloatData && field != kTensorDoubleData) {
    return ByteRange{};
  } else if (!CheckedBytesOf(type, num_elements, &expected)) {
    return FormatError("the size of the values overflows 64 bits");
  }
  if (data_bytes != expected) {
    return FormatError(Concat({NameOfDataField(field), " is ", data_bytes,
                               " bytes long, but the shape and type need ", expected}));
  }
  const bool is_one_extent = num_extents == 1 && (is_packed || num_elements == 1);
  return is_one_extent ? ByteRange{data.begin, data_bytes} : ByteRange{};
}

Status PendingTensor::LocateExternal(Movable* movable) {
  if (data_field != 0) {
    return FormatError(
        Concat({"values are given in both ", NameOfDataField(data_field), " and another file"}));
  }
  if (!location) return FormatError("its external data has no location");
  const std::string wrong = NormalizePath(&*location);
  if (!wrong.empty()) {
    return FormatError(
        Concat({"the location of its external data, \"", location->substr(0, 80), "\", ", wrong}));
  }
  if (offset) {
    ASSIGN_OR_RETURN(movable->values.offset, NumberFrom("offset", *offset));
  }
  if (length) {
    ASSIGN_OR_RETURN(movable->values.size, NumberFrom("length", *length));
    movable->has_length = true;
  }
  return {};
}

Status PendingTensor::AddEntry(const std::string& key, std::string text, const Extent& field) {
  if (++num_entries > kMaxExternalEntries) {
    return UnsupportedError(
        Concat({"external_data has more than ", kMaxExternalEntries, " entries"}));
  }
  value_fields.push_back(field);
  std::optional<std::string>* known = key == "location" ? &location
                                      : key == "offset" ? &offset
                                      : key == "length" ? &length
                                                        : nullptr;
  // Others ("checksum") are for people; values that change would make them wrong.
  if (known == nullptr) return {};
  if (known->has_value()) {
    return FormatError(Concat({"external_data has the key \"", key, "\" twice"}));
  }
  *known = std::move(text);
  return {};
}

}  // namespace modelshrink::onnx
