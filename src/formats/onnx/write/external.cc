#include "formats/onnx/write/external.h"

#include <string>

namespace modelshrink::onnx {
namespace {

// Large ones can be mapped: pages are 4 KiB. Others suit any vector register.
constexpr uint64_t kMinMappedBytes = uint64_t{1} << 20;
constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kValueAlignment = 64;

}  // namespace

ExternalPlace AppendExternal(const std::string& location, uint64_t base, const Fragment& values,
                             Fragment* file) {
  const uint64_t size = values.size_bytes();
  const uint64_t alignment = size >= kMinMappedBytes ? kPageBytes : kValueAlignment;
  const uint64_t rest = (base + file->size_bytes()) % alignment;
  if (rest > 0) file->AppendLiteral(std::string(static_cast<size_t>(alignment - rest), '\0'));
  const uint64_t offset = base + file->size_bytes();
  file->Append(values);
  return {location, offset, size};
}

}  // namespace modelshrink::onnx
