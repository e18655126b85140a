/** What became of a tensor. */
import type { Plan } from "modelshrink";

export type PlannedTensor = Plan["tensors"][number];

export const isCut = ({ shape, outputShape }: PlannedTensor): boolean =>
  String(shape) !== String(outputShape);

export const isKept = (tensor: PlannedTensor): boolean =>
  tensor.from === tensor.to && tensor.method === undefined && !isCut(tensor);
