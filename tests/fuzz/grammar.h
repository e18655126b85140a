// Models of every format that are right, or nearly, out of a fuzzer's bytes.
#ifndef MODELSHRINK_TESTS_FUZZ_GRAMMAR_H_
#define MODELSHRINK_TESTS_FUZZ_GRAMMAR_H_

#include <string>

#include "common/memory_host.h"
#include "input.h"

namespace modelshrink {

struct GrammarModel {
  Files files;
  std::string main;
};

// Tensors of every type that the formats have, in one file or in several.
GrammarModel MakeSafetensorsModel(Input* input);
GrammarModel MakeGgufModel(Input* input);
GrammarModel MakeTfjsModel(Input* input);
GrammarModel MakeOnnxModel(Input* input);

// Of the format that the first byte chooses.
GrammarModel TakeModel(Input* input);

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_FUZZ_GRAMMAR_H_
