// Messages of ONNX as bytes.
#ifndef MODELSHRINK_TESTS_FUZZ_ONNX_FIELDS_H_
#define MODELSHRINK_TESTS_FUZZ_ONNX_FIELDS_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "common/protobuf_bytes.h"

namespace modelshrink {

using Dims = std::vector<int64_t>;
using Names = std::vector<std::string>;

inline int64_t CountOf(const Dims& dims) {
  int64_t count = 1;
  for (const int64_t dim : dims) count *= dim;
  return count;
}

template <typename T>
std::string RawBytes(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

inline std::string IntField(const std::string& name, int64_t value) {
  return Bytes(5, Bytes(1, name) + Number(3, static_cast<uint64_t>(value)) + Number(20, 2));
}
inline std::string IntsField(const std::string& name, const Dims& values) {
  std::string body = Bytes(1, name);
  for (const int64_t value : values) body += Number(8, static_cast<uint64_t>(value));
  return Bytes(5, body + Number(20, 7));
}
inline std::string FloatField(const std::string& name, float value) {
  return Bytes(
      5, Bytes(1, name) + Varint(2 * 8 + 5) + RawBytes(std::vector<float>{value}) + Number(20, 1));
}
inline std::string TextField(const std::string& name, const std::string& value) {
  return Bytes(5, Bytes(1, name) + Bytes(4, value) + Number(20, 3));
}
inline std::string GraphField(const std::string& name, const std::string& graph) {
  return Bytes(5, Bytes(1, name) + Bytes(6, graph) + Number(20, 5));
}
inline std::string TensorField(const std::string& name, const std::string& tensor) {
  return Bytes(5, Bytes(1, name) + Bytes(5, tensor) + Number(20, 4));
}

// A TensorProto without its values.
inline std::string TensorHead(const std::string& name, DType type, const Dims& dims) {
  std::string head;
  for (const int64_t dim : dims) head += Number(1, static_cast<uint64_t>(dim));
  head += Number(2, static_cast<uint64_t>(InfoOf(type).onnx));
  return name.empty() ? head : head + Bytes(8, name);
}

inline std::string TensorMessage(const std::string& name, DType type, const Dims& dims,
                                 const std::string& raw) {
  return TensorHead(name, type, dims) + Bytes(9, raw);
}

// A ValueInfoProto of a tensor.
inline std::string ValueMessage(const std::string& name, DType type, const Dims* dims) {
  std::string tensor = Number(1, static_cast<uint64_t>(InfoOf(type).onnx));
  if (dims != nullptr) {
    std::string shape;
    for (const int64_t dim : *dims) shape += Bytes(1, Number(1, static_cast<uint64_t>(dim)));
    tensor += Bytes(2, shape);
  }
  return Bytes(1, name) + Bytes(2, Bytes(1, tensor));
}

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_FUZZ_ONNX_FIELDS_H_
