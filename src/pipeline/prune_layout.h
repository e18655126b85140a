// Pruning, added to a layout that a format's writer made without knowing of it.
#ifndef MODELSHRINK_PIPELINE_PRUNE_LAYOUT_H_
#define MODELSHRINK_PIPELINE_PRUNE_LAYOUT_H_

#include <span>

#include "base/status.h"
#include "formats/layout.h"
#include "formats/model.h"

namespace modelshrink {

// Gives each job the PruneSpec of its tensor, and each copied tensor that is to be pruned a job of
// its own, as large as the copy. Where a tensor cannot be pruned (it has no floats, its bytes lie
// in several files, it is no layer) its outcome has the reason. `specs` has one for each tensor of
// the model. An UnsupportedError when channels shall leave a model that has no graph.
Status AddPruning(const Model& model, const TensorSpecs& specs, Layout* layout);

}  // namespace modelshrink

#endif  // MODELSHRINK_PIPELINE_PRUNE_LAYOUT_H_
