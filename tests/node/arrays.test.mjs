import assert from "node:assert/strict";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import {
  ArgumentError,
  bestSparse,
  biasCorrection,
  compare,
  dequantize,
  fromSparse,
  Gram,
  init,
  layerError,
  ModelShrinkError,
  prune,
  pruneGlobal,
  quantize,
  refit,
  toSparse,
} from "modelshrink";
import { wave } from "../support/onnx.mjs";

const float32 = Math.fround;
const types = ["int8", "uint8", "int4", "uint4", "int16", "uint16"];
const floatTypes = ["float16", "bfloat16", "float8e4m3", "float8e5m2"];

function roundHalfEven(x) {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** onnxruntime's python tool, written down again: scale, zero point and codes of one group. */
function linear(values, { min, max, low, high, symmetric }) {
  let rmin = Math.min(0, ...values);
  let rmax = Math.max(0, ...values);
  if (symmetric) {
    rmax = Math.max(-rmin, rmax);
    rmin = -rmax;
  }
  const scale = float32(float32(rmax) - float32(rmin)) / (max - min);
  const zero = symmetric ? roundHalfEven((min + max) / 2) : roundHalfEven(min - rmin / scale);
  const code = (x) => roundHalfEven(float32(x / float32(scale))) + zero;
  const clip = (q) => Math.min(high, Math.max(low, q));
  return { scale: float32(scale), zero, codes: values.map((x) => clip(code(x))) };
}

const int8 = { min: -127, max: 127, low: -128, high: 127, symmetric: true };
const uint8 = { min: 0, max: 255, low: 0, high: 255, symmetric: false };
const int4 = { min: -8, max: 7, low: -8, high: 7, symmetric: true };

test("array functions before init() say what to do", () => {
  for (const call of [
    () => quantize(wave(4), { type: "int8" }),
    () => prune(wave(4), { method: "magnitude", amount: 1 }),
    () => compare(wave(4), wave(4)),
  ]) {
    assert.throws(call, (error) => {
      assert.ok(error instanceof ModelShrinkError);
      assert.match(error.message, /await init\(\)/);
      return true;
    });
  }
});

test("init() picks SIMD, and again changes nothing", async () => {
  const [first, second] = await Promise.all([init(), init()]);
  assert.deepEqual(first, { simd: true });
  assert.deepEqual(second, first);
  assert.deepEqual(await init({ simd: false }), first);
  await assert.rejects(init({ simd: "no" }), /simd is no; it may be "auto", true or false/);
  await assert.rejects(init({ wasm: 7 }), ArgumentError);
});

test("int8 has onnxruntime's scale and codes", () => {
  const x = wave(1000);
  const { scale, codes } = linear([...x], int8);
  const q = quantize(x, { type: "int8" });
  assert.deepEqual(q, {
    type: "int8",
    shape: [1000],
    data: Int8Array.from(codes),
    scale: Float32Array.of(scale),
  });
});

test("uint8 is asymmetric by default and has onnxruntime's zero point", () => {
  const x = wave(1000).map((value) => value + 0.2);
  const { scale, zero, codes } = linear([...x], uint8);
  const q = quantize(x, { type: "uint8" });
  assert.deepEqual(q.data, Uint8Array.from(codes));
  assert.deepEqual(q.scale, Float32Array.of(scale));
  assert.deepEqual(q.zeroPoint, Uint8Array.of(zero));
  const symmetric = quantize(x, { type: "uint8", symmetric: true });
  assert.equal(symmetric.zeroPoint, undefined);
});

test("one scale for each index of an axis, counted from either end", () => {
  const x = wave(2 * 3 * 5);
  const columns = [0, 1, 2].map((j) =>
    [...x.keys()].filter((i) => Math.floor(i / 5) % 3 === j).map((i) => x[i]),
  );
  const q = quantize(x, { type: "int8", shape: [2, 3, 5], axis: 1 });
  assert.deepEqual(
    [...q.scale],
    columns.map((column) => linear(column, int8).scale),
  );
  assert.equal(q.axis, 1);
  assert.deepEqual(quantize(x, { type: "int8", shape: [2, 3, 5], axis: -2 }), q);
});

test("blocks run along the last axis and may end ragged; low nibbles come first", () => {
  const x = wave(2 * 7);
  const rows = [x.slice(0, 4), x.slice(4, 7), x.slice(7, 11), x.slice(11)];
  const groups = rows.map((row) => linear([...row], int4));
  const q = quantize(x, { type: "int4", shape: [2, 7], blockSize: 4 });
  assert.deepEqual(
    [...q.scale],
    groups.map(({ scale }) => scale),
  );
  const codes = groups.flatMap(({ codes }) => codes);
  const packed = Uint8Array.from({ length: 7 }, (_, i) => {
    return (codes[2 * i] & 15) | ((codes[2 * i + 1] & 15) << 4);
  });
  assert.deepEqual(q.data, packed);
  assert.equal(q.blockSize, 4);
});

test("narrow floats are bit patterns", () => {
  const x = Float32Array.of(1, -2, 0.5, 0, -0);
  const expected = {
    float16: Uint16Array.of(0x3c00, 0xc000, 0x3800, 0, 0x8000),
    bfloat16: Uint16Array.of(0x3f80, 0xc000, 0x3f00, 0, 0x8000),
    float8e4m3: Uint8Array.of(0x38, 0xc0, 0x30, 0, 0x80),
    float8e5m2: Uint8Array.of(0x3c, 0xc0, 0x38, 0, 0x80),
  };
  for (const type of floatTypes) {
    const q = quantize(x, { type });
    assert.deepEqual(q.data, expected[type], type);
    assert.equal(q.scale.length, 0);
    assert.deepEqual(dequantize(q), x, type);
  }
});

test("dequantize() is within half a step for every integer type and granularity", () => {
  const x = wave(3 * 33);
  const shape = [3, 33];
  for (const type of types) {
    for (const sharing of [{}, { axis: 0 }, { blockSize: 16 }]) {
      for (const symmetric of [true, false]) {
        const q = quantize(x, { type, shape, symmetric, ...sharing });
        assert.equal(q.zeroPoint === undefined, symmetric);
        const y = dequantize(structuredClone(q));
        const step = Math.max(...q.scale);
        y.forEach((value, i) => {
          assert.ok(Math.abs(value - x[i]) <= step * 0.501, `${type} ${i}: ${value} for ${x[i]}`);
        });
      }
    }
  }
});

test("results are copies: no view of the heap, unharmed by its growth", () => {
  const x = wave(100);
  const q = quantize(x, { type: "int8" });
  const copy = structuredClone(q);
  assert.equal(q.data.buffer.byteLength, 100);
  assert.equal(q.scale.buffer.byteLength, 4);
  const large = new Float32Array(8_000_000).fill(1);
  assert.equal(quantize(large, { type: "int16" }).data.length, large.length);
  assert.deepEqual(q, copy);
  const pruned = prune(x, { method: "magnitude", amount: 3 });
  assert.equal(pruned.values.buffer.byteLength, 400);
  assert.equal(pruned.mask.buffer.byteLength, 100);
  assert.notEqual(pruned.values.buffer, x.buffer);
});

test("a view into a larger buffer is read as that view", () => {
  const x = wave(64);
  const view = x.subarray(7, 23);
  assert.deepEqual(quantize(view, { type: "int8" }), quantize(view.slice(), { type: "int8" }));
});

test("empty arrays and single elements", () => {
  for (const type of [...types, ...floatTypes]) {
    assert.equal(quantize(new Float32Array(0), { type }).data.length, 0, type);
    const one = quantize(Float32Array.of(2), { type });
    // Half a step of the coarsest type.
    assert.ok(Math.abs(dequantize(one)[0] - 2) < 0.14, type);
  }
  assert.deepEqual(prune(new Float32Array(0), { method: "magnitude", sparsity: 1 }), {
    values: new Float32Array(0),
    mask: new Uint8Array(0),
    sparsity: 0,
  });
});

test("NaN and infinities are errors with their index, or count as zero", () => {
  for (const bad of [NaN, Infinity, -Infinity]) {
    const x = wave(50);
    x[31] = bad;
    assert.throws(
      () => quantize(x, { type: "int8" }),
      (error) => {
        assert.ok(error instanceof ArgumentError);
        assert.match(error.message, /31/);
        return true;
      },
    );
    const zeroed = x.slice();
    zeroed[31] = 0;
    const q = quantize(x, { type: "int8", nonFinite: "zero" });
    assert.deepEqual(q, quantize(zeroed, { type: "int8" }));
    assert.throws(() => prune(x, { method: "magnitude", amount: 1 }), /31/);
  }
});

test("prune() zeroes exactly as many as asked; the lowest index wins ties", () => {
  const x = Float32Array.of(3, -1, 1, 2, -1, 1);
  assert.deepEqual(prune(x, { method: "magnitude", amount: 2 }), {
    values: Float32Array.of(3, 0, 0, 2, -1, 1),
    mask: Uint8Array.of(1, 0, 0, 1, 1, 1),
    sparsity: 2 / 6,
  });
});

test("sparsity and fractional amounts round half to even", () => {
  const pruned = (options, count = 10) =>
    prune(wave(count), { method: "magnitude", ...options }).mask.filter((bit) => bit === 0).length;
  assert.equal(pruned({ sparsity: 0.25 }), 2);
  assert.equal(pruned({ sparsity: 0.35 }), 4);
  assert.equal(pruned({ amount: 0.25 }), 2);
  assert.equal(pruned({ amount: 1 }), 1);
  assert.equal(pruned({ sparsity: 1 }), 10);
  assert.equal(pruned({ sparsity: 0 }), 0);
  assert.equal(pruned({ sparsity: 0.5 }, 5), 2);
});

test("importance decides what goes", () => {
  const x = Float32Array.of(1, 2, 3, 4);
  const importance = Float32Array.of(9, 1, 1, 0);
  const { values } = prune(x, { method: "magnitude", amount: 2, importance });
  assert.deepEqual(values, Float32Array.of(1, 0, 3, 0));
});

test("compare() measures the error of arrays", () => {
  const a = Float32Array.of(3, 4, 0, 0);
  const b = Float32Array.of(3, 3, 0, 1);
  const stats = compare(a, b);
  assert.ok(Math.abs(stats.sqnr - 10 * Math.log10(25 / 2)) < 1e-9);
  assert.equal(stats.maxAbsError, 1);
  assert.equal(stats.meanAbsError, 0.5);
  assert.ok(Math.abs(stats.cosine - 21 / Math.sqrt(25 * 19)) < 1e-12);
  assert.equal(stats.sparsity, 0.25);
  assert.equal(compare(a, a).sqnr, Infinity);
  assert.deepEqual(structuredClone(stats), stats);
});

/** All results of one binary, from a thread of its own. */
function resultsWith(simd) {
  const worker = new Worker(new URL("./all-types-worker.mjs", import.meta.url), {
    workerData: { simd },
  });
  return new Promise((resolve, reject) => {
    worker.once("message", resolve).once("error", reject);
  });
}

test("the SIMD and the baseline binary give the same bytes, in workers too", async () => {
  const [simd, baseline] = await Promise.all([resultsWith(true), resultsWith(false)]);
  assert.deepEqual([simd.info, baseline.info], [{ simd: true }, { simd: false }]);
  assert.deepEqual(baseline.results, simd.results);
  assert.equal(simd.results.length, 2 * 22 + 1);
});

/** What every function makes of the same numbers in different arrays. */
function everyFunction(make) {
  const x = make([0.1, -2, 3.5, 0, 1e-3, 7, -0.5, 4]);
  const w = make([1, 2, 3, 4.25]);
  const gram = new Gram(2).add(x).addConv(make([1, 2, 3]), [1, 1, 3], { kernelShape: [2] });
  const layer = { shape: [2, 2], gram };
  const tensor = quantize(x, { type: "int8" });
  const sparse = toSparse(x, { format: "csr", shape: [2, 4] });
  return {
    tensor,
    gptq: quantize(w, { type: "int8", ...layer }),
    dequantized: dequantize({ ...tensor, scale: make([...tensor.scale]) }),
    stats: compare(x, make([0, -2, 3.5, 0, 0, 7, 0, 4])),
    pruned: prune(x, {
      method: "magnitude",
      amount: 2,
      importance: make([9, 1, 1, 1, 1, 1, 1, 1]),
    }),
    global: pruneGlobal([x, w], { method: "lamp", sparsity: 0.5 }),
    wanda: prune(w, { method: "wanda", sparsity: 0.5, ...layer }),
    sparse,
    dense: fromSparse({ ...sparse, values: make([...sparse.values]) }),
    best: bestSparse(x),
    refitted: refit(w, Uint8Array.of(1, 0, 1, 1), { ...layer, crossSums: make([...gram.sums]) }),
    error: layerError(w, make([1, 2, 3, 4]), layer),
    bias: biasCorrection(w, make([1, 2, 3, 4]), layer),
    moments: [gram.sums, gram.mean(), gram.norms()],
  };
}

const arrayKinds = {
  float64: (numbers) => Float64Array.from(numbers),
  numbers: (numbers) => [...numbers],
  realm: (numbers) => runInNewContext("Float32Array.from(numbers)", { numbers }),
  realmNumbers: (numbers) => runInNewContext("[...numbers]", { numbers }),
  ...(globalThis.Float16Array
    ? { float16: (numbers) => globalThis.Float16Array.from(numbers, Math.f16round) }
    : {}),
};

test("every function takes any array of numbers, rounded to float32", () => {
  const expected = everyFunction((numbers) => Float32Array.from(numbers));
  for (const [kind, make] of Object.entries(arrayKinds)) {
    if (kind === "float16") {
      const f16 = everyFunction((numbers) => Float32Array.from(make(numbers)));
      assert.deepEqual(everyFunction(make), f16, kind);
    } else {
      assert.deepEqual(everyFunction(make), expected, kind);
    }
  }
  const rounded = quantize([1 + 2 ** -24, 1 + 3 * 2 ** -24, 5e-324], { type: "float16" });
  assert.deepEqual(dequantize(rounded), Float32Array.of(1, 1, 0));
  const stats = compare([0.1], Float32Array.of(0.1));
  assert.equal(stats.maxAbsError, 0);
});

test("what is no array of numbers is refused with a sentence", () => {
  for (const [x, pattern] of [
    [[[1, 2], [3]], /x\[0\] is \[1,2\]: pass the numbers flat, .* shape/],
    [[1, Float32Array.of(2)], /x\[1\] is Float32Array: pass the numbers flat/],
    [[1, "2"], /x\[1\] is "2"; it must be a number/],
    [[1, , 3], /x\[1\] is undefined; it must be a number/], // eslint-disable-line no-sparse-arrays
    [[1n], /x\[0\] is 1; it must be a number/],
    [
      Int32Array.of(1),
      /x is Int32Array; it must be a Float32Array, a Float64Array, a Float16Array or/,
    ],
    ["1, 2", /x is "1, 2"; it must be/],
    [undefined, /x is undefined/],
    [[0, 1e39], /x\[1\] is 1e\+39, which is too large for float32/],
    [Float64Array.of(0, 0, -3.5e38), /x\[2\] is -3\.5e\+38, which is too large/],
  ]) {
    for (const call of [
      () => quantize(x, { type: "float16" }),
      () => prune(x, { method: "magnitude", amount: 0 }),
      () => toSparse(x, { format: "coo" }),
      () => new Gram(1).add(x),
    ]) {
      assert.throws(call, (error) => {
        assert.ok(error instanceof ArgumentError, String(error));
        assert.match(error.message, pattern);
        return true;
      });
    }
  }
  // The largest number that rounds to a float32, and values that are infinite already.
  const largest = 3.4028235677973362e38;
  assert.equal(compare([largest], [3.4028234663852886e38]).maxAbsError, 0);
  assert.throws(() => quantize([Infinity], { type: "int8" }), /element 0 is NaN or infinite/);
  assert.throws(() => compare([1], new Uint8Array(1)), /two arrays or two models/);
});

test("a Gram gives its memory up when it is disposed of", () => {
  const gram = new Gram(2).add([1, 2, 3, 4]);
  gram[Symbol.dispose]();
  gram[Symbol.dispose]();
  assert.deepEqual([gram.columns, gram.rows], [2, 2]);
  for (const call of [
    () => gram.add([1, 2]),
    () => gram.sums,
    () => gram.mean(),
    () => gram.norms(),
    () => gram.slice(0, 1),
    () => gram.toBytes(),
    () => new Gram(2).merge(gram),
    () => gram.merge(new Gram(2)),
    () => refit([1, 2], Uint8Array.of(1, 1), { shape: [1, 2], gram }),
  ]) {
    assert.throws(call, { code: "argument", message: /disposed of/ });
  }
});

test("a type in other letters is suggested in the right ones", () => {
  for (const [type, meant] of [
    ["q8_0", "Q8_0"],
    ["q4_1", "Q4_1"],
    ["INT8", "int8"],
    ["Float16", "float16"],
    ["fp16", "float16"],
  ]) {
    assert.throws(() => quantize([1], { type }), {
      code: "argument",
      message: new RegExp(`Did you mean "${meant}"\\?`),
    });
  }
  assert.throws(() => quantize([1], { type: "q6_k" }), { code: "unsupported" });
});

test("with out an earlier result's arrays are written again", () => {
  const [a, b] = [wave(4096, 1), wave(4096, 2)];
  const shape = [64, 64];
  for (const options of [
    { type: "int8", axis: 0 },
    { type: "uint8" },
    { type: "uint4", blockSize: 32 },
    { type: "float16" },
    { type: "Q4_0" },
  ]) {
    const expected = quantize(b, { ...options, shape });
    const out = quantize(a, { ...options, shape });
    const { data, scale, zeroPoint } = out;
    const again = quantize(b, { ...options, shape, out });
    assert.deepEqual(again, expected);
    assert.ok(again.data === data && again.scale === scale && again.zeroPoint === zeroPoint);
    const floats = new Float32Array(4096);
    assert.equal(dequantize(again, { out: floats }), floats);
    assert.deepEqual(floats, dequantize(expected));
  }
});

test("dequantize is a function for map", () => {
  const tensors = [wave(64, 1), wave(64, 2)].map((x) => quantize(x, { type: "int8" }));
  assert.deepEqual(tensors.map(dequantize), [dequantize(tensors[0]), dequantize(tensors[1])]);
});

test("an out that does not fit is refused, and nothing of it is written", () => {
  const x = wave(64, 1);
  const out = quantize(x, { type: "uint8" });
  const before = structuredClone(out);
  for (const [options, message] of [
    [{ type: "int8", out }, /out\.type is "uint8"; the result is of type int8/],
    [{ type: "uint8", symmetric: true, out }, /out\.zeroPoint has 1 bytes; the result takes 0/],
    [{ type: "uint8", blockSize: 8, out }, /out\.scale has 4 bytes; the result takes 32/],
    [{ type: "uint8", out: { ...out, data: new Uint8Array(63) } }, /out\.data has 63 bytes/],
    [{ type: "uint8", out: { ...out, data: new Float32Array(16) } }, /out\.data/],
    [
      { type: "uint8", out: { ...out, scale: [1] } },
      /out\.scale is \[1\]; it must be a Float32Array/,
    ],
    [{ type: "uint8", out: 5 }, /out is 5/],
  ]) {
    assert.throws(
      () =>
        quantize(
          x.map((v) => 3 * v),
          options,
        ),
      { code: "argument", message },
    );
  }
  assert.deepEqual(out, before);
  const wrong = new Float32Array(63);
  assert.throws(() => dequantize(out, { out: wrong }), { message: /out has 252 bytes/ });
  assert.throws(() => dequantize(out, { out: new Int32Array(64) }), { code: "argument" });
});
