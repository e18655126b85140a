// What the ways to write quantized weights into an ONNX graph cost in onnxruntime: the file, the heap of the WebAssembly
// build once a session is loaded, and the time of a run of few and of many rows on one thread. Each way has a process of
// its own, because a heap never shrinks. Writes the table of docs/recipes.md. Part of `npm run bench`; alone: node tests/bench/modes.mjs.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { init, shrink } from "modelshrink";
import { machineName, writeMeasured } from "../support/docs.mjs";
import { markdownTable } from "../support/markdown-table.mjs";
import { model, node, noise, weight } from "../support/onnx-graphs.mjs";
import { nodeRuntime, webRuntime } from "../support/runtimes.mjs";

const size = 2048;
const numLayers = 4;
const runs = 15;
const rounds = 3;

const recipes = {
  float32: undefined,
  "int8 `storage`": "int8",
  fp16: "fp16",
  "`dynamic`": "dynamic",
  "8 bit `lowmem`": "q8",
  "4 bit `lowmem`": "q4",
};

/** A chain of products, of any number of rows. */
function chain() {
  const layers = Array.from({ length: numLayers }, (_, i) => i);
  const valueOf = (i) => (i === 0 ? "X" : i === numLayers ? "Y" : `H${i}`);
  return model({
    nodes: layers.map((i) => node("MatMul", [valueOf(i), `W${i}`], [valueOf(i + 1)])),
    weights: layers.map((i) => weight(`W${i}`, [size, size])),
    ...{ x: [undefined, size], y: [undefined, size], opset: 21 },
  });
}

const memories = [];

/** Keeps the memories that are made from now on, to tell how large they have become. */
function watchMemories() {
  const { Memory } = WebAssembly;
  WebAssembly.Memory = class extends Memory {
    constructor(descriptor) {
      super(descriptor);
      memories.push(this);
    }
  };
}

/** The processor's milliseconds of a run of `rows` rows: the least, which what else runs on the machine lengthens least. */
async function timeOf(session, rows) {
  const X = { data: noise(rows * size, 1), dims: [rows, size] };
  await session.run({ X });
  const times = [];
  for (let i = 0; i < runs; i++) {
    const before = process.cpuUsage();
    await session.run({ X });
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1000);
  }
  return Math.min(...times);
}

async function measure(label) {
  await init();
  const original = chain();
  const recipe = recipes[label];
  const file = recipe ? await (await shrink(original, recipe, { workers: 0 })).bytes() : original;
  const results = { megabytes: file.length / 1e6 };
  watchMemories();
  for (const [name, open] of Object.entries({ web: webRuntime, node: nodeRuntime })) {
    const session = await (await open()).open(file);
    if (name === "web") {
      results.heap = Math.max(...memories.map((it) => it.buffer.byteLength)) / 1e6;
    }
    results[name] = [await timeOf(session, 1), await timeOf(session, 64)];
    await session.release();
  }
  return results;
}

/** The least of what several processes measured, one after the other for all ways, so that each has quiet times. */
async function measureAll() {
  const found = {};
  for (let i = 0; i < rounds; i++) {
    for (const label of Object.keys(recipes)) {
      const args = [fileURLToPath(import.meta.url), label];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      const result = JSON.parse(stdout);
      const before = found[label] ?? result;
      const least = (name) => result[name].map((it, j) => Math.min(it, before[name][j]));
      found[label] = { ...result, web: least("web"), node: least("node") };
    }
  }
  return found;
}

const [, , child] = process.argv;
if (child !== undefined) {
  console.log(JSON.stringify(await measure(child)));
} else {
  const text = (times) => times.map((it) => it.toFixed(it < 10 ? 1 : 0)).join(" / ");
  const rows = Object.entries(await measureAll()).map(([label, it]) => [
    ...[label, it.megabytes.toFixed(0), it.heap.toFixed(0), text(it.web), text(it.node)],
  ]);
  const heads = ["weights", "MB", "web: heap after load, MB"];
  heads.push("web: ms for 1 / 64 rows", "node: ms for 1 / 64 rows");
  const table = markdownTable(heads, rows);
  console.log(table);
  await writeMeasured("bench-modes", `Measured on ${machineName()}.\n\n${table}`);
}
