// Mutations that know where a file's parts are, for libFuzzer's custom mutators.
#ifndef MODELSHRINK_TESTS_FUZZ_MUTATE_H_
#define MODELSHRINK_TESTS_FUZZ_MUTATE_H_

#include <cstddef>
#include <cstdint>
#include <random>

namespace modelshrink {

// Each changes data[0, size), which has room for `max_size` bytes, and gives the new size.

// A protobuf message: one of its fields, at any depth, goes, comes twice, has another's body or a
// changed one. Lengths around it are written anew. Other bytes are mutated as libFuzzer does.
size_t MutateProtobuf(uint8_t* data, size_t size, size_t max_size, std::minstd_rand* random);

// A safetensors file: its JSON or its data; the length in front is that of the JSON again.
size_t MutateSafetensors(uint8_t* data, size_t size, size_t max_size, std::minstd_rand* random);

// Some of the bytes become others; there are as many as before, at least one.
void MutateInPlace(uint8_t* data, size_t size, std::minstd_rand* random);

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_FUZZ_MUTATE_H_
