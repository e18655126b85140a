/** Weights without their zeros in files: only the weights can tell how many values are left. */
import { UnsupportedError } from "../base/errors.js";
import type { FormatName } from "../base/formats.js";
import { elementsOf } from "../base/shape.js";
import type { FileSetSink } from "../files/sink.js";
import type { Calibration } from "../recipe/calibration.js";
import type { Order } from "../recipe/order.js";
import { noPruning } from "../recipe/pruning.js";
import type { OpenModel } from "./open.js";
import type { PlannedOrder } from "./planned-order.js";
import { runPlan } from "./run.js";
import type { RunOptions } from "./types.js";

/** A sink for a run that only counts: it drops every byte. */
const nowhere: FileSetSink = {
  open: () => Promise.resolve(new Map()),
  write: () => undefined,
  finish: () => undefined,
  close: () => undefined,
  abort: () => undefined,
};

/** Makes the warning for sparse tensors: where they load, or why none was written. */
const warnings: Partial<Record<FormatName, string>> = {
  onnx:
    "Sparse initializers load in onnxruntime on CPUs and WebAssembly; its WebGPU build and other " +
    "runtimes may refuse them.",
  safetensors:
    'Loaders of sparse tensors need "quantization_config": {"quant_method": "compressed-tensors", ' +
    '"sparsity_config": {"format": "sparse-bitmask"}} in config.json.',
};

export function sparseWarning(
  format: FormatName,
  tensors: readonly { isSparse?: boolean }[],
): string | undefined {
  if (tensors.some(({ isSparse }) => isSparse)) return warnings[format];
  return (
    "No tensor is smaller without its zeros" +
    (format === "onnx" ? ": an entry takes 12 bytes in ONNX, so it needs 67 % zeros." : ".")
  );
}

/** Throws an UnsupportedError where files of the format have no sparse tensors. */
export function checkSparse(format: FormatName): void {
  if (warnings[format]) return;
  throw new UnsupportedError(`A ${format} file has no sparse tensors; ONNX and safetensors have.`);
}

/** The order with every tensor of `candidates` pruned, if only of nothing, so that a run counts its zeros. */
export function countingOrder({ specs, options }: Order, candidates: readonly number[]): Order {
  const mayBeSparse = new Set(candidates);
  const nothing = { ...noPruning, method: "magnitude", isFraction: false } as const;
  return {
    specs: specs.map((spec, i) =>
      mayBeSparse.has(i) ? { ...spec, prune: spec.prune ?? nothing } : spec,
    ),
    options,
  };
}

/** Runs the plan of a counting order without writing; gives `order` with what it found. */
export async function withoutZeros(
  opened: OpenModel,
  plan: PlannedOrder,
  order: Order,
  candidates: readonly number[],
  options: RunOptions & { workers: number; calibration: Calibration | undefined },
): Promise<Order> {
  const mayBeSparse = new Set(candidates);
  const { tensors } = await runPlan(opened, plan, { ...options, phase: "survey", sink: nowhere });
  const specs = order.specs.map((spec, i) => {
    const { sparsity } = tensors[i]!;
    if (!mayBeSparse.has(i) || sparsity === undefined) return spec;
    const elements = elementsOf(tensors[i]!.outputShape);
    return { ...spec, sparseEntries: elements - Math.round(sparsity * elements) };
  });
  return { specs, options: order.options };
}
