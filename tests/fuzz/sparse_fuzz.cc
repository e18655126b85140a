// Any parts as a sparse array: it is refused, or gives an array whose own sparse form gives it
// again.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "codec.h"
#include "sparse/sparse.h"

namespace modelshrink {
namespace {

std::vector<uint32_t> TakeNumbers(Input* input, size_t max) {
  std::vector<uint32_t> numbers(input->Byte() % (max + 1));
  // Mostly small, so that many are right.
  for (uint32_t& number : numbers) {
    number = input->Byte();
    if (number == 255) number = UINT32_MAX - input->Byte();
  }
  return numbers;
}

void CheckAgain(const SparseShape& shape, const std::vector<float>& dense) {
  const auto made = ToSparse(dense, shape);
  Require(made.ok());
  const SparseArray& array = made.value();
  std::vector<float> again(dense.size(), 7.0f);
  Require(FromSparse(
              shape,
              {array.values.span(), array.pointers.span(), array.indices.span(), array.bits.span()},
              again)
              .ok());
  for (size_t i = 0; i < dense.size(); ++i) {
    const bool is_zero = dense[i] == 0;
    Require(is_zero ? again[i] == 0 : std::memcmp(&again[i], &dense[i], sizeof(float)) == 0);
  }
}

}  // namespace
}  // namespace modelshrink

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace modelshrink;
  Input input({data, size});
  SparseShape shape = {.form = static_cast<SparseForm>(input.Byte() % 6),
                       .rows = input.Byte() % 12u,
                       .columns = input.Byte() % 24u,
                       .block_rows = input.Byte() % 5u,
                       .block_columns = input.Byte() % 6u};
  shape.n = input.Byte() % 6u;
  shape.m = input.Byte() % 70u;
  const std::vector<uint32_t> pointers = TakeNumbers(&input, 26);
  const std::vector<uint32_t> indices = TakeNumbers(&input, 64);
  std::vector<uint8_t> bits(input.Byte());
  for (uint8_t& byte : bits) byte = input.Byte();
  std::vector<float> values(input.Byte() % 200u);
  for (float& value : values) value = static_cast<float>(static_cast<int8_t>(input.Byte()));
  std::vector<float> dense(shape.rows * shape.columns);
  const Status status = FromSparse(shape, {values, pointers, indices, bits}, dense);
  Require(status.ok() || status.code() == StatusCode::kArgument);
  if (status.ok()) CheckAgain(shape, dense);
  return 0;
}
