// The weights manifest of a model.json → Document and Model.
#ifndef MODELSHRINK_FORMATS_TFJS_MANIFEST_H_
#define MODELSHRINK_FORMATS_TFJS_MANIFEST_H_

#include <string>
#include <vector>

#include "base/status.h"
#include "formats/json/json.h"
#include "formats/tfjs/document.h"

namespace modelshrink::tfjs {

// Fills document->groups and entries, and the model's tensors but for what the topology (graph.h)
// and the files' sizes tell. `paths` are the files of all groups in order; none of them is
// model->files[0].
Status ReadManifest(const json::Document& json, Document* document, Model* model,
                    std::vector<std::string>* paths);

inline Extent ExtentOf(const json::Document& json, json::NodeId node) {
  return {json.slice(node).begin, json.slice(node).end};
}

}  // namespace modelshrink::tfjs

#endif  // MODELSHRINK_FORMATS_TFJS_MANIFEST_H_
