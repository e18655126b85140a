// The tensors of one file, quantized ones with their companions as one.
#ifndef MODELSHRINK_FORMATS_SAFETENSORS_COLLECT_H_
#define MODELSHRINK_FORMATS_SAFETENSORS_COLLECT_H_

#include <cstdint>

#include "base/status.h"
#include "formats/model.h"
#include "formats/safetensors/document.h"
#include "formats/safetensors/header.h"

namespace modelshrink::safetensors {

// Appends the tensors of `header`, whose data begins at `data_begin` of file number `file`, to the
// model, and a File to the document. A scheme in the metadata that does not fit the tensors leaves
// them plain ones, with the reason: the file is valid without it. A FormatError when the index, if
// there is one, disagrees. Takes the header's metadata away, of which there may be millions.
Status CollectTensors(Header* header, uint64_t data_begin, uint32_t file, Model* model,
                      Document* document);

}  // namespace modelshrink::safetensors

#endif  // MODELSHRINK_FORMATS_SAFETENSORS_COLLECT_H_
