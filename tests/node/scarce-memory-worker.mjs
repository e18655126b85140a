/** Runs jobs in a core whose heap is `pages` pages. */
import { readFile } from "node:fs/promises";
import { parentPort, workerData } from "node:worker_threads";
import { compare, init, quantize, shrink } from "modelshrink";
import { withHeapOf } from "./memory-limit.mjs";
import { wave } from "../support/onnx.mjs";

const { jobs, pages } = workerData;
const wasm = await readFile(new URL("../../dist/wasm/simd.wasm", import.meta.url));
await init({ wasm: withHeapOf(wasm, pages) });

/** What became of it: its bytes, or the error's code and message. */
async function outcomeOf(work) {
  try {
    return { bytes: await work() };
  } catch (error) {
    return { code: error.code, message: `${error.stack}` };
  }
}

async function run({ files, recipe }) {
  const result = await shrink(files, recipe, { workers: 0 });
  await compare(files, result.files, { workers: 0 });
  const outputs = Object.values(result.files).map((blob) => blob.arrayBuffer());
  return (await Promise.all(outputs)).map((bytes) => new Uint8Array(bytes));
}

const outcomes = [];
for (const job of jobs) {
  const first = await outcomeOf(() => run(job));
  const next = await outcomeOf(() => [quantize(wave(64), { type: "int8" }).data]);
  outcomes.push({ first, next });
}
parentPort.postMessage(outcomes);
