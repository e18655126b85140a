// The first byte chooses how the model is written; the rest is the model.
#include <random>

#include "mutate.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  std::minstd_rand random(seed);
  if (size < 2 || max_size < 2) return LLVMFuzzerMutate(data, size, max_size);
  if (random() % 4 == 0) {
    modelshrink::MutateInPlace(data, 1, &random);
    return size;
  }
  return 1 + modelshrink::MutateProtobuf(data + 1, size - 1, max_size - 1, &random);
}
