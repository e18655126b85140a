// onnxruntime-node and onnxruntime-web behind one small interface, one thread each.
import { readFileSync } from "node:fs";

import { packageFile } from "./packages.mjs";

const tensorTypes = { Float32Array: "float32", BigInt64Array: "int64", Uint8Array: "uint8" };

function adapt(name, ort, options) {
  const toTensor = ({ data, dims }) =>
    new ort.Tensor(tensorTypes[data.constructor.name], data, dims);
  return {
    name,
    version: JSON.parse(readFileSync(packageFile(`${name}/package.json`))).version,
    /** Resolves to {run(feeds), release()}; feeds and outputs are {name: {data, dims}}. */
    async open(bytes, more = {}) {
      const session = await ort.InferenceSession.create(bytes, { ...options, ...more });
      return {
        inputNames: session.inputNames,
        outputNames: session.outputNames,
        async run(feeds) {
          const tensors = Object.fromEntries(
            Object.entries(feeds).map(([key, value]) => [key, toTensor(value)]),
          );
          return session.run(tensors);
        },
        release: () => session.release(),
      };
    },
  };
}

export async function nodeRuntime() {
  const { default: ort } = await import("onnxruntime-node");
  const options = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 };
  return adapt("onnxruntime-node", ort, options);
}

/** The WebAssembly build, here inside Node. */
export async function webRuntime() {
  const ort = await import("onnxruntime-web");
  ort.env.wasm.wasmPaths = packageFile("onnxruntime-web/dist/").href;
  ort.env.wasm.numThreads = 1;
  return adapt("onnxruntime-web", ort, { executionProviders: ["wasm"], logSeverityLevel: 3 });
}
