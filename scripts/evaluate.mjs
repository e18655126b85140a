// `npm run evaluate`: the real models, each shrunk in every way, in their runtimes. Writes the tables of docs/evaluation.md
// and build/evaluate*.json. `npm run evaluate -- tfjs` does only TensorFlow.js, `-- pruning` only pruning (half an
// hour), `-- structured` only the removal of channels, `-- refits` only refitLayers.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { shrink } from "../dist/index.js";
import {
  composePages,
  detectPages,
  detectSpeech,
  loadLines,
  median,
  modelPaths,
  recognizeLines,
} from "../tests/support/models.mjs";
import { nodeRuntime, webRuntime } from "../tests/support/runtimes.mjs";
import { evaluatePruning, evaluateRefits, evaluateStructured } from "./evaluate-pruning.mjs";
import { evaluateTfjs } from "./evaluate-tfjs.mjs";
import { machineName, writeMeasured } from "../tests/support/docs.mjs";
import { markdownTable } from "../tests/support/markdown-table.mjs";
import { root } from "../tests/support/run.mjs";

const NUM_LOADS = 3;

/** Label → recipe of shrink(); undefined: the model as it is. */
const variants = {
  fp32: undefined,
  fp16: "fp16",
  "int8 storage": "int8",
  "int8 storage, strip": { weights: "int8", strip: true },
  "int8 storage, per tensor": { weights: "int8", granularity: "tensor" },
  "int8 dynamic": "dynamic",
  "int8 lowmem": "q8",
  "int4 storage": "int4",
  "int4 lowmem": "q4",
};

const lines = loadLines();
const pages = composePages(lines);

/** Mean and largest absolute difference of two lists of probability maps. */
function mapDifferences(maps, others) {
  let [sum, count, largest] = [0, 0, 0];
  maps.forEach(({ data }, i) => {
    data.forEach((value, j) => {
      const difference = Math.abs(value - others[i].data[j]);
      sum += difference;
      largest = Math.max(largest, difference);
    });
    count += data.length;
  });
  return { meanMapDifference: sum / count, maxMapDifference: largest };
}

/** A model's metrics: `measure` runs them, `show` prints them, `ruined` judges them against fp32's. */
const models = {
  recognition: {
    title: `PP-OCRv4 recognition: character error rate on ${lines.length} lines`,
    unit: "a line",
    measure: async (session) => {
      const { cer, runMs } = await recognizeLines(session, lines);
      return { cer, runMs };
    },
    show: ({ cer }) => cer.toFixed(4),
    ruined: ({ cer }, fp32) => cer > fp32.cer + 0.2,
  },
  detection: {
    title: `PP-OCRv4 detection: F1 of the boxes on ${pages.length} pages (mean change of the map)`,
    unit: "a page",
    reference: undefined,
    async measure(session) {
      const { f1, maps, runMs } = await detectPages(session, pages);
      this.reference ??= maps;
      return { f1, ...mapDifferences(maps, this.reference), runMs };
    },
    show: ({ f1, meanMapDifference }) => `${f1.toFixed(3)} (${meanMapDifference.toFixed(4)})`,
    ruined: ({ f1 }, fp32) => f1 < fp32.f1 - 0.2,
  },
  speech: {
    title: "Silero VAD v5: mean speech probability in speech / in noise",
    unit: "a frame",
    measure: detectSpeech,
    show: ({ speech, silence }) => `${speech.toFixed(4)} / ${silence.toFixed(4)}`,
    ruined: ({ speech, silence }, fp32) =>
      Math.abs(speech - fp32.speech) > 0.1 || Math.abs(silence - fp32.silence) > 0.1,
  },
};

const firstWords = (error) =>
  String(error.message ?? error)
    .replace(/^.*ERROR_MESSAGE: /s, "")
    .replace(/\s+/g, " ")
    .replaceAll("|", "/")
    .slice(0, 60);

async function measureIn(runtime, model, bytes) {
  const loads = [];
  let session;
  try {
    for (let i = 0; i < NUM_LOADS; ++i) {
      await session?.release();
      const start = performance.now();
      session = await runtime.open(bytes);
      loads.push(performance.now() - start);
    }
  } catch (error) {
    return { failure: `does not load: ${firstWords(error)}` };
  }
  try {
    return { loadMs: median(loads), ...(await model.measure(session)) };
  } catch (error) {
    return { failure: `does not run: ${firstWords(error)}` };
  } finally {
    await session.release();
  }
}

async function evaluate(name, runtimes) {
  const source = new Uint8Array(await readFile(modelPaths[name]));
  const rows = [];
  for (const [variant, recipe] of Object.entries(variants)) {
    const bytes = recipe === undefined ? source : await (await shrink(source, recipe)).bytes();
    const row = { variant, sizeBytes: bytes.length, runtimes: {} };
    for (const runtime of runtimes) {
      const result = await measureIn(runtime, models[name], bytes);
      const fp32 = rows[0]?.runtimes[runtime.name];
      if (fp32 && !result.failure) result.ruined = models[name].ruined(result, fp32);
      row.runtimes[runtime.name] = result;
    }
    rows.push(row);
    console.error(`${name}, ${variant}: ${JSON.stringify(row)}`);
  }
  return rows;
}

const milliseconds = (value) => (value < 10 ? value.toFixed(2) : value.toFixed(0));

function cellsOf(result, model) {
  if (result.failure) return [result.failure, "–", "–"];
  const metric = model.show(result) + (result.ruined ? " **ruined**" : "");
  return [metric, milliseconds(result.loadMs), milliseconds(result.runMs)];
}

function section(name, rows, runtimes) {
  const model = models[name];
  const header = ["weights", "MB"];
  for (const { name: runtime } of runtimes) {
    header.push(runtime.replace("onnxruntime-", ""), "load ms", `ms ${model.unit}`);
  }
  const body = rows.map(({ variant, sizeBytes, runtimes: results }) => [
    variant,
    (sizeBytes / 1e6).toFixed(2),
    ...runtimes.flatMap((runtime) => cellsOf(results[runtime.name], model)),
  ]);
  return `**${model.title}**\n\n${markdownTable(header, body)}`;
}

async function evaluateOnnx() {
  const runtimes = [await nodeRuntime(), await webRuntime()];
  // The first session of a runtime also pays for starting it.
  for (const runtime of runtimes) {
    await (await runtime.open(new Uint8Array(await readFile(modelPaths.speech)))).release();
  }
  const results = {};
  for (const name of Object.keys(models)) results[name] = await evaluate(name, runtimes);
  const versions = runtimes.map(({ name, version }) => `${name} ${version}`).join(", ");
  const machine = `Measured on ${machineName()}, ${versions} (wasm), one thread, medians.`;
  const sections = Object.entries(results).map(([name, rows]) => section(name, rows, runtimes));
  return { results: { machine, results }, markdown: [machine, ...sections].join("\n\n") };
}

const parts = {
  onnx: ["evaluate", evaluateOnnx],
  tfjs: ["evaluate-tfjs", evaluateTfjs],
  pruning: ["evaluate-pruning", evaluatePruning],
  structured: ["evaluate-structured", evaluateStructured],
  refits: ["evaluate-refits", evaluateRefits],
};
const chosen = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(parts);
await mkdir(join(root, "build"), { recursive: true });
for (const part of chosen) {
  const [marker, run] = parts[part];
  const { results, markdown } = await run();
  await writeFile(join(root, `build/${marker}.json`), `${JSON.stringify(results, undefined, 2)}\n`);
  console.log(markdown);
  await writeMeasured(marker, markdown);
}
