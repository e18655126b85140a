/** What became of tensors. */
import type { Plan, Report } from "modelshrink";

export type PlannedTensor = Plan["tensors"][number];
export type Row = PlannedTensor & Partial<Report["tensors"][number]>;

export const isCut = ({ shape, outputShape }: PlannedTensor): boolean =>
  String(shape) !== String(outputShape);

export const isKept = (tensor: PlannedTensor): boolean =>
  tensor.from === tensor.to && tensor.method === undefined && !isCut(tensor);

export const numElements = ({ shape }: PlannedTensor): number =>
  shape.reduce((product, size) => product * size, 1);

/**
 * The signal to noise ratio over all weights, in dB: the ratio of noise to signal of each tensor counts as often as it
 * has weights. What stays has no noise.
 */
export function sqnrOf({ tensors }: Report): number {
  let [noise, weights] = [0, 0];
  for (const tensor of tensors) {
    const count = numElements(tensor);
    weights += count;
    if (tensor.sqnr !== undefined) noise += count * 10 ** (-tensor.sqnr / 10);
  }
  return noise === 0 ? Infinity : 10 * Math.log10(weights / noise);
}
