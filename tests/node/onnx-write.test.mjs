// What the ONNX writer makes, run: every form × operator × opset in both builds of onnxruntime
// against the model that it was made from.
import assert from "node:assert/strict";
import { test } from "node:test";
import ortNode from "onnxruntime-node";
import * as ortWeb from "onnxruntime-web";
import { init, shrink } from "modelshrink";
import { bytes, number, string, valueInfo } from "../support/onnx.mjs";
import {
  attribute,
  graphAttribute,
  int,
  int64,
  ints,
  model,
  node,
  run,
  sqnr,
  tensorAttribute,
  weight,
} from "../support/onnx-graphs.mjs";

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
