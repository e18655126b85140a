import assert from "node:assert/strict";
import { before, test } from "node:test";
import { ArgumentError, bestSparse, fromSparse, init, prune, toSparse } from "modelshrink";
import { wave } from "../support/onnx.mjs";

before(() => init());

const shape = [3, 5];
const matrix = Float32Array.from([0, 7, 0, 0, -1, 0, 0, 0, 0, 0, 2, 0, 3, 0, 4]);

test("each format is plain arrays", () => {
  const of = (format, more) => toSparse(matrix, { format, shape, ...more });
  const values = Float32Array.from([7, -1, 2, 3, 4]);
  assert.deepEqual(of("csr"), {
    ...{ format: "csr", shape, values },
    indptr: Uint32Array.from([0, 2, 2, 5]),
    indices: Uint16Array.from([1, 4, 0, 2, 4]),
  });
  assert.deepEqual(of("csc"), {
    ...{ format: "csc", shape, values: Float32Array.from([2, 7, 3, -1, 4]) },
    indptr: Uint32Array.from([0, 1, 2, 3, 3, 5]),
    indices: Uint16Array.from([2, 0, 2, 0, 2]),
  });
  assert.deepEqual(of("coo"), {
    ...{ format: "coo", shape, values, indices: Uint16Array.from([1, 4, 10, 12, 14]) },
  });
  assert.deepEqual(of("bitmask"), {
    ...{ format: "bitmask", shape, values, mask: Uint8Array.from([0b10010, 0, 0b10101]) },
  });
  assert.deepEqual(of("bsr", { blockShape: [2, 4] }), {
    ...{ format: "bsr", shape, blockShape: [2, 4] },
    values: Float32Array.from(
      [0, 7, 0, 0, 0, 0, 0, 0, -1, 0, 0, 0, 0, 0, 0, 0].concat([
        2, 0, 3, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0,
      ]),
    ),
    indptr: Uint32Array.from([0, 2, 4]),
    indices: Uint16Array.from([0, 1, 0, 1]),
  });
  assert.deepEqual(of("2:4"), {
    ...{ format: "2:4", shape, n: 2, m: 4 },
    values: Float32Array.from([7, 0, -1, 0, 0, 0, 0, 0, 2, 3, 4, 0]),
    metadata: Uint8Array.from([0x89, 0xee, 0x88]),
  });
});

test("what comes back is what went in", () => {
  const x = wave(24 * 36, 4);
  for (const [options, sparsity] of [
    [{ format: "csr" }, 0.9],
    [{ format: "csc" }, 0.9],
    [{ format: "coo" }, 0.5],
    [{ format: "bsr", blockShape: [4, 4] }, 0.9],
    [{ format: "bitmask" }, 0.3],
  ]) {
    const { values } = prune(x, { method: "magnitude", sparsity });
    const sparse = toSparse(values, { ...options, shape: [24, 36] });
    assert.deepEqual(fromSparse(structuredClone(sparse)), values, options.format);
  }
  for (const [n, m] of [
    [2, 4],
    [1, 4],
    [4, 8],
  ]) {
    const { values } = prune(x, { method: "n:m", n, m, shape: [24, 36] });
    const options = n === 2 ? { format: "2:4" } : { format: "n:m", n, m };
    assert.deepEqual(fromSparse(toSparse(values, { ...options, shape: [24, 36] })), values);
  }
  assert.deepEqual(
    fromSparse(toSparse(new Float32Array(0), { format: "csr" })),
    new Float32Array(0),
  );
});

test("indices are 16 bits where they suffice", () => {
  const x = new Float32Array(70_000);
  x[69_999] = 1;
  const indices = (format, size) => toSparse(x, { format, shape: size }).indices.constructor.name;
  assert.equal(indices("csr", [70_000]), "Uint32Array");
  assert.equal(indices("csr", [2, 35_000]), "Uint16Array");
  assert.equal(indices("csc", [70_000, 1]), "Uint32Array");
  assert.equal(indices("coo", [2, 35_000]), "Uint32Array");
});

test("bestSparse() knows the bytes of each form", () => {
  const bytesOf = ({ values, indptr, indices, mask, metadata }) =>
    [values, indptr, indices, mask, metadata].reduce(
      (sum, part) => sum + (part?.byteLength ?? 0),
      0,
    );
  for (const sparsity of [0, 0.3, 0.7, 0.99]) {
    const { values } = prune(wave(64 * 40, 3), { method: "magnitude", sparsity });
    const { best, bytes, sizes } = bestSparse(values, { shape: [64, 40] });
    const options = {
      ...{ csr: {}, csc: {}, coo: {}, bitmask: {} },
      "bsr 1×4": { format: "bsr", blockShape: [1, 4] },
      "bsr 4×4": { format: "bsr", blockShape: [4, 4] },
    };
    for (const [name, more] of Object.entries(options)) {
      const sparse = toSparse(values, { format: name, shape: [64, 40], ...more });
      assert.equal(sizes[name], bytesOf(sparse), `${name} at ${sparsity}`);
    }
    assert.equal(sizes.dense, 64 * 40 * 4);
    assert.equal(bytes, Math.min(...Object.values(sizes)));
    assert.equal(sizes[best], bytes);
    assert.equal(sizes["2:4"] === undefined, sparsity < 0.9);
  }
  const half = prune(wave(64 * 40, 3), { method: "n:m", n: 2, m: 4, shape: [64, 40] }).values;
  const { sizes, best } = bestSparse(half, { shape: [64, 40] });
  assert.equal(sizes["2:4"], bytesOf(toSparse(half, { format: "2:4", shape: [64, 40] })));
  assert.equal(best, "bitmask");
  assert.equal(bestSparse(wave(100)).best, "dense");
  // A byte a value: sparse pays later.
  assert.equal(bestSparse(half, { shape: [64, 40], bytesPerValue: 1 }).sizes.dense, 2560);
});

test("wrong and hostile arrays are refused", () => {
  for (const [options, message] of [
    [{ format: "ell" }, /"csr"/],
    [{ format: "bsr" }, /blockShape/],
    [{ format: "bsr", blockShape: [0, 1] }, /blockShape\[0\]/],
    [{ format: "n:m" }, /n is undefined/],
    [{ format: "2:4", n: 1 }, /"n:m"/],
    [{ format: "csr", shape: [4, 4] }, /16 elements/],
    [{ format: "csr", rows: 3 }, /unknown key "rows"/],
  ]) {
    assert.throws(
      () => toSparse(matrix, { shape, ...options }),
      (error) => error instanceof ArgumentError && message.test(error.message),
      JSON.stringify(options),
    );
  }
  assert.throws(() => toSparse(Float32Array.from([1, 2, 3, 0]), { format: "2:4" }), /row 0/);
  const good = toSparse(matrix, { format: "csr", shape });
  for (const [change, message] of [
    [{ indices: Uint16Array.from([1, 4, 0, 2, 5]) }, /index 4 is 5/],
    [{ indices: Uint16Array.from([4, 1, 0, 2, 4]) }, /index 1 is 1/],
    [{ indptr: Uint32Array.from([0, 2, 2, 6]) }, /indptr/],
    [{ indptr: undefined }, /indptr/],
    [{ indices: [1, 2] }, /indices/],
    [{ values: new Float32Array(4) }, /5 values/],
    [{ shape: [2 ** 31, 2 ** 31] }, /./],
    [{ mask: new Uint8Array(3) }, /bytes/],
  ]) {
    assert.throws(
      () => fromSparse({ ...good, ...change }),
      (error) => message.test(error.message) && error.code !== "internal",
      JSON.stringify(change),
    );
  }
});
