/** What a report says became of a tensor. */
import { elementsOf } from "../base/shape.js";
import type { PlannedTensor } from "./types.js";

/** Whether weights of it were made zero or fitted anew; codes may be zero anyway. */
export const isPruned = ({ method }: PlannedTensor) => method !== undefined && method !== "gptq";

/** Whether it lost channels. */
export const isCut = ({ shape, outputShape }: PlannedTensor) =>
  elementsOf(outputShape) < elementsOf(shape);

/** Whether it is written otherwise than it was. */
export const isChanged = (tensor: PlannedTensor) =>
  tensor.from !== tensor.to || tensor.method !== undefined || isCut(tensor);
