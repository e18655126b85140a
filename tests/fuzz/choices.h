// What a fuzzer's bytes ask for: schemes, pruning and options, of every type in number_types.def
// and every enumerator.
#ifndef MODELSHRINK_TESTS_FUZZ_CHOICES_H_
#define MODELSHRINK_TESTS_FUZZ_CHOICES_H_

#include <cstdint>
#include <limits>
#include <vector>

#include "base/dtype.h"
#include "formats/layout.h"
#include "input.h"

namespace modelshrink {

// The types that values are stored as: those that something is quantized to, and float32.
inline const std::vector<DType>& StoredTypes() {
  static const std::vector<DType> types = [] {
    std::vector<DType> found = {DType::kFloat32};
    for (size_t i = 0; i + 1 < kNumDTypes; ++i) {
      if (kNumberTypes[i].kind != NumberKind::kPlain) found.push_back(static_cast<DType>(i));
    }
    return found;
  }();
  return types;
}

// An enumerator of an enum whose last one is `last`.
template <typename T>
T TakeEnum(Input* input, T last) {
  return static_cast<T>(input->Below(static_cast<size_t>(last) + 1));
}

inline Scheme TakeScheme(Input* input) {
  Scheme scheme;
  scheme.type = StoredTypes()[input->Below(StoredTypes().size())];
  const uint8_t flags = input->Byte();
  scheme.granularity = static_cast<Granularity>(flags % 3);
  if (flags & 0x08) scheme.saturate = true;
  if (flags & 0x10) scheme.rule = LinearRule::kOnnxBlockwise;
  if (flags & 0x80) scheme.rule = LinearRule::kTfjs;
  scheme.symmetric = (flags & 0x20) != 0;
  scheme.transposed = (flags & 0x40) != 0;
  scheme.axis = static_cast<uint32_t>(input->Below(5));
  scheme.block_size = input->Byte();
  scheme.non_finite = NonFinite::kZero;
  return scheme;
}

inline PruneSpec TakePruneSpec(Input* input) {
  static constexpr double kAmounts[] = {0.5, 0.25, 0.75, 0.9, 0, 1};
  static constexpr double kNorms[] = {2, 1, 0, std::numeric_limits<double>::infinity(), -1};
  static constexpr double kDampings[] = {0.01, 0, 1};
  PruneSpec spec;
  spec.method = TakeEnum(input, PruneSpec::Method::kChannels);
  const uint8_t flags = input->Byte();
  spec.amount = {.is_fraction = flags % 8 != 7, .value = input->Pick(kAmounts)};
  if (!spec.amount.is_fraction) spec.amount.value = static_cast<double>(input->Below(8));
  const bool has_runs = (flags & 8) != 0 && spec.method != PruneSpec::Method::kChannels;
  if (spec.method == PruneSpec::Method::kRuns || has_runs) {
    spec.m = static_cast<uint32_t>(2 + input->Below(7));
    spec.n = static_cast<uint32_t>(1 + input->Below(spec.m - 1));
  }
  // 2⁻³¹ to 2, as magnitudes have them.
  spec.magnitude_bits = static_cast<uint32_t>(96 + input->Below(33)) << 23;
  spec.seed = flags;
  spec.norm = input->Pick(kNorms);
  spec.multiple_of = static_cast<uint32_t>(1 + input->Below(4));
  spec.num_samples = 1 + input->Below(64);
  spec.damping = input->Pick(kDampings);
  spec.refit = (flags & 16) != 0;
  spec.feedback = (flags & 32) != 0;
  spec.act_order = (flags & 64) != 0;
  if ((flags & 128) != 0) spec.num_held_out = static_cast<uint32_t>(1 + spec.num_samples / 4);
  return spec;
}

inline TensorSpec TakeTensorSpec(Input* input) {
  static constexpr uint32_t kBlockSizes[] = {32, 16, 64, 128, 4};
  TensorSpec spec;
  spec.scheme = TakeScheme(input);
  spec.scheme.block_size = kBlockSizes[spec.scheme.block_size % std::size(kBlockSizes)];
  const uint8_t flags = input->Byte();
  spec.mode = static_cast<Mode>(flags % (static_cast<size_t>(Mode::kLowmem) + 1));
  spec.keep = (flags & 0x30) == 0x30;
  if ((flags & 0xC0) == 0xC0) spec.scheme.non_finite = NonFinite::kError;
  spec.prune = TakePruneSpec(input);
  return spec;
}

}  // namespace modelshrink

#endif  // MODELSHRINK_TESTS_FUZZ_CHOICES_H_
