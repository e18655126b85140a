// Reads one tensor of a model as float32, whatever it is stored as.
#ifndef MODELSHRINK_PIPELINE_VALUES_H_
#define MODELSHRINK_PIPELINE_VALUES_H_

#include <cstddef>
#include <memory>

#include "base/status.h"
#include "formats/format.h"
#include "pipeline/step.h"

namespace modelshrink {

// Gives the steps of reading tensor number `tensor` of the format's model: kRead (input 0), kWrite
// and kDone. The kWrites give the values as float32 of the machine's byte order, from the first to
// the last; their `output_offset` is in bytes from the first value. An ArgumentError when there is
// no such tensor, an UnsupportedError when it is not IsReadable(). `format` must outlive the
// runner, which uses the memory of a slice.
StatusOr<std::unique_ptr<StepRunner>> ReadValues(const Format& format, size_t tensor);

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_VALUES_H_
