import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, test } from "node:test";
import {
  allocateSparsity,
  ArgumentError,
  init,
  isPruned,
  prune,
  pruneGlobal,
  prunesAt,
  remove,
  sparsityAt,
} from "modelshrink";

/** Made by torch.nn.utils.prune: tests/oracles/prune_vectors.py. */
const vectors = JSON.parse(
  await readFile(new URL("../oracles/prune_vectors.json", import.meta.url), "utf8"),
);

before(() => init());

const tensors = new Map(
  Object.entries(vectors.tensors).map(([name, { shape, values }]) => {
    const bytes = Buffer.from(values, "base64");
    return [name, { shape, values: new Float32Array(Uint8Array.from(bytes).buffer) }];
  }),
);
const bitsOf = (mask) => mask.join("");
const maskOf = (bits) => Uint8Array.from(bits, Number);
const zerosOf = (mask) => mask.filter((kept) => kept === 0).length;

/** torch's count 1 and fraction 1.0 are the same number in JavaScript. */
const amountOf = ({ count, fraction }) =>
  count === undefined ? { sparsity: fraction } : { amount: count };
const norms = { inf: Infinity, "-inf": -Infinity };

function optionsOf({ method, amount, n, dim, mask }, shape) {
  switch (method) {
    case "l1_unstructured":
      return { method: "magnitude", shape, ...amountOf(amount) };
    case "random_unstructured":
      return { method: "random", shape, ...amountOf(amount) };
    case "ln_structured":
      return { method: "ln-structured", shape, dim, norm: norms[n] ?? n, ...amountOf(amount) };
    case "random_structured":
      return { method: "random-structured", shape, dim, ...amountOf(amount) };
    case "custom_from_mask":
      return { method: "mask", mask: maskOf(mask) };
    case "identity":
      return { method: "identity" };
  }
}

/** One step of torch's; `earlier` is the mask so far. */
function run(step, { shape, values }, earlier) {
  const options = optionsOf(step, shape);
  if (earlier) {
    options.mask = options.mask ? options.mask.map((kept, i) => kept & earlier[i]) : earlier;
  }
  // torch's importance scores take the weights' place.
  return prune(step.scores ? tensors.get(step.scores).values : values, options);
}

function check(step, { shape, values }, mask, earlier) {
  if (step.masks) assert.equal(bitsOf(mask), step.masks[0]);
  if (step.zeros) assert.equal(zerosOf(mask), step.zeros[0]);
  if (step.channels !== undefined) {
    const dim = step.dim < 0 ? step.dim + shape.length : step.dim;
    const inner = shape.slice(dim + 1).reduce((all, size) => all * size, 1);
    const gone = Array.from({ length: shape[dim] }, (_, c) =>
      mask.every((kept, i) => Math.floor(i / inner) % shape[dim] !== c || kept === 0),
    );
    assert.equal(gone.filter(Boolean).length, step.channels);
  }
  if (step.pruned && step.method === "l1_unstructured") {
    const pruned = values.filter((_, i) => mask[i] === 0 && (!earlier || earlier[i] === 1));
    assert.deepEqual(pruned.map(Math.abs).sort(), Float32Array.from(step.pruned));
  }
}

/** torch refuses what it does not compute, and so do we, but for these: ours go further. */
const weGoFurther = (step, shape) => step.n === "fro" && shape.length > 3;

test("masks are those of torch.nn.utils.prune", () => {
  let numMasks = 0;
  let numErrors = 0;
  for (const { name, tensors: names, steps } of vectors.cases) {
    if (steps[0].method === "global_unstructured") continue;
    const tensor = tensors.get(names[0]);
    let mask;
    for (const step of steps) {
      if (step.scores && tensors.get(step.scores).values.length !== tensor.values.length) continue;
      if (step.error && !weGoFurther(step, tensor.shape)) {
        numErrors++;
        assert.throws(() => run(step, tensor, mask), ArgumentError, name);
        break;
      }
      const found = run(step, tensor, mask).mask;
      try {
        check(step, tensor, found, mask);
      } catch (error) {
        throw new Error(`${name}: ${error.message}`, { cause: error });
      }
      mask = found;
      numMasks++;
    }
  }
  assert.ok(numMasks > 330, `${numMasks} masks`);
  assert.ok(numErrors > 30, `${numErrors} errors`);
});

test("global masks are those of torch", () => {
  const global = vectors.cases.filter(({ steps }) => steps[0].method === "global_unstructured");
  for (const { name, tensors: names, steps } of global) {
    let masks;
    for (const { by, amount, scores, masks: expected, zeros, error } of steps) {
      const arrays = (scores ?? names).map((it) => tensors.get(it).values);
      const options = {
        method: by === "l1" ? "magnitude" : "random",
        ...amountOf(amount),
        ...(masks ? { masks } : {}),
      };
      if (error) {
        assert.throws(() => pruneGlobal(arrays, options), ArgumentError);
        break;
      }
      masks = pruneGlobal(arrays, options).map(({ mask }) => mask);
      if (expected) assert.deepEqual(masks.map(bitsOf), expected, name);
      if (zeros) {
        assert.equal(
          masks.reduce((sum, mask) => sum + zerosOf(mask), 0),
          zeros[0],
          name,
        );
      }
    }
  }
  assert.ok(global.length >= 8);
});

test("counts are rounded as torch rounds them", () => {
  for (const [fraction, size, count] of vectors.rounding) {
    const { mask } = prune(new Float32Array(size).fill(1), {
      method: "magnitude",
      sparsity: fraction,
    });
    assert.equal(zerosOf(mask), count, `${fraction} of ${size}`);
  }
});

test("blocks are those of torch.ao's WeightNormSparsifier", () => {
  let numMasks = 0;
  for (const { name, tensor, norm, level, block, zerosPerBlock, mask, error } of vectors.blocks) {
    if (error) continue;
    const { shape, values } = tensors.get(tensor);
    const isAll = block[0] * block[1] === zerosPerBlock;
    if (zerosPerBlock === 0) continue;
    const { mask: found } = prune(values, {
      ...{ method: "block", shape, blockShape: block, sparsity: Math.min(1, Math.max(0, level)) },
      pooling: norm === 1 ? "mean" : "mean-square",
      ...(isAll ? {} : { zerosPerBlock }),
    });
    assert.equal(bitsOf(found), mask, name);
    numMasks++;
  }
  assert.ok(numMasks >= 20, `${numMasks} masks`);
});

test("the cubic schedule is torch.ao's", () => {
  for (const { options, levels } of vectors.schedules) {
    const schedule = {
      type: "cubic",
      ...{ initial: options.init_sl, final: options.final_sl, begin: options.init_t },
      ...{ steps: options.total_t, delta: options.delta_t },
      initiallyZero: options.initially_zero ?? false,
    };
    for (const [step, level] of levels.entries()) {
      const found = sparsityAt(step, schedule);
      assert.ok(Math.abs(found - level) < 1e-12, `${JSON.stringify(options)} at ${step}`);
    }
  }
});

test("TF-MOT's schedules", () => {
  const constant = { type: "constant", sparsity: 0.5, begin: 200, end: 400 };
  assert.equal(sparsityAt(0, constant), 0.5);
  const prunes = [0, 199, 200, 250, 300, 400, 401, 500].map((step) => prunesAt(step, constant));
  assert.deepEqual(prunes, [false, false, true, false, true, true, false, false]);
  assert.equal(prunesAt(500, { ...constant, end: -1 }), true);
  const polynomial = { type: "polynomial", initial: 0.2, final: 0.8, begin: 100, end: 300 };
  assert.equal(sparsityAt(50, polynomial).toFixed(12), (0.2).toFixed(12));
  assert.equal(sparsityAt(200, polynomial).toFixed(12), (0.8 - 0.6 / 8).toFixed(12));
  assert.equal(sparsityAt(1000, polynomial), 0.8);
  assert.equal(sparsityAt(200, { ...polynomial, power: 1 }).toFixed(12), (0.5).toFixed(12));
  assert.throws(() => sparsityAt(1.5, constant), ArgumentError);
  assert.throws(() => sparsityAt(1, { type: "linear" }), /"constant"/);
  assert.throws(() => sparsityAt(1, { ...constant, sparsity: 2 }), /sparsity is 2/);
});

test('compat "tfmot" rounds what stays and keeps ties', () => {
  const of = (values, options) =>
    bitsOf(prune(Float32Array.from(values), { compat: "tfmot", ...options }).mask);
  // round(5 · 0.5) = 2 stay, half to even; torch prunes 2.
  assert.equal(of([1, 2, 3, 4, 5], { method: "magnitude", sparsity: 0.5 }), "00011");
  assert.equal(of([1, 2, 2, 2, 5], { method: "magnitude", sparsity: 0.6 }), "01111");
  assert.equal(of([1, 2, 3], { method: "magnitude", sparsity: 1 }), "001");
  assert.equal(of([0, 0, 3, 0], { method: "magnitude", sparsity: 0.5 }), "1111");
  // Ties keep the lower index; ours prunes it.
  assert.equal(of([1, 1, 1, 1], { method: "n:m", n: 2, m: 4 }), "1100");
  assert.equal(
    bitsOf(prune(new Float32Array(4).fill(1), { method: "n:m", n: 2, m: 4 }).mask),
    "0011",
  );
  // 10 rows in blocks of 4: scores are of rows 0–2, 3–6 and 7–9, masks of 0–3, 4–7 and 8–9.
  const column = [1, 1, 1, 9, 1, 1, 1, 1, 9, 9];
  const block = { method: "block", shape: [10, 1], blockShape: [4, 1], sparsity: 0.34 };
  assert.equal(of(column, block), "0000111111");
  assert.equal(bitsOf(prune(Float32Array.from(column), block).mask), "1111000011");
});

test("n:m along every axis", () => {
  const x = Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
  const of = (options) => bitsOf(prune(x, { method: "n:m", shape: [4, 2], ...options }).mask);
  assert.equal(of({ n: 1, m: 2 }), "01010101");
  assert.equal(of({ n: 1, m: 2, axis: 0 }), "00110011");
  assert.equal(of({ n: 1, m: 4, axis: -2 }), "00000011");
  assert.equal(of({ n: 2, m: 3, axis: 0 }), "00111111");
});

test("random masks depend on the seed alone", () => {
  const x = new Float32Array(1000).fill(1);
  const of = (seed) => bitsOf(prune(x, { method: "random", sparsity: 0.3, seed }).mask);
  assert.equal(of(1), of(1));
  assert.notEqual(of(1), of(2));
  assert.equal(of(undefined), of(0));
});

test("isPruned() and remove()", () => {
  const x = Float32Array.from([1, -2, 3]);
  const pruned = prune(x, { method: "magnitude", amount: 1 });
  assert.equal(isPruned(pruned), true);
  assert.equal(isPruned(prune(x, { method: "identity" })), true);
  assert.equal(isPruned(x), false);
  assert.equal(isPruned(undefined), false);
  assert.deepEqual(remove(pruned), Float32Array.from([0, -2, 3]));
  assert.equal(isPruned(remove(pruned)), false);
  assert.throws(() => remove(x), ArgumentError);
});

test("LAMP compares layers by shares of what is left", () => {
  const small = Float32Array.from([1, 2, 3, 4]);
  // The same layer scaled loses the same.
  const [a, b] = pruneGlobal([small, small.map((x) => 1000 * x)], { method: "lamp", amount: 4 });
  assert.deepEqual([bitsOf(a.mask), bitsOf(b.mask)], ["0011", "0011"]);
  const [c, d] = pruneGlobal([small, small.map((x) => 1000 * x)], {
    method: "magnitude",
    amount: 4,
  });
  assert.deepEqual([bitsOf(c.mask), bitsOf(d.mask)], ["0000", "1111"]);
});

test("allocateSparsity()", () => {
  const shapes = [
    [64, 64],
    [256, 256],
    [8, 8],
  ];
  assert.deepEqual(allocateSparsity(shapes, { method: "uniform", sparsity: 0.9 }), [0.9, 0.9, 0.9]);
  const erk = allocateSparsity(shapes, { method: "erk", sparsity: 0.9 });
  const sizes = shapes.map(([a, b]) => a * b);
  const total = sizes.reduce((all, size) => all + size, 0);
  const kept = erk.reduce((sum, sparsity, i) => sum + (1 - sparsity) * sizes[i], 0);
  assert.ok(Math.abs(kept / total - 0.1) < 1e-12);
  assert.equal(erk[2], 0);
  // Of those that are not dense, the kept share is in proportion to (a + b) / (a · b).
  assert.ok(Math.abs((1 - erk[0]) / (1 - erk[1]) - 128 / 64 ** 2 / (512 / 256 ** 2)) < 1e-9);
  assert.deepEqual(allocateSparsity(shapes, { method: "erk", sparsity: 0 }), [0, 0, 0]);
  assert.throws(() => allocateSparsity(shapes, { method: "lamp", sparsity: 0.5 }), /"erk"/);
});

test("wrong options are refused with what is allowed", () => {
  const x = Float32Array.from([1, 2, 3, 4]);
  for (const [options, message] of [
    [{ method: "magnitudes" }, /"magnitude"/],
    [{ method: "magnitude", n: 2 }, /unknown key "n"/],
    [{ method: "magnitude" }, /exactly one/],
    [{ method: "magnitude", amount: 5 }, /cannot prune 5 of 4/],
    [{ method: "magnitude", amount: 1.5 }, /amount is 1.5/],
    [{ method: "magnitude", sparsity: 1.5 }, /sparsity is 1.5/],
    [{ method: "magnitude", amount: 1, mask: new Uint8Array(3) }, /mask/],
    [{ method: "n:m", n: 4, m: 4 }, /m is 4/],
    [{ method: "n:m", n: 2, m: 4, axis: 1 }, /axis/],
    [{ method: "ln-structured", amount: 1, dim: 0 }, /two dimensions/],
    [{ method: "ln-structured", amount: 1, dim: 0, shape: [2, 2], norm: NaN }, /norm/],
    [{ method: "block", sparsity: 0.5, shape: [2, 2] }, /blockShape/],
    [{ method: "block", sparsity: 0.5, blockShape: [2, 2] }, /matrix/],
    [{ method: "mask" }, /mask/],
    [{ method: "wanda", sparsity: 0.5, shape: [2, 2] }, /gram/],
  ]) {
    assert.throws(
      () => prune(x, options),
      (error) => error instanceof ArgumentError && message.test(error.message),
      JSON.stringify(options),
    );
  }
  assert.throws(() => prune(Float32Array.from([1, NaN]), { method: "random", amount: 1 }), /1/);
});

test("the sparsity is that of masks of every length at every address", () => {
  const buffer = new ArrayBuffer(4096);
  const lengths = [...Array.from({ length: 10 }, (_, i) => i), 1019, 1020, 1021, 2041, 4000];
  for (const length of lengths) {
    for (const offset of [0, 1, 2, 3, 5, 4096 - length]) {
      if (offset + length > 4096) continue;
      for (const zeroAt of [() => false, () => true, (i) => i % 3 === 0]) {
        const mask = Uint8Array.from({ length }, (_, i) => Number(!zeroAt(i)));
        const out = {
          values: new Float32Array(length),
          mask: new Uint8Array(buffer, offset, length),
        };
        const { sparsity } = prune(new Float32Array(length), { method: "mask", mask, out });
        const numZeros = mask.filter((kept) => kept === 0).length;
        assert.equal(sparsity, length > 0 ? numZeros / length : 0, `${length} at ${offset}`);
      }
    }
  }
});
