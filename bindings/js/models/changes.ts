/** The fate of a tensor, from its entry in a report. */
import { elementsOf } from "../base/shape.js";
import { someRow, type Rows } from "../core/table.js";
import type { Order } from "../recipe/specs.js";
import type { PlannedTensor } from "./types.js";

/** Tells whether weights of a tensor were made zero or fitted anew; codes may be zero anyway. */
export const isPruned = ({ method }: PlannedTensor) => method !== undefined && method !== "gptq";

/** Tells whether a tensor lost channels. */
export const isCut = ({ shape, outputShape }: PlannedTensor) =>
  elementsOf(outputShape) < elementsOf(shape);

/** Tells whether a tensor is written otherwise than it was. */
export const isChanged = (tensor: PlannedTensor) =>
  tensor.from !== tensor.to || tensor.method !== undefined || isCut(tensor);

/** Tells whether an order changes nothing of a model. */
export const isIdle = (tensors: Rows<PlannedTensor>, { options }: Order): boolean =>
  !options.strip && !someRow(tensors, isChanged);
