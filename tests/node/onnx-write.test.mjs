// What the ONNX writer makes, run: every form × operator × opset in both builds of onnxruntime
// against the model that it was made from.
import assert from "node:assert/strict";
import { test } from "node:test";
import ortNode from "onnxruntime-node";
import * as ortWeb from "onnxruntime-web";
import { init, shrink } from "modelshrink";
import { bytes, initializer, number, string, valueInfo } from "../support/onnx.mjs";

// Unlike a wave's, its products do not cancel out.
function noise(count, seed) {
  return Float32Array.from(
    { length: count },
    (_, i) => ((Math.sin((i + seed) * 12.9898) * 43758.5453) % 1) * 0.5,
  );
}

const float32 = 1;
const int64 = 7;

const attribute = (name, type, ...fields) =>
  bytes(5, Buffer.concat([string(1, name), ...fields, number(20, type)]));
const int = (name, value) => attribute(name, 2, number(3, value));
const ints = (name, values) => attribute(name, 7, ...values.map((value) => number(8, value)));
const graphAttribute = (name, graph) => attribute(name, 5, bytes(6, graph));
const tensorAttribute = (name, tensor) => attribute(name, 4, bytes(5, tensor));

function node(opType, inputs, outputs, ...attributes) {
  const names = [...inputs.map((it) => string(1, it)), ...outputs.map((it) => string(2, it))];
  return bytes(1, Buffer.concat([...names, string(4, opType), ...attributes]));
}

function weight(name, shape) {
  const count = shape.reduce((a, b) => a * b, 1);
  return { name, shape, values: noise(count, count) };
}

/** A model of X and Y whose weights are initializers or Constant nodes. */
function model({ nodes, weights, x, y, xType = float32, asNodes, opset }) {
  const constants = weights.map((it) =>
    asNodes
      ? node("Constant", [], [it.name], tensorAttribute("value", initializer(it)))
      : bytes(5, initializer(it)),
  );
  const graph = Buffer.concat([
    ...constants,
    ...nodes,
    string(2, "graph"),
    bytes(11, valueInfo("X", x, xType)),
    bytes(12, valueInfo("Y", y)),
  ]);
  // The IR version that came with each opset.
  const irVersion = { 9: 4, 13: 7, 21: 10 }[opset];
  return new Uint8Array(
    Buffer.concat([number(1, irVersion), bytes(7, graph), bytes(8, number(2, opset))]),
  );
}

const branch = (name) =>
  Buffer.concat([
    node("MatMul", ["a", "W"], [`${name}1`]),
    node("MatMul", [`${name}1`, "W"], [name]),
    string(2, name),
    bytes(12, valueInfo(name, [1, 64])),
  ]);

const models = {
  MatMul: {
    nodes: [node("MatMul", ["X", "W"], ["Y"])],
    weights: [weight("W", [48, 65])],
    x: [1, 3, 48],
    y: [1, 3, 65],
  },
  Conv: {
    nodes: [
      node(
        "Conv",
        ["X", "W", "B"],
        ["Y"],
        ints("kernel_shape", [3, 3]),
        ints("pads", [1, 1, 1, 1]),
      ),
    ],
    weights: [weight("W", [33, 6, 3, 3]), weight("B", [33])],
    x: [1, 6, 9, 10],
    y: [1, 33, 9, 10],
  },
  ConvTranspose: {
    nodes: [node("ConvTranspose", ["X", "W"], ["Y"], ints("kernel_shape", [3, 3]))],
    weights: [weight("W", [6, 35, 3, 3])],
    x: [1, 6, 9, 10],
    y: [1, 35, 11, 12],
  },
  Gemm: {
    nodes: [node("Gemm", ["X", "W", "B"], ["Y"])],
    weights: [weight("W", [64, 50]), weight("B", [50])],
    x: [2, 64],
    y: [2, 50],
  },
  "Gemm transB": {
    nodes: [node("Gemm", ["X", "W", "B"], ["Y"], int("transB", 1))],
    weights: [weight("W", [50, 64]), weight("B", [50])],
    x: [2, 64],
    y: [2, 50],
  },
  LSTM: {
    nodes: [
      node(
        "LSTM",
        ["X", "W", "R"],
        ["Y"],
        int("hidden_size", 16),
        attribute("direction", 3, string(4, "bidirectional")),
      ),
    ],
    weights: [weight("W", [2, 64, 48]), weight("R", [2, 64, 16])],
    x: [3, 1, 48],
    y: [3, 2, 1, 16],
  },
  Gather: {
    nodes: [node("Gather", ["W", "X"], ["Y"])],
    weights: [weight("W", [50, 70])],
    x: [2, 3],
    y: [2, 3, 70],
    xType: int64,
  },
  "If, shared": {
    nodes: [
      node("Identity", ["X"], ["a"]),
      node("MatMul", ["a", "W"], ["b"]),
      node(
        "Constant",
        [],
        ["c"],
        tensorAttribute("value", Buffer.concat([number(2, 9), bytes(9, Buffer.of(1))])),
      ),
      node(
        "If",
        ["c"],
        ["z"],
        graphAttribute("then_branch", branch("p")),
        graphAttribute("else_branch", branch("q")),
      ),
      node("Add", ["z", "b"], ["Y"]),
    ],
    weights: [weight("W", [64, 64])],
    x: [1, 64],
    y: [1, 64],
  },
};

/** The SQNR in dB that each form must reach, far below what it does reach. */
const forms = {
  int8: [{ weights: "int8" }, 35],
  "uint8 asymmetric": [{ weights: "uint8", symmetric: false }, 35],
  "int8 in ragged blocks": [{ weights: "int8", granularity: "block", blockSize: 48 }, 35],
  int4: [{ weights: "int4" }, 12],
  "uint4 asymmetric, odd blocks": [{ weights: "uint4", symmetric: false, blockSize: 17 }, 12],
  float16: [{ weights: "float16" }, 60],
  dynamic: [{ weights: "uint8", mode: "dynamic" }, 30],
  "lowmem 4": [{ weights: "uint4", mode: "lowmem", symmetric: true }, 12],
  "lowmem 4 asymmetric": [{ weights: "uint4", mode: "lowmem", symmetric: false }, 12],
  "lowmem 8": [{ weights: "uint8", mode: "lowmem", symmetric: true, blockSize: 16 }, 35],
};

async function run(ort, file, { x, xType }) {
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 3 });
  const count = x.reduce((a, b) => a * b, 1);
  const input =
    xType === int64
      ? new ort.Tensor(
          "int64",
          BigInt64Array.from({ length: count }, (_, i) => BigInt(i * 7)),
          x,
        )
      : new ort.Tensor("float32", noise(count, 5), x);
  const { Y } = await session.run({ X: input });
  await session.release();
  return Y.data;
}

function sqnr(original, approximation) {
  assert.equal(approximation.length, original.length);
  let signal = 0;
  let noise = 0;
  original.forEach((value, i) => {
    signal += value ** 2;
    noise += (value - approximation[i]) ** 2;
  });
  return 10 * Math.log10(signal / noise);
}

ortWeb.env.wasm.numThreads = 1;

for (const [runtime, ort] of Object.entries({ node: ortNode, web: ortWeb })) {
  for (const [name, parts] of Object.entries(models)) {
    test(`${name} in every form, onnxruntime-${runtime}`, async () => {
      await init();
      for (const opset of [9, 13, 21]) {
        for (const asNodes of [false, true]) {
          const file = model({ ...parts, opset, asNodes });
          const original = await run(ort, file, parts);
          for (const [form, [recipe, minimum]] of Object.entries(forms)) {
            const result = await shrink(file, { ...recipe, minElements: 64 });
            const small = await result.bytes();
            const place = `${form}, opset ${opset}${asNodes ? ", Constant nodes" : ""}`;
            assert.ok(small.length < file.length, place);
            const db = sqnr(original, await run(ort, small, parts));
            assert.ok(db > minimum, `${place}: ${db.toFixed(1)} dB`);
          }
        }
      }
    });
  }
}
