// Recipes with a target: steps that give a size or an error, and what a survey foresees.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import {
  ArgumentError,
  Gram,
  UnsupportedError,
  compare,
  init,
  inspect,
  pack,
  plan,
  readTensor,
  shrink,
  unpack,
} from "modelshrink";
import { makeGguf, tinyLlama } from "../support/gguf.mjs";
import { chainModel } from "../support/onnx.mjs";
import { numbersBelow } from "../support/random.mjs";
import { makeSafetensors, readSafetensors } from "../support/safetensors.mjs";

before(() => init());

/** Numbers like trained weights: about normal. */
function weightsOf(count, seed) {
  const below = numbersBelow(seed);
  return Float32Array.from({ length: count }, () => {
    let sum = 0;
    for (let i = 0; i < 12; ++i) sum += below(1000) - 499.5;
    return sum / 20_000;
  });
}

const float32 = (name, shape, data) => ({ name, dtype: "F32", shape, data });

const model = () =>
  makeSafetensors([
    float32("large", [400, 300], weightsOf(120_000, 1)),
    float32("small", [40, 50], weightsOf(2000, 2)),
    float32("bias", [400], weightsOf(400, 3)),
  ]);

const rateFor = async (target, source = model()) => (await shrink(source, { target })).report.rate;

/** The bits a weight that the int8 codes of the file's tensors have, apart for each tensor. */
function entropyOf(file) {
  let [bits, count] = [0, 0];
  for (const { dtype, data } of Object.values(readSafetensors(file).tensors)) {
    if (dtype !== "I8") continue;
    const counts = new Map();
    for (const code of data) counts.set(code, (counts.get(code) ?? 0) + 1);
    for (const n of counts.values()) bits -= n * Math.log2(n / data.length);
    count += data.length;
  }
  assert.equal(count, 122_000);
  return bits / count;
}

test("bits of a weight are about those of the target", async () => {
  for (const bits of [2.5, 4, 5.5]) {
    const { bytes, report } = await shrink(model(), { target: { bitsPerWeight: bits } });
    assert.equal(report.rate.weights, 122_000);
    assert.ok(Math.abs(report.rate.bitsPerWeight - bits) < 0.03, String(report.rate.bitsPerWeight));
    const real = entropyOf(await bytes());
    assert.ok(Math.abs(real - bits) < 0.05 * bits, `${real} for ${bits}`);
  }
});

test("the error is that of the target", async () => {
  for (const sqnr of [12, 20, 30]) {
    const source = model();
    const { bytes, report } = await shrink(source, { target: { sqnr } });
    assert.ok(Math.abs(report.rate.sqnr - sqnr) < 0.1, String(report.rate.sqnr));
    const { tensors } = await compare(source, await bytes());
    const large = tensors.find(({ name }) => name === "large");
    // The large tensor has nearly all weights, and the coarser step.
    assert.ok(Math.abs(large.sqnr - sqnr) < 0.2, String(large.sqnr));
    assert.ok(tensors.find(({ name }) => name === "small").sqnr > sqnr + 6);
  }
});

test("a target of bytes is for the packed file with all that is in it", async () => {
  const { packedBytes, bitsPerWeight } = await rateFor({ bytes: 60_000 });
  assert.ok(Math.abs(packedBytes - 60_000) < 300, String(packedBytes));
  assert.ok(bitsPerWeight < (8 * 60_000) / 122_000);
  const less = await rateFor({ bytes: 40_000 });
  assert.ok(less.bitsPerWeight < bitsPerWeight - 1);
});

test("one scale does for a tensor whose rows all have its step", async () => {
  const { tensors } = await inspect(
    await (await shrink(model(), { target: { sqnr: 15 } })).bytes(),
  );
  const stored = (name) => tensors.find((it) => it.name === name);
  assert.ok(stored("large").storedBytes < 120_000 + 400);
  const plain = await inspect(await (await shrink(model(), "int8")).bytes());
  const before = plain.tensors.find(({ name }) => name === "large");
  assert.ok(before.storedBytes > 120_000 + 4 * 400);
});

test("a plan foresees the rate where it may read the weights, and writes are of that size", async () => {
  const source = chainModel(["first", "second"].map((name) => ({ name, size: 96 })));
  const recipe = { target: { bitsPerWeight: 4 } };
  const blind = await plan(source, recipe);
  assert.equal(blind.rate, undefined);
  const planned = await plan(source, recipe, { survey: true });
  const { bytes, report } = await shrink(source, recipe);
  assert.deepEqual(planned.rate, report.rate);
  assert.equal((await bytes()).length, planned.outputBytes);
  assert.ok(planned.outputBytes <= blind.outputBytes);
  const int8 = await plan(source, "int8", { survey: true });
  assert.ok(int8.rate.bitsPerWeight > planned.rate.bitsPerWeight);
  assert.equal(int8.outputBytes, (await plan(source, "int8")).outputBytes);
  await assert.rejects(plan(source, "int8", { survey: 1 }), /survey is 1/);
});

test("more room than int8 needs gives the bytes of int8", async () => {
  const int8 = await (await shrink(model(), "int8")).bytes();
  assert.deepEqual(await (await shrink(model(), { target: { bytes: 1e6 } })).bytes(), int8);
});

test("rules have targets of their own", async () => {
  const rules = [{ match: "small", weights: { type: "int8", target: { bitsPerWeight: 2 } } }];
  const source = model();
  const recipe = { weights: "int8", rules, target: { bytes: 60_000 } };
  const { report, bytes } = await shrink(source, recipe);
  const { tensors } = await compare(source, await bytes());
  const [small, large] = ["small", "large"].map((name) => tensors.find((it) => it.name === name));
  assert.ok(small.sqnr < 13, String(small.sqnr));
  assert.ok(large.sqnr > small.sqnr + 5);
  assert.ok(Math.abs(report.rate.packedBytes - 60_000) < 300);
  // Without a target for the others they are plain int8.
  const plain = await shrink(source, { weights: "int8", rules });
  assert.ok(plain.report.tensors.find(({ name }) => name === "large").sqnr > 35);
});

test("workers find the same steps", async () => {
  const source = makeSafetensors([float32("w", [1200, 1000], weightsOf(1_200_000, 4))]);
  const recipe = { target: { bitsPerWeight: 3 } };
  const alone = await (await shrink(source, recipe, { workers: 0 })).bytes();
  assert.deepEqual(await (await shrink(source, recipe, { workers: 2 })).bytes(), alone);
});

test("with a calibration errors are made up for by what the inputs are", async () => {
  // Inputs that are nearly the same in all columns.
  const rows = weightsOf(50 * 600, 6);
  const inputs = rows.map((value, i) => 0.1 * value + rows[i - (i % 50)]);
  const source = makeSafetensors([float32("w", [80, 50], weightsOf(4000, 7))]);
  const calibration = { w: new Gram(50).add(inputs) };
  const target = { bitsPerWeight: 2 };
  const original = (await readTensor(source, "w")).values;
  const outputError = async (options) => {
    const { bytes, report } = await shrink(source, { target }, options);
    const { values } = await readTensor(await bytes(), "w");
    let error = 0;
    for (let row = 0; row < 100; ++row) {
      for (let out = 0; out < 80; ++out) {
        let difference = 0;
        for (let i = 0; i < 50; ++i) {
          difference += inputs[row * 50 + i] * (values[out * 50 + i] - original[out * 50 + i]);
        }
        error += difference ** 2;
      }
    }
    return { error, method: report.tensors[0].method, warnings: report.warnings ?? [] };
  };
  const [blind, known] = [await outputError({}), await outputError({ calibration })];
  assert.equal(blind.method, undefined);
  assert.match(known.method, /gptq/);
  assert.ok(known.error < blind.error / 2, `${known.error} and ${blind.error}`);
  // Coarse steps are what was asked for.
  assert.deepEqual([...blind.warnings, ...known.warnings].join(), "");
  const other = { x: new Gram(50).add(inputs) };
  assert.equal(
    (await outputError({ calibration: { ...other, w: calibration.w } })).error,
    known.error,
  );
});

test("what cannot be reached says what can", async () => {
  await assert.rejects(rateFor({ bytes: 1000 }), (error) => {
    assert.ok(error instanceof ArgumentError);
    assert.match(error.message, /^the target of 1000 bytes is out of reach: it can be \d+ to \d+$/);
    return true;
  });
  await assert.rejects(rateFor({ sqnr: 90 }), /90\.00 dB is out of reach: it can be \d/);
  const gguf = makeGguf(tinyLlama());
  await assert.rejects(rateFor({ sqnr: 20 }, gguf), (error) => {
    assert.ok(error instanceof UnsupportedError);
    assert.match(error.message, /no weight of this model gets int8 codes/);
    return true;
  });
});

/** The packed file of a model that was shrunk so, what was foreseen of it, and the error of the large tensor. */
async function packedFor(recipe, source = model()) {
  const { bytes, report } = await shrink(source, recipe);
  const shrunk = await bytes();
  const packed = await pack(shrunk);
  const unpacked = await unpack(await packed.bytes());
  assert.deepEqual(await unpacked.bytes(), shrunk);
  const { tensors } = await compare(source, shrunk);
  const { sqnr } = tensors.find(({ name }) => name === "large");
  return { shrunk, sqnr, rate: report.rate, packedBytes: packed.report.outputBytes };
}

test("a trellis has errors that are a decibel smaller in a packed file of the same size", async () => {
  for (const bitsPerWeight of [2.5, 3, 4]) {
    const target = { bitsPerWeight };
    const plain = await packedFor({ target });
    const found = await packedFor({ target, trellis: true });
    assert.ok(found.sqnr > plain.sqnr + 0.95, `${found.sqnr} and ${plain.sqnr}`);
    assert.ok(found.packedBytes < 1.02 * plain.packedBytes);
    assert.ok(Math.abs(found.rate.packedBytes / found.packedBytes - 1) < 0.03);
    assert.ok(Math.abs(found.rate.sqnr - plain.rate.sqnr - 1.08) < 0.01);
  }
  const target = { sqnr: 20 };
  const [plain, found] = [await packedFor({ target }), await packedFor({ target, trellis: true })];
  assert.ok(Math.abs(found.sqnr - plain.sqnr) < 0.2);
  // Of 0.18 bits a weight the pack gives plain codes some back, whose neighbours are alike.
  assert.ok(found.packedBytes < plain.packedBytes - 0.14 * (122_000 / 8));
});

test("an ONNX graph that computes in integers has a trellis, too", async () => {
  const size = 144;
  const source = chainModel(
    ["first", "second"].map((name, i) => ({ name, size, values: weightsOf(size * size, i) })),
  );
  const recipe = { target: { bitsPerWeight: 3 }, mode: "dynamic" };
  const sizeOf = async (changed) => {
    const { bytes } = await shrink(source, { ...recipe, ...changed });
    return (await pack(await bytes())).report.outputBytes;
  };
  const sqnrOf = async (changed) => {
    const { report } = await shrink(source, { ...recipe, ...changed });
    return Math.min(...report.tensors.flatMap(({ sqnr }) => sqnr ?? []));
  };
  assert.ok((await sqnrOf({ trellis: true })) > (await sqnrOf({})) + 0.9);
  assert.ok((await sizeOf({ trellis: true })) < 1.03 * (await sizeOf({})));
});

test("along a trellis a calibration has no say", async () => {
  const source = makeSafetensors([float32("w", [400, 50], weightsOf(20_000, 8))]);
  const calibration = { w: new Gram(50).add(weightsOf(50 * 100, 9)) };
  const bytesOf = async (recipe, options) =>
    await (await shrink(source, { target: { bitsPerWeight: 3 }, ...recipe }, options)).bytes();
  const found = await bytesOf({ trellis: true }, { calibration });
  assert.deepEqual(found, await bytesOf({ trellis: true }));
  assert.notDeepEqual(await bytesOf({}, { calibration }), await bytesOf({}));
});
