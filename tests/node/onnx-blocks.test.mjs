// Blocks of `storage` run along the inputs of each output, so that outputs that are a hundred times as small as their
// neighbours keep their values.
import assert from "node:assert/strict";
import { test } from "node:test";
import ortNode from "onnxruntime-node";
import * as ortWeb from "onnxruntime-web";
import { compare, init, inspect, shrink } from "modelshrink";
import { int, int64, ints, model, node, noise, run } from "../support/onnx-graphs.mjs";

await init();
ortWeb.env.wasm.numThreads = 1;

/** Output o is 100^-(o modulo 3) times as large; `outputOf` tells an element's. */
function uneven(shape, outputOf) {
  const count = shape.reduce((a, b) => a * b, 1);
  const values = noise(count, count).map((value, i) => value * 100 ** -(outputOf(i) % 3));
  return [{ name: "W", shape, values }];
}

const matrix = (k, n) => ({
  nodes: [node("MatMul", ["X", "W"], ["Y"])],
  ...{ weights: uneven([k, n], (i) => i % n), x: [64, k], y: [64, n], channel: (i) => i % n },
});

const conv = (shape, inputs, group) => ({
  nodes: [
    node(
      ...["Conv", ["X", "W"], ["Y"]],
      ...[ints("kernel_shape", shape.slice(2)), int("group", group)],
    ),
  ],
  weights: uneven(shape, (i) => Math.floor((i * shape[0]) / shape.reduce((a, b) => a * b, 1))),
  ...{ x: [1, inputs, 9, 9], y: [1, shape[0], 7, 7], channel: (i) => Math.floor(i / 49) },
});

const layers = {
  "a MatMul": matrix(128, 48),
  "a MatMul whose inputs blocks do not divide": matrix(101, 33),
  "a MatMul of fewer inputs than a block": matrix(20, 75),
  "a MatMul on the right": {
    nodes: [node("MatMul", ["W", "X"], ["Y"])],
    weights: uneven([40, 101], (i) => Math.floor(i / 101)),
    ...{ x: [101, 64], y: [40, 64], channel: (i) => Math.floor(i / 64) },
  },
  "a Gemm": {
    ...matrix(96, 40),
    nodes: [node("Gemm", ["X", "W", "B"], ["Y"])],
    weights: [...matrix(96, 40).weights, { name: "B", shape: [40], values: new Float32Array(40) }],
  },
  "a batch of products": {
    nodes: [node("MatMul", ["X", "W"], ["Y"])],
    weights: uneven([3, 70, 24], (i) => Math.floor(i / 1680) * 24 + (i % 24)),
    ...{ x: [3, 64, 70], y: [3, 64, 24], channel: (i) => Math.floor(i / 1536) * 24 + (i % 24) },
  },
  "a Conv": conv([24, 16, 3, 3], 16, 1),
  "a Conv of 27 inputs": conv([40, 3, 3, 3], 3, 1),
  "a depthwise Conv": conv([130, 1, 3, 3], 130, 130),
  "a ConvTranspose": {
    nodes: [node("ConvTranspose", ["X", "W"], ["Y"], ints("kernel_shape", [3, 3]))],
    weights: uneven([50, 8, 3, 3], (i) => Math.floor(i / 9) % 8),
    ...{ x: [1, 50, 7, 7], y: [1, 8, 9, 9], channel: (i) => Math.floor(i / 81) },
  },
  "a Gather along axis 1": {
    nodes: [node("Gather", ["W", "X"], ["Y"], int("axis", 1))],
    weights: uneven([64, 70], (i) => i % 70),
    ...{ x: [5], xType: int64, y: [64, 5], channel: (i) => i % 5 },
  },
};

/** The SQNR in dB of the worst output. */
function worstOf(original, approximation, channel) {
  const signal = [];
  const error = [];
  original.forEach((value, i) => {
    signal[channel(i)] = (signal[channel(i)] ?? 0) + value ** 2;
    error[channel(i)] = (error[channel(i)] ?? 0) + (value - approximation[i]) ** 2;
  });
  return 10 * Math.log10(Math.min(...signal.map((sum, i) => sum / error[i])));
}

for (const [what, { channel, ...parts }] of Object.entries(layers)) {
  test(`blocks of independent outputs have scales of their own: ${what}`, async () => {
    for (const opset of [9, 17]) {
      const file = model({ ...parts, opset });
      const original = await run(ortNode, file, parts);
      for (const [recipe, bound] of [
        [{ weights: "int4" }, 13],
        [{ weights: "uint4", symmetric: false, blockSize: 16 }, 13],
        [{ weights: "int8", granularity: "block" }, 38],
        [{ weights: "uint8", symmetric: false, granularity: "block", blockSize: 24 }, 38],
      ]) {
        const result = await shrink(file, { ...recipe, minElements: 64 });
        const small = await result.bytes();
        const [reported] = result.report.tensors;
        assert.match(reported.to, /block/);
        assert.ok(reported.worstSqnr > bound, `${reported.worstSqnr} dB, ${recipe.weights}`);
        assert.equal(result.report.warnings, undefined);
        for (const ort of [ortNode, ortWeb]) {
          const db = worstOf(original, await run(ort, small, parts), channel);
          assert.ok(db > bound - 2, `${db} dB, ${recipe.weights}, opset ${opset}`);
        }
        // It is known again, with the values that the runtime sees.
        const [{ name, isWeight, type }] = (await inspect(small)).tensors;
        assert.deepEqual({ name, isWeight }, { name: "W", isWeight: true }, type);
        const [again] = (await compare(file, small)).tensors;
        assert.ok(Math.abs(again.sqnr - reported.sqnr) < 1e-3, `${again.sqnr} ${reported.sqnr}`);
        assert.ok(Math.abs(again.worstSqnr - reported.worstSqnr) < 1e-3);
      }
    }
  });
}
