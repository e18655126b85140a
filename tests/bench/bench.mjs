// `npm run bench`: our kernels, memory.copy, plain JavaScript and both onnxruntimes on the same data, in one
// process and in interleaved rounds; then the native benchmark. Writes the table of docs/benchmarks.md and build/bench.json.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { init, quantize } from "../../dist/index.js";
import { buildFolder, buildPresetOrExit } from "../support/cmake.mjs";
import { machineName, writeMeasured } from "../support/docs.mjs";
import { markdownTable } from "../support/markdown-table.mjs";
import { root, runOrExit } from "../support/run.mjs";
import { packageFile } from "../support/packages.mjs";
import { nodeRuntime, webRuntime } from "../support/runtimes.mjs";
import { copyModule } from "./copy-module.mjs";
import * as js from "./js-kernels.mjs";
import { operatorModel } from "./onnx-models.mjs";
import { makeWeights } from "./weights.mjs";

const COUNT = 2 ** 24;
const BYTES = COUNT * 4;
const ROUNDS = 9;
const ROW = 4096;
const SCALE = 0.25 / 255;
const ARRAYS = "JS array in, array out, uint8";
/** Names of limit_passes.cc begin with it. */
const LIMIT = "limit: ";
/** How many copies of an operator a peer's model has; see peerKernel(). */
const REPEATS = 4;

function makeData() {
  const mask = new Uint8Array(COUNT);
  const codes = new Uint8Array(COUNT);
  const weights = makeWeights(COUNT, (i, bits) => {
    mask[i] = bits >>> 31;
    codes[i] = bits >>> 16;
  });
  return { ...weights, mask, codes };
}

/** The WASM benchmark module, its memory filled: {target, names, run(i), copy()}. */
async function wasmKernels({ values, others, mask, codes }) {
  // Optimized as the package is.
  const preset = "wasm-simd-package";
  await buildPresetOrExit(preset, {
    targets: ["modelshrink_wasm_bench"],
    settings: ["-DMODELSHRINK_BENCH=ON"],
  });
  const folder = join(buildFolder(preset), "tests/bench");
  const glue = pathToFileURL(join(folder, "modelshrink_wasm_bench.mjs")).href;
  const { default: createModule } = await import(glue);
  let memory;
  const module = await createModule({
    async instantiateWasm(imports, receive) {
      const bytes = await readFile(join(folder, "modelshrink_wasm_bench.wasm"));
      const { instance, module: compiled } = await WebAssembly.instantiate(bytes, imports);
      memory = Object.values(instance.exports).find((e) => e instanceof WebAssembly.Memory);
      receive(instance, compiled);
    },
  });
  const place = (array) => {
    const ptr = module._malloc(array.byteLength) >>> 0;
    module.HEAPU8.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), ptr);
    return ptr;
  };
  const [valuesAt, othersAt, maskAt] = [values, others, mask].map(place);
  const [outAt, codesAt, outMaskAt] = [new Float32Array(COUNT), codes, mask].map(place);
  const { instance: copier } = await WebAssembly.instantiate(copyModule, { env: { memory } });
  const names = Array.from({ length: module._NumKernels() }, (_, i) =>
    module.UTF8ToString(module._KernelName(i)),
  );
  return {
    copy: () => copier.exports.copy(outAt, valuesAt, BYTES),
    kernels: Object.fromEntries(
      names.map((name, i) => [
        name,
        () => module._RunKernel(i, COUNT, valuesAt, othersAt, maskAt, outAt, codesAt, outMaskAt),
      ]),
    ),
  };
}

function jsKernels({ values, others, mask, codes }) {
  const bits = new Uint32Array(values.buffer);
  const out = new Float32Array(COUNT);
  const outBits = new Uint32Array(out.buffer);
  const outMask = new Uint8Array(COUNT);
  const halves = new Uint16Array(COUNT);
  const outCodes = new Uint8Array(COUNT);
  const signedCodes = new Int8Array(COUNT);
  const scales = new Float32Array(COUNT / 128);
  return {
    "absmax, min/max": () => js.minMax(values),
    "uint8 affine": () => js.quantizeUint8(values, SCALE, 128, outCodes),
    "int8 affine": () => js.quantizeInt8(values, 0.25 / 254, signedCodes),
    "min/max + quantize uint8": () => js.minMaxQuantizeUint8(values, outCodes),
    "int8 per row": () => js.quantizeRowsInt8(values, ROW, signedCodes),
    "int4 block 128": () => js.quantizeBlocksInt4(values, 128, scales, outCodes),
    "dequantize uint8": () => js.dequantizeUint8(codes, SCALE, 128, out),
    "f32 to f16": () => js.toFloat16(bits, halves),
    "f32 to bf16": () => js.toBfloat16(bits, halves),
    "magnitude threshold": () => js.selectMagnitude(bits, COUNT / 2),
    "magnitude prune": () => js.pruneMagnitude(bits, COUNT / 2, outBits, outMask),
    "mask apply": () => js.applyMask(outBits, mask, outBits),
    "error statistics": () => js.errorStats(values, others),
    [ARRAYS]: () => js.minMaxQuantizeUint8(values, new Uint8Array(COUNT)),
  };
}

const dynamicQuantize = { operator: "DynamicQuantizeLinear", outputs: 3 };
const operators = {
  "uint8 affine": {
    operator: "QuantizeLinear",
    scale: SCALE,
    zeroPoint: { type: "uint8", value: 128 },
  },
  "int8 affine": {
    operator: "QuantizeLinear",
    scale: 0.25 / 254,
    zeroPoint: { type: "int8", value: 0 },
  },
  "min/max + quantize uint8": dynamicQuantize,
  "dequantize uint8": {
    operator: "DequantizeLinear",
    inputType: "uint8",
    scale: SCALE,
    zeroPoint: { type: "uint8", value: 128 },
  },
  "f32 to f16": { operator: "Cast", attributes: { to: 10 } },
  "f32 to bf16": { operator: "Cast", attributes: { to: 16 } },
};

/**
 * Milliseconds of one run of an operator, without the copies into and out of the runtime: the difference
 * of a model with 1 + REPEATS copies of it and one with 1, whose outputs are only shapes.
 */
async function peerKernel(runtime, options, { values, codes }) {
  const model = { inputType: "float32", count: COUNT, ...options };
  const x = { data: model.inputType === "uint8" ? codes : values, dims: [COUNT] };
  const one = await runtime.open(operatorModel({ ...model, repeats: 1 }), unoptimized);
  const more = await runtime.open(operatorModel({ ...model, repeats: 1 + REPEATS }), unoptimized);
  const time = async (session) => {
    const start = performance.now();
    await session.run({ x });
    return performance.now() - start;
  };
  return async () => ((await time(more)) - (await time(one))) / REPEATS;
}

/** Without optimization the copies are not merged into one. */
const unoptimized = { graphOptimizationLevel: "disabled" };

async function peerArrays(runtime, { values }) {
  const model = { ...dynamicQuantize, inputType: "float32", count: COUNT };
  const session = await runtime.open(operatorModel({ ...model, repeats: 0, outputType: "uint8" }));
  const x = { data: values, dims: [COUNT] };
  return () => session.run({ x });
}

async function peerKernels(runtime, data) {
  const kernels = {};
  for (const [name, options] of Object.entries(operators)) {
    kernels[name] = await peerKernel(runtime, options, data);
  }
  kernels[ARRAYS] = timed(await peerArrays(runtime, data));
  return kernels;
}

/** Of a function its run time in milliseconds. */
const timed = (work) => async () => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

/** Every contestant once a round; {contestant: {kernel: median milliseconds}}. The first round warms up. */
async function race(contestants) {
  const times = {};
  for (let round = 0; round <= ROUNDS; ++round) {
    for (const [contestant, kernels] of Object.entries(contestants)) {
      for (const [name, measure] of Object.entries(kernels)) {
        const milliseconds = await measure();
        if (round > 0) ((times[contestant] ??= {})[name] ??= []).push(milliseconds);
      }
    }
  }
  const medians = (kernels) =>
    Object.fromEntries(Object.entries(kernels).map(([name, list]) => [name, median(list)]));
  return Object.fromEntries(Object.entries(times).map(([key, kernels]) => [key, medians(kernels)]));
}

/**
 * The bare loops that read and write as much as a kernel does, one after the other for a kernel of several passes.
 * limit_passes.cc has them.
 */
const limits = {
  "absmax, min/max": ["read"],
  "uint8 affine": ["read + ¼"],
  "int8 affine": ["read + ¼"],
  "min/max + quantize uint8": ["read", "read + ¼"],
  "int8 per row": ["read + ¼"],
  "int8 per column": ["read", "read + ¼"],
  "int4 block 128": ["read + ⅛"],
  "dequantize uint8": ["¼ → 1"],
  "f32 to f16": ["read + ½"],
  "f32 to bf16": ["read + ½"],
  "magnitude threshold": ["read"],
  "magnitude prune": ["read", "read", "read + 1"],
  "mask apply": ["in place"],
  "2:4 prune": ["read + 1"],
  "CSR at 95 % zeros": ["read"],
  "error statistics": ["read 2"],
};

/** Goals as fractions of the speed of the kernel's limit, or as multiples of the speed of memory.copy. */
const goals = {
  "absmax, min/max": { ofLimit: 0.95 },
  "uint8 affine": { ofLimit: 0.95 },
  "int8 affine": { ofLimit: 0.95 },
  "min/max + quantize uint8": { ofLimit: 0.95 },
  "int4 block 128": { ofLimit: 0.65 },
  "dequantize uint8": { ofLimit: 0.95 },
  "f32 to f16": { ofLimit: 0.93 },
  "f32 to bf16": { ofLimit: 0.95 },
  "magnitude threshold": { ofLimit: 0.65 },
  "magnitude prune": { ofCopy: 0.42 },
  "2:4 prune": { ofLimit: 0.95 },
  "CSR at 95 % zeros": { ofLimit: 0.85 },
  "error statistics": { ofLimit: 0.95 },
  [ARRAYS]: { ofCopy: 0.45 },
};

/** What a kernel is judged for: "0.95 of read + ¼". */
function goalText(name) {
  const goal = goals[name];
  if (goal === undefined) return "–";
  return goal.ofCopy === undefined
    ? `${goal.ofLimit.toFixed(2)} of ${limits[name].join(", ")}`
    : `${goal.ofCopy.toFixed(2)} × copy`;
}

/** The time of a kernel's limit, of the times that were measured beside it. */
function limitOf(name, times) {
  return limits[name]?.reduce((sum, pass) => sum + times[`${LIMIT}${pass}`], 0);
}

async function nativeBenchmark() {
  const target = "modelshrink_native_bench";
  await buildPresetOrExit("native", { targets: [target], settings: ["-DMODELSHRINK_BENCH=ON"] });
  const path = join(root, "build/native-bench.json");
  await runOrExit(join(buildFolder("native"), "tests/bench", target), [
    "--benchmark_min_time=0.05",
    `--benchmark_repetitions=${ROUNDS}`,
    "--benchmark_enable_random_interleaving=true",
    "--benchmark_report_aggregates_only=true",
    `--benchmark_out=${path}`,
  ]);
  const { context, benchmarks } = JSON.parse(await readFile(path, "utf8"));
  const medians = benchmarks.filter(({ aggregate_name: kind }) => kind === "median");
  const times = Object.fromEntries(medians.map((b) => [b.run_name, b.real_time / 1e6]));
  return { target: context.highway_target, times };
}

const ratio = (value) => (value === undefined ? "–" : value.toFixed(2));

function rowsOf({ ours, copy, js: plain, web, node }, native) {
  const names = Object.keys(ours).filter((name) => !name.startsWith(LIMIT));
  return names.map((name) => {
    const quotient = (own, other) => ratio(own && other && other / own);
    const slower = (peer) => quotient(ours[name], peer[name]);
    return [
      name,
      (BYTES / ours[name] / 1e6).toFixed(1),
      quotient(ours[name], copy.copy),
      quotient(ours[name], limitOf(name, ours)),
      goalText(name),
      slower(plain),
      slower(web),
      slower(node),
      quotient(native.times[name], native.times.memcpy),
      quotient(native.times[name], limitOf(name, native.times)),
    ];
  });
}

/** The limit passes themselves. */
function limitText({ ours, copy }, native) {
  const passes = Object.keys(ours).filter((name) => name.startsWith(LIMIT));
  const speeds = passes.map((name) => {
    const own = ratio(copy.copy / ours[name]);
    return `${name.slice(LIMIT.length)} ${own} / ${ratio(native.times.memcpy / native.times[name])}`;
  });
  return `Limits, × memory.copy in WASM / × memcpy natively: ${speeds.join("; ")}.`;
}

const data = makeData();
const { simd } = await init();
const wasm = await wasmKernels(data);
const [web, node] = [await webRuntime(), await nodeRuntime()];
const timedAll = (kernels) =>
  Object.fromEntries(Object.entries(kernels).map(([name, work]) => [name, timed(work)]));
const results = await race({
  copy: timedAll({ copy: wasm.copy }),
  ours: timedAll({
    ...wasm.kernels,
    [ARRAYS]: () => quantize(data.values, { type: "uint8", symmetric: false }),
  }),
  js: timedAll(jsKernels(data)),
  web: await peerKernels(web, data),
  node: await peerKernels(node, data),
});
const native = await nativeBenchmark();

const version = async (name) =>
  JSON.parse(await readFile(packageFile(`${name}/package.json`))).version;
const machine =
  `Measured on ${machineName()}, onnxruntime-node ${await version("onnxruntime-node")}, ` +
  `onnxruntime-web ${await version("onnxruntime-web")} (wasm), Highway target WASM${simd ? "" : " off"} / ` +
  `native ${native.target}: ${COUNT / 2 ** 20} Mi float32 (64 MiB), one thread, medians of ` +
  `${ROUNDS} interleaved rounds. memory.copy: ${(BYTES / results.copy.copy / 1e6).toFixed(1)} GB/s; ` +
  `native memcpy: ${(BYTES / native.times.memcpy / 1e6).toFixed(1)} GB/s.`;
const header = [
  "kernel (WASM)",
  "GB/s",
  "× memory.copy",
  "fraction of its limit",
  "goal",
  "× JS",
  "× ort-web",
  "× ort-node",
  "native × memcpy",
  "native, of its limit",
];
const table = markdownTable(header, rowsOf(results, native));
const markdown = `${machine} ${limitText(results, native)}\n\n${table}`;
console.log(markdown);
await mkdir(join(root, "build"), { recursive: true });
await writeFile(
  join(root, "build/bench.json"),
  `${JSON.stringify({ machine, goals, limits, milliseconds: results, native }, undefined, 2)}\n`,
);
await writeMeasured("bench", markdown);
process.exit();
