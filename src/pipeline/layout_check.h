// Checks that a Layout can be executed, and finds out where each part goes.
#ifndef MODELSHRINK_PIPELINE_LAYOUT_CHECK_H_
#define MODELSHRINK_PIPELINE_LAYOUT_CHECK_H_

#include <array>
#include <cstdint>
#include <vector>

#include "base/status.h"
#include "formats/layout.h"
#include "formats/model.h"

namespace modelshrink {

// The place of one part of a job in the output.
struct PartPlace {
  bool is_there = false;
  bool as_number = false;  // Segment::Kind::kNumber
  uint32_t file = 0;
  uint64_t offset = 0;
  uint64_t size = 0;  // in the output
};
using PartPlaces = std::array<PartPlace, kNumParts>;

// Gives the places of the parts of each job. An IntegrityError when the layout contradicts itself
// or the model, which is a bug of the format's writer that is found before anything is written.
StatusOr<std::vector<PartPlaces>> CheckLayout(const Model& model, const Layout& layout);

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_LAYOUT_CHECK_H_
