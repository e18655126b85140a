// Weights of one kind, packed in chunks as packed files have them, each with its checksum: what
// pack.mjs measures, natively and in WebAssembly.
#ifndef MODELSHRINK_TESTS_BENCH_PACK_WEIGHTS_H_
#define MODELSHRINK_TESTS_BENCH_PACK_WEIGHTS_H_

#include <cstddef>
#include <cstdint>

extern "C" {

// Takes `size` bytes of elements of this kind, in rows of so many codes; they stay where they are.
// Packs them once, and gives the bytes of all chunks.
size_t PreparePack(uint32_t kind, uint32_t row_length, const uint8_t* bytes, size_t size);

// All chunks, once; 0 after an error.
int EncodeChunks();
int DecodeChunks();
// Copies the weights.
int CopyWeights();
}

#endif  // MODELSHRINK_TESTS_BENCH_PACK_WEIGHTS_H_
