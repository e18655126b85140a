// Whole files: how fast a model is shrunk, relative to copying it with Node's streams and, for GGUF, to
// llama.cpp's own quantizer; with the memory that it took. `npm run bench -- files`.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, mkdtemp, open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { inspect } from "modelshrink";
import { machineName, writeMeasured } from "../support/docs.mjs";
import { markdownTable } from "../support/markdown-table.mjs";
import { root } from "../support/run.mjs";
import { makeGguf, tinyLlama, weights } from "../support/gguf.mjs";
import { makeDense, shapesOf } from "../support/large-models.mjs";

const rounds = 5;
const size = 5.4e8;
const run = promisify(execFile);
const here = dirname(fileURLToPath(import.meta.url));
const libraries = join(root, "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64");

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

/** A graph of one MatMul a weight, in shards of 4 MiB. */
async function makeTfjs(folder) {
  const shapes = shapesOf(size);
  const nodes = shapes.flatMap(({ name }, i) => [
    { name, op: "Const", attr: { dtype: { type: "DT_FLOAT" } } },
    { name: `y${i}`, op: "MatMul", input: ["x", name], attr: { T: { type: "DT_FLOAT" } } },
  ]);
  const specs = shapes.map(({ name, rows, columns }) => ({
    name,
    shape: [rows, columns],
    dtype: "float32",
  }));
  const bytes = shapes.reduce((sum, { rows, columns }) => sum + rows * columns * 4, 0);
  const shard = 1 << 22;
  const count = Math.ceil(bytes / shard);
  const paths = Array.from({ length: count }, (_, i) => `group1-shard${i + 1}of${count}.bin`);
  const topology = { node: [{ name: "x", op: "Placeholder", attr: {} }, ...nodes] };
  const json = {
    format: "graph-model",
    modelTopology: topology,
    weightsManifest: [{ paths, weights: specs }],
  };
  const block = weights(shard / 4, "F32", 7);
  for (const [i, name] of paths.entries()) {
    const handle = await open(join(folder, name), "w");
    await handle.write(block, 0, Math.min(shard, bytes - i * shard));
    await handle.close();
  }
  const path = join(folder, "model.json");
  const handle = await open(path, "w");
  await handle.write(JSON.stringify(json));
  await handle.close();
  return path;
}

const filesOf = async (path) =>
  (await inspect(path)).files.map(({ name }) => join(dirname(path), name));

async function copyTime(files, target) {
  const started = performance.now();
  for (const file of files) await pipeline(createReadStream(file), createWriteStream(target));
  const seconds = (performance.now() - started) / 1000;
  await rm(target);
  return seconds;
}

async function shrinkOnce(path, recipe, target, workers) {
  const program = join(here, "../support/measured-shrink.mjs");
  const args = ["--expose-gc", program, path, recipe, target, String(workers)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.on("data", (data) => (text += data));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`shrinking ${path} ended with ${code}`);
  await rm(target, { recursive: true });
  return JSON.parse(text);
}

/** Seconds of llama.cpp's quantizer on one thread. */
async function llamaTime(path, target, fileType) {
  const script = join(here, "../oracles/llama_quantize.py");
  const { stdout } = await run("python3", [script, libraries, path, target, String(fileType), "1"]);
  await rm(target);
  return Number(stdout);
}

async function row(label, path, recipe, folder, fileType) {
  const files = await filesOf(path);
  const target = join(folder, path.endsWith(".json") ? "out/" : "out.bin");
  const times = { copy: [], one: [], two: [], llama: [] };
  let growth = 0;
  let heap = 0;
  for (let i = 0; i < rounds; i++) {
    times.copy.push(await copyTime(files, join(folder, "copy.bin")));
    for (const [name, workers] of [
      ["one", 0],
      ["two", 2],
    ]) {
      const measured = await shrinkOnce(path, recipe, target, workers);
      times[name].push(measured.seconds);
      growth = Math.max(growth, measured.growth);
      heap = Math.max(heap, measured.heap);
    }
    if (fileType !== undefined) times.llama.push(await llamaTime(path, `${target}.q`, fileType));
  }
  const bytes = (await Promise.all(files.map((file) => stat(file)))).reduce(
    (a, b) => a + b.size,
    0,
  );
  const [copy, one, two] = [times.copy, times.one, times.two].map(median);
  return [
    label,
    (bytes / 1e6 / copy).toFixed(0),
    (bytes / 1e6 / one).toFixed(0),
    (bytes / 1e6 / two).toFixed(0),
    (copy / one).toFixed(2),
    (copy / two).toFixed(2),
    fileType === undefined ? "–" : (median(times.llama) / one).toFixed(2),
    (heap / 2 ** 20).toFixed(0),
    (growth / 1e6).toFixed(0),
  ];
}

async function inFolder(work) {
  const folder = await mkdtemp(join(tmpdir(), "modelshrink-bench-"));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** llama.cpp wants a model that it knows. */
async function makeLlama(folder) {
  const path = join(folder, "llama.gguf");
  const handle = await open(path, "w");
  await handle.write(makeGguf(tinyLlama({ embedding: 2048, layers: 5 })));
  await handle.close();
  return path;
}

/** Milliseconds for the headers of a model of 10,000 tensors. */
async function headerTime(format) {
  const names = Array.from({ length: 10_000 }, (_, i) => `model.layers.${i}.self_attn.weight`);
  let model;
  if (format === "gguf") {
    const data = new Uint8Array(128);
    const tensors = names.map((name) => ({ name, dims: [32], type: "F32", data }));
    model = makeGguf({ keys: [], tensors });
  } else {
    const entries = names.map((name, i) => [
      name,
      { dtype: "F32", shape: [4, 8], data_offsets: [i * 128, (i + 1) * 128] },
    ]);
    const text = JSON.stringify(Object.fromEntries(entries));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    model = Buffer.concat([length, Buffer.from(text), Buffer.alloc(names.length * 128)]);
  }
  const times = [];
  for (let i = 0; i < 9; i++) {
    const started = performance.now();
    await inspect(model);
    times.push(performance.now() - started);
  }
  return median(times).toFixed(0);
}

const rows = [];
await inFolder(async (folder) => {
  const path = await makeDense("safetensors", folder, size);
  rows.push(await row("safetensors → int8", path, "int8", folder));
  rows.push(await row("safetensors → fp16", path, "fp16", folder));
});
await inFolder(async (folder) => {
  const path = await makeDense("onnx", folder, size);
  rows.push(await row("ONNX, external → int8", path, "int8", folder));
});
await inFolder(async (folder) => {
  const path = await makeTfjs(folder);
  rows.push(await row("TensorFlow.js → int8", path, "int8", folder));
});
await inFolder(async (folder) => {
  const path = await makeLlama(folder);
  rows.push(await row("GGUF → Q8_0", path, "Q8_0", folder, 7));
  rows.push(await row("GGUF → Q4_0", path, "Q4_0", folder, 2));
});

const header = [
  "model",
  "copy MB/s",
  "1 thread MB/s",
  "2 threads MB/s",
  "1 × copy",
  "2 × copy",
  "1 × llama.cpp",
  "heap MiB",
  "process + MB",
];
const [safetensors, gguf] = [await headerTime("safetensors"), await headerTime("gguf")];
const machine =
  `Measured on ${machineName()}: files of some 540 MB in float32 (GGUF: a llama), in the page cache, to ` +
  `a file; medians of ${rounds} interleaved rounds. Structure of 10,000 tensors, \`inspect\` of bytes: ` +
  `safetensors ${safetensors} ms, GGUF ${gguf} ms.`;
const markdown = `${machine}\n\n${markdownTable(header, rows)}`;
console.log(markdown);
await mkdir(join(root, "build"), { recursive: true });
await writeMeasured("files", markdown);
process.exit();
