import assert from "node:assert/strict";
import { before, test } from "node:test";
import {
  ArgumentError,
  biasCorrection,
  dequantize,
  FormatError,
  Gram,
  init,
  layerError,
  prune,
  quantize,
  refit,
} from "modelshrink";
import { wave } from "../support/onnx.mjs";

const rows = 12;
const columns = 40;
const samples = 300;
const shape = [rows, columns];
const w = wave(rows * columns, 7);

/** Columns that depend on each other and are not equally strong. */
const x = wave(samples * columns, 3);
for (let s = 0; s < samples; s++) {
  for (let j = 1; j < columns; j++) {
    const i = s * columns + j;
    x[i] += 0.7 * x[i - 1];
  }
  for (let j = 0; j < columns; j += 3) x[s * columns + j] *= 5;
}
let gram;
before(async () => {
  await init();
  gram = new Gram(columns).add(x);
});

/** Of a matrix [m, n]. */
const transposed = (values, m, n) =>
  Float32Array.from({ length: m * n }, (_, i) => values[(i % m) * n + Math.floor(i / m)]);
const errorOf = (v) => layerError(w, v, { shape, gram }).relative;
const zerosOf = (mask) => mask.filter((kept) => kept === 0).length;

test("a Gram is XᵀX, however the rows come", () => {
  const { sums } = gram;
  for (const [i, j] of [
    [0, 0],
    [3, 17],
    [39, 39],
  ]) {
    let sum = 0;
    for (let s = 0; s < samples; s++) sum += x[s * columns + i] * x[s * columns + j];
    assert.ok(Math.abs(sums[i * columns + j] - sum) < 1e-3 * Math.abs(sum) + 1e-4);
  }
  assert.equal(sums[17 * columns + 3], 0);
  assert.equal(gram.rows, samples);
  const pieces = new Gram(columns);
  for (let s = 0; s < samples; s += 7) {
    pieces.add(x.subarray(s * columns, Math.min(samples, s + 7) * columns));
  }
  assert.deepEqual(pieces.sums, sums);
  assert.deepEqual(pieces.mean(), gram.mean());
});

test("norms and means of columns", () => {
  const small = Float32Array.from([1, 2, 3, 4, 5, 6]);
  for (const normsOnly of [false, true]) {
    const it = new Gram(2, { normsOnly }).add(small);
    assert.deepEqual(it.mean(), Float32Array.from([3, 4]));
    assert.deepEqual(it.norms(), Float32Array.from([Math.sqrt(35), Math.sqrt(56)]));
  }
  assert.throws(() => new Gram(2, { normsOnly: true }).sums, ArgumentError);
  assert.throws(() => new Gram(100_000), /normsOnly/);
  assert.equal(new Gram(100_000, { normsOnly: true }).columns, 100_000);
});

test("Grams are merged, saved and read again", () => {
  const first = new Gram(columns).add(x.subarray(0, 256 * columns));
  const second = new Gram(columns).add(x.subarray(256 * columns));
  assert.deepEqual(first.merge(second).sums, gram.sums);
  assert.equal(first.rows, samples);
  const read = Gram.fromBytes(gram.toBytes());
  assert.deepEqual([read.sums, read.rows, read.mean()], [gram.sums, gram.rows, gram.mean()]);
  const norms = new Gram(3, { normsOnly: true }).add(Float32Array.from([1, 2, 3]));
  assert.deepEqual(Gram.fromBytes(norms.toBytes()).norms(), norms.norms());
  assert.throws(() => first.merge(norms), ArgumentError);
});

test("bytes that are no Gram are refused", () => {
  const good = new Gram(3).add(wave(9)).toBytes();
  const changed = (change) => {
    const bytes = good.slice();
    change(new DataView(bytes.buffer));
    return bytes;
  };
  for (const bytes of [
    good.subarray(0, 20),
    good.subarray(0, good.length - 1),
    new Uint8Array(good.length),
    changed((view) => view.setUint32(4, 9, true)),
    changed((view) => view.setUint32(8, 2 ** 31, true)),
    changed((view) => view.setUint32(8, 0, true)),
    changed((view) => view.setFloat64(16, -1, true)),
    changed((view) => view.setFloat64(16, NaN, true)),
    changed((view) => view.setFloat32(good.length - 4, Infinity, true)),
  ]) {
    assert.throws(() => Gram.fromBytes(bytes), FormatError);
  }
});

test("wrong activations are refused", () => {
  assert.throws(() => new Gram(3).add(wave(4)), /rows of 3/);
  const bad = wave(6);
  bad[4] = NaN;
  assert.throws(() => new Gram(3).add(bad), /row 1, column 1 is NaN/);
  assert.throws(() => new Gram(0), /columns is 0/);
});

test("a convolution's Gram is that of its patches", () => {
  const [images, channels, height, width] = [2, 4, 5, 6];
  const image = wave(images * channels * height * width, 5);
  const window = { kernelShape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 1], dilations: [1, 2] };
  for (const groupIndex of [0, 1]) {
    const patches = [];
    for (let n = 0; n < images; n++) {
      for (let y = 0; y < 3; y++) {
        for (let z = 0; z < 5; z++) {
          for (let c = 2 * groupIndex; c < 2 * groupIndex + 2; c++) {
            for (const ky of [0, 1, 2]) {
              for (const kx of [0, 1]) {
                const [row, column] = [2 * y + ky - 1, z + 2 * kx];
                const inside = row >= 0 && row < height && column < width;
                const at = ((n * channels + c) * height + row) * width + column;
                patches.push(inside ? image[at] : 0);
              }
            }
          }
        }
      }
    }
    const expected = new Gram(12).add(Float32Array.from(patches));
    const found = new Gram(12).addConv(image, [images, channels, height, width], {
      ...{ ...window, group: 2, groupIndex },
    });
    assert.equal(found.rows, images * 15);
    assert.deepEqual(found.sums, expected.sums);
  }
  const line = new Gram(6).addConv(wave(20, 2), [1, 2, 10], { kernelShape: [3] });
  assert.equal(line.rows, 8);
  const shapes = [1, 2, 10];
  assert.throws(() => new Gram(5).addConv(wave(20), shapes, { kernelShape: [3] }), /6 columns/);
  assert.throws(() => new Gram(6).addConv(wave(20), shapes, { kernelShape: [3, 3] }), /1 numbers/);
  assert.throws(() => new Gram(6).addConv(wave(19), shapes, { kernelShape: [3] }), /shape/);
});

test("the calibrated methods come in their order, and a refit helps", () => {
  const options = { sparsity: 0.5, shape, gram };
  const pruned = {
    magnitude: prune(w, { method: "magnitude", sparsity: 0.5 }),
    wanda: prune(w, { method: "wanda", ...options }),
    sparsegpt: prune(w, { method: "sparsegpt", ...options }),
    obc: prune(w, { method: "obc", ...options }),
  };
  const errors = Object.values(pruned).map(({ values }) => errorOf(values));
  assert.deepEqual(
    errors,
    errors.toSorted((a, b) => b - a),
  );
  for (const { values, mask, sparsity } of Object.values(pruned)) {
    assert.equal(sparsity, 0.5);
    assert.equal(zerosOf(mask), (rows * columns) / 2);
    assert.ok(values.every((value, i) => (value === 0) === (mask[i] === 0)));
    const fitted = refit(w, mask, { shape, gram });
    assert.ok(fitted.every((value, i) => mask[i] !== 0 || value === 0));
    assert.ok(errorOf(fitted) < errorOf(values) * 1.0001);
  }
  // Each output loses as much.
  for (let r = 0; r < rows; r++) {
    assert.equal(zerosOf(pruned.wanda.mask.subarray(r * columns, (r + 1) * columns)), 20);
  }
});

test("n:m in every calibrated method", () => {
  for (const method of ["wanda", "sparsegpt", "obc"]) {
    const { mask } = prune(w, { method, n: 2, m: 4, shape, gram });
    for (let i = 0; i < mask.length; i += 4) assert.equal(zerosOf(mask.subarray(i, i + 4)), 2);
  }
});

test("a matrix [inputs, outputs] gives the same, the other way round", () => {
  const back = { shape: [columns, rows], outputAxis: 1, gram };
  const wt = transposed(w, rows, columns);
  assert.equal(wt[1], w[columns]);
  for (const options of [
    { method: "sparsegpt", sparsity: 0.4 },
    { method: "wanda", n: 1, m: 4 },
    { method: "obc", sparsity: 0.4 },
  ]) {
    const { values } = prune(w, { ...options, shape, gram });
    const other = prune(wt, { ...options, ...back });
    assert.deepEqual(transposed(other.values, columns, rows), values, options.method);
  }
});

test("GPTQ beats rounding, and its codes are what dequantize() reads", () => {
  for (const options of [
    { type: "int4", axis: 0 },
    { type: "int4", blockSize: 16 },
    { type: "uint4", blockSize: 16, symmetric: false },
    { type: "int8", axis: 0 },
    { type: "uint8", axis: 0, symmetric: false },
    { type: "int4" },
  ]) {
    const plain = errorOf(dequantize(quantize(w, { ...options, shape })));
    for (const more of [{}, { actOrder: true }, { staticGroups: true }, { damping: 0.1 }]) {
      const tensor = quantize(w, { ...options, shape, gram, ...more });
      assert.deepEqual(tensor.shape, shape);
      assert.ok(errorOf(dequantize(tensor)) < 0.8 * plain, JSON.stringify({ options, more }));
    }
  }
  const wt = transposed(w, rows, columns);
  const tensor = quantize(wt, {
    ...{ type: "int4", shape: [columns, rows], axis: 1, outputAxis: 1, gram },
  });
  const expected = dequantize(quantize(w, { type: "int4", shape, axis: 0, gram }));
  assert.deepEqual(transposed(dequantize(tensor), columns, rows), expected);
});

test("SparseGPT quantizes on the way", () => {
  const quantizing = { type: "int4", axis: 0 };
  const { values, mask, quantized } = prune(w, {
    ...{ method: "sparsegpt", sparsity: 0.1, shape, gram, quantize: quantizing },
  });
  assert.deepEqual(dequantize(quantized), values);
  assert.ok(values.every((value, i) => mask[i] !== 0 || value === 0));
  const apart = prune(w, { method: "sparsegpt", sparsity: 0.1, shape, gram });
  const rounded = dequantize(quantize(apart.values, { ...quantizing, shape }));
  assert.ok(errorOf(values) < errorOf(rounded));
});

test("biasCorrection() keeps the mean output", () => {
  const it = new Gram(2).add(Float32Array.from([1, 3, 3, 5]));
  const weights = Float32Array.from([1, 1, 2, 0]);
  const other = Float32Array.from([1, 0, 0, 0]);
  const options = { shape: [2, 2], gram: it };
  assert.deepEqual(biasCorrection(weights, other, options), Float32Array.from([4, 4]));
  const changed = new Gram(2).add(Float32Array.from([1, 0]));
  assert.deepEqual(
    biasCorrection(weights, other, { ...options, changed }),
    Float32Array.from([5, 4]),
  );
});

test("one sample, dead inputs and copies of an input are handled", () => {
  const few = new Gram(columns).add(x.subarray(0, columns));
  const dead = new Gram(columns).add(x.map((value, i) => (i % columns === 3 ? 0 : value)));
  const copied = new Gram(columns).add(x.map((value, i) => (i % columns === 3 ? x[i + 1] : value)));
  for (const it of [few, dead, copied]) {
    for (const method of ["sparsegpt", "obc"]) {
      const pruned = prune(w, { method, sparsity: 0.5, shape, gram: it, damping: 0 });
      assert.ok(pruned.values.every(Number.isFinite), method);
      assert.equal(pruned.sparsity, 0.5);
    }
    assert.ok(
      refit(w, new Uint8Array(w.length).fill(1), { shape, gram: it }).every(Number.isFinite),
    );
  }
});

test("wrong layers are refused", () => {
  const good = { method: "sparsegpt", sparsity: 0.5, shape, gram };
  for (const [change, message] of [
    [{ gram: undefined }, /gram is undefined/],
    [{ gram: new Gram(5) }, /5 columns, the layer 40 inputs/],
    [{ gram: new Gram(columns) }, /no activations/],
    [{ shape: [rows * columns] }, /outputs and inputs/],
    [{ outputAxis: 2 }, /outputAxis is 2/],
    [{ damping: -1 }, /damping is -1/],
    [{ damping: "1" }, /damping is "1"/],
    [{ n: 2, m: 4 }, /either n and m/],
    [{ sparsity: undefined }, /exactly one/],
    [{ quantize: { type: "int9" } }, /"int9"/],
  ]) {
    assert.throws(
      () => prune(w, { ...good, ...change }),
      (error) => error instanceof ArgumentError && message.test(error.message),
      JSON.stringify(change),
    );
  }
  assert.throws(
    () => prune(w, { ...good, method: "wanda", sparsity: undefined, amount: 3 }),
    /wanda/,
  );
  assert.throws(() => quantize(w, { type: "float16", shape, gram }), /integers/);
  assert.throws(() => quantize(w, { type: "int8", shape, actOrder: true }), /needs a gram/);
  assert.throws(() => refit(w, new Uint8Array(3), { shape, gram }), /mask/);
  assert.throws(() => layerError(w, wave(3), { shape, gram }), /3 elements/);
});

/** Independent numbers from -1 to 1. */
function noise(length, seed) {
  let state = seed;
  const next = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0);
  return Float32Array.from({ length }, () => next() / 2 ** 31 - 1);
}

test("few rows of inputs make nothing worse: fits are judged by rows that were held out", () => {
  const shape = [64, 64];
  const weights = noise(64 * 64, 1);
  const fresh = new Gram(64).add(noise(2048 * 64, 2));
  const error = (values) => layerError(weights, values, { shape, gram: fresh }).relative;
  const int4 = { type: "int4", shape, axis: 0 };
  const magnitude = prune(weights, { method: "magnitude", sparsity: 0.5 });
  const without = {
    gptq: error(dequantize(quantize(weights, int4))),
    sparsegpt: error(prune(weights, { method: "n:m", n: 2, m: 4, shape, axis: 1 }).values),
    wanda: error(prune(weights, { method: "n:m", n: 2, m: 4, shape, axis: 1 }).values),
    refit: error(magnitude.values),
  };
  for (const rows of [1, 16, 200]) {
    const gram = new Gram(64).add(noise(rows * 64, 3));
    const found = {
      gptq: error(dequantize(quantize(weights, { ...int4, gram }))),
      sparsegpt: error(prune(weights, { method: "sparsegpt", n: 2, m: 4, shape, gram }).values),
      wanda: error(prune(weights, { method: "wanda", n: 2, m: 4, shape, gram }).values),
      refit: error(refit(weights, magnitude.mask, { shape, gram })),
    };
    for (const [method, it] of Object.entries(found)) {
      assert.ok(it <= without[method] * 1.03, `${method}, ${rows} rows: ${it}, ${without[method]}`);
    }
  }
});

test("a Gram holds out rows from its first to its last, and keeps them as it is saved, cut and merged", () => {
  const gram = new Gram(2);
  for (let i = 0; i < 2000; ++i) gram.add([i, -i]);
  const rows = gram.heldOut;
  assert.ok(rows.length > 2 * 64 && rows.length <= 2 * 128, `${rows.length}`);
  assert.equal(gram.numHeldOut, rows.length / 2);
  const step = rows[2];
  for (let i = 0; i < rows.length; i += 2) {
    assert.deepEqual([rows[i], rows[i + 1]], [(i / 2) * step, -(i / 2) * step]);
  }
  assert.ok(rows.at(-2) > 1900);
  assert.deepEqual(Gram.fromBytes(gram.toBytes()).heldOut, rows);
  assert.deepEqual(
    gram.slice(1, 1).heldOut,
    rows.filter((_, i) => i % 2 === 1),
  );
  assert.ok(gram.merge(gram.slice(0, 2)).heldOut.length <= 2 * 128);
  const old = new Gram(2).add([1, 2]).toBytes();
  const without = old.slice(0, old.length - 8);
  new DataView(without.buffer).setUint32(4, 1, true);
  new DataView(without.buffer).setUint32(24, 0, true);
  assert.equal(Gram.fromBytes(without).heldOut.length, 0);
  new DataView(old.buffer).setUint32(24, 2 ** 31, true);
  assert.throws(() => Gram.fromBytes(old), { name: "FormatError" });
});
