// `out`: an earlier result whose arrays are written again; and the heap, which the array functions leave as it is.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as arrays from "modelshrink/arrays";
import {
  bestSparse,
  biasCorrection,
  compare,
  dequantize,
  fromSparse,
  Gram,
  init,
  prune,
  pruneGlobal,
  quantize,
  refit,
  remove,
  toSparse,
} from "modelshrink";
import { loadCore } from "../../dist/core/load.js";
import { wholeCore } from "../../dist/core/whole.js";
import { wave } from "../support/onnx.mjs";

before(() => init());

const shape = [64, 64];
/** Two of 4096 weights. */
const [first, second] = [wave(4096, 1), wave(4096, 2)];
const maskOf = (seed) =>
  wave(4096, seed).reduce((mask, x, i) => ((mask[i] = x > 0), mask), new Uint8Array(4096));
const gram = () => new Gram(64).add(wave(64 * 200, 3));

/** A sparse matrix of these forms: every other element is there. */
const thinned = (x) => x.map((value, i) => (i % 2 === 0 ? value : 0));
const sparseForms = [
  ...["csr", "csc", "coo", "bitmask", "2:4"].map((format) => ({ format })),
  { format: "bsr", blockShape: [4, 4] },
  { format: "n:m", n: 4, m: 8 },
];

/** For each function: calls of it as (x, mask, options), by what they do. */
const callsOf = {
  quantize: Object.fromEntries(
    [
      ...["int8", "uint8", "int16", "uint16", "float16", "bfloat16", "float8e4m3"].map((type) => ({
        type,
      })),
      ...["Q4_0", "Q8_0"].map((type) => ({ type })),
      { type: "int8", axis: 0 },
      { type: "uint8", axis: 1 },
      { type: "uint4", blockSize: 32 },
      { type: "int4", blockSize: 32, gram: gram() },
    ].map((how) => [JSON.stringify(how), (x, _, o) => quantize(x, { ...how, shape, ...o })]),
  ),
  dequantize: Object.fromEntries(
    [{ type: "int8" }, { type: "uint8", axis: 1 }, { type: "float16" }, { type: "Q5_1" }].map(
      (how) => [how.type, (x, _, o) => dequantize(quantize(x, { ...how, shape }), o)],
    ),
  ),
  prune: Object.fromEntries(
    [
      { method: "magnitude", sparsity: 0.3 },
      { method: "magnitude", sparsity: 0.3, importance: wave(4096, 9) },
      { method: "random", sparsity: 0.3, seed: 1 },
      { method: "ln-structured", sparsity: 0.3, dim: 0, shape },
      { method: "random-structured", sparsity: 0.3, dim: 1, shape },
      { method: "n:m", n: 2, m: 4, shape },
      { method: "block", blockShape: [4, 4], sparsity: 0.3, shape },
      { method: "identity" },
      { method: "wanda", sparsity: 0.3, shape, gram: gram() },
      { method: "sparsegpt", sparsity: 0.3, shape, gram: gram() },
      { method: "sparsegpt", sparsity: 0.3, shape, gram: gram(), quantize: { type: "int8" } },
      { method: "obc", n: 2, m: 4, shape, gram: gram() },
    ]
      .map((how) => [JSON.stringify(how), (x, _, o) => prune(x, { ...how, ...o })])
      .concat([
        ["mask", (x, mask, o) => prune(x, { method: "mask", mask, ...o })],
        [
          "after a mask",
          (x, mask, o) => prune(x, { method: "magnitude", sparsity: 0.2, mask, ...o }),
        ],
      ]),
  ),
  pruneGlobal: Object.fromEntries(
    ["magnitude", "random", "lamp"].map((method) => [
      method,
      (x, _, o) =>
        pruneGlobal([x.subarray(0, 100), x.subarray(100)], { method, sparsity: 0.3, ...o }),
    ]),
  ),
  remove: { "": (values, mask, o) => remove({ values, mask, sparsity: 0 }, o) },
  toSparse: Object.fromEntries(
    sparseForms.map((how) => [
      how.format,
      (x, _, o) => toSparse(thinned(x), { ...how, shape, ...o }),
    ]),
  ),
  fromSparse: Object.fromEntries(
    sparseForms.map((how) => [
      how.format,
      (x, _, o) => fromSparse(toSparse(thinned(x), { ...how, shape }), o),
    ]),
  ),
  refit: { "": (x, mask, o) => refit(x, mask, { shape, gram: gram(), ...o }) },
  biasCorrection: {
    "": (x, _, o) => biasCorrection(x, thinned(x), { shape, gram: gram(), ...o }),
  },
};
const calls = Object.entries(callsOf).flatMap(([name, cases]) =>
  Object.entries(cases).map(([how, call]) => ({ name: `${name} ${how}`, call })),
);

/** The typed arrays in a result. */
function arraysOf(result) {
  if (ArrayBuffer.isView(result)) return [result];
  return typeof result === "object" && result !== null
    ? Object.values(result).flatMap(arraysOf)
    : [];
}

/** A copy of a result in memory of its own. */
const copyOf = (result) => structuredClone(result);

test("every array function whose result has arrays takes out", () => {
  const withoutArrays = [
    ...["init", "compare", "isPruned", "bestSparse", "version"],
    ...["allocateSparsity", "sparsityAt", "prunesAt"],
  ];
  const functions = Object.keys(arrays).filter((name) => !/Error$/.test(name));
  assert.deepEqual(
    functions.filter((name) => !withoutArrays.includes(name)).sort(),
    Object.keys(callsOf)
      .filter((name) => !["refit", "biasCorrection"].includes(name))
      .sort(),
  );
  for (const { name, call } of calls) {
    const expected = copyOf(call(second, maskOf(6)));
    const out = call(first, maskOf(5));
    const places = arraysOf(out);
    assert.ok(places.length > 0, name);
    const result = call(second, maskOf(6), { out });
    assert.deepEqual(result, expected, name);
    const again = arraysOf(result);
    assert.equal(again.length, places.length, name);
    for (const [i, array] of again.entries()) {
      assert.equal(array.buffer, places[i].buffer, `${name}: array ${i} has other memory`);
      assert.equal(array.byteOffset, places[i].byteOffset, name);
    }
  }
});

/** A result in which one array is `change(array)`. */
function withArray(result, index, change) {
  let count = 0;
  const visit = (value) => {
    if (ArrayBuffer.isView(value)) return count++ === index ? change(value) : value;
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map(visit);
    return Object.fromEntries(Object.entries(value).map(([key, it]) => [key, visit(it)]));
  };
  return visit(result);
}

function transferred(array) {
  const copy = array.slice();
  structuredClone(copy.buffer, { transfer: [copy.buffer] });
  return copy;
}

test("an out of another class, size, transferred or missing is an ArgumentError, and nothing of it is written", () => {
  for (const { name, call } of calls) {
    const out = call(first, maskOf(5));
    const kept = copyOf(out);
    const places = arraysOf(out);
    for (const [i, place] of places.entries()) {
      if (place.length === 0) continue;
      const wrong = {
        "another class": (array) => new Float64Array(array.length),
        shorter: (array) => array.subarray(1),
        transferred: transferred,
        "no array": () => [1, 2, 3],
      };
      if (!name.startsWith("toSparse")) {
        wrong.longer = (array) => new array.constructor(array.length + 1);
      }
      for (const [what, change] of Object.entries(wrong)) {
        const changed = withArray(out, i, change);
        assert.throws(
          () => call(second, maskOf(6), { out: changed }),
          (error) =>
            error.code === "argument" &&
            (what === "transferred" ? /transferred/ : /\bout\b/).test(error.message),
          `${name}, array ${i}: ${what}`,
        );
        assert.deepEqual(out, kept, `${name}, array ${i}: ${what} has written`);
      }
    }
    assert.throws(() => call(second, maskOf(6), { out: 5 }), { code: "argument" }, name);
  }
});

test("an out that overlaps what a call reads, or itself, is an ArgumentError", () => {
  // Weights, then a mask, then room, in one buffer.
  const buffer = new ArrayBuffer(4096 * 16);
  const x = new Float32Array(buffer, 0, 4096);
  x.set(second);
  const overlaps = { code: "argument", message: /overlaps another array/ };
  for (const { name, call } of calls) {
    const out = call(x, maskOf(6));
    const places = arraysOf(out).filter(({ length }) => length > 0);
    for (const i of places.keys()) {
      const reads = name.startsWith("dequantize") || /Sparse/.test(name) ? undefined : x;
      if (reads && places[i].byteLength <= buffer.byteLength / 2) {
        const over = ({ constructor, length }) => new constructor(buffer, 4096 * 4 - 8, length);
        assert.throws(() => call(x, maskOf(6), { out: withArray(out, i, over) }), overlaps, name);
        const beside = ({ constructor, length }) => new constructor(buffer, 4096 * 4, length);
        call(x, maskOf(6), { out: withArray(out, i, beside) });
      }
    }
  }
  assert.deepEqual(x, second);
  const q = quantize(x, { type: "int16" });
  const over = new Float32Array(q.data.buffer, 4096);
  assert.throws(() => dequantize(quantize(x.subarray(0, 1024), { type: "int8" }), { out: 1 }), {
    code: "argument",
  });
  const tensor = { ...q, shape: [1024], data: q.data.subarray(3072) };
  assert.throws(() => dequantize(tensor, { out: over.subarray(0, 1024) }), overlaps);
  const sparse = toSparse(thinned(x), { format: "coo" });
  assert.throws(() => fromSparse({ ...sparse, shape: [2048] }, { out: sparse.values }), overlaps);
  const pruned = prune(x, { method: "magnitude", sparsity: 0.5 });
  const shared = new Uint8Array(pruned.values.buffer, 0, 4096);
  assert.throws(
    () => prune(x, { method: "magnitude", sparsity: 0.5, out: { ...pruned, mask: shared } }),
    overlaps,
  );
  const [a] = pruneGlobal([x], { method: "random", sparsity: 0.5 });
  assert.throws(
    () => pruneGlobal([x, x], { method: "random", sparsity: 0.5, out: [a, a] }),
    overlaps,
  );
});

test("an out of toSparse may have room, and the result's arrays are views of its beginning", () => {
  const dense = wave(4096, 2);
  const x = thinned(dense);
  for (const how of sparseForms.slice(0, 3)) {
    const out = toSparse(dense, { ...how, shape });
    const result = toSparse(x, { ...how, shape, out });
    assert.deepEqual(result, toSparse(x, { ...how, shape }));
    assert.equal(result.values.buffer, out.values.buffer);
    assert.equal(result.indices.buffer, out.indices.buffer);
    assert.ok(result.values.length < out.values.length);
    assert.throws(() => toSparse(dense, { ...how, shape, out: result }), {
      message: /out\.values has 8\d* bytes; the result takes 16\d* bytes|out\.values has \d+ bytes/,
    });
  }
});

test("remove and fromSparse are functions for map", () => {
  const pruned = [first, second].map((x) => prune(x, { method: "magnitude", sparsity: 0.5 }));
  assert.deepEqual(pruned.map(remove), [remove(pruned[0]), remove(pruned[1])]);
  const sparse = pruned.map(({ values }) => toSparse(values, { format: "csr", shape }));
  assert.deepEqual(sparse.map(fromSparse), [pruned[0].values, pruned[1].values]);
});

test("scratch in the heap neither grows nor shrinks from call to call", async () => {
  const core = await loadCore(wholeCore);
  const heapBytes = () => core.HEAPU8.length;
  const all = [
    ...calls,
    { name: "compare", call: (x) => compare(x, first) },
    { name: "bestSparse", call: (x) => bestSparse(x, { shape }) },
  ];
  for (const { call } of all) call(first, maskOf(5));
  const size = heapBytes();
  for (let round = 0; round < 20; ++round) {
    for (const { name, call } of all) {
      const out = call(second, maskOf(6));
      if (typeof out === "object" && !/^(compare|bestSparse)/.test(name))
        call(first, maskOf(6), { out });
      assert.equal(heapBytes(), size, `${name}, round ${round}`);
    }
  }
});

test("the heap does not grow with the arrays of functions that go through them a piece at a time", async () => {
  const core = await loadCore(wholeCore);
  const run = (count) => {
    const x = wave(1 << 12, 4);
    const large = new Float32Array(count);
    for (let i = 0; i < count; i += x.length) large.set(x, i);
    for (const type of ["int8", "uint8", "int4", "float16", "Q8_0"]) {
      assert.equal(dequantize(quantize(large, { type })).length, count);
    }
    const { values, mask } = prune(large, { method: "mask", mask: new Uint8Array(count).fill(3) });
    assert.deepEqual(remove({ values, mask, sparsity: 0 }), large);
    assert.equal(compare(large, values).maxAbsError, 0);
  };
  run(1 << 21);
  const size = core.HEAPU8.length;
  assert.ok(size < 32 << 20, `${size} bytes`);
  run(1 << 24);
  assert.equal(core.HEAPU8.length, size);
});
