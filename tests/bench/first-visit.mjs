// What the shrinking cache costs and gives an app in Chromium: its first visit over a line of 100 Mbit/s, its second one, and
// the tab's memory, each against the same app without it. Writes a table of docs/performance.md. transformers.js comes with
// the packages of tests/hosts (npm ci --prefix tests/hosts --ignore-scripts). Part of no other command:
// node tests/bench/first-visit.mjs, or, with a part of an app's name, without writing: … onnxruntime
import { onnxruntimeApp, tfjsApp, transformersApp, wllamaApp } from "../support/client-apps.mjs";
import { machineName, writeMeasured } from "../support/docs.mjs";
import { markdownTable } from "../support/markdown-table.mjs";
import { externalized } from "../support/external-onnx.mjs";
import { makeGguf, tinyLlama } from "../support/gguf.mjs";
import { hostBlock } from "../support/host-blocks.mjs";
import { readFile } from "node:fs/promises";
import { modelPaths } from "../support/models.mjs";
import { chainModel } from "../support/onnx.mjs";
import { sentenceModel } from "../support/sentence-model.mjs";
import { measureVisits } from "../support/visits.mjs";

const rounds = Number(process.env.ROUNDS ?? 3);
const rows = 2048;
const shardBytes = 1 << 22;
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/** A chain of four products, 67 MB. */
const chain = () => {
  const names = ["a", "ab", "abc", "abcd"];
  return Buffer.from(chainModel(names.map((name) => ({ name, size: rows }))));
};

/** The same size as a graph model of TensorFlow.js, in shards of 4 MiB: files by their paths. */
function tfjsChain(folder) {
  const values = Float32Array.from({ length: rows * rows }, (_, i) => Math.sin(i * 12.9898) / 2);
  const names = ["a", "b", "c", "d"];
  const data = Buffer.concat(names.map(() => Buffer.from(values.buffer)));
  const float = { attr: { dtype: { type: "DT_FLOAT" } } };
  const shape = { dim: [{ size: 1 }, { size: rows }] };
  const input = { attr: { dtype: { type: "DT_FLOAT" }, shape: { shape } } };
  const node = [
    { name: "x", op: "Placeholder", ...input },
    ...names.map((name) => ({ name, op: "Const", ...float })),
    ...names.map((name, i) => ({
      ...{ name: `y${i}`, op: "MatMul", input: [i === 0 ? "x" : `y${i - 1}`, name] },
    })),
  ];
  const paths = Array.from({ length: data.length / shardBytes }, (_, i) => `shard${i}.bin`);
  const weights = names.map((name) => ({ name, shape: [rows, rows], dtype: "float32" }));
  const json = {
    ...{ format: "graph-model", modelTopology: { node, versions: {} } },
    weightsManifest: [{ paths, weights }],
  };
  const shard = (i) => data.subarray(i * shardBytes, (i + 1) * shardBytes);
  return Object.fromEntries([
    [`${folder}model.json`, Buffer.from(JSON.stringify(json))],
    ...paths.map((path, i) => [folder + path, shard(i)]),
  ]);
}

async function externalOnnx() {
  const { main, data } = externalized(chain(), "classifier.onnx_data");
  const paths = ["/models/classifier.onnx", "/models/classifier.onnx_data"];
  const code = await hostBlock("onnxruntime-web-external");
  return {
    ...onnxruntimeApp(code, paths[0], { data: [paths[1]] }),
    ...{ models: { [paths[0]]: main, [paths[1]]: data }, main: paths[0] },
  };
}

async function transformers() {
  const files = Object.entries(sentenceModel({ rows: 200_000 }));
  return {
    ...transformersApp(await hostBlock("transformers"), 4),
    main: "/models/tiny/onnx/model.onnx",
    models: Object.fromEntries(files.map(([name, body]) => [`/models/tiny/${name}`, body])),
  };
}

/** By their names, functions that give an app and its models. */
const apps = {
  "onnxruntime-web, text recognizer": async () => ({
    ...onnxruntimeApp(await hostBlock("onnxruntime-web"), "/models/recognizer.onnx"),
    main: "/models/recognizer.onnx",
    models: { "/models/recognizer.onnx": await readFile(modelPaths.recognition) },
  }),
  "onnxruntime-web": async () => ({
    ...onnxruntimeApp(await hostBlock("onnxruntime-web"), "/models/recognizer.onnx"),
    main: "/models/recognizer.onnx",
    models: { "/models/recognizer.onnx": chain() },
  }),
  "onnxruntime-web, external data": externalOnnx,
  "transformers.js 4": transformers,
  "TensorFlow.js": async () => ({
    ...(await tfjsApp(await hostBlock("tfjs"), "/models/faces/model.json")),
    ...{ models: tfjsChain("/models/faces/"), main: "/models/faces/model.json" },
  }),
  wllama: async () => ({
    ...wllamaApp(await hostBlock("wllama"), "/models/llama.gguf"),
    ...{ main: "/models/llama.gguf", recipe: "Q8_0" },
    models: { "/models/llama.gguf": makeGguf(tinyLlama({ embedding: 768, layers: 3 })) },
  }),
};

const megabytes = (bytes) => (bytes / 1e6).toFixed(0);

/** Two rows: of time, with what the cache's first load takes longer than the bare download, and of memory. */
async function measure(name, app) {
  const found = [];
  for (let i = 0; i < rounds; i++) found.push(await measureVisits(app));
  const seconds = (of) => median(found.map((it) => of(it).seconds));
  const tab = (of) => megabytes(median(found.map((it) => of(it).tabBytes)));
  const bare = seconds((it) => it.bare);
  const alone = seconds((it) => it.alone);
  const visits = [
    (it) => it.plain.first,
    (it) => it.cached.first,
    (it) => it.plain.second,
    (it) => it.cached.second,
  ];
  const size = Object.values(app.models).reduce((sum, { length }) => sum + length, 0);
  return {
    time: [
      ...[name, (size / 1e6).toFixed(1), bare.toFixed(2), alone.toFixed(2)],
      `${((100 * (alone - bare)) / bare).toFixed(1)} %`,
      ...visits.map((of) => seconds(of).toFixed(2)),
    ],
    memory: [name, ...visits.map(tab)],
  };
}

const wanted = process.argv[2];
const measured = [];
for (const [name, make] of Object.entries(apps)) {
  if (wanted && !name.includes(wanted)) continue;
  const row = await measure(name, await make());
  console.log(row.time.join(" | "), "|", row.memory.slice(1).join(" | "));
  measured.push(row);
}
const times = markdownTable(
  [
    ...["app", "MB", "bare download, s", "the cache, s", "overhead"],
    ...["first visit without, s", "with, s", "second visit without, s", "with it, s"],
  ],
  measured.map(({ time }) => time),
);
const memory = markdownTable(
  ["app", "first visit without, MB", "with, MB", "second visit without, MB", "with it, MB"],
  measured.map(({ memory: row }) => row),
);
if (!wanted)
  await writeMeasured("first-visit", `Measured on ${machineName()}.\n\n${times}\n\n${memory}`);
