// Shrinks a model in a way that bytes choose, and holds what is written to what the library
// promises.
#ifndef MODELSHRINK_TESTS_FUZZ_SHRINKING_H_
#define MODELSHRINK_TESTS_FUZZ_SHRINKING_H_

#include <functional>
#include <string>

#include "common/memory_host.h"
#include "input.h"

namespace modelshrink {

// So many bytes say all that is asked for.
inline constexpr size_t kNumChoices = 64;

// Checks that
//   - a model that keeps all of its tensors has the same values when it is read again;
//   - units give the same bytes in another order, in another Shrinker;
//   - what was written is read again, compared with the original, planned again and, if the bytes
//   say so, shrunk again;
//   - names of an ONNX model stay unique in every scope.
// `choices`: kNumChoices bytes. Calls `see` with each model that was written, when it is given.
using Seer = std::function<void(const Files& files, const std::string& main)>;
void CheckShrinking(const Format& format, const Files& files, const std::string& main,
                    Input choices, const Seer& see = {});

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_FUZZ_SHRINKING_H_
