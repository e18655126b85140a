// Weights are found wherever the graph uses them, and independent matrices have scales of their own.
import assert from "node:assert/strict";
import { test } from "node:test";
import ort from "onnxruntime-node";
import { init, plan, quantize, shrink } from "modelshrink";
import { bytes, string } from "../support/onnx.mjs";
import {
  attribute,
  int,
  int64,
  ints,
  microsoft,
  model,
  node,
  noise,
  run,
  sqnr,
  text,
  weight,
} from "../support/onnx-graphs.mjs";

await init();

/** The noise of a weight of several matrices, the first of them `factor` times as large. */
function uneven(name, shape, matrices, factor = 0.01) {
  const it = weight(name, shape);
  const values = it.values.map((value, i) =>
    i < it.values.length / matrices ? value * factor : value,
  );
  return { ...it, values };
}

const independent = {
  "experts of a MatMul": {
    nodes: [node("MatMul", ["X", "W"], ["Y"])],
    weights: [uneven("W", [4, 64, 40], 4)],
    x: [4, 5, 64],
    y: [4, 5, 40],
  },
  "a batch of batches": {
    nodes: [node("MatMul", ["X", "W"], ["Y"])],
    weights: [uneven("W", [2, 3, 64, 40], 6)],
    x: [2, 3, 5, 64],
    y: [2, 3, 5, 40],
  },
  "experts on the left": {
    nodes: [node("MatMul", ["W", "X"], ["Y"])],
    weights: [uneven("W", [4, 40, 64], 4)],
    x: [4, 64, 5],
    y: [4, 40, 5],
  },
  "groups of a ConvTranspose": {
    nodes: [
      node("ConvTranspose", ["X", "W"], ["Y"], ints("kernel_shape", [3, 3]), int("group", 4)),
    ],
    weights: [uneven("W", [16, 6, 3, 3], 4)],
    x: [1, 16, 7, 7],
    y: [1, 24, 9, 9],
  },
  "groups of a Conv": {
    nodes: [node("Conv", ["X", "W"], ["Y"], ints("kernel_shape", [3, 3]), int("group", 4))],
    weights: [uneven("W", [24, 4, 3, 3], 4)],
    x: [1, 16, 9, 9],
    y: [1, 24, 7, 7],
  },
  "batches of an Einsum": {
    nodes: [node("Einsum", ["X", "W"], ["Y"], text("equation", "btk,bkn->btn"))],
    weights: [uneven("W", [4, 64, 40], 4)],
    x: [4, 5, 64],
    y: [4, 5, 40],
  },
  "heads of an Einsum": {
    nodes: [node("Einsum", ["X", "W"], ["Y"], text("equation", "btd,hdk->bhtk"))],
    weights: [uneven("W", [4, 64, 16], 4)],
    x: [1, 5, 64],
    y: [1, 4, 5, 16],
  },
  "a transposed batch of a FusedMatMul": {
    nodes: [node("FusedMatMul", ["X", "W"], ["Y"], microsoft, int("transB", 1))],
    weights: [uneven("W", [4, 40, 64], 4)],
    x: [4, 5, 64],
    y: [4, 5, 40],
  },
};

/** The SQNR of the weakest quarter of the outputs, which the small matrix makes. */
function worstQuarter(original, approximation, quarters = 4) {
  const size = original.length / quarters;
  const parts = Array.from({ length: quarters }, (_, i) => [i * size, (i + 1) * size]);
  return Math.min(
    ...parts.map((range) => sqnr(original.slice(...range), approximation.slice(...range))),
  );
}

for (const [what, parts] of Object.entries(independent)) {
  test(`independent matrices have a scale for each output of each: ${what}`, async () => {
    const file = model(parts);
    const original = await run(ort, file, parts);
    for (const recipe of [
      { weights: "int8" },
      { weights: "uint8", symmetric: false },
      { weights: "uint8", mode: "dynamic" },
    ]) {
      const result = await shrink(file, { ...recipe, minElements: 64 });
      const small = await result.bytes();
      assert.ok(small.length < file.length / 2, `${small.length} of ${file.length} bytes`);
      const db = worstQuarter(
        original,
        await run(ort, small, parts),
        what.includes("batches") ? 2 : 4,
      );
      // An error of 2 %.
      assert.ok(db > 34, `${db.toFixed(1)} dB`);
    }
  });
}

test("the report also has the worst group's error", async () => {
  const file = model(independent["experts of a MatMul"]);
  const shared = (await shrink(file, { weights: "int8", granularity: "tensor" })).report.tensors[0];
  assert.ok(shared.sqnr > 30, `${shared.sqnr} dB`);
  assert.ok(shared.worstSqnr < 15, `${shared.worstSqnr} dB`);
  const apart = (await shrink(file, { weights: "int8" })).report.tensors[0];
  assert.ok(apart.worstSqnr > 35, `${apart.worstSqnr} dB`);
});

const vector = (name, values) => ({ name, shape: [values.length], values });

function int64s(name, values) {
  const data = Buffer.from(BigInt64Array.from(values, BigInt).buffer);
  const dims = [8, values.length];
  return bytes(
    5,
    Buffer.concat([Buffer.from(dims), Buffer.from([16, 7]), string(8, name), bytes(9, data)]),
  );
}

const zeros = (name, count) =>
  bytes(
    5,
    Buffer.concat([
      Buffer.from([8, count]),
      Buffer.from([16, 3]),
      string(8, name),
      bytes(9, Buffer.alloc(count)),
    ]),
  );

const matrix = weight("W", [64, 96]);
const product = { weights: [matrix], x: [3, 64], y: [3, 96] };

const followed = {
  "a training-aware export": {
    nodes: [
      node("QuantizeLinear", ["W", "s", "z"], ["q"], int("axis", 0)),
      node("DequantizeLinear", ["q", "s", "z"], ["v"], int("axis", 0)),
      node("Conv", ["X", "v"], ["Y"]),
    ],
    weights: [weight("W", [48, 16, 3, 3]), vector("s", new Float32Array(48).fill(0.5 / 127))],
    more: [zeros("z", 48)],
    x: [1, 16, 8, 8],
    y: [1, 48, 6, 6],
  },
  Einsum: {
    ...product,
    nodes: [node("Einsum", ["X", "W"], ["Y"], text("equation", "ab,bc->ac"))],
  },
  "Einsum without a result": {
    ...product,
    nodes: [node("Einsum", ["X", "W"], ["Y"], text("equation", "ab, bc"))],
  },
  GatherND: {
    nodes: [node("GatherND", ["W", "X"], ["Y"])],
    weights: [weight("W", [50, 70])],
    x: [6, 1],
    y: [6, 70],
    xType: int64,
  },
  "a weight behind Reshape": {
    nodes: [node("Reshape", ["W", "n"], ["v"]), node("MatMul", ["X", "v"], ["Y"])],
    weights: [weight("W", [128, 48])],
    more: [int64s("n", [64, 96])],
    x: [3, 64],
    y: [3, 96],
  },
  "a weight behind Transpose, Reshape and Transpose": {
    nodes: [
      node("Transpose", ["W"], ["a"], ints("perm", [1, 0, 2])),
      node("Reshape", ["a", "n"], ["b"]),
      node("Transpose", ["b"], ["v"], ints("perm", [1, 0])),
      node("MatMul", ["X", "v"], ["Y"]),
    ],
    weights: [weight("W", [8, 96, 8])],
    more: [int64s("n", [96, -1])],
    x: [3, 64],
    y: [3, 96],
  },
  "a weight behind Flatten": {
    nodes: [node("Flatten", ["W"], ["v"], int("axis", 2)), node("MatMul", ["X", "v"], ["Y"])],
    weights: [weight("W", [8, 8, 4, 24])],
    x: [3, 64],
    y: [3, 96],
  },
  "a weight behind Squeeze": {
    nodes: [node("Squeeze", ["W", "n"], ["v"]), node("MatMul", ["X", "v"], ["Y"])],
    weights: [weight("W", [1, 64, 1, 96])],
    more: [int64s("n", [0, 2])],
    x: [3, 64],
    y: [3, 96],
  },
  "a weight behind Unsqueeze": {
    nodes: [
      node("Unsqueeze", ["W", "n"], ["v"]),
      node("Conv", ["X", "v"], ["Y"], ints("kernel_shape", [1, 1])),
    ],
    weights: [weight("W", [96, 64])],
    more: [int64s("n", [2, 3])],
    x: [1, 64, 3, 3],
    y: [1, 96, 3, 3],
  },
  "a weight behind Identity and a product with a constant": {
    ...product,
    nodes: [
      node("Identity", ["W"], ["a"]),
      node("Mul", ["a", "g"], ["v"]),
      node("MatMul", ["X", "v"], ["Y"]),
    ],
    weights: [matrix, vector("g", noise(96, 3))],
  },
  "a weight behind a Cast there and back": {
    ...product,
    nodes: [
      node("Cast", ["W"], ["a"], int("to", 10)),
      node("Cast", ["a"], ["v"], int("to", 1)),
      node("MatMul", ["X", "v"], ["Y"]),
    ],
  },
  FusedConv: {
    nodes: [
      node(
        "FusedConv",
        ["X", "W", "B"],
        ["Y"],
        microsoft,
        ints("kernel_shape", [3, 3]),
        text("activation", "Relu"),
      ),
    ],
    weights: [weight("W", [48, 16, 3, 3]), weight("B", [48])],
    x: [1, 16, 8, 8],
    y: [1, 48, 6, 6],
  },
  FusedMatMul: {
    ...product,
    nodes: [
      node(
        "FusedMatMul",
        ["X", "W"],
        ["Y"],
        microsoft,
        attribute("alpha", 1, Buffer.from([0x15, 0, 0, 0, 0x3f])),
      ),
    ],
  },
  "FusedMatMul transB": {
    nodes: [node("FusedMatMul", ["X", "W"], ["Y"], microsoft, int("transB", 1))],
    weights: [weight("W", [96, 64])],
    x: [3, 64],
    y: [3, 96],
  },
  FusedGemm: {
    nodes: [node("FusedGemm", ["X", "W", "B"], ["Y"], microsoft, text("activation", "Relu"))],
    weights: [matrix, weight("B", [96])],
    x: [3, 64],
    y: [3, 96],
  },
  Attention: {
    nodes: [node("Attention", ["X", "W", "B"], ["Y"], microsoft, int("num_heads", 4))],
    weights: [weight("W", [64, 192]), weight("B", [192])],
    x: [1, 5, 64],
    y: [1, 5, 64],
  },
};

for (const [what, parts] of Object.entries(followed)) {
  test(`weights are followed rather than known by a list of operators: ${what}`, async () => {
    const file = model(parts);
    const original = await run(ort, file, parts);
    for (const [weights, largest, minimum] of [
      ["int8", 0.4, 34],
      ["uint8", 0.4, 34],
      ["int4", 0.3, 12],
      ["float16", 0.6, 55],
    ]) {
      const result = await shrink(file, { weights, minElements: 64 });
      const small = await result.bytes();
      const part = small.length / file.length;
      assert.ok(part < largest, `${weights}: ${(100 * part).toFixed(0)} %`);
      const db = sqnr(original, await run(ort, small, parts));
      assert.ok(db > minimum, `${weights}: ${db.toFixed(1)} dB`);
    }
  });
}

test("float16 weights that another tool's Cast makes float32 are served by every mode", async () => {
  const halves = (type) => {
    const { data } = quantize(noise(64 * 96, 64 * 96), { type });
    const dims = Buffer.from([8, 64, 8, 96, 16, type === "float16" ? 10 : 16]);
    const raw = bytes(9, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
    return bytes(5, Buffer.concat([dims, string(8, "W"), raw]));
  };
  for (const type of ["float16", "bfloat16"]) {
    const parts = {
      nodes: [node("Cast", ["W"], ["v"], int("to", 1)), node("MatMul", ["X", "v"], ["Y"])],
      weights: [],
      more: [halves(type)],
      x: [3, 64],
      y: [3, 96],
    };
    const file = model(parts);
    const original = await run(ort, file, parts);
    for (const recipe of ["int8", "uint8", "dynamic", "q8", "q4"]) {
      const { report, ...result } = await shrink(file, recipe);
      const small = await result.bytes();
      assert.ok(report.outputBytes < 0.7 * report.inputBytes, `${recipe}: ${report.outputBytes}`);
      const db = sqnr(original, await run(ort, small, parts));
      assert.ok(db > (recipe === "q4" ? 12 : 30), `${type}, ${recipe}: ${db.toFixed(1)} dB`);
    }
    const [warning] = (await plan(file, type === "float16" ? "fp16" : "bf16")).warnings;
    assert.match(warning, new RegExp(`is ${type} already`));
  }
});

test("the three tables of EmbedLayerNormalization are weights", async () => {
  const ids = (name) => node("Cast", ["X"], [name], int("to", 6));
  const parts = {
    nodes: [
      ids("i"),
      node("Sub", ["i", "i"], ["none"]),
      node(
        "EmbedLayerNormalization",
        ["i", "none", "word", "position", "segment", "gamma", "beta"],
        ["Y", "mask"],
        microsoft,
      ),
    ],
    weights: [
      weight("word", [50, 64]),
      weight("position", [16, 64]),
      weight("segment", [2, 64]),
      vector("gamma", new Float32Array(64).fill(1)),
      vector("beta", new Float32Array(64)),
    ],
    x: [1, 6],
    y: [1, 6, 64],
    xType: int64,
  };
  const file = model(parts);
  const result = await shrink(file, { weights: "int8", minElements: 64 });
  const changed = result.report.tensors.filter(({ to }) => to === "int8").map(({ name }) => name);
  assert.deepEqual(changed, ["word", "position", "segment"]);
  const db = sqnr(await run(ort, file, parts), await run(ort, await result.bytes(), parts));
  assert.ok(db > 35, `${db.toFixed(1)} dB`);
});
