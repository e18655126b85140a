// calibrate() on layers in branches and recurrent layers, against what onnxruntime says they read.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, test } from "node:test";
import * as ort from "onnxruntime-node";
import { Gram, init, inspect, refit, shrink } from "modelshrink";
import { calibrate, refitLayers, verify } from "modelshrink/runtime";
import { bytes, initializer, number, string, valueInfo, wave } from "../support/onnx.mjs";
import { modelPaths, speechCalibration } from "../support/models.mjs";
import { nodeRuntime } from "../support/runtimes.mjs";

before(() => init());

const concat = (...parts) => Buffer.concat(parts.flat());
const attribute = {
  int: (name, value) => bytes(5, concat(string(1, name), number(3, value), number(20, 2))),
  text: (name, value) => bytes(5, concat(string(1, name), string(4, value), number(20, 3))),
  graph: (name, value) => bytes(5, concat(string(1, name), bytes(6, value), number(20, 5))),
};
const node = (op, inputs, outputs, ...attributes) =>
  bytes(
    1,
    concat(
      inputs.map((name) => string(1, name)),
      outputs.map((name) => string(2, name)),
      string(4, op),
      attributes,
    ),
  );
const weight = (name, shape) =>
  bytes(
    5,
    initializer({
      name,
      shape,
      values: wave(
        shape.reduce((a, b) => a * b),
        name.length,
      ),
    }),
  );
const modelOf = (...graph) =>
  new Uint8Array(
    concat(number(1, 8), bytes(7, concat(string(2, "g"), graph)), bytes(8, number(2, 17))),
  );
const input = (name, shape, type) => bytes(11, valueInfo(name, shape, type));
const output = (name, shape) => bytes(12, valueInfo(name, shape));

/** The Gram of rows of `columns` in these arrays. */
function gramOf(columns, ...arrays) {
  const gram = new Gram(columns);
  for (const rows of arrays) gram.add(rows);
  return gram;
}

const [steps, batch, width, states] = [5, 2, 6, 4];
const gates = { LSTM: 4, GRU: 3, RNN: 1 };

for (const [op, direction] of [
  ["LSTM", "forward"],
  ["GRU", "reverse"],
  ["RNN", "bidirectional"],
]) {
  test(`${op}, ${direction}: W reads the inputs, R the states before each step`, async () => {
    const directions = direction === "bidirectional" ? 2 : 1;
    const rows = gates[op] * states;
    const model = modelOf(
      node(
        op,
        ["x", "w", "r", "", "", "h"],
        ["y"],
        attribute.int("hidden_size", states),
        attribute.text("direction", direction),
        ...(op === "GRU" ? [attribute.int("linear_before_reset", 1)] : []),
      ),
      weight("w", [directions, rows, width]),
      weight("r", [directions, rows, states]),
      input("x", [steps, batch, width]),
      input("h", [directions, batch, states]),
      output("y", [steps, directions, batch, states]),
    );
    const sample = {
      x: { data: wave(steps * batch * width, 3), dims: [steps, batch, width] },
      h: { data: wave(directions * batch * states, 5), dims: [directions, batch, states] },
    };
    const session = await (await nodeRuntime()).open(model);
    const y = (await session.run(sample)).y.data;
    await session.release();
    const calibration = await calibrate(model, { ort, inputs: [sample] });
    const size = batch * states;
    for (let d = 0; d < directions; ++d) {
      const own = (name) => [calibration[name]].flat()[d];
      assert.equal([calibration.r].flat().length, directions);
      assert.deepEqual(own("w").sums, gramOf(width, sample.x.data).sums);
      const stateAfter = (step) => y.subarray((step * directions + d) * size).subarray(0, size);
      const isReverse = direction === "reverse" || d === 1;
      const order = Array.from({ length: steps - 1 }, (_, i) => (isReverse ? i + 1 : i));
      const first = sample.h.data.subarray(d * size, (d + 1) * size);
      const expected = gramOf(states, first, ...order.map(stateAfter));
      assert.equal(own("r").rows, steps * batch);
      assert.deepEqual(own("r").sums, expected.sums);
    }
    // Each direction is a layer of its own to what is pruned by it.
    const { report } = await shrink(
      model,
      { prune: { method: "sparsegpt", sparsity: 0.5 }, minElements: 1 },
      { calibration },
    );
    for (const { note, sparsity } of report.tensors) {
      assert.match(note, /^not fitted to its inputs: too few to help \(\d+ rows\)$/);
      assert.ok(Math.abs(sparsity - 0.5) < 0.05, `sparsity ${sparsity}`);
    }
  });
}

/** y = c ? relu(value)·v : value·w, with the weights. */
function branches(value) {
  const branch = (nodes, name) => concat(nodes, string(2, name), output(name, [2, width]));
  const then = branch([node("Relu", [value], ["t"]), node("MatMul", ["t", "v"], ["p"])], "p");
  const otherwise = branch([node("MatMul", [value, "w"], ["q"])], "q");
  return [
    node(
      "If",
      ["c"],
      ["y"],
      attribute.graph("then_branch", then),
      attribute.graph("else_branch", otherwise),
    ),
    weight("v", [width, width]),
    weight("w", [width, width]),
    output("y", [2, width]),
  ];
}

const branchedModel = () => modelOf(...branches("x"), input("c", [], 9), input("x", [2, width]));

const branchedSample = (isThen, seed) => ({
  c: { type: "bool", data: Uint8Array.of(isThen ? 1 : 0), dims: [] },
  x: { data: wave(2 * width, seed), dims: [2, width] },
});

test("layers in branches see the samples that take them", async () => {
  const model = branchedModel();
  const samples = [true, false, true].map((isThen, i) => branchedSample(isThen, i));
  const { v, w } = await calibrate(model, { ort, inputs: samples });
  const relu = ({ x }) => x.data.map((value) => Math.max(0, value));
  assert.deepEqual(v.sums, gramOf(width, relu(samples[0]), relu(samples[2])).sums);
  assert.deepEqual(w.sums, gramOf(width, samples[1].x.data).sums);
  const onlyThen = await calibrate(model, { ort, inputs: samples.slice(0, 1) });
  assert.deepEqual(Object.keys(onlyThen), ["v"]);
});

test("refitLayers() fits what the samples reach, and leaves the rest", async () => {
  const model = branchedModel();
  const pruned = await (
    await shrink(model, { prune: { method: "magnitude", sparsity: 0.5 }, minElements: 1 })
  ).bytes();
  const samples = Array.from({ length: 20 }, (_, i) => branchedSample(true, i));
  const { bytes: fitted, ...layers } = await refitLayers(model, pruned, { ort, inputs: samples });
  assert.deepEqual(layers.fitted, ["v"]);
  assert.deepEqual(
    layers.skipped.map(({ reason }) => reason),
    ["no sample reaches it"],
  );
  const { tensors } = await inspect(pruned);
  for (const { name, dataOffset } of tensors) {
    const part = (file) => Buffer.from(file).subarray(dataOffset, dataOffset + 4 * width * width);
    assert.equal(part(pruned).equals(part(fitted)), name === "w", name);
  }
});

test("refitLayers() takes a weight where it is first read, however its readers are listed", async () => {
  const int64s = (name, value) =>
    bytes(
      5,
      concat(
        number(1, 1),
        number(2, 7),
        string(8, name),
        bytes(9, Buffer.from(BigInt64Array.of(value).buffer)),
      ),
    );
  const model = modelOf(
    node("Slice", ["w", "s", "e", "a"], ["ws"]),
    node("MatMul", ["x", "w"], ["h"]),
    node("Relu", ["h"], ["hr"]),
    node("MatMul", ["hr", "v"], ["b"]),
    node("Relu", ["b"], ["br"]),
    node("MatMul", ["br", "ws"], ["y"]),
    ...[int64s("s", 0n), int64s("e", 3n), int64s("a", 1n)],
    weight("w", [4, 6]),
    weight("v", [6, 4]),
    input("x", [20, 4]),
    output("y", [20, 3]),
  );
  const { tensors } = await inspect(model);
  const nodes = tensors.find(({ name }) => name === "w").layerInputs.map((it) => it.node);
  assert.ok(nodes[0] > nodes[1], "listed by use");
  const prune = { method: "magnitude", sparsity: 0.5 };
  const pruned = await (await shrink(model, { prune, minElements: 1 })).bytes();
  const x = wave(80, 3);
  const inputs = [{ x: { data: x, dims: [20, 4] } }];
  const weightsOf = (file, name) => {
    const { dataOffset } = tensors.find((it) => it.name === name);
    return new Float32Array(Uint8Array.from(file.subarray(dataOffset, dataOffset + 96)).buffer);
  };
  // w reads fewer values than v, so it can be fitted alone.
  const { bytes: onlyW } = await refitLayers(model, pruned, { ort, inputs, maxColumns: 5 });
  assert.notDeepEqual(weightsOf(onlyW, "w"), weightsOf(pruned, "w"));
  assert.deepEqual(weightsOf(onlyW, "v"), weightsOf(pruned, "v"));
  const hidden = (w) =>
    Float32Array.from({ length: 120 }, (_, i) => {
      const [row, column] = [Math.floor(i / 6), i % 6];
      let sum = 0;
      for (let k = 0; k < 4; ++k) sum += x[4 * row + k] * w[6 * k + column];
      return Math.max(0, sum);
    });
  /** v as it should be when this is the w before it. */
  const fittedV = (w) => {
    const [before, after] = [hidden(weightsOf(model, "w")), hidden(w)];
    const crossSums = Float32Array.from({ length: 36 }, (_, at) => {
      const [i, j] = [Math.floor(at / 6), at % 6];
      let sum = 0;
      for (let row = 0; row < 20; ++row) sum += before[6 * row + i] * after[6 * row + j];
      return sum;
    });
    const mask = Uint8Array.from(weightsOf(pruned, "v"), (it) => (it === 0 ? 0 : 1));
    const gram = gramOf(6, after);
    const options = { shape: [6, 4], outputAxis: 1, gram, crossSums };
    return refit(weightsOf(model, "v"), mask, options);
  };
  const found = weightsOf((await refitLayers(model, pruned, { ort, inputs })).bytes, "v");
  const distance = (expected) => Math.max(...found.map((it, i) => Math.abs(it - expected[i])));
  assert.ok(distance(fittedV(weightsOf(onlyW, "w"))) < 1e-3);
  assert.ok(distance(fittedV(weightsOf(pruned, "w"))) > 1e-2, "the order must matter");
});

test("a branch that only one of the models takes is left out", async () => {
  const zero = { name: "z", shape: [1], values: Float32Array.of(0) };
  const model = modelOf(
    node("MatMul", ["x", "u"], ["h"]),
    node("ReduceSum", ["h"], ["s"], attribute.int("keepdims", 0)),
    node("Greater", ["s", "z"], ["c"]),
    ...branches("h"),
    weight("u", [width, width]),
    bytes(5, initializer(zero)),
    input("x", [2, width]),
  );
  const prune = { method: "magnitude", sparsity: 0.8 };
  const pruned = await (await shrink(model, { prune, minElements: 1 })).bytes();
  const inputs = Array.from({ length: 40 }, (_, i) => ({
    x: { data: wave(2 * width, 7 * i), dims: [2, width] },
  }));
  const runs = await Promise.all([model, pruned].map((file) => calibrate(file, { ort, inputs })));
  assert.notEqual(runs[0].v.rows, runs[1].v.rows, "the models must disagree about the branch");
  const { bytes: fitted } = await refitLayers(model, pruned, { ort, inputs });
  const { worst: before } = await verify(model, pruned, { ort, inputs });
  const { worst: after } = await verify(model, fitted, { ort, inputs });
  assert.ok(after.sqnr > before.sqnr, `${before.sqnr} → ${after.sqnr} dB`);
});

test("Silero VAD: all layers of the branch that 16 kHz takes", async () => {
  const model = await readFile(modelPaths.speech);
  const session = await (await nodeRuntime()).open(model);
  const inputs = (await speechCalibration(session)).slice(0, 20);
  await session.release();
  const calibration = await calibrate(model, { ort, inputs });
  const found = Object.entries(calibration).map(([name, { columns, rows }]) => [
    name.replace("If_0_then_branch__Inline_0__", ""),
    columns,
    rows,
  ]);
  assert.deepEqual(found, [
    ["stft.forward_basis_buffer", 256, 20 * 4],
    ["encoder.0.reparam_conv.weight", 387, 20 * 4],
    ["encoder.1.reparam_conv.weight", 384, 20 * 2],
    ["encoder.2.reparam_conv.weight", 192, 20],
    ["encoder.3.reparam_conv.weight", 192, 20],
    ["decoder.rnn.weight_ih", 128, 20],
    ["decoder.rnn.weight_hh", 128, 20],
    ["decoder.decoder.2.weight", 128, 20],
  ]);
  const states = calibration["If_0_then_branch__Inline_0__decoder.rnn.weight_hh"];
  const expected = gramOf(128, ...inputs.map(({ state }) => state.data.subarray(0, 128)));
  assert.deepEqual(states.sums, expected.sums);
});

test("a guard takes back what it need not have given up", async () => {
  const model = await readFile(modelPaths.speech);
  const session = await (await nodeRuntime()).open(model);
  const inputs = (await speechCalibration(session)).slice(0, 10);
  await session.release();
  const guard = { ort, inputs, minCosine: 0.999 };
  const { guard: outcome, report } = await shrink(model, "int4", { guard });
  assert.ok(outcome.verification.worst.cosine >= 0.999);
  assert.ok(outcome.attempts <= 40);
  // No sample takes the other branch, so nothing there does harm: what is worth 2 % of the output is taken back, half of 8 bits.
  const spared = [...outcome.keptTensors, ...outcome.finerTensors];
  assert.ok(spared.some((name) => name.includes("then_branch")));
  const needless = report.tensors.filter(
    ({ name, outputBytes }) =>
      spared.includes(name) &&
      !name.includes("then_branch") &&
      outputBytes > 0.05 * report.outputBytes,
  );
  assert.deepEqual(needless, []);
  assert.ok(report.outputBytes < 0.3 * report.inputBytes);
});
