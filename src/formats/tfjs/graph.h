// What a model's topology says of its weights.
#ifndef MODELSHRINK_FORMATS_TFJS_GRAPH_H_
#define MODELSHRINK_FORMATS_TFJS_GRAPH_H_

#include "base/status.h"
#include "formats/json/json.h"
#include "formats/tfjs/document.h"

namespace modelshrink::tfjs {

// Finds which tensors are weights: in a graph model by the nodes that consume them, else by their
// names. Fills the rest of `document`; tensors in the per-channel form become one.
Status ReadTopology(const json::Document& json, Document* document, Model* model);

}  // namespace modelshrink::tfjs

#endif  // MODELSHRINK_FORMATS_TFJS_GRAPH_H_
