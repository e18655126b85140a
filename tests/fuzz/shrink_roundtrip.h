// How the inputs of shrink_roundtrip begin.
#ifndef MODELSHRINK_TESTS_FUZZ_SHRINK_ROUNDTRIP_H_
#define MODELSHRINK_TESTS_FUZZ_SHRINK_ROUNDTRIP_H_

#include <cstddef>
#include <cstdint>
#include <iterator>

#include "shrinking.h"

namespace modelshrink {

inline constexpr size_t kHeadBytes = 1 + kNumChoices;

// Whether the grammar makes the model; else the file is there as bytes.
inline bool IsGrammars(uint8_t first) { return first >= 128; }

inline const char* NameOfFile(uint8_t first) {
  static constexpr const char* kNames[] = {"m.onnx",
                                           "m.safetensors",
                                           "m.gguf",
                                           "model.json",
                                           "m.safetensors.index.json",
                                           "m-00001-of-00002.gguf"};
  return kNames[first % std::size(kNames)];
}

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_FUZZ_SHRINK_ROUNDTRIP_H_
