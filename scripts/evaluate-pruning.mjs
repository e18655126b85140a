// Pruning and GPTQ on real networks: what each method does to the layers and to the result. The samples that
// calibrate are not those that judge.
import { readFile } from "node:fs/promises";
import * as ort from "onnxruntime-node";
import { init, inspect, layerError, shrink } from "../dist/index.js";
import { calibrate, refitLayers } from "../dist/runtime.js";
import { accuracyOf, batches, calibrationImages, fashionPaths } from "../tests/support/fashion.mjs";
import {
  loadLines,
  median,
  modelPaths,
  recognizeLines,
  speechCalibration,
  speechTrace,
} from "../tests/support/models.mjs";
import { recognitionInput } from "../tests/support/recognition.mjs";
import { nodeRuntime } from "../tests/support/runtimes.mjs";
import { machineName } from "../tests/support/docs.mjs";
import { markdownTable } from "../tests/support/markdown-table.mjs";

const amounts = {
  "30 %": { sparsity: 0.3 },
  "50 %": { sparsity: 0.5 },
  "70 %": { sparsity: 0.7 },
  "2:4": { n: 2, m: 4 },
  "4:8": { n: 4, m: 8 },
};
const methods = ["magnitude", "wanda", "sparsegpt", "obc"];
const titles = { magnitude: "magnitude", wanda: "Wanda", sparsegpt: "SparseGPT", obc: "OBC" };

/** The recipe of a row; OBC is fitted already. */
function pruneRecipe({ rules = [] }, method, amount, refit) {
  const isPlainPattern = method === "magnitude" && amount.m !== undefined;
  return { prune: { method: isPlainPattern ? "n:m" : method, ...amount, refit }, rules };
}

const lines = loadLines();
const calibrationLines = lines.filter((_, i) => i % 4 === 0);
const judgedLines = lines.filter((_, i) => i % 4 !== 0);

const fashionSamples = () =>
  [...batches(calibrationImages(50), 100)].map(({ data, dims }) => ({ input: { data, dims } }));

async function withSession(bytes, work) {
  const session = await (await nodeRuntime()).open(bytes);
  try {
    return await work(session);
  } finally {
    await session.release();
  }
}

let speechOfOriginal;

const networks = {
  mlp: {
    title: "Fashion-MNIST, three dense layers: accuracy in %",
    path: fashionPaths.mlp,
    inputs: fashionSamples,
    measure: async (bytes) => (100 * (await accuracyOf(bytes))).toFixed(2),
  },
  cnn: {
    title: "Fashion-MNIST, seven layers, six of them convolutions: accuracy in %",
    path: fashionPaths.cnn,
    inputs: fashionSamples,
    measure: async (bytes) => (100 * (await accuracyOf(bytes))).toFixed(2),
  },
  recognition: {
    title:
      `PP-OCRv4 recognition: character error rate on ${judgedLines.length} lines, ` +
      `calibrated on ${calibrationLines.length} others`,
    path: modelPaths.recognition,
    inputs: () => calibrationLines.map(({ image }) => ({ x: recognitionInput(image) })),
    measure: (bytes) =>
      withSession(bytes, async (session) =>
        (await recognizeLines(session, judgedLines)).cer.toFixed(4),
      ),
  },
  speech: {
    title:
      "Silero VAD v5, its encoder and LSTM (in branches; the Fourier basis before them stays): mean change of " +
      "a frame's probability of speech, over a voice, the voice in noise, and noise; calibrated on other voices",
    path: modelPaths.speech,
    rules: [{ match: "*stft*", prune: false }],
    hasChannels: false,
    inputs: async () => withSession(await readFile(modelPaths.speech), speechCalibration),
    measure: async (bytes) => {
      speechOfOriginal ??= await withSession(await readFile(modelPaths.speech), speechTrace);
      const trace = await withSession(bytes, speechTrace);
      const changes = trace.map((probability, i) => Math.abs(probability - speechOfOriginal[i]));
      return (changes.reduce((sum, change) => sum + change, 0) / changes.length).toFixed(4);
    },
  },
};

/** The float32 weights of layers by name. */
async function weightsOf(bytes) {
  const { tensors } = await inspect(bytes);
  const layers = tensors.filter(({ dataOffset }) => dataOffset !== undefined);
  return new Map(
    layers.map(({ name, shape, dataOffset }) => {
      const size = 4 * shape.reduce((all, length) => all * length, 1);
      return [
        name,
        new Float32Array(Uint8Array.from(bytes.subarray(dataOffset, dataOffset + size)).buffer),
      ];
    }),
  );
}

/** Mean over the changed layers of ‖WX − ŴX‖² / ‖WX‖². */
async function meanLayerError({ tensors, before, calibration }, shrunk) {
  const after = await weightsOf(shrunk);
  const errors = [];
  for (const { name, shape, axis } of tensors) {
    const grams = [calibration[name]].flat();
    const [w, v] = [before.get(name), after.get(name)];
    if (!grams[0] || !w || !v) continue;
    const size = w.length / grams.length;
    let [error, power] = [0, 0];
    for (const [group, gram] of grams.entries()) {
      const part = (values) => values.subarray(group * size, (group + 1) * size);
      const rows = shape[axis] / grams.length;
      const layer =
        axis === 1
          ? { shape, outputAxis: 1, gram }
          : { shape: [rows, size / rows], outputAxis: 0, gram };
      const found = layerError(part(w), part(v), layer);
      error += found.error;
      power += found.power;
    }
    errors.push(error / power);
  }
  return errors.reduce((sum, error) => sum + error, 0) / errors.length;
}

async function evaluateNetwork(name) {
  const network = networks[name];
  const { title, path, inputs, measure } = network;
  const model = new Uint8Array(await readFile(path));
  const calibration = await calibrate(model, { ort, inputs: await inputs() });
  const { tensors } = await inspect(model);
  const context = { tensors, before: await weightsOf(model), calibration };
  const original = await measure(model);
  const results = [{ method: "none", metric: original }];
  const cells = {};
  for (const method of methods) {
    for (const refit of method === "obc" ? [false] : [false, true]) {
      const row = `${titles[method]}${refit ? ", fitted anew" : ""}`;
      cells[row] = [];
      for (const [label, amount] of Object.entries(amounts)) {
        const start = performance.now();
        const { bytes } = await shrink(model, pruneRecipe(network, method, amount, refit), {
          calibration,
        });
        const seconds = (performance.now() - start) / 1000;
        const small = await bytes();
        const error = await meanLayerError(context, small);
        const metric = await measure(small);
        results.push({ method, refit, amount: label, metric, layerError: error, seconds });
        console.error(`${name}, ${row}, ${label}: ${metric}, ${error}, ${seconds.toFixed(1)} s`);
        cells[row].push(`${metric} (${(100 * error).toPrecision(2)} %)`);
      }
    }
  }
  const codes = {};
  for (const weights of ["int8", "int4"]) {
    for (const gptq of [false, true]) {
      const recipe = gptq ? { weights, gptq, actOrder: true } : { weights };
      const { bytes } = await shrink(model, recipe, { calibration });
      codes[`${weights}${gptq ? " GPTQ" : ""}`] = await measure(await bytes());
    }
  }
  const table = markdownTable(
    ["", ...Object.keys(amounts)],
    Object.entries(cells).map(([row, values]) => [row, ...values]),
  );
  const quantized = Object.entries(codes)
    .map(([label, metric]) => `${label} ${metric}`)
    .join(", ");
  return {
    results: { title, original, results, codes },
    markdown: `**${title}**; as it is ${original}; ${quantized}\n\n${table}`,
  };
}

const TIMED_RUNS = 15;

/** The median time of one run on one sample, one thread. */
const millisecondsOf = (bytes, sample) =>
  withSession(bytes, async (session) => {
    const times = [];
    for (let i = 0; i < TIMED_RUNS; ++i) {
      const start = performance.now();
      await session.run(sample);
      times.push(performance.now() - start);
    }
    return median(times);
  });

/** Channels that leave a network: what it weighs, takes and still does, without and with a refit. */
async function evaluateStructuredNetwork({ title, path, inputs, measure }) {
  const model = new Uint8Array(await readFile(path));
  const samples = await inputs();
  const calibration = await calibrate(model, { ort, inputs: samples });
  const results = [];
  for (const sparsity of [0, 0.2, 0.3, 0.5]) {
    const prune = { method: "structured", sparsity };
    const [blind, fitted] = await Promise.all(
      [{}, { calibration }].map(async (options) =>
        sparsity === 0 ? model : (await shrink(model, { prune }, options)).bytes(),
      ),
    );
    const milliseconds = await millisecondsOf(fitted, samples[0]);
    const metrics = [await measure(blind), await measure(fitted)];
    results.push({
      sparsity,
      bytes: fitted.length,
      milliseconds,
      blind: metrics[0],
      fitted: metrics[1],
    });
    console.error(title, JSON.stringify(results.at(-1)));
  }
  const table = markdownTable(
    ["sparsity", "MB", "ms a run", "as they are", "readers fitted anew"],
    results.map(({ sparsity, bytes, milliseconds, blind, fitted }) => [
      `${100 * sparsity} %`,
      (bytes / 1e6).toFixed(2),
      milliseconds.toPrecision(3),
      blind,
      fitted,
    ]),
  );
  return { results, markdown: `**${title}**\n\n${table}` };
}

/** A section for each network. */
async function evaluateAll(evaluateOne, machine, chosen = networks) {
  await init();
  const results = {};
  const sections = [];
  for (const [name, network] of Object.entries(chosen)) {
    const { results: own, markdown } = await evaluateOne(network);
    results[name] = own;
    sections.push(markdown);
  }
  return { results: { machine, results }, markdown: [machine, ...sections].join("\n\n") };
}

export const evaluateStructured = () =>
  evaluateAll(
    evaluateStructuredNetwork,
    `Measured on ${machineName()}, onnxruntime-node, one thread; times are medians of ` +
      `${TIMED_RUNS} runs of the first sample (100 images, one line).`,
    Object.fromEntries(
      Object.entries(networks).filter(([, { hasChannels = true }]) => hasChannels),
    ),
  );

/** What goes by magnitude, and each layer fitted by itself or after those before it. */
async function evaluateRefitNetwork(network) {
  const { title, path, inputs, measure } = network;
  const model = new Uint8Array(await readFile(path));
  const samples = await inputs();
  const calibration = await calibrate(model, { ort, inputs: samples });
  const results = [];
  for (const label of ["30 %", "50 %", "70 %"]) {
    const amount = amounts[label];
    const shrinkTo = async (refit) =>
      (
        await shrink(model, pruneRecipe(network, "magnitude", amount, refit), { calibration })
      ).bytes();
    const plain = await shrinkTo(false);
    const start = performance.now();
    const { bytes: inOrder } = await refitLayers(model, plain, { ort, inputs: samples });
    const seconds = (performance.now() - start) / 1000;
    const metrics = [];
    for (const it of [plain, await shrinkTo(true), inOrder]) metrics.push(await measure(it));
    results.push({ label, metrics, seconds });
    console.error(title, JSON.stringify(results.at(-1)));
  }
  const table = markdownTable(
    ["magnitude", "as it is", "refit: true", "refitLayers", "s"],
    results.map(({ label, metrics, seconds }) => [label, ...metrics, seconds.toFixed(1)]),
  );
  return { results, markdown: `**${title}**\n\n${table}` };
}

export const evaluateRefits = () =>
  evaluateAll(
    evaluateRefitNetwork,
    `Measured on ${machineName()}, onnxruntime-node. s: what refitLayers took.`,
  );

export async function evaluatePruning() {
  await init();
  const results = {};
  const sections = [];
  for (const name of Object.keys(networks)) {
    const { results: own, markdown } = await evaluateNetwork(name);
    results[name] = own;
    sections.push(markdown);
  }
  const machine =
    `Measured on ${machineName()}, onnxruntime-node. In parentheses the mean over the layers of ` +
    "‖WX − ŴX‖² / ‖WX‖² on the calibration's inputs.";
  return { results: { machine, results }, markdown: [machine, ...sections].join("\n\n") };
}
