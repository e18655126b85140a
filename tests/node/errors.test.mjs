import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, test } from "node:test";
import * as modelshrink from "modelshrink";
import { fromCoreError } from "../../dist/core/load.js";
import { wave } from "../support/onnx.mjs";

const {
  ArgumentError,
  compare,
  dequantize,
  FormatError,
  init,
  ModelShrinkError,
  OutOfMemoryError,
  prune,
  quantize,
  UnsupportedError,
  version,
} = modelshrink;

const folder = new URL("../../", import.meta.url);
const x = wave(12);

before(() => init());

function throwsLike(call, type, ...patterns) {
  assert.throws(call, (error) => {
    assert.ok(error instanceof type, String(error));
    assert.ok(error instanceof ModelShrinkError);
    for (const pattern of patterns) assert.match(error.message, pattern);
    return true;
  });
}

test("each line of errors.def has its class and code", async () => {
  const table = await readFile(new URL("src/base/errors.def", folder), "utf8");
  const lines = [...table.matchAll(/^MODELSHRINK_ERROR\(k(\w+), (\w+), /gm)];
  assert.ok(lines.length >= 5);
  for (const [, enumerator, name] of lines) {
    const error = fromCoreError({ error: name, message: "Wrong", tensor: "conv1", offset: 77 });
    assert.equal(error.constructor, modelshrink[name]);
    assert.equal(error.name, name);
    assert.ok(error instanceof ModelShrinkError && error instanceof Error);
    const code = enumerator.replace(/\B[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
    assert.equal(error.code, code);
    assert.equal(error.tensor, "conv1");
    assert.equal(error.offset, 77);
    assert.equal(error.message, 'Wrong (tensor "conv1", byte 77)');
  }
});

test("a message says where, even when it has the same letters and digits already", () => {
  const made = fromCoreError({
    error: "FormatError",
    message: "Wrong size 40",
    tensor: "W",
    offset: 4,
  });
  assert.equal(made.message, 'Wrong size 40 (tensor "W", byte 4)');
});

test("values without JSON are named in messages too", () => {
  const cyclic = {};
  cyclic.self = cyclic;
  assert.throws(() => quantize(x, { type: cyclic }), ArgumentError);
  assert.throws(() => quantize(x, { type: "int8", shape: [12n] }), ArgumentError);
  assert.throws(() => quantize(x, { type: [12n] }), ArgumentError);
});

test("an error that the table does not know is internal", () => {
  for (const error of ["NewError", "constructor", "__proto__"]) {
    const made = fromCoreError({ error, message: "Odd" });
    assert.equal(made.constructor, ModelShrinkError);
    assert.equal(made.code, "internal");
  }
});

test("wrong options of quantize() are named with their value and what is allowed", () => {
  const q = (options) => () => quantize(x, { type: "int8", ...options });
  for (const [options, ...patterns] of [
    [{ type: "int7" }, /type is "int7"/, /"int8", "uint8"/],
    [{ type: undefined }, /type is undefined/],
    [{ shape: [3, 5] }, /shape is \[3,5\]/, /12/],
    [{ shape: [-12] }, /shape\[0\] is -12/],
    [{ shape: [1.5, 8] }, /shape\[0\] is 1.5/],
    [{ shape: 12 }, /shape is 12/],
    [{ axis: 1 }, /axis is 1/, /-1 to 0/],
    [{ axis: "0" }, /axis is "0"/],
    [{ blockSize: 0 }, /blockSize is 0/, /1 to/],
    [{ blockSize: 2.5 }, /blockSize is 2.5/],
    [{ shape: [3, 4], axis: 0, blockSize: 2 }, /axis is 0/, /blockSize/],
    [{ symmetric: "yes" }, /symmetric is "yes"/, /true or false/],
    [{ nonFinite: "skip" }, /nonFinite is "skip"/, /"error", "zero"/],
    [{ bits: 8 }, /unknown key "bits"/, /"blockSize"/],
    [{ type: "float16", symmetric: true }, /symmetric/, /float16/],
  ]) {
    throwsLike(q(options), ArgumentError, ...patterns);
  }
  throwsLike(() => quantize("1", { type: "int8" }), ArgumentError, /x is "1"/, /Float32/);
  throwsLike(() => quantize(new Int8Array(2), { type: "int8" }), ArgumentError, /Int8Array/);
  throwsLike(() => quantize(x), ArgumentError, /options is undefined/);
});

test("what is to come is unsupported", () => {
  throwsLike(() => quantize(x, { type: "nf4" }), UnsupportedError, /"nf4"/);
  throwsLike(() => quantize(x, { type: "Q4_K" }), UnsupportedError, /"Q4_K"/);
  throwsLike(() => quantize(x, { type: "int8", search: "mse" }), UnsupportedError, /"search"/);
});

test("wrong quantized tensors are refused", () => {
  const good = quantize(x, { type: "int8", shape: [3, 4], axis: 0 });
  const bad = (change) => () => dequantize({ ...good, ...change });
  throwsLike(bad({ data: new Uint8Array(12) }), ArgumentError, /data/, /Int8Array/);
  throwsLike(bad({ data: new Int8Array(11) }), ArgumentError, /11 bytes/, /12/);
  throwsLike(bad({ data: undefined }), ArgumentError, /data/);
  throwsLike(bad({ scale: 1 }), ArgumentError, /scale/, /Float32Array/);
  throwsLike(bad({ scale: new Float32Array(2) }), ArgumentError, /scale/);
  throwsLike(bad({ shape: [3, 4, 1e9] }), ArgumentError);
  throwsLike(bad({ zeroPoint: new Int8Array(2) }), ArgumentError, /zero/i);
  throwsLike(bad({ axis: 2 }), ArgumentError, /axis is 2/);
  throwsLike(bad({ extra: 1 }), ArgumentError, /"extra"/);
  throwsLike(() => dequantize(undefined), ArgumentError, /tensor is undefined/);
});

test("wrong options of prune() and compare() are refused", () => {
  const p = (options) => () => prune(x, { method: "magnitude", ...options });
  throwsLike(p({}), ArgumentError, /amount and sparsity/);
  throwsLike(p({ amount: 1, sparsity: 0.5 }), ArgumentError, /amount and sparsity/);
  throwsLike(p({ amount: 13 }), ArgumentError, /cannot prune 13 of 12/);
  throwsLike(p({ amount: 1.5 }), ArgumentError, /amount is 1.5/);
  throwsLike(p({ amount: -1 }), ArgumentError, /amount is -1/);
  throwsLike(p({ amount: NaN }), ArgumentError, /amount is NaN/);
  throwsLike(p({ sparsity: 1.01 }), ArgumentError, /sparsity is 1.01/, /0 to 1/);
  throwsLike(p({ method: "fast", amount: 1 }), ArgumentError, /method is "fast"/, /"magnitude"/);
  throwsLike(p({ amount: 1, importance: wave(3) }), ArgumentError, /importance has 3/);
  throwsLike(p({ amount: 1, importance: [1] }), ArgumentError, /importance/);
  throwsLike(() => compare(x, wave(3)), ArgumentError, /12 and 3/);
  throwsLike(() => compare(x, new Uint8Array(12)), ArgumentError, /not one of each/);
});

test("more elements than memory can hold are refused, not truncated", () => {
  const shape = [2 ** 31];
  const tensor = { type: "float16", shape, data: new Uint16Array(0), scale: new Float32Array(0) };
  throwsLike(() => dequantize(tensor), ArgumentError, /4294967296/);
});

test("an error in a call leaves nothing allocated", () => {
  const large = wave(1_000_000);
  large[5] = NaN;
  // 4 MB each: without free() 2,000 calls would need 8 GB.
  for (let i = 0; i < 2000; i++) {
    assert.throws(() => quantize(large, { type: "int8" }), ArgumentError);
  }
  assert.ok(OutOfMemoryError);
});

test("JSON keeps what an error says", () => {
  const error = new FormatError("too short", { tensor: "w", offset: 7, cause: new Error("x") });
  assert.deepEqual(JSON.parse(JSON.stringify(error)), {
    ...{ name: "FormatError", message: "too short", code: "format", tensor: "w", offset: 7 },
  });
  const plain = JSON.parse(JSON.stringify({ errors: [new ArgumentError("wrong")] }));
  const expected = { name: "ArgumentError", message: "wrong", code: "argument" };
  assert.deepEqual(plain.errors, [expected]);
});

test("the version is the package's", async () => {
  const manifest = JSON.parse(await readFile(new URL("../../package.json", import.meta.url)));
  assert.equal(version, manifest.version);
});
