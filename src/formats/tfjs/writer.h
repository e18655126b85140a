// TensorFlow.js out: a Document and what is asked for each tensor → the Layout of a smaller model.
#ifndef MODELSHRINK_FORMATS_TFJS_WRITER_H_
#define MODELSHRINK_FORMATS_TFJS_WRITER_H_

#include <span>

#include "base/status.h"
#include "formats/layout.h"
#include "formats/tfjs/document.h"

namespace modelshrink::tfjs {

// One spec for each tensor of `model`. FORMAT.md says which forms there are. In model.json only
// what belongs to a rewritten tensor, and the names of weights files that change, is written anew;
// all other text stays byte for byte. A tensor that would not shrink, or whose type no tfjs loads,
// is kept, with the reason in its outcome.
StatusOr<Layout> WriteTfjs(const Document& document, const Model& model, const TensorSpecs& specs,
                           const WriteOptions& options);

}  // namespace modelshrink::tfjs

#endif  // MODELSHRINK_FORMATS_TFJS_WRITER_H_
