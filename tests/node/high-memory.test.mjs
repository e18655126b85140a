// A core whose free memory lies above 2 GiB, where pointers that arrive signed are negative: results are the same as below.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import {
  compare,
  dequantize,
  init,
  inspect,
  prune,
  quantize,
  shrink,
  fromSparse,
  toSparse,
} from "modelshrink";
import { loadedCore } from "../../dist/core/load.js";
import { makeGguf } from "../support/gguf.mjs";
import { chainModel, wave } from "../support/onnx.mjs";

const x = wave(1 << 12, 3);

/** What the core makes of arrays and models, by what was asked for. */
async function results() {
  const found = {};
  for (const type of ["uint8", "int4", "float16", "float8e4m3", "Q8_0"]) {
    const q = quantize(x, { type, ...(type === "int4" ? { blockSize: 32 } : {}) });
    found[type] = [q.data, dequantize(q), compare(x, dequantize(q))];
  }
  const pruned = prune(x, { method: "magnitude", sparsity: 0.5 });
  found.pruned = [pruned.values, pruned.mask];
  const sparse = toSparse(pruned.values, { format: "csr", shape: [64, 64] });
  found.sparse = [sparse.values, sparse.indices, fromSparse(sparse)];
  const onnx = chainModel([{ name: "w", size: 64 }]);
  const gguf = makeGguf({
    keys: [],
    tensors: [{ name: "w", dims: [64, 64], type: "F32", data: Buffer.from(x.buffer) }],
  });
  for (const [name, model, recipe] of [
    ["onnx", onnx, "int8"],
    ["q4", onnx, "q4"],
    ["gguf", gguf, "Q8_0"],
    ["half", onnx, { weights: "float16", prune: { method: "magnitude", sparsity: 0.5 } }],
  ]) {
    const { bytes, report } = await shrink(model, recipe, { workers: 0 });
    found[name] = [await bytes(), report.outputBytes, (await inspect(model)).tensors];
  }
  return found;
}

let expected;

before(async () => {
  await init();
  expected = await results();
});

test("pointers above 2 GiB: arrays and models give what they give below", async () => {
  const core = loadedCore();
  // Nobody writes to it, so that it takes no memory of the machine.
  assert.notEqual(core._malloc(2 ** 31), 0);
  for (let size = 1 << 20; size >= 16; size /= 4) {
    // What was free below is taken, until the next one lies above.
    while (core._malloc(size) >>> 0 < 2 ** 31);
  }
  assert.deepEqual(await results(), expected);
  assert.equal(loadedCore(), core, "it was not restarted");
  assert.ok(core.HEAPU8.length > 2 ** 31);
});
