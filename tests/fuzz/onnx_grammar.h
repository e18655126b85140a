// ONNX models that are right, out of a fuzzer's bytes.
#ifndef MODELSHRINK_TESTS_FUZZ_ONNX_GRAMMAR_H_
#define MODELSHRINK_TESTS_FUZZ_ONNX_GRAMMAR_H_

#include "common/memory_host.h"
#include "input.h"

namespace modelshrink {

inline constexpr char kOnnxMain[] = "m.onnx";
// Where some models have values of theirs.
inline constexpr char kOnnxData[] = "d";

// A graph of a few layers, branches and loops, whose weights are there in many ways: as
// initializers of several types, Constant nodes, in another file, behind Cast, Transpose, Reshape,
// DequantizeLinear and the like. Every name is defined once in the whole model; shapes fit;
// operators have the form of the model's operator set.
Files MakeOnnx(Input* input);

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_FUZZ_ONNX_GRAMMAR_H_
