import { parentPort, workerData } from "node:worker_threads";
import { dequantize, init, prune, quantize } from "modelshrink";
import { wave } from "../support/onnx.mjs";

const info = await init({ simd: workerData.simd });
const x = wave(7 * 123);
const shape = [7, 123];
const integers = ["int8", "uint8", "int4", "uint4", "int16", "uint16"];
const floats = ["float16", "bfloat16", "float8e4m3", "float8e5m2"];
const options = [
  ...integers.flatMap((type) => [
    { type },
    { type, shape, axis: 0 },
    { type, shape, blockSize: 16 },
  ]),
  ...floats.map((type) => ({ type })),
];
const quantized = options.map((option) => quantize(x, option));
const results = [
  ...quantized,
  ...quantized.map(dequantize),
  prune(x, { method: "magnitude", sparsity: 0.4 }),
];
parentPort.postMessage({ info, results });
