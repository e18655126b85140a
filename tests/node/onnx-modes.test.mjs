// What becomes of weights that a mode, an operator set or an option has to be careful with.
import assert from "node:assert/strict";
import { test } from "node:test";
import ortNode from "onnxruntime-node";
import * as ortWeb from "onnxruntime-web";
import { calibrate } from "modelshrink/runtime";
import { compare, init, inspect, plan, quantize, shrink } from "modelshrink";
import { formatReport } from "modelshrink/text";
import { bytes, number, string, valueInfo } from "../support/onnx.mjs";
import {
  int,
  int64,
  ints,
  microsoft,
  model,
  node,
  noise,
  run,
  sqnr,
  weight,
} from "../support/onnx-graphs.mjs";

await init();
ortWeb.env.wasm.numThreads = 1;

const float16 = 10;
const bytesOf = (values) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

/** An initializer of the values as float16. */
function halves({ name, shape, values }) {
  const { data } = quantize(values, { type: "float16" });
  const dims = shape.map((size) => number(1, size));
  return bytes(
    5,
    Buffer.concat([...dims, number(2, float16), string(8, name), bytes(9, bytesOf(data))]),
  );
}

const toHalf = node("Cast", ["X"], ["x"], int("to", float16));
const toFloat = node("Cast", ["y"], ["Y"], int("to", 1));

const halfModels = {
  MatMul: {
    nodes: [toHalf, node("MatMul", ["x", "W"], ["y"]), toFloat],
    weights: [],
    more: [halves(weight("W", [64, 48]))],
    x: [2, 64],
    y: [2, 48],
  },
  "Gemm with a bias": {
    nodes: [toHalf, node("Gemm", ["x", "W", "B"], ["y"]), toFloat],
    weights: [],
    more: [halves(weight("W", [64, 48])), halves(weight("B", [48]))],
    x: [2, 64],
    y: [2, 48],
  },
  Gather: {
    nodes: [node("Gather", ["W", "X"], ["y"]), toFloat],
    weights: [],
    more: [halves(weight("W", [50, 64]))],
    x: [2, 3],
    y: [2, 3, 64],
    xType: int64,
  },
};

for (const [what, parts] of Object.entries(halfModels)) {
  test(`fp16 weights are served by every mode: ${what}`, async () => {
    const file = model(parts);
    const original = await run(ortNode, file, parts);
    for (const [recipe, minimum] of [
      [{ weights: "int8" }, 30],
      [{ weights: "uint8", mode: "dynamic" }, 25],
      [{ weights: "uint8", mode: "lowmem", symmetric: true, packEmbeddings: true }, 30],
      [{ weights: "uint4", mode: "lowmem", symmetric: true, packEmbeddings: true }, 12],
    ]) {
      const { report, bytes: write } = await shrink(file, { ...recipe, minElements: 64 });
      const { to, note = "" } = report.tensors.find(({ name }) => name === "W");
      assert.notEqual(to, "float16", JSON.stringify(recipe));
      if (what !== "Gather" || recipe.mode !== "dynamic")
        assert.ok(!note.includes("storage"), note);
      const db = sqnr(original, await run(ortNode, await write(), parts));
      assert.ok(db > minimum, `${JSON.stringify(recipe)}: ${db.toFixed(1)} dB`);
    }
  });
}

test("a weight used 30 × falls back from dynamic to storage", async () => {
  const nodes = [];
  for (let i = 0; i < 30; i++) {
    nodes.push(node("MatMul", [i === 0 ? "X" : `x${i}`, "W"], [i === 29 ? "Y" : `x${i + 1}`]));
  }
  const W = weight("W", [32, 32]);
  W.values = W.values.map((value) => value / 2);
  const parts = { nodes, weights: [W], x: [1, 32], y: [1, 32] };
  const file = model(parts);
  const result = await shrink(file, { weights: "uint8", mode: "dynamic" });
  const small = await result.bytes();
  const [{ to, note }] = result.report.tensors;
  assert.equal(to, "uint8");
  assert.match(note, /^storage, not dynamic: it takes \d+ bytes, storage \d+$/);
  assert.ok(small.length < file.length);
  assert.ok(sqnr(await run(ortNode, file, parts), await run(ortNode, small, parts)) > 20);
});

/** A model whose weight W, nearly all zeros, is also an output. */
function shownWeight() {
  const W = weight("W", [64, 64]);
  W.values = W.values.map((value, i) => (i % 50 === 0 ? value : 0));
  return {
    nodes: [node("MatMul", ["X", "W"], ["Y"])],
    weights: [W],
    more: [bytes(12, valueInfo("W", [64, 64]))],
    x: [1, 64],
    y: [1, 64],
  };
}

test("--sparse leaves a weight that is also a graph output as it is", async () => {
  const parts = shownWeight();
  const file = model(parts);
  const result = await shrink(file, { sparse: true });
  assert.match(result.report.tensors[0].note, /the weight is an output too/);
  const written = await result.bytes();
  assert.deepEqual(await run(ortNode, written, parts), await run(ortNode, file, parts));
  // One that is none is stored without its zeros.
  const inner = await shrink(model({ ...parts, more: [] }), { sparse: true });
  assert.equal(inner.report.tensors[0].to, "float32 sparse");
});

const [outputs, channels, kernel] = [12, 8, 9];
const convolution = {
  nodes: [node("Conv", ["X", "W"], ["Y"], ints("kernel_shape", [3, 3]))],
  weights: [
    { ...weight("W", [outputs, channels, 3, 3]), values: noise(outputs * channels * kernel, 3) },
  ],
  x: [1, channels, 9, 9],
  y: [1, outputs, 7, 7],
};

/** Fails unless two of each four neighbouring input channels are zero, at each output and place of the kernel. */
function assertPattern(values) {
  for (let o = 0; o < outputs; o++) {
    for (let place = 0; place < kernel; place++) {
      for (let c = 0; c < channels; c += 4) {
        const run = [0, 1, 2, 3].map((i) => values[(o * channels + c + i) * kernel + place]);
        assert.equal(run.filter((value) => value === 0).length, 2, `${o}, ${c}, ${place}`);
      }
    }
  }
}

/** The float32 weights of a model whose only initializer is W, as they stand in the file. */
function weightsIn(file, count) {
  const tensor = Buffer.concat([string(8, "W")]);
  const at = Buffer.from(file).indexOf(tensor) + tensor.length;
  // The field's tag and its length of two bytes.
  return new Float32Array(file.slice(at + 3, at + 3 + 4 * count).buffer);
}

for (const method of ["n:m", "wanda", "sparsegpt", "obc"]) {
  test(`2:4 of k × k convolutions is along the input channels: ${method}`, async () => {
    const file = model(convolution);
    const inputs = [1, 2, 3].map((seed) => ({
      X: { data: noise(channels * 81, seed), dims: convolution.x },
    }));
    const calibration =
      method === "n:m" ? undefined : await calibrate(file, { ort: ortNode, inputs });
    const result = await shrink(
      file,
      { prune: { method, n: 2, m: 4 }, minElements: 64 },
      calibration ? { calibration } : {},
    );
    const values = weightsIn(await result.bytes(), outputs * channels * kernel);
    assertPattern(values);
    if (method !== "n:m") return;
    // What stays is as it was, and not smaller than what goes.
    const [{ values: before }] = convolution.weights;
    values.forEach((value, i) => assert.ok(value === 0 || value === before[i]));
  });
}

test("with samples a convolution's 2:4 loses less in the outputs than without", async () => {
  const file = model(convolution);
  const inputs = [1, 2, 3, 4].map((seed) => ({
    X: { data: noise(channels * 81, seed), dims: convolution.x },
  }));
  const calibration = await calibrate(file, { ort: ortNode, inputs });
  const original = await run(ortNode, file, convolution);
  const lossOf = async (method, options) => {
    const recipe = { prune: { method, n: 2, m: 4 }, minElements: 64 };
    const small = await (await shrink(file, recipe, options)).bytes();
    return sqnr(original, await run(ortNode, small, convolution));
  };
  const plain = await lossOf("n:m", {});
  const fitted = await lossOf("sparsegpt", { calibration });
  assert.ok(fitted > plain, `${fitted.toFixed(1)} and ${plain.toFixed(1)} dB`);
});

const embedding = {
  nodes: [node("Gather", ["E", "X"], ["e"]), node("MatMul", ["e", "W"], ["Y"])],
  weights: [weight("E", [60, 64]), weight("W", [64, 48])],
  x: [2, 3],
  y: [2, 3, 48],
  xType: int64,
};

/** The operators of a model, as they stand in the file. */
const has = (file, operator) => Buffer.from(file).includes(string(4, operator));

for (const preset of ["q4", "q8"]) {
  test(`${preset} writes embeddings as int8 Cast + Mul, GatherBlockQuantized by option`, async () => {
    const file = model(embedding);
    const original = await run(ortNode, file, embedding);
    const plain = await shrink(file, preset);
    const [E, W] = plain.report.tensors;
    assert.equal(E.to, "int8");
    assert.match(W.to, /MatMulNBits/);
    const written = await plain.bytes();
    assert.ok(!has(written, "GatherBlockQuantized"));
    assert.ok(sqnr(original, await run(ortNode, written, embedding)) > 12);
    const { mode, weights, symmetric } = {
      mode: "lowmem",
      weights: preset === "q4" ? "uint4" : "uint8",
      symmetric: true,
    };
    const packed = await shrink(file, { mode, weights, symmetric, packEmbeddings: true });
    assert.match(packed.report.tensors[0].to, /GatherBlockQuantized/);
    const bytesOfPacked = await packed.bytes();
    assert.ok(has(bytesOfPacked, "GatherBlockQuantized"));
    assert.ok(sqnr(original, await run(ortNode, bytesOfPacked, embedding)) > 12);
  });
}

test("a rule decides the type of embeddings in q4, too", async () => {
  const recipe = { mode: "lowmem", weights: "uint4", symmetric: true };
  const rules = [{ match: "E", weights: "float16" }];
  const { report } = await plan(model(embedding), { ...recipe, rules }).then((it) => ({
    report: it,
  }));
  assert.equal(report.tensors[0].to, "float16");
});

test("embeddings are known by what their operator does, not by the name Gather", async () => {
  const rows = (operator, ...more) => ({
    nodes: [node(operator, ["E", "X"], ["Y"], ...more)],
    weights: [weight("E", [60, 64])],
    x: [3, 1],
    y: [3, 64],
    xType: int64,
  });
  for (const parts of [rows("Gather"), rows("GatherND"), rows("TorchEmbedding", microsoft)]) {
    const pruned = await plan(model(parts), { prune: { method: "magnitude", sparsity: 0.5 } });
    assert.equal(pruned.tensors[0].note, "an embedding, pruned only by a rule");
  }
});

test("a rule that names a tensor forces it", async () => {
  const parts = {
    nodes: [node("MatMul", ["X", "W"], ["a"]), node("Add", ["a", "B"], ["Y"])],
    weights: [weight("W", [64, 48]), weight("B", [40, 48])],
    x: [40, 64],
    y: [40, 48],
  };
  const file = model(parts);
  const unforced = await plan(file, { weights: "int8", minElements: 64 });
  assert.equal(unforced.tensors[1].to, "float32");
  for (const weights of ["int8", "uint8", "int4", "float16"]) {
    const result = await shrink(file, { rules: [{ match: "B", weights }] });
    const [, B] = result.report.tensors;
    assert.notEqual(B.to, "float32", weights);
    const db = sqnr(
      await run(ortNode, file, parts),
      await run(ortNode, await result.bytes(), parts),
    );
    assert.ok(db > 15, `${weights}: ${db.toFixed(1)} dB`);
  }
  // A pattern is no name.
  const globbed = await plan(file, { weights: "int8", rules: [{ match: "B*", weights: "int8" }] });
  assert.equal(globbed.tensors[1].to, "float32");
});

test("a rule that names a vector forces it", async () => {
  const parts = {
    nodes: [node("Mul", ["X", "B"], ["Y"])],
    weights: [weight("B", [2048])],
    x: [1, 2048],
    y: [1, 2048],
  };
  const file = model(parts);
  const result = await shrink(file, { rules: [{ match: "B", weights: "int8" }] });
  assert.equal(result.report.tensors[0].to, "int8");
  const db = sqnr(await run(ortNode, file, parts), await run(ortNode, await result.bytes(), parts));
  assert.ok(db > 30, `${db.toFixed(1)} dB`);
});

test("when more than 5 % of the bytes stay float the report's head says how many, by operator", async () => {
  const parts = {
    nodes: [
      node("MatMul", ["X", "W"], ["a"]),
      node("Add", ["a", "B"], ["b"]),
      node("Mul", ["b", "C"], ["Y"]),
    ],
    weights: [weight("W", [64, 48]), weight("B", [40, 48]), weight("C", [20, 48, 1].slice(0, 2))],
    x: [40, 64],
    y: [40, 48],
  };
  parts.weights[2] = weight("C", [1, 48]);
  const file = model(parts);
  const planned = await plan(file, { weights: "int8", minElements: 64 });
  assert.deepEqual(
    planned.keptFloats.map(({ consumer }) => consumer),
    ["Add", "Mul"],
  );
  const [head, , ...rest] = formatReport(planned).split("\n\n")[0].split("\n").concat("");
  assert.match(
    formatReport(planned).split("\n")[1],
    /^[\d.]+ kB .*stay float.*: Add 7\.\d+ kB, Mul/,
  );
  assert.ok(head.startsWith("onnx: ") && rest.length >= 0);
  // Not where a few bytes stay.
  const small = model({
    ...parts,
    nodes: [node("MatMul", ["X", "W"], ["Y"])],
    weights: [parts.weights[0]],
  });
  assert.ok(
    !formatReport(await plan(small, { weights: "int8", minElements: 64 })).includes("stay float"),
  );
});

test("int4 storage takes nibbles apart by one look into a table", async () => {
  const parts = {
    nodes: [node("MatMul", ["X", "W"], ["Y"])],
    weights: [weight("W", [64, 48])],
    x: [1, 64],
    y: [1, 48],
  };
  for (const opset of [9, 17]) {
    const file = model({ ...parts, opset });
    const small = await (await shrink(file, "int4")).bytes();
    assert.ok(has(small, "Gather") && !has(small, "Floor") && !has(small, "Concat"));
    for (const ort of [ortNode, ortWeb]) {
      assert.ok(sqnr(await run(ort, file, parts), await run(ort, small, parts)) > 12);
    }
  }
});

const scaledModels = {
  MatMul: { nodes: [node("MatMul", ["X", "W"], ["Y"])], w: [64, 48], x: [2, 64], y: [2, 48] },
  "a stack of matrices": {
    nodes: [node("MatMul", ["X", "W"], ["Y"])],
    ...{ w: [3, 32, 24], x: [3, 2, 32], y: [3, 2, 24] },
  },
  "one output": { nodes: [node("MatMul", ["X", "W"], ["Y"])], w: [96, 1], x: [2, 96], y: [2, 1] },
  Conv: convolution,
};

for (const [what, { w, ...parts }] of Object.entries(scaledModels)) {
  test(`float8 weights have a scale for each output: ${what}`, async () => {
    const [W] = parts.weights ?? [weight("W", w)];
    // Far below the smallest number of float8, and each output of another magnitude.
    const values = W.values.map((value, i) => value * 1e-4 * 10 ** -(i % 3));
    const given = { ...parts, opset: 21, weights: [{ ...W, values }] };
    const file = model(given);
    const original = await run(ortNode, file, parts);
    const result = await shrink(file, { weights: "float8e4m3", minElements: 64 });
    const [{ to, sqnr: db }] = result.report.tensors;
    assert.equal(to, "float8e4m3");
    assert.ok(db > 28, `${db}`);
    const small = await result.bytes();
    assert.ok(sqnr(original, await run(ortNode, small, parts)) > 24);
    // It is known again, with the values that the runtime sees.
    const [{ name, type, isWeight }] = (await inspect(small)).tensors;
    assert.deepEqual({ name, type, isWeight }, { name: "W", type: "float8e4m3", isWeight: true });
    const [again] = (await compare(file, small)).tensors;
    assert.ok(Math.abs(again.sqnr - db) < 1e-3, `${again.sqnr} ${db}`);
  });
}
