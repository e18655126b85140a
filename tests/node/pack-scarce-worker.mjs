/** Packs and unpacks in a module of packed files whose heap is `pages` pages. */
import { readFile } from "node:fs/promises";
import { parentPort, workerData } from "node:worker_threads";
import { init, pack, unpack } from "modelshrink/pack";
import { withHeapOf } from "./memory-limit.mjs";

const { files, packed, pages } = workerData;
const wasm = await readFile(new URL("../../dist/wasm/pack-simd.wasm", import.meta.url));
await init({ wasm: withHeapOf(wasm, pages) });

/** What became of it: the bytes of all its files, or the error's code and message. */
async function outcomeOf(work) {
  try {
    const blobs = Object.values((await work()).files).map((blob) => blob.arrayBuffer());
    return { bytes: (await Promise.all(blobs)).map((bytes) => new Uint8Array(bytes)) };
  } catch (error) {
    return { code: error.code, message: `${error.stack}` };
  }
}

const outcomes = {};
// Each twice: the first may fail, and must not spoil the second.
for (const turn of ["first", "second"]) {
  outcomes[turn] = {
    pack: await outcomeOf(() => pack(files)),
    unpack: await outcomeOf(() => unpack(packed)),
  };
}
parentPort.postMessage(outcomes);
