// safetensors files as strings, written by the format's own rules and apart from the code under
// test.
#ifndef MODELSHRINK_TESTS_COMMON_SAFETENSORS_MODEL_H_
#define MODELSHRINK_TESTS_COMMON_SAFETENSORS_MODEL_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace modelshrink {

// A file with this header, as it is, and this data.
inline std::string RawSafetensors(const std::string& header, const std::string& data) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(uint64_t{header.size()} >> 8 * i & 0xFF);
  return file + header + data;
}

struct TestTensor {
  std::string name;
  std::string dtype;
  std::vector<uint64_t> shape;
  std::string data;
};

// The tensors in this order, one after the other, with this `__metadata__` (JSON members).
inline std::string MakeSafetensors(const std::vector<TestTensor>& tensors,
                                   const std::string& metadata = "") {
  std::string header = "{";
  if (!metadata.empty()) header += "\"__metadata__\":{" + metadata + "}";
  std::string data;
  for (const TestTensor& tensor : tensors) {
    if (header.size() > 1) header += ",";
    header += "\"" + tensor.name + "\":{\"dtype\":\"" + tensor.dtype + "\",\"shape\":[";
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      if (i > 0) header += ",";
      header += std::to_string(tensor.shape[i]);
    }
    header += "],\"data_offsets\":[" + std::to_string(data.size()) + ",";
    data += tensor.data;
    header += std::to_string(data.size()) + "]}";
  }
  header += "}";
  while (header.size() % 8 != 0) header += " ";
  return RawSafetensors(header, data);
}

// Values that no two elements share, of a plausible size.
inline std::vector<float> TestValues(size_t size, uint32_t seed = 1) {
  std::vector<float> values(size);
  uint32_t state = seed;
  for (float& value : values) {
    state = state * 1664525 + 1013904223;
    value = static_cast<float>(static_cast<int32_t>(state)) * 0x1p-33F;
  }
  return values;
}

template <typename T>
std::string BytesOfValues(const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

inline TestTensor FloatTensor(const std::string& name, const std::vector<uint64_t>& shape,
                              uint32_t seed = 1) {
  size_t size = 1;
  for (const uint64_t dim : shape) size *= dim;
  return {name, "F32", shape, BytesOfValues(TestValues(size, seed))};
}

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_COMMON_SAFETENSORS_MODEL_H_
