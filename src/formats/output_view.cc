#include "formats/output_view.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/checked.h"

namespace modelshrink {
namespace {

// Neighbouring axes of one kind, as one.
struct Run {
  bool is_output = false;
  uint64_t size = 1;
};

std::vector<Run> RunsOf(const Shape& dims, const Flags& is_output) {
  std::vector<Run> runs;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 1) continue;
    const bool is_other = runs.empty() || runs.back().is_output != (is_output[i] != 0);
    if (is_other) runs.push_back({.is_output = is_output[i] != 0});
    runs.back().size *= dims[i];
  }
  return runs;
}

// Takes the smallest axis of outputs that stands behind an axis of inputs, or else before one, out
// of `is_output`.
void DropSmallest(const Shape& dims, Flags* is_output) {
  size_t smallest = dims.size();
  for (size_t i = 0; i < dims.size(); ++i) {
    if (!(*is_output)[i] || dims[i] == 1) continue;
    if (smallest == dims.size() || dims[i] < dims[smallest]) smallest = i;
  }
  if (smallest != dims.size()) (*is_output)[smallest] = false;
}

Shape ScaleDimsOf(const Shape& dims, const Flags& is_output) {
  size_t first = 0;
  while (first < dims.size() && !is_output[first]) ++first;
  Shape scale_dims;
  for (size_t i = first; i < dims.size(); ++i) scale_dims.push_back(is_output[i] ? dims[i] : 1);
  return scale_dims;
}

}  // namespace

std::optional<OutputView> OutputViewOf(const Shape& dims, Flags is_output) {
  const auto num_axes =
      std::count_if(is_output.begin(), is_output.end(), [](uint8_t flag) { return flag != 0; });
  if (num_axes == 0 || is_output.size() != dims.size()) return std::nullopt;
  OutputView view{.dims = dims};
  if (num_axes == 1) {
    const auto axis =
        std::find_if(is_output.begin(), is_output.end(), [](uint8_t flag) { return flag != 0; });
    view.shape = dims;
    view.axis = static_cast<uint32_t>(axis - is_output.begin());
    view.scale_dims = ScaleDimsOf(dims, is_output);
    return view;
  }
  for (;;) {
    const std::vector<Run> runs = RunsOf(dims, is_output);
    const auto num_output_runs =
        std::count_if(runs.begin(), runs.end(), [](const Run& run) { return run.is_output; });
    if (num_output_runs == 0 || runs.size() < 2) return std::nullopt;
    if (num_output_runs == 1 || (num_output_runs == 2 && runs[0].is_output)) {
      for (const Run& run : runs) view.shape.push_back(run.size);
      view.scale_dims = ScaleDimsOf(dims, is_output);
      if (num_output_runs == 1) {
        view.axis = runs[0].is_output ? 0 : 1;
        return view;
      }
      view.num_matrices = runs[0].size;
      view.shape.erase(view.shape.begin());
      view.shape[0] *= view.num_matrices;
      view.axis = 1;
      return view;
    }
    DropSmallest(dims, &is_output);
  }
}

std::optional<OutputView> OutputViewOf(const Tensor& tensor, const Shape& dims) {
  Shape viewed;
  Flags is_output;
  for (const OutputAxis& axis : tensor.output_axes()) {
    viewed.push_back(axis.size);
    is_output.push_back(axis.is_output);
  }
  if (viewed == tensor.shape && !viewed.empty()) return OutputViewOf(dims, is_output);
  if (dims == tensor.shape && !viewed.empty()) return OutputViewOf(viewed, is_output);
  if (tensor.axis >= dims.size()) return std::nullopt;
  is_output.assign(dims.size(), false);
  is_output[tensor.axis] = true;
  return OutputViewOf(dims, is_output);
}

uint64_t NumMatricesOf(const Tensor& tensor) {
  if (tensor.groups > 1) return tensor.groups;
  auto num_outputs = std::count_if(tensor.output_axes().begin(), tensor.output_axes().end(),
                                   [](const OutputAxis& axis) { return axis.is_output; });
  uint64_t num_matrices = 1;
  for (const OutputAxis& axis : tensor.output_axes()) {
    if (!axis.is_output || --num_outputs <= 0) break;
    num_matrices *= axis.size;
  }
  return num_matrices;
}

uint64_t OutputView::NumBefore() const {
  uint64_t before = 1;
  for (size_t i = 0; i < axis; ++i) before *= shape[i];
  return before / num_matrices;
}

uint64_t OutputView::NumBehind() const {
  uint64_t behind = 1;
  for (size_t i = axis + 1; i < shape.size(); ++i) behind *= shape[i];
  return behind;
}

OutputGroups OutputView::Groups() const {
  const uint64_t before = NumBefore(), behind = NumBehind();
  // Without inputs before them outputs follow each other.
  if (before == 1) return {.outputs = 1, .inner = behind, .matrix = behind};
  return {.outputs = shape[axis], .inner = behind, .matrix = before * shape[axis] * behind};
}

OutputGroups OutputGroupsOf(const Tensor& tensor) {
  uint64_t num_elements = 0;
  if (tensor.shape.size() < 2 || !CheckedNumElements(tensor.shape, &num_elements)) return {};
  const auto view = num_elements == 0 ? std::nullopt : OutputViewOf(tensor, tensor.shape);
  return view ? view->Groups() : OutputGroups();
}

}  // namespace modelshrink
