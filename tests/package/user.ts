// A user's file, compiled against the packed types without the DOM library and without @types/node.
import {
  compare,
  dequantize,
  init,
  inspect,
  ModelShrinkError,
  plan,
  prune,
  quantize,
  shrink,
  toSparse,
  type OutOptions,
  type Recipe,
  type Sink,
} from "modelshrink";
import { calibrate, verify } from "modelshrink/runtime";

declare const ort: Parameters<typeof calibrate>[1]["ort"];
declare const bytes: Uint8Array;

export const restored: Float32Array = dequantize(quantize(Float32Array.of(1), { type: "int8" }));

const room: OutOptions = { out: restored };
let codes = quantize(dequantize(quantize(restored, { type: "uint8" }), room), { type: "uint8" });
codes = quantize(restored, { type: "uint8", out: codes });
let pruned = prune(restored, { method: "magnitude", sparsity: 0.5 });
pruned = prune(restored, { method: "magnitude", sparsity: 0.5, out: pruned });
export const sparse = toSparse(pruned.values, {
  format: "csr",
  out: toSparse(restored, { format: "csr" }),
});

const recipe: Recipe = { weights: "int8", minElements: 64 };
const sink: Sink = {
  open: (size: number) => void size,
  write: (offset: number, piece: Uint8Array) => void [offset, piece],
  close: () => undefined,
  abort: (reason: unknown) => void reason,
};

export async function use(): Promise<number> {
  const { simd } = await init({ simd: "auto" });
  const source = { size: bytes.length, read: (offset: number) => bytes.subarray(offset) };
  const planned = await plan(source, recipe);
  const calibration = await calibrate(bytes, {
    ort,
    inputs: [{ x: { data: Float32Array.of(1), dims: [1] } }],
  });
  const result = await shrink({ "model.onnx": bytes }, "int8", { sink, workers: 2, calibration });
  const { worst } = await verify(bytes, await result.bytes(), {
    ort,
    inputs: [{ x: { data: Float32Array.of(1), dims: [1] } }],
  });
  const { tensors } = await inspect("model.onnx");
  await compare(bytes, "model.onnx", { workers: 0 });
  // @ts-expect-error -- a recipe is a word or an object
  await shrink(bytes, 7);
  return planned.outputBytes + tensors.length + Number(simd) + Number(worst === undefined);
}

export const codeOf = (error: unknown) =>
  error instanceof ModelShrinkError ? error.code : undefined;
