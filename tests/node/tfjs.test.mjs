// TensorFlow.js models in and out, with TensorFlow.js itself as the judge.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { before, test } from "node:test";
import { compare, FormatError, init, inspect, plan, shrink } from "modelshrink";

const require = createRequire(import.meta.url);
const tf = require("@tensorflow/tfjs");

before(async () => {
  await init();
  await tf.setBackend("cpu");
});

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function noise(count, seed = 1) {
  return Float32Array.from(
    { length: count },
    (_, i) => ((Math.sin((i + seed) * 12.9898) * 43758.5453) % 1) * 0.5,
  );
}

const product = (shape) => shape.reduce((a, b) => a * b, 1);

/** {"model.json", shards} of weights [{name, shape, values}], cut at the given bytes. */
function modelFiles({ weights, nodes, topology, cuts = [] }) {
  const data = Buffer.concat(weights.map(({ values }) => Buffer.from(values.buffer)));
  const ends = [...cuts, data.length];
  const paths = ends.map((_, i) => `group1-shard${i + 1}of${ends.length}.bin`);
  const json = {
    format: nodes ? "graph-model" : "layers-model",
    generatedBy: "test",
    modelTopology: nodes ? { node: nodes, versions: {} } : topology,
    weightsManifest: [
      { paths, weights: weights.map(({ name, shape }) => ({ name, shape, dtype: "float32" })) },
    ],
  };
  const files = { "model.json": encoder.encode(JSON.stringify(json, undefined, 1)) };
  paths.forEach((path, i) => {
    files[path] = new Uint8Array(data.subarray(i === 0 ? 0 : ends[i - 1], ends[i]));
  });
  return files;
}

async function shrunk(files, recipe) {
  const result = await shrink(files, recipe);
  const out = {};
  for (const [name, blob] of Object.entries(result.files)) {
    out[name] = new Uint8Array(await blob.arrayBuffer());
  }
  return out;
}

function artifactsOf(files) {
  const { weightsManifest, ...json } = JSON.parse(decoder.decode(files["model.json"]));
  const paths = weightsManifest.flatMap((group) => group.paths);
  return {
    ...json,
    weightSpecs: weightsManifest.flatMap((group) => group.weights),
    weightData: new Uint8Array(Buffer.concat(paths.map((path) => files[path]))).buffer,
  };
}

const decodeWeights = (files) => {
  const { weightData, weightSpecs } = artifactsOf(files);
  return tf.io.decodeWeights(weightData, weightSpecs);
};

/** tensorflowjs' converter: JavaScript's numbers are NumPy's float64. */
function converted(values, maxCode) {
  const roundHalfEven = (x) => {
    const rest = x - Math.floor(x);
    return rest === 0.5 ? 2 * Math.round(x / 2) : Math.round(x);
  };
  let [min, max] = [Math.min(...values), Math.max(...values)];
  const scale = (max - min) / maxCode;
  if (min <= 0 && max >= 0) {
    min = -roundHalfEven(-min / scale) * scale;
    max = maxCode * scale + min;
  }
  const codes = Array.from(values, (x) =>
    roundHalfEven((Math.min(Math.max(x, min), max) - min) / scale),
  );
  return { codes, scale, min };
}

const denseTopology = { model_config: {} };

for (const [type, Codes, maxCode] of [
  ["uint8", Uint8Array, 255],
  ["uint16", Uint16Array, 65535],
]) {
  test(`${type}: the converter's bytes and numbers, which tfjs decodes to what compare reads`, async () => {
    const values = noise(40 * 60);
    const weights = [{ name: "a/kernel", shape: [40, 60], values }];
    const files = modelFiles({ weights, topology: denseTopology, cuts: [1001, 4003] });
    const out = await shrunk(files, { weights: type, granularity: "tensor" });
    const { weightData, weightSpecs } = artifactsOf(out);
    const known = converted(values, maxCode);
    assert.deepEqual([...new Codes(weightData)], known.codes);
    const { scale, min, dtype } = weightSpecs[0].quantization;
    assert.deepEqual({ scale, min, dtype }, { scale: known.scale, min: known.min, dtype: type });

    const decoded = decodeWeights(out)["a/kernel"].dataSync();
    const report = await compare(files, out);
    let largest = 0;
    values.forEach((value, i) => (largest = Math.max(largest, Math.abs(value - decoded[i]))));
    assert.equal(report.tensors[0].maxAbsError, largest);
    assert.equal(report.tensors[0].to, type);
  });
}

test("float16: what tfjs decodes is the nearest half", async () => {
  const values = noise(2048);
  const weights = [{ name: "a/kernel", shape: [32, 64], values }];
  const out = await shrunk(modelFiles({ weights, topology: denseTopology }), "fp16");
  const decoded = decodeWeights(out)["a/kernel"].dataSync();
  values.forEach((value, i) => {
    assert.ok(Math.abs(decoded[i] - value) <= Math.abs(value) * 2 ** -11 + 2 ** -25);
  });
  assert.equal(product([32, 64]) * 2, out["group1-shard1of1.bin"].length);
});

const floatType = { type: "DT_FLOAT" };
const placeholder = (shape) => ({
  name: "x",
  op: "Placeholder",
  attr: { dtype: floatType, shape: { shape: { dim: shape.map((size) => ({ size: `${size}` })) } } },
});
const constant = ({ name, shape }) => ({
  name,
  op: "Const",
  attr: {
    dtype: floatType,
    value: {
      tensor: {
        dtype: "DT_FLOAT",
        tensorShape: { dim: shape.map((size) => ({ size: `${size}` })) },
      },
    },
  },
});
const convAttributes = {
  T: floatType,
  strides: { list: { i: ["1", "1", "1", "1"] } },
  dilations: { list: { i: ["1", "1", "1", "1"] } },
  padding: { s: Buffer.from("SAME").toString("base64") },
  data_format: { s: Buffer.from("NHWC").toString("base64") },
};
const matMulAttributes = (transposed) => ({
  T: floatType,
  transpose_a: { b: false },
  transpose_b: { b: transposed },
});

/** Operator → a model of it: the shapes of x and of the weight, the axis of the channels. */
const operators = {
  Conv2D: { x: [1, 6, 6, 8], w: [3, 3, 8, 24], axis: 3, attr: convAttributes },
  DepthwiseConv2dNative: { x: [1, 6, 6, 40], w: [7, 7, 40, 1], axis: 2, attr: convAttributes },
  MatMul: { x: [5, 48], w: [48, 40], axis: 1, attr: matMulAttributes(false) },
  "MatMul transposed": { x: [5, 48], w: [40, 48], axis: 0, attr: matMulAttributes(true) },
};

function operatorModel(name, { x, w, axis, attr }) {
  const values = noise(product(w), w.length);
  // Channels of very different size: what one scale for all ruins.
  const inner = product(w.slice(axis + 1));
  values.forEach((value, i) => {
    values[i] = value * 10 ** -((Math.floor(i / inner) % w[axis]) % 4);
  });
  const weight = { name: "scope/w", shape: w, values };
  const node = { name: "y", op: name.split(" ")[0], input: ["x", "scope/w"], attr };
  return modelFiles({
    weights: [weight],
    nodes: [placeholder(x), constant(weight), node],
    cuts: [777],
  });
}

async function run(files, shape) {
  const model = await tf.loadGraphModel(tf.io.fromMemory(artifactsOf(files)));
  const y = model.execute({ x: tf.tensor(noise(product(shape), 7), shape) }, "y");
  return y.dataSync();
}

const errorOf = (values, reference) =>
  Math.hypot(...values.map((value, i) => value - reference[i])) / Math.hypot(...reference);

for (const [name, operator] of Object.entries(operators)) {
  test(`${name}: one scale a channel, as a node that tfjs runs`, async () => {
    const files = operatorModel(name, operator);
    const out = await shrunk(files, "int8");
    const { weightSpecs, modelTopology } = artifactsOf(out);
    const scales = operator.w.map((size, i) => (i === operator.axis ? size : 1));
    assert.deepEqual(
      weightSpecs.map((spec) => [spec.name, spec.shape]),
      [
        ["scope/w__q", operator.w],
        ["scope/w__s", scales],
      ],
    );
    assert.deepEqual(
      modelTopology.node.map((node) => [node.name, node.op]),
      [
        ["x", "Placeholder"],
        ["scope/w__q", "Const"],
        ["scope/w__s", "Const"],
        ["scope/w", "Mul"],
        ["y", name.split(" ")[0]],
      ],
    );
    const reference = await run(files, operator.x);
    const error = errorOf(await run(out, operator.x), reference);
    assert.ok(error < 0.01, `relative error ${error}`);

    // To compare and inspect it is one tensor of its old name.
    const [tensor] = (await compare(files, out)).tensors;
    assert.equal(tensor.name, "scope/w");
    assert.ok(tensor.sqnr > 40, `${tensor.sqnr} dB`);
    assert.equal((await inspect(out)).tensors.length, 1);
    const perTensor = await shrunk(files, { weights: "int8", granularity: "tensor" });
    assert.ok((await compare(files, perTensor)).tensors[0].sqnr < tensor.sqnr);
  });
}

test("a layers model that tfjs saved, in shards that cut tensors", async () => {
  const model = tf.sequential({
    layers: [
      tf.layers.conv2d({ inputShape: [8, 8, 4], filters: 32, kernelSize: 3, activation: "relu" }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 5 }),
    ],
  });
  let saved;
  await model.save(tf.io.withSaveHandler(async (artifacts) => (saved = artifacts)));
  const data = new Uint8Array(saved.weightData);
  const json = {
    format: "layers-model",
    modelTopology: saved.modelTopology,
    weightsManifest: [{ paths: ["a.bin", "b.bin"], weights: saved.weightSpecs }],
  };
  const files = {
    "model.json": encoder.encode(JSON.stringify(json)),
    "a.bin": data.slice(0, 1001),
    "b.bin": data.slice(1001),
  };
  const x = tf.tensor(noise(2 * 8 * 8 * 4), [2, 8, 8, 4]);
  const reference = model.predict(x).dataSync();
  const expected = await plan(files, "uint8");
  const out = await shrunk(files, "uint8");
  assert.equal(
    Object.values(out).reduce((sum, bytes) => sum + bytes.length, 0),
    expected.outputBytes,
  );
  const loaded = await tf.loadLayersModel(tf.io.fromMemory(artifactsOf(out)));
  assert.ok(errorOf(loaded.predict(x).dataSync(), reference) < 0.02);
});

test("what is broken is a FormatError that says what and where", async () => {
  const weights = [{ name: "a/kernel", shape: [40, 60], values: noise(2400) }];
  const files = modelFiles({ weights, topology: denseTopology });
  const withJson = (change) => {
    const json = JSON.parse(decoder.decode(files["model.json"]));
    change(json.weightsManifest[0]);
    return { ...files, "model.json": encoder.encode(JSON.stringify(json)) };
  };
  const cases = [
    [withJson((group) => (group.paths = ["../secret"])), /leads out of the model's folder/],
    [withJson((group) => (group.paths = ["gone.bin"])), /"gone.bin" is not there/],
    [withJson((group) => (group.weights[0].shape = [40, 61])), /needs 9760 bytes/],
    [withJson((group) => (group.weights[0].dtype = "float64")), /"dtype" is unknown/],
    [{ ...files, "group1-shard1of1.bin": new Uint8Array(9) }, /within an element/],
    [{ ...files, "model.json": encoder.encode('{"a": 1}') }, /no "weightsManifest"/],
  ];
  for (const [broken, message] of cases) {
    await assert.rejects(inspect(broken), (error) => {
      assert.ok(error instanceof FormatError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }
});
