/** onnxruntime, from this page's own origin and on one thread: more need headers that few hosts send. */
import * as ort from "onnxruntime-web/wasm";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import { once } from "../../base/once.js";
import type { Files } from "../../open/files.js";

ort.env.wasm.wasmPaths = { wasm };
ort.env.wasm.numThreads = 1;

export { ort };

/** A value of a model's input or output. */
export interface Value {
  data: Float32Array | BigInt64Array;
  dims: readonly number[];
}

/** A model of one file that is loaded. */
export interface Session {
  run(feeds: Record<string, Value>): Promise<Record<string, Value>>;
  /** Runs once if nothing was run yet: a first run takes longer than those after it, which times are about. */
  warmUp(feeds: Record<string, Value>): Promise<void>;
}

const tensorOf = ({ data, dims }: Value): ort.Tensor =>
  data instanceof BigInt64Array
    ? new ort.Tensor("int64", data, dims)
    : new ort.Tensor("float32", data, dims);

/** Loads a model of one file. Rejects with onnxruntime's error where it cannot. */
export async function openSession(files: Files): Promise<Session> {
  const [file] = Object.values(files);
  const bytes = new Uint8Array((await file?.arrayBuffer()) ?? []);
  // Warnings about unused initializers are nothing that a visitor could act on.
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3 });
  const run = async (feeds: Record<string, Value>) => {
    const tensors = Object.entries(feeds).map(([name, value]) => [name, tensorOf(value)]);
    const results = await session.run(Object.fromEntries(tensors) as Record<string, ort.Tensor>);
    return results as unknown as Record<string, Value>;
  };
  const warmUp = once(async (feeds: Record<string, Value>) => {
    await run(feeds);
  });
  return { run, warmUp };
}
