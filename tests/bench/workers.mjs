// What workers gain on recipes that compute much: the time of the same run on this thread, in one worker and in two; and
// what two processes gain that do that run side by side, which is the most that the machine's cores allow. Part of
// `npm run bench`; alone: node tests/bench/workers.mjs.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Gram, init, shrink } from "modelshrink";
import { machineName, writeMeasured } from "../support/docs.mjs";
import { markdownTable } from "../support/markdown-table.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";
import { makeWeights } from "./weights.mjs";

const columns = 1024;
const numLayers = 12;
const rounds = 3;

const recipes = {
  "GPTQ, int8": { weights: "int8", gptq: true },
  "SparseGPT, 50 %": { prune: { method: "sparsegpt", sparsity: 0.5 } },
};

const nowhere = {
  open: () => undefined,
  write: () => undefined,
  close: () => undefined,
  abort: () => undefined,
};

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/** Gives a function that gives the seconds of a run. */
async function runner() {
  await init();
  const { values, others } = makeWeights(columns * columns, () => undefined);
  const shape = [columns, columns];
  const names = Array.from({ length: numLayers }, (_, i) => `layers.${i}.weight`);
  const file = makeSafetensors(names.map((name) => ({ name, dtype: "F32", shape, data: values })));
  const gram = new Gram(columns).add(others);
  const calibration = Object.fromEntries(names.map((name) => [name, gram]));
  return async (recipe, workers) => {
    const start = performance.now();
    await shrink(file, recipe, { calibration, workers, sink: nowhere });
    return (performance.now() - start) / 1000;
  };
}

/** The time of the run, in seconds, in two processes at once. */
async function sideBySide(label) {
  const path = fileURLToPath(import.meta.url);
  const one = () => promisify(execFile)(process.execPath, [path, label]);
  const outputs = await Promise.all([one(), one()]);
  return Math.max(...outputs.map(({ stdout }) => Number(stdout)));
}

async function row(label, run) {
  const times = { here: [], one: [], two: [], both: [] };
  for (let i = 0; i < rounds; i++) {
    times.here.push(await run(recipes[label], 0));
    times.one.push(await run(recipes[label], 1));
    times.two.push(await run(recipes[label], 2));
    times.both.push(await sideBySide(label));
  }
  const [here, one, two, both] = Object.values(times).map(median);
  return [
    label,
    ...[here, one, two].map((seconds) => seconds.toFixed(2)),
    (here / two).toFixed(2),
    ((2 * here) / both).toFixed(2),
  ];
}

const [, , child] = process.argv;
const run = await runner();
if (child !== undefined) {
  console.log(await run(recipes[child], 0));
} else {
  const rows = [];
  for (const label of Object.keys(recipes)) rows.push(await row(label, run));
  const heads = [
    "s",
    "this thread",
    "one worker",
    "two workers",
    "× two workers",
    "× two processes",
  ];
  const table = markdownTable(heads, rows);
  console.log(table);
  await writeMeasured("bench-workers", `Measured on ${machineName()}.\n\n${table}`);
}
