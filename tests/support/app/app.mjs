// What a user of the package writes. Every host of tests/package and tests/hosts runs it.
import { ArgumentError, dequantize, init, inspect, prune, quantize, shrink } from "modelshrink";
import { tinyModel, tinyWeights } from "./tiny-model.mjs";
import { minHeaderBytes, wideModel } from "./wide-model.mjs";

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

async function sha256(data) {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes.slice())));
}

function arrays() {
  const x = tinyWeights();
  const quantized = quantize(x, { type: "int8", shape: [64, 64], axis: 1 });
  return {
    codes: quantized.data,
    scales: quantized.scale,
    restored: dequantize(quantized),
    pruned: prune(x, { method: "magnitude", sparsity: 0.5 }).values,
  };
}

function refuses() {
  try {
    quantize(tinyWeights(), { type: "int7" });
    return false;
  } catch (error) {
    return error instanceof ArgumentError;
  }
}

/** A promise that is kept at the latest after `seconds`; `keep` does it earlier. */
function deadline(seconds) {
  let keep;
  const kept = new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    keep = () => {
      clearTimeout(timer);
      resolve();
    };
  });
  return { kept, keep };
}

/**
 * Shrinks with two threads. A worker reads the model's header anew, by which the source knows that one runs. Nothing is
 * written before `awaited` happens ("worker" or "warning"), because this thread might be done earlier.
 */
async function withWorkers(awaited) {
  const model = wideModel();
  const happened = deadline(awaited === "nothing" ? 0 : 30);
  const headerReads = new Set();
  let byWorker = false;
  const source = {
    size: model.length,
    read(offset, length) {
      if (headerReads.has(offset)) {
        byWorker = true;
        if (awaited === "worker") happened.keep();
      }
      if (offset < minHeaderBytes) headerReads.add(offset);
      return model.subarray(offset, offset + length);
    },
  };
  let output;
  const sink = {
    open: (size) => void (output = new Uint8Array(size)),
    async write(offset, bytes) {
      await happened.kept;
      output.set(bytes, offset);
    },
    close: () => undefined,
    abort: () => undefined,
  };
  const { warn } = console;
  const warnings = [];
  console.warn = (...words) => {
    warnings.push(words.join(" "));
    if (awaited === "warning") happened.keep();
  };
  try {
    await shrink(source, "int8", { workers: 2, sink });
  } finally {
    console.warn = warn;
    happened.keep();
  }
  return { output: await sha256(output), bytes: output.length, byWorker, warnings };
}

/** `initOptions`: for init(). `hasWorkers`: whether this host can start one. */
export async function run({ initOptions = {}, hasWorkers = true } = {}) {
  await init(initOptions);
  const results = {};
  for (const [name, data] of Object.entries(arrays())) results[name] = await sha256(data);
  const model = tinyModel();
  const small = await shrink(model, "int8").then((result) => result.bytes());
  return {
    ...results,
    refused: refuses(),
    tensors: (await inspect(model)).tensors.map(({ name }) => name),
    smaller: small.length < model.length,
    small: await sha256(small),
    large: await withWorkers(hasWorkers ? "worker" : "warning"),
    // Once more: what is wrong with workers is told once.
    largeAgain: await withWorkers(hasWorkers ? "worker" : "nothing"),
  };
}
