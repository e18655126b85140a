// Trellis-coded quantization (Fischer and Wang 1992, with the union quantizers of JPEG 2000, part
// 2): of whole numbers in a sequence only even ones or only odd ones may follow, by the ones before
// them, so that a code costs a bit less than it would, and the numbers still lie as near to the
// values as if nearly all were allowed.
//
// A state has three bits (s2, s1, s0), which are 0 before the first code. A code m has the parity
// s0, and the next state is (s1, s0, b), where b = (m >> 1 & 1) ^ s1 ^ s2: Ungerboeck's trellis of
// eight states. So the parity of a code follows from the three codes before it:
//
//   m[i] & 1 = (m[i - 1] >> 1 ^ m[i - 2] ^ m[i - 3]) & 1
//
// and m[i] >> 1, its index, is all that has to be stored. Sequences are interleaved: the code
// before one is a *lag* of codes away.
#ifndef MODELSHRINK_KERNELS_TRELLIS_H_
#define MODELSHRINK_KERNELS_TRELLIS_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace modelshrink {

// The lag of what is quantized here.
inline constexpr size_t kTrellisLag = 64;

// Values beyond have no number of each kind near them within -127 … 127, and count as this.
inline constexpr float kMaxTrellisValue = 125.0f;

// Codes that may follow a state are those of two subsets of the whole numbers: subset c has the
// numbers whose remainder by 4 is c. This is the subset of the step from `state` with the new bit.
constexpr unsigned TrellisSubset(unsigned state, unsigned bit) {
  return (state & 1) | (bit ^ (state >> 1 & 1) ^ (state >> 2)) << 1;
}

// The state of each sequence before its next code, the one of the next code first.
struct TrellisStates {
  uint8_t bytes[kTrellisLag] = {};
};

// Bytes of memory that QuantizeTrellis() needs for so many values.
constexpr size_t TrellisScratch(size_t size) {
  return (size + kTrellisLag - 1) / kTrellisLag * kTrellisLag;
}

// Writes codes of finite values, which are in units of what the code 1 stands for: in each sequence
// those with the least sum of squared differences, of which the first code in order is the one
// after `states`, which are moved behind the last. Sequences that are shorter than others by one
// value are chosen as if a 0 followed. `scratch` has TrellisScratch() bytes.
void QuantizeTrellis(std::span<const float> values, TrellisStates& states, uint8_t* scratch,
                     int8_t* codes);

// Run i of `run_length` values has scales[i]: out = value / scale, and value = code * scale.
void DivideRuns(const float* values, size_t num_runs, size_t run_length, const float* scales,
                float* out);
void MultiplyRuns(const int8_t* codes, size_t num_runs, size_t run_length, const float* scales,
                  float* out);

// Whether the parity of each code but the first 3 * `lag` follows from those before.
bool IsTrellis(std::span<const int8_t> codes, size_t lag);

// The reverse of halving codes, in place: codes are indices times two plus their parities. Those of
// the first 3 * `lag` codes are `parities`, a bit each, the first in the lowest. Indices may be
// anything; bits above the seventh are lost. `lag` is not 0.
void DoubleTrellis(std::span<const uint8_t> parities, size_t lag, std::span<int8_t> codes);

}  // namespace modelshrink

#endif  // MODELSHRINK_KERNELS_TRELLIS_H_
