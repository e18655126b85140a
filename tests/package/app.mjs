// What a user of the package writes. It runs in Node.js as it is, and bundled in a browser.
import { ArgumentError, dequantize, init, inspect, prune, quantize, shrink } from "modelshrink";
import { tinyModel, tinyWeights } from "./tiny-model.mjs";

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

async function sha256(data) {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes.slice())));
}

export async function run() {
  await init();
  const x = tinyWeights();
  const quantized = quantize(x, { type: "int8", shape: [64, 64], axis: 1 });
  const pruned = prune(x, { method: "magnitude", sparsity: 0.5 });
  const model = tinyModel();
  const small = await shrink(model, "int8");
  const output = await small.bytes();
  let refused;
  try {
    quantize(x, { type: "int7" });
  } catch (error) {
    refused = error instanceof ArgumentError;
  }
  return {
    codes: await sha256(quantized.data),
    scales: await sha256(quantized.scale),
    restored: await sha256(dequantize(quantized)),
    pruned: await sha256(pruned.values),
    tensors: (await inspect(model)).tensors.map(({ name }) => name),
    smaller: output.length < model.length,
    output: await sha256(output),
    refused,
  };
}
