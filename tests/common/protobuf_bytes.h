// Protobuf fields as bytes, for hand-made ONNX files.
#ifndef MODELSHRINK_TESTS_COMMON_PROTOBUF_BYTES_H_
#define MODELSHRINK_TESTS_COMMON_PROTOBUF_BYTES_H_

#include <cstdint>
#include <string>

namespace modelshrink {

inline std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 128; value /= 128) bytes.push_back(static_cast<char>(value % 128 + 128));
  bytes.push_back(static_cast<char>(value));
  return bytes;
}
inline std::string Number(uint32_t field, uint64_t value) {
  return Varint(field * 8) + Varint(value);
}
inline std::string Bytes(uint32_t field, const std::string& body) {
  return Varint(field * 8 + 2) + Varint(body.size()) + body;
}

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_COMMON_PROTOBUF_BYTES_H_
