// What happens when the core itself fails: no memory, or a trap.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import {
  init,
  inspect,
  ModelShrinkError,
  OutOfMemoryError,
  prune,
  quantize,
  shrink,
} from "modelshrink";
import { compileOwn } from "../../dist/core/compile-node.js";
import { withMemoryLimit } from "./memory-limit.mjs";
import { chainModel, wave } from "../support/onnx.mjs";

/** Makes the core trap with this message when it next calls JavaScript, as every call into it does. */
let nextTrap;
const { Instance } = WebAssembly;
WebAssembly.Instance = function (module, imports) {
  const wrap = (work) =>
    function (...args) {
      if (nextTrap) {
        const message = nextTrap;
        nextTrap = undefined;
        throw new WebAssembly.RuntimeError(message);
      }
      return work(...args);
    };
  const wrapAll = (functions) =>
    Object.fromEntries(
      Object.entries(functions).map(([name, value]) => [
        name,
        typeof value === "function" ? wrap(value) : value,
      ]),
    );
  const wrapped = Object.entries(imports).map(([name, functions]) => [name, wrapAll(functions)]);
  return new Instance(module, Object.fromEntries(wrapped));
};

const wasm = await readFile(new URL("../../dist/wasm/simd.wasm", import.meta.url));
const model = chainModel([{ name: "w", size: 64 }]);

test("an array that does not fit is an OutOfMemoryError, and the next call works", async () => {
  await init({ wasm: withMemoryLimit(wasm, 8e6) });
  const large = new Float32Array(8_000_000);
  for (let i = 0; i < 3; i++) {
    assert.throws(
      () => prune(large, { method: "magnitude", sparsity: 0.5 }),
      (error) => {
        assert.ok(error instanceof OutOfMemoryError, String(error));
        assert.equal(error.code, "out-of-memory");
        return true;
      },
    );
  }
  assert.equal(quantize(wave(1000), { type: "int8" }).data.length, 1000);
});

test("a model whose header does not fit is an OutOfMemoryError", async () => {
  const manyNodes = chainModel(
    Array.from({ length: 60_000 }, (_, i) => ({ name: `w${i}`, size: 1 })),
  );
  await assert.rejects(inspect(manyNodes), OutOfMemoryError);
  assert.equal((await inspect(model)).tensors.length > 0, true);
});

test("after a trap the next call finds a new core", async () => {
  const expected = quantize(wave(100), { type: "int8" });
  nextTrap = "unreachable";
  assert.throws(
    () => quantize(wave(100), { type: "int8" }),
    (error) => {
      assert.equal(error.constructor, ModelShrinkError);
      assert.equal(error.code, "internal");
      assert.ok(error.cause instanceof WebAssembly.RuntimeError);
      return true;
    },
  );
  assert.deepEqual(quantize(wave(100), { type: "int8" }), expected);
});

test("an abort inside the C++ library is an OutOfMemoryError", () => {
  nextTrap = "Aborted(OOM)";
  assert.throws(() => quantize(wave(100), { type: "int8" }), OutOfMemoryError);
  assert.equal(quantize(wave(100), { type: "int8" }).data.length, 100);
});

test("a trap during a model run rejects it; the next run works", async () => {
  const expected = await (await shrink(model, "int8")).bytes();
  let trapped = false;
  const onProgress = ({ phase }) => {
    if (phase !== "write" || trapped) return;
    trapped = true;
    nextTrap = "memory access out of bounds";
  };
  await assert.rejects(shrink(model, "int8", { onProgress }), (error) => {
    assert.equal(error.code, "internal");
    return true;
  });
  assert.deepEqual(await (await shrink(model, "int8")).bytes(), expected);
});

test("a run that another call's trap cut off says so", async () => {
  let trapped = false;
  const onProgress = ({ phase }) => {
    if (phase !== "write" || trapped) return;
    trapped = true;
    nextTrap = "unreachable";
    assert.throws(() => quantize(wave(10), { type: "int8" }), ModelShrinkError);
  };
  await assert.rejects(shrink(model, "int8", { onProgress }), /restarted after a failure/);
  assert.ok((await shrink(model, "int8")).report.outputBytes > 0);
});

test("a binary that is not there is an error that says what to do, then why", async () => {
  const url = new URL("no-such.wasm", import.meta.url);
  await assert.rejects(compileOwn(url), (error) => {
    assert.equal(error.code, "io");
    assert.match(
      error.message,
      /no-such\.wasm\. Leave .*, or call init\(\{ wasm \}\)\. Error: ENOENT/,
    );
    return true;
  });
});
