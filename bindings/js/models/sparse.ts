/**
 * Weights without their zeros in files: only the weights can tell how many values are left. Loaded for recipes that ask
 * for them alone.
 */
import { UnsupportedError } from "../base/errors.js";
import type { FormatName } from "../base/formats.js";
import { elementsOf } from "../base/shape.js";
import { nowhere } from "../files/target.js";
import type { Calibration } from "../recipe/calibration.js";
import type { RemarkedOrder } from "../recipe/order.js";
import { changeSpecs, type Order } from "../recipe/specs.js";
import { noPruning } from "../recipe/pruning.js";
import type { OpenModel } from "./open.js";
import type { PlannedOrder } from "./planned-order.js";
import { runPlan } from "./run.js";
import type { RunOptions } from "./types.js";

/** The formats whose files have sparse tensors. */
const sparseFormats: readonly FormatName[] = ["onnx", "safetensors"];

/** Gives the order that counts zeros. Throws an UnsupportedError where files of the format have no sparse tensors. */
export function firstOrder(format: FormatName, { order, sparse }: RemarkedOrder): Order {
  if (sparseFormats.includes(format)) return countingOrder(order, sparse);
  throw new UnsupportedError(`A ${format} file has no sparse tensors; ONNX and safetensors have.`);
}

/** The order with every tensor of `candidates` pruned, if only of nothing, so that a run counts its zeros. */
export function countingOrder(order: Order, candidates: readonly number[]): Order {
  const mayBeSparse = new Set(candidates);
  const nothing = { ...noPruning, method: "magnitude", isFraction: false } as const;
  return changeSpecs(order, (spec, i) =>
    mayBeSparse.has(i) ? { ...spec, prune: spec.prune ?? nothing } : spec,
  );
}

/** Runs the plan of a counting order without writing; gives `order` with what it found. */
export async function withoutZeros(
  opened: OpenModel,
  plan: PlannedOrder,
  order: Order,
  candidates: readonly number[],
  options: RunOptions & { workers: number | undefined; calibration: Calibration | undefined },
): Promise<Order> {
  const mayBeSparse = new Set(candidates);
  const { tensors } = await runPlan(opened, plan, { ...options, phase: "survey", sink: nowhere });
  return changeSpecs(order, (spec, i) => {
    if (!mayBeSparse.has(i)) return spec;
    const { sparsity, outputShape } = tensors.at(i)!;
    if (sparsity === undefined) return spec;
    const elements = elementsOf(outputShape);
    return { ...spec, sparseEntries: elements - Math.round(sparsity * elements) };
  });
}
