// refitLayers on a transformer of 69 MB whose shape is that of a small sentence encoder (3 layers of 384 columns, 18
// products, an embedding of 30,522 rows): the time and the peak memory of a process that has onnxruntime and both
// models, and what it makes of the output. Part of `npm run bench`; alone: node tests/bench/refit.mjs.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { shrink } from "modelshrink";
import { refitLayers, verify } from "modelshrink/runtime";
import { machineName, writeMeasured } from "../support/docs.mjs";
import { markdownTable } from "../support/markdown-table.mjs";
import { int, int64, ints, model, node } from "../support/onnx-graphs.mjs";
import { makeWeights } from "./weights.mjs";

const columns = 384;
const tokens = 64;
const rows = 30_522;
const numSamples = 32;

let used = 0;
let pool;

/** Gives a weight of its own part of the pool of numbers. */
function weight(name, shape) {
  const count = shape.reduce((a, b) => a * b, 1);
  const values = pool.subarray(used, used + count);
  used = (used + 65_521) % 1_000_000;
  return { name, shape, values };
}

const ones = (name) => ({ name, shape: [columns], values: new Float32Array(columns).fill(1) });

/** The nodes and weights of one layer, from the value `x` to `y`. */
function layer(i, x, y) {
  const at = (name) => `${name}${i}`;
  const square = (name) => weight(at(name), [columns, columns]);
  const axes = int("axis", 2);
  const nodes = [
    ...["q", "k", "v"].map((name) => node("MatMul", [x, at(`w${name}`)], [at(name)])),
    node("Transpose", [at("k")], [at("kt")], ints("perm", [0, 2, 1])),
    node("MatMul", [at("q"), at("kt")], [at("scores")]),
    node("Softmax", [at("scores")], [at("attention")], axes),
    node("MatMul", [at("attention"), at("v")], [at("mixed")]),
    node("MatMul", [at("mixed"), at("wo")], [at("out")]),
    node("Add", [x, at("out")], [at("sum")]),
    node("LayerNormalization", [at("sum"), at("gain")], [at("norm")], axes),
    node("MatMul", [at("norm"), at("w1")], [at("inner")]),
    node("Relu", [at("inner")], [at("active")]),
    node("MatMul", [at("active"), at("w2")], [at("outer")]),
    node("Add", [at("norm"), at("outer")], [at("sum2")]),
    node("LayerNormalization", [at("sum2"), at("gain")], [y], axes),
  ];
  const weights = [
    ...[square("wq"), square("wk"), square("wv"), square("wo"), ones(at("gain"))],
    ...[weight(at("w1"), [columns, 4 * columns]), weight(at("w2"), [4 * columns, columns])],
  ];
  return { nodes, weights };
}

function transformer() {
  pool = makeWeights(1_000_000 + rows * columns, () => {}).values;
  const values = ["x0", "x1", "x2", "Y"];
  const layers = [0, 1, 2].map((i) => layer(i, values[i], values[i + 1]));
  return model({
    nodes: [node("Gather", ["words", "X"], ["x0"]), ...layers.flatMap(({ nodes }) => nodes)],
    weights: [weight("words", [rows, columns]), ...layers.flatMap(({ weights }) => weights)],
    x: [1, tokens],
    xType: int64,
    y: [1, tokens, columns],
  });
}

function sample(seed) {
  let state = seed + 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return BigInt(state % rows);
  };
  return {
    X: { type: "int64", data: BigInt64Array.from({ length: tokens }, next), dims: [1, tokens] },
  };
}

/** What the child process does: fits, and prints the figures of its whole life. */
async function fit(folder) {
  const ort = await import("onnxruntime-node");
  const paths = [join(folder, "model.onnx"), join(folder, "pruned.onnx")];
  const before = process.resourceUsage().maxRSS;
  const start = performance.now();
  const inputs = Array.from({ length: numSamples }, (_, i) => sample(i));
  const { bytes, fitted } = await refitLayers(...paths, { ort, inputs });
  const seconds = (performance.now() - start) / 1000;
  const peak = process.resourceUsage().maxRSS;
  const judges = Array.from({ length: 8 }, (_, i) => sample(1000 + i));
  const sqnrOf = async (file) =>
    (await verify(paths[0], file, { ort, inputs: judges })).outputs[0].sqnr;
  const sqnr = [await sqnrOf(paths[1]), await sqnrOf(bytes)];
  console.log(JSON.stringify({ seconds, before, peak, fitted: fitted.length, sqnr }));
}

async function main() {
  const folder = await mkdtemp(join(tmpdir(), "modelshrink-"));
  try {
    const file = transformer();
    await writeFile(join(folder, "model.onnx"), file);
    const keep = { match: "words", keep: true };
    const pruning = { prune: { method: "magnitude", sparsity: 0.5 } };
    await shrink(file, { ...pruning, rules: [keep] }, { sink: join(folder, "pruned.onnx") });
    const self = fileURLToPath(import.meta.url);
    const { stdout } = await promisify(execFile)(process.execPath, [self, folder]);
    const { seconds, before, peak, fitted, sqnr } = JSON.parse(stdout);
    const megabytes = (kib) => Math.round((kib * 1024) / 1e6);
    const table = markdownTable(
      ["layers", "s", "goal", "peak MB", "goal", "MB before", "dB pruned", "dB fitted"],
      [
        [
          ...[fitted, seconds.toFixed(0), 60, megabytes(peak), 500, megabytes(before)],
          ...sqnr.map((it) => it.toFixed(1)),
        ],
      ],
    );
    console.log(table);
    await writeMeasured(
      "bench-refit",
      `Measured on ${machineName()}: ${(file.length / 1e6).toFixed(0)} MB, ${numSamples} samples of ${tokens} tokens.\n\n${table}`,
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

const [, , folder] = process.argv;
await (folder ? fit(folder) : main());
