#include "pipeline/layout_check.h"

#include <string>
#include <unordered_set>
#include <utility>

#include "base/checked.h"
#include "base/concat.h"
#include "pipeline/selection.h"

namespace modelshrink {
namespace {

bool IsOfJob(const Segment& segment) {
  return segment.kind == Segment::Kind::kPart || segment.kind == Segment::Kind::kNumber;
}

Status CheckSegment(const Model& model, const Layout& layout, const Segment& segment) {
  if (IsOfJob(segment)) {
    if (segment.job < layout.jobs.size()) return {};
    return IntegrityError("a segment belongs to no job");
  }
  if (segment.kind == Segment::Kind::kLiteral) {
    if (RangeFits(segment.source_offset, segment.size, layout.literals.size())) return {};
    return IntegrityError("a literal lies outside the layout's literals");
  }
  const ByteRange range = {segment.source_offset, segment.size, segment.source_file};
  if (RangeFitsFiles(range, model.files)) return {};
  return IntegrityError("a copied range lies outside the input");
}

Status CheckJob(const Model& model, const Job& job, const PartPlaces& places) {
  if (job.tensor >= model.tensors.size()) return IntegrityError("a job has no tensor");
  const Tensor& tensor = model.tensors[job.tensor];
  auto selection = Selection::Create(tensor.shape, job.kept);
  if (!selection.ok()) return std::move(selection).status().WithTensor(tensor.name);
  uint64_t num_elements;
  if (!CheckedNumElements(job.shape, &num_elements) ||
      num_elements != selection.value().num_elements()) {
    return IntegrityError("the job and the tensor differ in their number of elements")
        .WithTensor(tensor.name);
  }
  auto sizes = PartSizesOf(job.scheme, job.shape);
  if (!sizes.ok()) return std::move(sizes).status().WithTensor(tensor.name);
  for (size_t p = 0; p < kNumParts; ++p) {
    const PartPlace& place = places[p];
    const bool is_text = place.as_number && place.size == kNumberChars;
    const uint64_t size_in_layout = is_text ? sizeof(double) : place.size;
    if (sizes.value()[p] != size_in_layout || place.as_number != is_text) {
      return IntegrityError(
                 Concat({"the layout has ", size_in_layout, " bytes for ", sizes.value()[p]}))
          .WithTensor(tensor.name);
    }
  }
  return {};
}

// Checks one file's segments and notes where parts lie in it.
Status CheckFile(const Model& model, const Layout& layout, uint32_t index,
                 std::vector<PartPlaces>* places) {
  const OutputFile& file = layout.files[index];
  uint64_t offset = 0;
  for (const Segment& segment : file.segments) {
    RETURN_IF_ERROR(CheckSegment(model, layout, segment));
    if (IsOfJob(segment)) {
      PartPlace& place = (*places)[segment.job][static_cast<size_t>(segment.part)];
      if (place.is_there) return IntegrityError("a part is in the layout twice");
      place = {.is_there = true,
               .as_number = segment.kind == Segment::Kind::kNumber,
               .file = index,
               .offset = offset,
               .size = segment.size};
    }
    if (!CheckedAdd(offset, segment.size, &offset)) {
      return IntegrityError("the layout's size does not fit 64 bits");
    }
  }
  if (offset == file.size_bytes) return {};
  return IntegrityError(Concat({"the segments of \"", file.name, "\" have ", offset,
                                " bytes, the layout ", file.size_bytes}));
}

}  // namespace

StatusOr<std::vector<PartPlaces>> CheckLayout(const Model& model, const Layout& layout) {
  if (layout.outcomes.size() != model.tensors.size()) {
    return IntegrityError("the layout does not have one outcome for each tensor");
  }
  std::vector<PartPlaces> places(layout.jobs.size());
  std::unordered_set<std::string> names;
  uint64_t size_bytes = 0;
  for (uint32_t i = 0; i < layout.files.size(); ++i) {
    const OutputFile& file = layout.files[i];
    if (!names.insert(file.name).second) {
      return IntegrityError(Concat({"two output files are called \"", file.name, "\""}));
    }
    RETURN_IF_ERROR(CheckFile(model, layout, i, &places));
    if (!CheckedAdd(size_bytes, file.size_bytes, &size_bytes)) {
      return IntegrityError("the layout's size does not fit 64 bits");
    }
  }
  if (size_bytes != layout.size_bytes) {
    return IntegrityError(
        Concat({"the files have ", size_bytes, " bytes, the layout ", layout.size_bytes}));
  }
  for (size_t i = 0; i < layout.jobs.size(); ++i) {
    RETURN_IF_ERROR(CheckJob(model, layout.jobs[i], places[i]));
  }
  return places;
}

}  // namespace modelshrink
