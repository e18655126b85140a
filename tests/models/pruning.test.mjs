// Calibrated pruning and quantization keep real networks alive, in the order that theory has it.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, test } from "node:test";
import * as ort from "onnxruntime-node";
import { ArgumentError, Gram, init, shrink } from "modelshrink";
import { formatVerification } from "modelshrink/text";
import { calibrate, refitLayers, verify } from "modelshrink/runtime";
import { chainModel } from "../support/onnx.mjs";
import {
  accuracyOf,
  batches,
  calibrationImages,
  fashionPaths,
  testImages,
} from "../support/fashion.mjs";
import { initializersOf } from "../support/initializers.mjs";

const samplesOf = (images, size) =>
  [...batches(images, size)].map(({ data, dims }) => ({ input: { data, dims } }));
const calibrationSamples = samplesOf(calibrationImages(50), 100);
const testSamples = samplesOf(testImages(50), 250);

const networks = {};
before(async () => {
  await init();
  for (const [name, path] of Object.entries(fashionPaths)) {
    const model = await readFile(path);
    networks[name] = {
      model,
      calibration: await calibrate(model, { ort, inputs: calibrationSamples }),
    };
  }
});

test("calibrate() sees the inputs of every layer", () => {
  const { mlp, cnn } = networks;
  const sizes = ({ calibration }) =>
    Object.entries(calibration).map(([name, grams]) => {
      const list = Array.isArray(grams) ? grams : [grams];
      return [name, list.length, list[0].columns, list[0].rows];
    });
  assert.deepEqual(sizes(mlp), [
    ["1.weight", 1, 784, 500],
    ["3.weight", 1, 256, 500],
    ["5.weight", 1, 128, 500],
  ]);
  assert.deepEqual(sizes(cnn), [
    // Every fourth place of 28 × 28: more than 256 tell little more.
    ["0.weight", 1, 9, (500 * 28 * 28) / 4],
    ["3.weight", 1, 144, 500 * 14 * 14],
    ["6.weight", 32, 9, 500 * 7 * 7],
    ["7.weight", 1, 32, 500 * 7 * 7],
    ["9.reduce.weight", 1, 576, 500 * 7 * 7],
    ["9.expand.weight", 1, 360, 500 * 7 * 7],
    ["12.weight", 1, 64, 500],
  ]);
  // The first layer of the MLP sees the images themselves.
  const pixels = calibrationSamples.map(({ input }) => input.data);
  const expected = new Gram(784);
  for (const rows of pixels) expected.add(rows);
  assert.deepEqual(mlp.calibration["1.weight"].sums, expected.sums);
});

/** Accuracies in points at 70 % zeros, by method. */
async function accuracies({ model, calibration }, recipes) {
  const found = [];
  for (const recipe of recipes) {
    const { bytes } = await shrink(model, recipe, { calibration });
    found.push(100 * (await accuracyOf(await bytes())));
  }
  return found;
}

const at70 = (method, more = {}) => ({ prune: { method, sparsity: 0.7, ...more } });

test("magnitude < Wanda < SparseGPT < OBC, and a refit saves magnitude", async () => {
  for (const name of ["mlp", "cnn"]) {
    const [magnitude, wanda, sparsegpt, obc, refit] = await accuracies(networks[name], [
      at70("magnitude"),
      at70("wanda"),
      at70("sparsegpt"),
      ...(name === "cnn" ? [at70("obc")] : [at70("sparsegpt")]),
      at70("magnitude", { refit: true }),
    ]);
    const text = `${name}: ${[magnitude, wanda, sparsegpt, obc, refit].join(", ")}`;
    assert.ok(magnitude + 2 < wanda && wanda + 2 < sparsegpt && sparsegpt <= obc, text);
    assert.ok(refit > magnitude + 10, text);
  }
});

test("refitLayers() makes later layers make up for earlier ones", async () => {
  const { model, calibration } = networks.cnn;
  const prune = { method: "magnitude", sparsity: 0.8 };
  const pruned = await (await shrink(model, { prune })).bytes();
  const recipe = { prune: { ...prune, refit: true } };
  const alone = await (await shrink(model, recipe, { calibration })).bytes();
  const copies = [Uint8Array.from(model), Uint8Array.from(pruned)];
  const progress = [];
  const { bytes: fitted, ...layers } = await refitLayers(model, pruned, {
    ...{ ort, inputs: calibrationSamples },
    onProgress: (done, all) => progress.push([done, all]),
  });
  assert.deepEqual(progress.at(-1), [6, 6]);
  assert.equal(layers.fitted.length, 6);
  assert.deepEqual(layers.skipped, [
    { name: "6.weight", reason: "its outputs are in groups, or it has two directions" },
  ]);
  await assert.rejects(refitLayers(pruned, model, { ort, inputs: calibrationSamples }), {
    message: /^The first model has more zeros than the second: give the original first/,
  });
  assert.deepEqual([Uint8Array.from(model), Uint8Array.from(pruned)], copies);
  const cosines = [];
  for (const it of [pruned, alone, fitted]) {
    const { worst } = await verify(model, it, { ort, inputs: testSamples });
    cosines.push(worst.cosine);
  }
  assert.ok(cosines[0] < 0.7 && cosines[1] < 0.9 && cosines[2] > 0.95, cosines.join());
  // Zeros stay zeros, and the depthwise convolution and all else stay as they were.
  const [before, after] = [initializersOf(pruned), initializersOf(fitted)];
  for (const [name, values] of before) {
    const found = after.get(name);
    assert.ok(
      values.every((value, i) => value !== 0 || found[i] === 0),
      name,
    );
    const isFitted = !/^(6\.|.*(bias|norm|running))/.test(name) && values.length > 64;
    assert.equal(isFitted, String(found) !== String(values), name);
  }
  // The same model has nothing to make up for.
  const { bytes: same } = await refitLayers(model, model, { ort, inputs: calibrationSamples });
  const { worst } = await verify(model, same, { ort, inputs: testSamples });
  assert.ok(worst.maxAbsError < 1e-3, String(worst.maxAbsError));
});

test("int4: GPTQ's outputs are closer than rounding's", async () => {
  for (const { model, calibration } of Object.values(networks)) {
    const noise = [];
    for (const gptq of [false, true]) {
      const { bytes } = await shrink(model, { weights: "int4", gptq }, { calibration });
      const { worst } = await verify(model, await bytes(), { ort, inputs: testSamples });
      noise.push(1 - worst.cosine);
    }
    assert.ok(noise[1] < noise[0] / 2, noise.join(" → "));
  }
});

test("verify() compares outputs and a metric", async () => {
  const { model } = networks.mlp;
  const same = await verify(model, model, { ort, inputs: testSamples });
  assert.equal(same.samples, 2);
  assert.deepEqual(same.worst, {
    ...{ name: "logits", sqnr: Infinity, maxAbsError: 0, top1Agreement: 1 },
    cosine: same.worst.cosine,
  });
  assert.ok(Math.abs(same.worst.cosine - 1) < 1e-12);
  const { bytes } = await shrink(model, at70("magnitude"));
  const run = async (run) => {
    const { logits } = await run(testSamples[0]);
    return logits.data[0];
  };
  const worse = await verify(model, await bytes(), { ort, inputs: testSamples, metric: run });
  assert.ok(worse.worst.cosine < 0.9 && worse.worst.top1Agreement < 0.95);
  const { original, shrunk, drop } = worse.metric;
  assert.ok(original !== shrunk && drop === original - shrunk);
});

test("a guard gives up the worst tensors, and says so", async () => {
  const { model } = networks.cnn;
  const recipe = at70("magnitude");
  const guard = { ort, inputs: testSamples, minCosine: 0.95 };
  const free = await shrink(model, recipe);
  const { guard: outcome, report, bytes } = await shrink(model, recipe, { guard });
  assert.ok(outcome.verification.worst.cosine >= 0.95);
  assert.ok(outcome.keptTensors.length > 0 && outcome.keptTensors.length < 4);
  const pruned = ({ tensors }) => tensors.filter(({ method }) => method === "magnitude");
  assert.equal(pruned(report).length + outcome.keptTensors.length, pruned(free.report).length);
  for (const name of outcome.keptTensors) {
    assert.equal(report.tensors.find((tensor) => tensor.name === name).note, "kept by the guard");
  }
  const { worst } = await verify(model, await bytes(), { ort, inputs: testSamples });
  assert.equal(worst.cosine, outcome.verification.worst.cosine);

  const easy = await shrink(model, "int8", { guard: { ...guard, minCosine: 0.9 } });
  assert.deepEqual(easy.guard.keptTensors, []);
  assert.equal(easy.guard.attempts, 1);
  await assert.rejects(shrink(model, "int8", { guard: { ...guard, minCosine: 1.1 } }), {
    message: /no cosine is above 1/,
  });
  const hopeless = await shrink(model, recipe, {
    guard: { ort, inputs: testSamples, maxDrop: -1, metric: () => 0 },
  });
  assert.match(hopeless.report.warnings.join(), /does not hold/);

  const metric = async (run) => {
    const { logits } = await run(testSamples[0]);
    return -Math.abs(logits.data[0] - 1);
  };
  const dropped = await shrink(model, recipe, {
    guard: { ort, inputs: testSamples, maxDrop: 0.05, metric },
  });
  assert.ok(dropped.guard.verification.metric.drop <= 0.05);
});

test("verify() says what is not finite in one model only", async () => {
  const model = (value) =>
    chainModel([{ name: "w", size: 2, values: Float32Array.of(1, value, 2, 3) }]);
  const inputs = [{ X: { data: Float32Array.of(1, 1), dims: [1, 2] } }];
  const both = await verify(model(NaN), model(NaN), { ort, inputs });
  assert.deepEqual([both.worst.sqnr, both.worst.nonFinite], [Infinity, undefined]);
  const found = await verify(model(1), model(NaN), { ort, inputs });
  assert.deepEqual(
    [found.worst.sqnr, found.worst.cosine, found.worst.nonFinite],
    [-Infinity, 0, 1],
  );
  assert.match(formatVerification(found), /Y: NaN or infinity in one model only, 1 ×/);
});

test("what calibrate(), verify() and guards cannot use is refused", async () => {
  const { model } = networks.mlp;
  const int4 = { weights: "int4", gptq: true };
  for (const [calibration, message] of [
    [{}, /knows none of this model's layers/],
    [Promise.resolve({}), /calibration is a Promise: await/],
  ]) {
    await assert.rejects(shrink(model, int4, { calibration }), (error) => {
      assert.ok(error instanceof ArgumentError);
      assert.match(error.message, message);
      return true;
    });
  }
  for (const input of [
    { data: new Float32Array(784), dims: [1, 784] },
    { data: new Float32Array(3), dims: [1, 1, 28, 28] },
  ]) {
    await assert.rejects(calibrate(model, { ort, inputs: [{ input }] }), ArgumentError);
  }
  await assert.rejects(refitLayers(model, model, { ort, inputs: [] }), /has no samples/);
  const quantized = await (await shrink(model, "int8")).bytes();
  await assert.rejects(
    refitLayers(model, quantized, { ort, inputs: testSamples }),
    /could be fitted anew: "1\.weight": its type is int8: fit float32, then quantize\./,
  );
  const good = { ort, inputs: testSamples };
  for (const [options, message] of [
    [{ ...good, ort: {} }, /ort has no InferenceSession/],
    [{ ...good, inputs: 3 }, /inputs is 3/],
    [{ ...good, inputs: [] }, /no samples/],
    [{ ...good, inputs: [{}] }, /inputs\[0\] has no "input"/],
    [{ ...good, inputs: [testSamples[0], {}] }, /inputs\[1\] has no "input"/],
    [
      { ...good, inputs: [{ imput: testSamples[0].input }] },
      /inputs\[0\] has no "input", and has "imput", which is no input; the model's inputs are input \(float32 \[/,
    ],
    [{ ...good, inputs: [{ ...testSamples[0], more: 1 }] }, /inputs\[0\] has "more", which is/],
    [{ ...good, inputs: [{ input: [1, 2] }] }, /inputs\[0\]\.input is/],
    [
      { ...good, inputs: [{ input: { data: "x", dims: [1] } }] },
      /inputs\[0\]\.input .*typed array/,
    ],
    [{ ...good, layers: "*" }, /unknown key "layers"/],
  ]) {
    for (const call of [calibrate, (it, more) => verify(it, it, more)]) {
      await assert.rejects(call(model, options), (error) => {
        assert.ok(error instanceof ArgumentError && message.test(error.message), error.message);
        return true;
      });
    }
  }
  await assert.rejects(
    verify(model, networks.cnn.model.subarray(0, 100), good),
    /221626 bytes long/,
  );
  for (const guard of [{}, { ...good }, { ...good, maxDrop: 1 }, { ...good, minCosine: "1" }]) {
    await assert.rejects(shrink(model, "int8", { guard }), ArgumentError);
  }
  const text = new TextEncoder().encode("no model at all");
  await assert.rejects(calibrate(text, good));
});
