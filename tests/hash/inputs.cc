#include <cstring>
#include <limits>

#include "hash.h"

namespace modelshrink::hash {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kMinNormal = std::numeric_limits<float>::min();
constexpr float kMinSubnormal = std::numeric_limits<float>::denorm_min();

float FloatOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

template <class Function>
std::vector<float> Generate(size_t size, const Function& value_of) {
  std::vector<float> values(size);
  for (size_t i = 0; i < size; ++i) values[i] = value_of(i);
  return values;
}

std::vector<float> Normal(size_t size, float scale) {
  Random random(size);
  return Generate(size, [&](size_t) { return random.Normal() * scale; });
}

std::vector<float> Choices(size_t size, std::vector<float> choices) {
  Random random(size);
  return Generate(size, [&](size_t) { return choices[random.Bits() % choices.size()]; });
}

std::vector<float> RandomBits(size_t size) {
  Random random(size);
  return Generate(size, [&](size_t) { return FloatOf(random.Bits()); });
}

std::vector<Input> MakeInputs() {
  std::vector<Input> inputs;
  const auto finite = [&](const char* name, std::vector<float> values) {
    inputs.push_back({name, std::move(values), true});
  };
  const auto any = [&](const char* name, std::vector<float> values) {
    inputs.push_back({name, std::move(values), false});
  };
  // Around every vector width and, in select.cc, around the smallest array that is sampled.
  for (size_t size = 0; size <= 130; ++size) finite("lengths", Normal(size, 0.1f));
  for (const size_t size : {4095, 4097, 65535, 65537}) finite("lengths", Normal(size, 0.1f));
  finite("random", Normal(70003, 0.05f));
  // Halves of a code, as with 255 steps over [-127.5, 127.5].
  finite("ties",
         Generate(2003, [](size_t i) { return static_cast<float>(i % 511) * 0.5f - 127.5f; }));
  finite("few-values", Choices(70001, {-1.5f, -0.5f, -0.0f, 0.0f, 0.5f, 1.5f, 2.5f}));
  finite("zeros", Choices(517, {-0.0f, 0.0f}));
  finite("constant", std::vector<float>(1003, -0.3f));
  finite("subnormals", Choices(1009, {kMinSubnormal, -kMinSubnormal, 3 * kMinSubnormal, kMinNormal,
                                      -kMinNormal, 0.5f * kMinNormal, 0.0f, -0.0f}));
  finite("extremes", Choices(1013, {kMax, -kMax, kMinSubnormal, -kMinSubnormal, 0.0f, 1.0f,
                                    65504.0f, 65520.0f, -448.0f, 464.0f, 57344.0f, 61440.0f}));
  finite("spike", Generate(3001, [](size_t i) { return i == 1500 ? -1e30f : 1e-3f; }));
  any("random-bits", RandomBits(70003));
  any("non-finite",
      Choices(1021, {kInfinity, -kInfinity, FloatOf(0x7FC00000u), FloatOf(0xFFC00000u),
                     FloatOf(0x7F800001u), FloatOf(0xFFFFFFFFu), 1.0f, -0.0f}));
  return inputs;
}

}  // namespace

// SplitMix64.
uint32_t Random::Bits() {
  uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return static_cast<uint32_t>((z ^ (z >> 31)) >> 32);
}

float Random::Normal() {
  int64_t sum = 0;
  for (int i = 0; i < 12; ++i) sum += Bits();
  // Twelve uniform numbers have the variance 1; an exact conversion and a power of two.
  return static_cast<float>(static_cast<double>(sum - (int64_t{6} << 32)) / 4294967296.0);
}

const std::vector<Input>& Inputs() {
  static const std::vector<Input> inputs = MakeInputs();
  return inputs;
}

}  // namespace modelshrink::hash
