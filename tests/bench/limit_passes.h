// What memory allows: bare loops of the kernels' shapes, loads, xor and stores without arithmetic.
#ifndef MODELSHRINK_TESTS_BENCH_LIMIT_PASSES_H_
#define MODELSHRINK_TESTS_BENCH_LIMIT_PASSES_H_

#include <span>

#include "kernels.h"

namespace modelshrink::bench {

// Named "limit: …", with the part of the values that is written beside reading them.
std::span<const Kernel> Limits();

}  // namespace modelshrink::bench

#endif  // MODELSHRINK_TESTS_BENCH_LIMIT_PASSES_H_
