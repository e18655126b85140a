#include "packs.h"

#include <optional>
#include <utility>
#include <vector>

#include "from_js.h"
#include "step_fields.h"
#include "to_js.h"

namespace modelshrink::wasm {
namespace {

constexpr size_t kNumbersPerExtent = 4;

StatusOr<std::vector<Extent>> ExtentsFrom(const val& value) {
  if (!value.instanceof (val::global("Float64Array"))) {
    return WrongValue("extents", "a Float64Array", value);
  }
  const std::vector<double> numbers = emscripten::convertJSArrayToNumberVector<double>(value);
  if (numbers.size() % kNumbersPerExtent != 0) {
    return ArgumentError("extents must have four numbers each");
  }
  std::vector<Extent> extents(numbers.size() / kNumbersPerExtent);
  for (size_t i = 0; i < extents.size(); ++i) {
    const double* const of_extent = numbers.data() + i * kNumbersPerExtent;
    ASSIGN_OR_RETURN(extents[i].offset, IntegerFrom(of_extent[0], "offset", kMaxInteger));
    ASSIGN_OR_RETURN(extents[i].size, IntegerFrom(of_extent[1], "size", kMaxInteger));
    ASSIGN_OR_RETURN(const uint64_t row_length, IntegerFrom(of_extent[2], "rowLength", UINT32_MAX));
    extents[i].row_length = static_cast<uint32_t>(row_length);
    ASSIGN_OR_RETURN(const uint64_t kind, IntegerFrom(of_extent[3], "kind", UINT8_MAX));
    extents[i].kind = static_cast<ElementKind>(kind);
  }
  return extents;
}

}  // namespace

val CoreUnpack::Files() const {
  std::vector<InputFile> files;
  for (const PackedFile& file : unpacker_->files()) files.push_back({file.name, file.size_bytes});
  return ArrayOf(std::span<const InputFile>(files));
}

val CoreUnpack::Groups() const {
  std::vector<double> numbers;
  for (const UnpackRunner::Group& it : unpacker_->Groups()) {
    for (const uint64_t number : {it.begin, it.end, it.size_bytes}) {
      numbers.push_back(static_cast<double>(number));
    }
  }
  return val::array(numbers);
}

val CoreUnpack::StartGroup(double group) {
  const auto number = IntegerFrom(group, "group", kMaxInteger);
  return ResultOf(number.ok() ? unpacker_->StartGroup(number.value()) : number.status());
}

val CreatePack(const val& files, const val& extents) {
  const auto create = [&]() -> StatusOr<std::unique_ptr<StepRunner>> {
    ASSIGN_OR_RETURN(const auto checked_files, From<std::vector<InputFile>>(files, "files"));
    ASSIGN_OR_RETURN(auto checked_extents, ExtentsFrom(extents));
    return PackFiles(checked_files, std::move(checked_extents));
  };
  auto runner = create();
  return runner.ok() ? val(CorePack(std::move(runner).value())) : ErrorOf(runner.status());
}

val CreateUnpack(double size_bytes, bool checks_digests, bool is_for_groups) {
  const auto create = [&]() -> StatusOr<std::unique_ptr<UnpackRunner>> {
    if (size_bytes < 0) return UnpackRunner::Create(std::nullopt, checks_digests);
    ASSIGN_OR_RETURN(const uint64_t size, IntegerFrom(size_bytes, "sizeBytes", kMaxInteger));
    return is_for_groups ? UnpackRunner::CreateForGroups(size, checks_digests)
                         : UnpackRunner::Create(size, checks_digests);
  };
  auto runner = create();
  return runner.ok() ? val(CoreUnpack(std::move(runner).value())) : ErrorOf(runner.status());
}

}  // namespace modelshrink::wasm
