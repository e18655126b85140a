// Arrays that are larger than the heap: quantize, dequantize, compare, masks and remove go through them a piece at a
// time. The core here has a memory that cannot grow.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, test } from "node:test";
import { compare, dequantize, init, prune, quantize, remove } from "modelshrink";
import { withHeapOf } from "./memory-limit.mjs";
import { wave } from "../support/onnx.mjs";

const heapBytes = 12 << 20;
const count = 8 << 20;
/** Weights of 32 MiB. */
const x = new Float32Array(count);

before(async () => {
  const wasm = await readFile(new URL("../../dist/wasm/simd.wasm", import.meta.url));
  await init({ wasm: withHeapOf(wasm, heapBytes / 65536) });
  const part = wave(1 << 16, 1);
  for (let i = 0; i < count; i += part.length) x.set(part, i);
  x[count - 5] = 3;
});

test("quantize and dequantize take arrays larger than the heap", () => {
  const expected = x.subarray(count - 64);
  for (const [how, step] of [
    [{ type: "uint8" }, 4 / 255],
    [{ type: "int16", axis: 0, shape: [2, count / 2] }, 6 / 2 ** 16],
    [{ type: "int8", axis: 1, shape: [count / 4096, 4096] }, 6 / 254],
    [{ type: "int4", blockSize: 32 }, 6 / 15],
    [{ type: "float16" }, 2 ** -10],
    [{ type: "Q8_0" }, 6 / 254],
  ]) {
    const q = quantize(x, how);
    const y = dequantize(q);
    assert.equal(y.length, count);
    for (const [i, value] of y.subarray(count - 64).entries()) {
      assert.ok(
        Math.abs(value - expected[i]) <= step,
        `${how.type} ${i}: ${value}, ${expected[i]}`,
      );
    }
  }
});

test("compare takes arrays larger than the heap", () => {
  const y = x.slice();
  y[count - 7] += 0.5;
  const { maxAbsError, meanAbsError } = compare(x, y);
  assert.ok(Math.abs(maxAbsError - 0.5) < 1e-6, `${maxAbsError}`);
  assert.ok(Math.abs(meanAbsError * count - 0.5) < 1e-6, `${meanAbsError}`);
});

test("a mask is applied to arrays larger than the heap", () => {
  const mask = new Uint8Array(count).fill(7);
  mask[count - 5] = 0;
  const pruned = prune(x, { method: "mask", mask });
  assert.equal(pruned.values[count - 5], 0);
  assert.equal(pruned.values[count - 6], x[count - 6]);
  assert.equal(pruned.mask[count - 6], 1);
  assert.equal(pruned.sparsity, 1 / count);
  assert.deepEqual(remove(pruned), pruned.values);
});

test("compare takes arrays larger than 4 GiB, which no heap of WebAssembly holds", () => {
  // Memory that nobody has written to takes none.
  const zeros = new Float32Array(2 ** 30 + 4);
  const { maxAbsError, sparsity } = compare(zeros, zeros);
  assert.deepEqual({ maxAbsError, sparsity }, { maxAbsError: 0, sparsity: 1 });
});
