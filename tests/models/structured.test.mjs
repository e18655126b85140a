// Channels that leave real networks: what is left computes what the whole does without them.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, test } from "node:test";
import * as ort from "onnxruntime-node";
import { UnsupportedError, init, inspect, plan, shrink } from "modelshrink";
import { calibrate, verify } from "modelshrink/runtime";
import {
  accuracyOf,
  batches,
  calibrationImages,
  fashionPaths,
  testImages,
} from "../support/fashion.mjs";
import { initializersOf } from "../support/initializers.mjs";
import { modelPaths } from "../support/models.mjs";

const samplesOf = (images) =>
  [...batches(images, 100)].map(({ data, dims }) => ({ input: { data, dims } }));
const samples = samplesOf(testImages(20));

const networks = {};
before(async () => {
  await init();
  for (const [name, path] of Object.entries(fashionPaths)) networks[name] = await readFile(path);
});

/** Exactly the sparsity. */
const structured = (sparsity, more = {}) => ({
  prune: { method: "structured", sparsity, multipleOf: 1, ...more },
});

/**
 * The same model with the inputs of one layer zeroed that `goes` says: the floats of its weight, of so many
 * inputs with so many weights each, are changed where they lie in the file.
 */
function zeroInputs(model, values, { inputs, inner, goes }) {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  const at = model.indexOf(bytes);
  assert.ok(at >= 0 && model.indexOf(bytes, at + 1) < 0, "the weight is in the file once");
  const zeroed = values.map((value, i) => (goes[Math.floor(i / inner) % inputs] ? 0 : value));
  const result = Buffer.from(model);
  Buffer.from(zeroed.buffer).copy(result, at);
  return result;
}

/** Which of `count` filters have the smallest sums of |w|^norm over all given weights. */
function smallest(weights, count, norm, sparsity) {
  const sums = new Float64Array(count);
  for (const weight of weights) {
    weight.forEach((value, i) => {
      sums[Math.floor(i / (weight.length / count))] += Math.abs(value) ** norm;
    });
  }
  const order = [...sums.keys()].sort((a, b) => sums[a] - sums[b] || a - b);
  const removed = new Set(order.slice(0, Math.round(sparsity * count)));
  return Array.from({ length: count }, (_, i) => removed.has(i));
}

// Which filters decide together, and which layers read them: "inner" weights an input.
const layersOf = {
  mlp: [
    { filters: ["1.weight"], count: 256, readers: [["3.weight", 1]] },
    { filters: ["3.weight"], count: 128, readers: [["5.weight", 1]] },
  ],
  cnn: [
    { filters: ["0.weight"], count: 16, readers: [["3.weight", 9]] },
    { filters: ["3.weight", "6.weight"], count: 32, readers: [["7.weight", 1]] },
    {
      filters: ["7.weight", "9.expand.weight"],
      count: 64,
      readers: [
        ["9.reduce.weight", 9],
        ["12.weight", 1],
      ],
    },
    { filters: ["9.reduce.weight"], count: 40, readers: [["9.expand.weight", 9]] },
  ],
};

test("a cut network computes what the whole does without those channels", async () => {
  for (const [name, layers] of Object.entries(layersOf)) {
    const model = networks[name];
    const weights = initializersOf(model);
    for (const [sparsity, norm] of [
      [0.25, 2],
      [0.5, 1],
    ]) {
      let masked = Buffer.from(model);
      for (const { filters, count, readers } of layers) {
        const goes = smallest(
          filters.map((filter) => weights.get(filter)),
          ...[count, norm, sparsity],
        );
        for (const [reader, inner] of readers) {
          masked = zeroInputs(masked, weights.get(reader), { inputs: count, inner, goes });
        }
      }
      const { bytes, report } = await shrink(model, structured(sparsity, { norm }));
      const cut = await bytes();
      assert.equal(cut.length, report.outputBytes);
      assert.ok(cut.length < model.length * (1 - sparsity), `${cut.length} of ${model.length}`);
      const { worst } = await verify(masked, cut, { ort, inputs: samples });
      assert.ok(worst.maxAbsError < 2e-5, `${name} at ${sparsity}: ${worst.maxAbsError}`);
      const whole = await verify(model, cut, { ort, inputs: samples });
      assert.ok(whole.worst.maxAbsError > 0.5, "something did go");
    }
  }
});

test("by default multiples of eight stay, and layers where none could go say so", async () => {
  const { tensors } = await inspect(networks.cnn);
  const before = new Map(tensors.map(({ name, shape, axis }) => [name, shape[axis]]));
  const channelsOf = async (sparsity) => {
    const prune = { method: "structured", sparsity };
    const { report } = await shrink(networks.cnn, { prune });
    return report.tensors
      .filter(({ name }) => layersOf.cnn.some(({ filters }) => filters.includes(name)))
      .map(({ name, outputShape: [kept], note }) => [name, before.get(name), kept, note]);
  };
  assert.deepEqual(
    (await channelsOf(0.3)).map(([name, all, kept]) => [name, all, kept]),
    [
      ["0.weight", 16, 16],
      ["3.weight", 32, 24],
      ["6.weight", 32, 24],
      ["7.weight", 64, 48],
      ["9.reduce.weight", 40, 32],
      ["9.expand.weight", 64, 48],
    ],
  );
  const [[, , , note]] = await channelsOf(0.3);
  assert.equal(
    note,
    "keeps its output channels: the sparsity is too little to leave a multiple of 8 " +
      "(multipleOf: 1 leaves any number)",
  );
});

test("fitting anew what reads them keeps the network alive", async () => {
  const inputs = samplesOf(calibrationImages(50));
  const images = testImages(100);
  // Of 0.89 before.
  for (const [name, sparsity, { without, with: floor }] of [
    ["mlp", 0.5, { without: 0.85, with: 0.87 }],
    ["cnn", 0.3, { without: 0.5, with: 0.8 }],
  ]) {
    const model = networks[name];
    const calibration = await calibrate(model, { ort, inputs });
    const blind = await shrink(model, structured(sparsity));
    assert.match(blind.report.warnings.join(), /nothing is fitted anew/);
    const fitted = await shrink(model, structured(sparsity), { calibration });
    const { warnings = [] } = fitted.report;
    assert.ok(
      warnings.every((it) => it.includes("seen in few rows")),
      warnings.join(),
    );
    assert.equal(fitted.report.outputBytes, blind.report.outputBytes);
    const [worse, better] = await Promise.all(
      [blind, fitted].map(async (it) => accuracyOf(await it.bytes(), images)),
    );
    assert.ok(worse < without && better > floor, `${name}: ${worse} → ${better}`);
    const off = await shrink(model, structured(sparsity, { refit: false }), { calibration });
    assert.deepEqual(await off.bytes(), await blind.bytes());
  }
});

test("cut and quantized at once is cut, then quantized", async () => {
  const model = networks.cnn;
  const rules = [{ match: "*", weights: "int8" }];
  const cut = await (await shrink(model, structured(0.5))).bytes();
  const twice = await shrink(cut, { rules });
  const once = await shrink(model, { ...structured(0.5), rules: [] });
  assert.deepEqual(await once.bytes(), cut);
  for (const workers of [0, 2]) {
    const both = await shrink(
      model,
      {
        ...structured(0.5),
        rules: rules.map((rule) => ({ ...rule, ...structured(0.5) })),
      },
      { workers },
    );
    assert.deepEqual(await both.bytes(), await twice.bytes());
  }
});

test("a guard gives whole layers back", async () => {
  const guard = { ort, inputs: samples, minCosine: 0.98 };
  const model = networks.cnn;
  const calibration = await calibrate(model, { ort, inputs: samplesOf(calibrationImages(30)) });
  const { guard: outcome, report } = await shrink(model, structured(0.3), { guard, calibration });
  assert.ok(outcome.verification.worst.cosine >= 0.98);
  assert.ok(outcome.keptTensors.length > 0);
  assert.ok(report.outputBytes < report.inputBytes);
});

test("PP-OCRv4 loses channels between its residuals, and loads", async () => {
  const size = (...dims) => ({
    dims,
    data: new Float32Array(dims.reduce((a, b) => a * b)).fill(0.25),
  });
  for (const [path, input, share, cuts] of [
    [modelPaths.recognition, size(1, 3, 48, 160), 0.65, 80],
    [modelPaths.detection, size(1, 3, 96, 96), 0.28, 129],
  ]) {
    const model = await readFile(path);
    const planned = await plan(model, structured(0.5));
    const { bytes, report } = await shrink(model, structured(0.5));
    const cut = await bytes();
    assert.equal(cut.length, planned.outputBytes);
    assert.ok(cut.length < model.length * share, `${cut.length} of ${model.length}`);
    assert.equal(
      report.tensors.filter(({ shape, outputShape }) => String(shape) !== String(outputShape))
        .length,
      cuts,
    );
    const session = await ort.InferenceSession.create(cut);
    const { data, dims } = input;
    const tensor = new ort.Tensor("float32", data, dims);
    const outputs = await session.run({ [session.inputNames[0]]: tensor });
    assert.ok(Object.values(outputs)[0].data.every(Number.isFinite));
    await session.release();
  }
});

test("a graph that needs all its channels is refused with the reason", async () => {
  const speech = await readFile(modelPaths.speech);
  await assert.rejects(shrink(speech, structured(0.5)), (error) => {
    assert.ok(error instanceof UnsupportedError);
    assert.match(error.message, /no channel can be removed: ".*" keeps its output channels: /);
    return true;
  });
});
