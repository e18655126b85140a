import assert from "node:assert/strict";
import { before, test } from "node:test";
import * as ort from "onnxruntime-node";
import {
  ArgumentError,
  Gram,
  init,
  plan,
  prune,
  pruneGlobal,
  quantize,
  dequantize,
  refit,
  shrink,
} from "modelshrink";
import { formatReport } from "modelshrink/text";
import { makeGguf } from "../support/gguf.mjs";
import { chainModel, wave } from "../support/onnx.mjs";
import { int, model, node, weight } from "../support/onnx-graphs.mjs";
import { makeSafetensors, readSafetensors } from "../support/safetensors.mjs";

before(() => init());

const bytesOf = (values) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
const floatsOf = ({ data }) => new Float32Array(Uint8Array.from(data).buffer);

/** Few distinct magnitudes, so that ties lie across slices. */
const tied = (count, seed) =>
  Float32Array.from({ length: count }, (_, i) => (((i * 7919 + seed) % 61) - 30) / 16);

const floats = (name, shape, values) => ({ name, dtype: "F32", shape, data: bytesOf(values) });
const fileOf = (...tensors) => makeSafetensors(tensors);

async function prunedTensors(file, recipe, options) {
  const result = await shrink(file, recipe, options);
  const { tensors } = readSafetensors(Buffer.from(await result.bytes()));
  return { ...result, tensors: new Map(Object.entries(tensors)) };
}

// More elements than a slice has (2^20), in rows that no slice ends with.
const long = { shape: [1501, 1000], values: tied(1501 * 1000, 3) };
const short = { shape: [100, 64], values: wave(6400, 2) };

test("a tensor longer than a slice is pruned as the array is", async () => {
  const file = fileOf(
    floats("long", long.shape, long.values),
    floats("short", [100, 64], short.values),
  );
  for (const [words, options] of [
    [
      { method: "magnitude", sparsity: 0.37 },
      { method: "magnitude", sparsity: 0.37 },
    ],
    [
      { method: "magnitude", sparsity: 1 },
      { method: "magnitude", sparsity: 1 },
    ],
    [
      { method: "magnitude", sparsity: 0 },
      { method: "magnitude", sparsity: 0 },
    ],
    [
      { method: "random", sparsity: 0.5, seed: 3 },
      { method: "random", sparsity: 0.5, seed: 3 },
    ],
    [
      { method: "n:m", n: 2, m: 4 },
      { method: "n:m", n: 2, m: 4 },
    ],
    [
      { method: "n:m", n: 1, m: 7 },
      { method: "n:m", n: 1, m: 7 },
    ],
  ]) {
    const { tensors, report } = await prunedTensors(file, { prune: words });
    for (const [name, { shape, values }] of Object.entries({ long, short })) {
      const expected = prune(values, { ...options, shape });
      const found = floatsOf(tensors.get(name));
      assert.equal(
        Buffer.compare(bytesOf(found), bytesOf(expected.values)),
        0,
        JSON.stringify(words),
      );
      const { sparsity } = report.tensors.find((tensor) => tensor.name === name);
      const zeros = expected.values.filter((value) => value === 0).length;
      assert.equal(sparsity, zeros / values.length);
    }
  }
});

test("pruned and quantized: the codes are those of the pruned array, the errors of the original", async () => {
  const file = fileOf(floats("long", long.shape, long.values));
  const { report, bytes } = await shrink(file, {
    ...{ weights: "int8", prune: { method: "magnitude", sparsity: 0.37 } },
  });
  const { values } = prune(long.values, { method: "magnitude", sparsity: 0.37 });
  const apart = await shrink(fileOf(floats("long", long.shape, values)), "int8");
  assert.equal(Buffer.compare(await bytes(), await apart.bytes()), 0);
  const decoded = dequantize(quantize(values, { type: "int8", shape: long.shape, axis: 0 }));
  let noise = 0;
  let signal = 0;
  let largest = 0;
  for (const [i, x] of long.values.entries()) {
    noise += (x - decoded[i]) ** 2;
    signal += x ** 2;
    largest = Math.max(largest, Math.abs(x - decoded[i]));
  }
  const [tensor] = report.tensors;
  assert.ok(Math.abs(tensor.sqnr - 10 * Math.log10(signal / noise)) < 1e-4);
  assert.ok(Math.abs(tensor.maxAbsError - largest) < 1e-9);
  assert.deepEqual([tensor.to, tensor.method], ["int8", "magnitude"]);
});

test("one threshold for all tensors, and LAMP's shares", async () => {
  const layers = [
    { name: "a", shape: [64, 64], values: wave(4096, 3) },
    { name: "b", shape: [32, 96], values: wave(3072, 9).map((x) => x / 3) },
    { name: "c", shape: [1501, 1000], values: wave(1501 * 1000, 4).map((x) => x * x) },
  ];
  const file = fileOf(...layers.map(({ name, shape, values }) => floats(name, shape, values)));
  const of = (allocation) =>
    prunedTensors(file, { prune: { method: "magnitude", sparsity: 0.6, allocation } });
  const arrays = layers.map(({ values }) => values);
  const { tensors } = await of("global");
  const global = pruneGlobal(arrays, { method: "magnitude", sparsity: 0.6 });
  // Equal ones at the threshold stay, so that files need no third pass.
  const threshold = Math.min(
    ...global.flatMap(
      ({ values, mask }) =>
        [...values.filter((_, i) => mask[i] === 1).map(Math.abs)].sort((x, y) => x - y)[0],
    ),
  );
  for (const { name, values } of layers) {
    const expected = values.map((x) => (Math.abs(x) < threshold ? 0 : x));
    assert.deepEqual(floatsOf(tensors.get(name)), expected, name);
  }
  const lamp = await of("lamp");
  const expected = pruneGlobal(arrays, { method: "lamp", sparsity: 0.6 });
  let total = 0;
  for (const [i, { name, values }] of layers.entries()) {
    const zeros = floatsOf(lamp.tensors.get(name)).filter((x) => x === 0).length;
    total += zeros;
    // The shares are found from classes of magnitude.
    assert.ok(Math.abs(zeros / values.length - expected[i].sparsity) < 0.03, name);
  }
  const size = arrays.reduce((all, { length }) => all + length, 0);
  assert.ok(Math.abs(total - Math.round(0.6 * size)) <= 2, `${total}`);
});

test("what comes out does not depend on workers, and a plan knows its size", async () => {
  const gram = new Gram(64).add(wave(64 * 200, 5));
  const tensors = Array.from({ length: 6 }, (_, i) => ({
    ...{ name: `t${i}`, shape: [3000, 64], values: wave(3000 * 64, i) },
  }));
  const file = fileOf(...tensors.map(({ name, shape, values }) => floats(name, shape, values)));
  const calibration = Object.fromEntries(tensors.map(({ name }) => [name, gram]));
  for (const recipe of [
    { prune: { method: "magnitude", sparsity: 0.5 } },
    { weights: "int4", gptq: true, prune: { method: "sparsegpt", n: 2, m: 4 } },
    { weights: "int8", prune: { method: "wanda", sparsity: 0.5, refit: true } },
  ]) {
    const planned = await plan(file, recipe, { calibration });
    const alone = await shrink(file, recipe, { calibration });
    const bytes = await alone.bytes();
    assert.equal(planned.outputBytes, bytes.length);
    assert.deepEqual(
      planned.tensors.map(({ to, method }) => [to, method]),
      alone.report.tensors.map(({ to, method }) => [to, method]),
    );
    const together = await shrink(file, recipe, { calibration, workers: 3 });
    assert.equal(Buffer.compare(await together.bytes(), bytes), 0);
    assert.deepEqual(together.report, alone.report);
  }
});

test("calibrated layers are those of the array functions", async () => {
  const shape = [24, 40];
  const values = wave(960, 8);
  const gram = new Gram(40).add(wave(40 * 300, 2));
  const file = fileOf(floats("w", shape, values));
  const small = { minElements: 0 };
  const of = async (recipe) => {
    const { tensors } = await prunedTensors(
      file,
      { ...small, ...recipe },
      { calibration: { w: gram } },
    );
    return floatsOf(tensors.get("w"));
  };
  for (const method of ["wanda", "sparsegpt", "obc"]) {
    for (const amount of [{ sparsity: 0.5 }, { n: 2, m: 4 }]) {
      const expected = prune(values, { method, ...amount, shape, gram });
      assert.deepEqual(await of({ prune: { method, ...amount } }), expected.values);
      const fitted = refit(values, expected.mask, { shape, gram });
      assert.deepEqual(await of({ prune: { method, ...amount, refit: true } }), fitted);
    }
  }
  const { mask } = prune(values, { method: "magnitude", sparsity: 0.3 });
  assert.deepEqual(
    await of({ prune: { method: "magnitude", sparsity: 0.3, refit: true } }),
    refit(values, mask, { shape, gram }),
  );
});

test("a pruned ONNX model runs, and n:m goes along the inputs of MatMul", async () => {
  const model = chainModel([
    { name: "first", size: 64 },
    { name: "second", size: 64 },
  ]);
  const { bytes, report } = await shrink(model, { prune: { method: "n:m", n: 1, m: 4 } });
  const small = await bytes();
  assert.equal(small.length, model.length);
  assert.deepEqual(
    report.tensors.map(({ to, method }) => [to, method]),
    ["1:4", undefined, "1:4", undefined].map((method) => ["float32", method]),
  );
  const { values } = prune(wave(4096, "first".length), {
    ...{ method: "n:m", n: 1, m: 4, shape: [64, 64], axis: 0 },
  });
  const at = Buffer.from(small).indexOf(Buffer.from(values.buffer));
  assert.ok(at > 0);
  const session = await ort.InferenceSession.create(small);
  const { Y } = await session.run({ X: new ort.Tensor("float32", wave(64), [1, 64]) });
  assert.ok(Y.data.every(Number.isFinite));
});

test("GGUF: rows are outputs", async () => {
  const values = wave(64 * 64, 1);
  const file = makeGguf({
    keys: [["general.architecture", "string", "llama"]],
    tensors: [
      {
        name: "blk.0.ffn_up.weight",
        dims: [64, 64],
        type: "F32",
        data: bytesOf(values),
      },
    ],
  });
  const { bytes } = await shrink(file, { prune: { method: "n:m", n: 2, m: 4 } });
  const expected = prune(values, { method: "n:m", n: 2, m: 4, shape: [64, 64] }).values;
  assert.ok(Buffer.from(await bytes()).indexOf(Buffer.from(expected.buffer)) > 0);
});

test("rules prune some tensors and leave others", async () => {
  const file = fileOf(
    floats("a.weight", [64, 64], wave(4096, 1)),
    floats("b.weight", [64, 64], wave(4096, 2)),
    floats("c.weight", [64, 64], wave(4096, 3)),
  );
  const { report } = await shrink(file, {
    prune: { method: "magnitude", sparsity: 0.5 },
    rules: [
      { match: "a*", prune: false },
      { match: "b*", prune: { method: "n:m", n: 1, m: 4 }, weights: "int8" },
    ],
  });
  assert.deepEqual(
    report.tensors.map(({ to, method }) => [to, method]),
    [
      ["float32", undefined],
      ["int8", "1:4"],
      ["float32", "magnitude"],
    ],
  );
  assert.equal(report.tensors[0].note, "kept by a rule");
});

test("layers that the calibration lacks are done without it, and a warning says so", async () => {
  const gram = new Gram(64).add(wave(64 * 200, 5));
  const file = fileOf(
    floats("a.weight", [64, 64], wave(4096, 1)),
    floats("b.weight", [64, 64], wave(4096, 2)),
  );
  const prune = { method: "wanda", sparsity: 0.5 };
  const calibration = { "a.weight": gram };
  const withRules = (rules) => shrink(file, { prune, rules }, { calibration });
  const { report } = await withRules([]);
  assert.deepEqual(
    report.tensors.map(({ method, note }) => [method, note]),
    [
      ["wanda", undefined],
      ["magnitude", "its inputs were not seen, so pruned by magnitude"],
    ],
  );
  assert.match(report.warnings.join(), /^1 of 2 layers are not .*: give samples that reach them/);
  // What the calibration knows may all be kept.
  const rest = await withRules([{ match: "a.weight", keep: true }]);
  assert.deepEqual(
    rest.report.tensors.map(({ method }) => method),
    [undefined, "magnitude"],
  );
  assert.match(rest.report.warnings.join(), /^1 of 1 layers are not/);
  await assert.rejects(shrink(file, { prune }, { calibration: { other: gram } }), {
    message: /knows none of this model's layers/,
  });
});

test("Wanda of few rows has a warning with the count that is wanted", async () => {
  const file = fileOf(floats("w", [64, 64], wave(4096, 1)));
  const warningsOf = async (rows, prune) => {
    const calibration = { w: new Gram(64).add(wave(64 * rows, 5)) };
    const { report } = await shrink(file, { prune }, { calibration });
    return (report.warnings ?? []).join();
  };
  for (const amount of [{ sparsity: 0.5 }, { n: 2, m: 4 }]) {
    const wanda = { method: "wanda", ...amount };
    assert.match(
      await warningsOf(16, wanda),
      /"w" in 16 rows of 64 inputs, where 128 are wanted\. .* give about 8 times the samples/,
    );
    assert.doesNotMatch(await warningsOf(128, wanda), /few rows/);
    assert.match(await warningsOf(128, { ...wanda, refit: true }), /where 512 are wanted/);
  }
});

test("the report says why a pruned file is not smaller", async () => {
  const file = fileOf(floats("w", [64, 64], wave(4096, 1)));
  const { report } = await shrink(file, { prune: { method: "magnitude", sparsity: 0.5 } });
  assert.match(
    report.warnings.join(),
    /Zeros are stored.*Of 1 tensor a quarter or more is zero.*16\.4 kB.*8\.73 kB.*Quantize/,
  );
  assert.match(formatReport(report), /50\.0 %/);
  const plain = await shrink(file, "int8");
  assert.equal(plain.report.warnings, undefined);
});

test("n:m of no more inputs than may stay prunes nothing, and says so", async () => {
  const depthwise = model({
    nodes: [node("Conv", ["X", "W"], ["Y"], int("group", 128))],
    weights: [weight("W", [128, 1, 3, 3])],
    ...{ x: [1, 128, 8, 8], y: [1, 128, 6, 6] },
  });
  const narrow = fileOf(floats("W", [600, 2], tied(1200, 5)));
  const recipe = { prune: { method: "n:m", n: 2, m: 4 } };
  for (const [file, inputs] of [
    [depthwise, "1 input"],
    [narrow, "2 inputs"],
  ]) {
    const { report } = await shrink(file, recipe);
    const { note, sqnr } = report.tensors.find(({ name }) => name === "W");
    assert.match(note, new RegExp(`^not pruned: an output has ${inputs}, and 2 stay$`));
    assert.deepEqual([report.isIdle, sqnr], [true, undefined]);
    const both = await shrink(file, { ...recipe, weights: "int8" });
    const quantized = both.report.tensors.find(({ name }) => name === "W");
    assert.match(quantized.note, /an output has \d inputs?, and 2 stay/);
    assert.equal(quantized.to, "int8");
  }
  const wide = await shrink(fileOf(floats("W", [400, 3], tied(1200, 5))), recipe);
  assert.ok(wide.report.tensors[0].sparsity > 0.2, wide.report.tensors[0].sparsity);
});

test("what cannot be pruned says why, and wrong words are refused", async () => {
  const vector = fileOf(floats("w", [64, 64], wave(4096, 1)), floats("v", [4096], wave(4096, 1)));
  const { report } = await shrink(vector, { prune: { method: "n:m", n: 2, m: 4 } });
  assert.equal(report.tensors.find(({ name }) => name === "v").to, "float32");
  const bad = wave(4096, 1);
  bad[77] = NaN;
  const broken = fileOf(floats("w", [64, 64], bad));
  await assert.rejects(
    shrink(broken, { prune: { method: "magnitude", sparsity: 0.5 } }),
    /element 77/,
  );
  const zeroed = await shrink(broken, {
    ...{ prune: { method: "magnitude", sparsity: 0.5 }, nonFinite: "zero" },
  });
  assert.equal(zeroed.report.tensors[0].sparsity, 0.5);
  for (const [prune, message] of [
    [{ method: "best" }, /"magnitude"/],
    [{ method: "magnitude" }, /sparsity/],
    [{ method: "n:m", sparsity: 0.5 }, /no option of method "n:m", which takes "n", "m"/],
    [{ method: "n:m" }, /needs n and m/],
    [{ method: "obc" }, /needs sparsity, or n and m/],
    [{ method: "magnitude", n: 2, m: 4 }, /n is no option of method "magnitude"/],
    [{ method: "random", sparsity: 0.5, allocation: "lamp" }, /allocation/],
    [{ method: "magnitude", sparsity: 2 }, /sparsity is 2/],
    [{ method: "wanda", sparsity: 0.5 }, /calibration/],
    [{ method: "magnitude", sparsity: 0.5, blocks: 2 }, /unknown key "blocks"/],
  ]) {
    await assert.rejects(shrink(vector, { prune }), (error) => {
      assert.ok(error instanceof ArgumentError && message.test(error.message), error.message);
      return true;
    });
  }
  const calibration = { w: new Gram(5).add(wave(5)) };
  const wanda = { prune: { method: "wanda", sparsity: 0.5 } };
  await assert.rejects(shrink(vector, wanda, { calibration }), /64 inputs/);
  await assert.rejects(shrink(vector, wanda, { calibration: { w: 3 } }), /Gram/);
});

test("recipes that need samples are planned without them, and not written", async () => {
  const gram = new Gram(64).add(wave(64 * 200, 5));
  const file = fileOf(
    floats("a.weight", [64, 64], wave(4096, 1)),
    floats("v.weight", [4096], wave(4096, 2)),
  );
  const calibration = { "a.weight": gram };
  for (const recipe of [
    { prune: { method: "sparsegpt", n: 2, m: 4 } },
    { weights: "int4", gptq: true },
    { prune: { method: "magnitude", sparsity: 0.5, refit: true } },
  ]) {
    const planned = await plan(file, recipe);
    const known = await plan(file, recipe, { calibration });
    assert.equal(planned.outputBytes, known.outputBytes);
    const done = ({ tensors }) => tensors.map(({ to, method }) => [to, method]);
    assert.deepEqual(done(planned), done(known));
    assert.match(
      planned.warnings.join(),
      /^Planned as if .* takes samples: the option calibration/,
    );
    await assert.rejects(shrink(file, recipe), /needs samples: the option calibration/);
  }
});
