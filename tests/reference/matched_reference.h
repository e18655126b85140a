// The decoder of matched bytes, written from src/pack/FORMAT.md and the contexts that it refers to:
// one bit after the other, each of which is looked up by the name of its context.
#ifndef MODELSHRINK_TESTS_REFERENCE_MATCHED_REFERENCE_H_
#define MODELSHRINK_TESTS_REFERENCE_MATCHED_REFERENCE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace reference {

// `size` bytes of what is coded, or nothing where no encoder writes that.
std::optional<std::vector<uint8_t>> DecodeMatched(const std::vector<uint8_t>& coded, size_t size);

}  // namespace reference

#endif  // MODELSHRINK_TESTS_REFERENCE_MATCHED_REFERENCE_H_
