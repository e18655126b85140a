/** Models of which a file is not there. Loaded for outputs that lie by themselves: of the cache and of layouts. */
import { UnsupportedError } from "../base/errors.js";
import { hasReason } from "../recipe/reasons.js";
import type { PlannedTensor } from "./types.js";

/** Throws an UnsupportedError for a model some of whose values are in a file that is not there: it cannot be loaded. */
export function refuseMissing(tensors: Iterable<PlannedTensor>): void {
  for (const tensor of tensors) {
    if (!hasReason(tensor, "fileMissing")) continue;
    throw new UnsupportedError(`"${tensor.name}" cannot be read: ${tensor.note}.`, {
      tensor: tensor.name,
    });
  }
}
