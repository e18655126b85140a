// Half of the mutations change what is asked for, the others the model.
#include <random>
#include <string_view>

#include "mutate.h"
#include "shrink_roundtrip.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  using namespace modelshrink;
  std::minstd_rand random(seed);
  // The size of the other files belongs to the head.
  const size_t head = kHeadBytes + (size > 0 && IsGrammars(data[0]) ? 0 : 2);
  if (size <= head || max_size <= head) return LLVMFuzzerMutate(data, size, max_size);
  if (random() % 2 == 0) {
    // The first byte stays mostly: another format would be no use to these bytes.
    const size_t first = random() % 16 == 0 ? 0 : 1;
    MutateInPlace(data + first, head - first, &random);
    return size;
  }
  uint8_t* const file = data + head;
  const size_t file_size = size - head, room = max_size - head;
  const std::string_view name = NameOfFile(data[0]);
  if (IsGrammars(data[0])) {
    if (random() % 2 == 0) {
      MutateInPlace(file, file_size, &random);
      return size;
    }
  } else if (name == "m.onnx") {
    return head + MutateProtobuf(file, file_size, room, &random);
  } else if (name == "m.safetensors") {
    return head + MutateSafetensors(file, file_size, room, &random);
  }
  return head + LLVMFuzzerMutate(file, file_size, room);
}
