// What the blocks use and do not define, their readers' own models and data. Small real ones stand for them here.
import { readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as ort from "onnxruntime-node";
import { calibrate } from "../../dist/runtime.js";
import { onnxWithData, safetensorsShards } from "../support/file-sets.mjs";
import { batches, calibrationImages, fashionPaths } from "../support/fashion.mjs";
import { modelPaths } from "../support/models.mjs";
import { sentenceModel } from "../support/sentence-model.mjs";
import { decodeWav } from "../support/speech.mjs";
import { makeGguf, tinyLlama, weights } from "../support/gguf.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

const imagesPerClass = 4;
const numImages = 10 * imagesPerClass;
const numSamples = 24;
const pixels = 28 * 28;
const imagesFile = new URL("../../build/docs/images.bin", import.meta.url);
const frame = 512 + 64;
const speech = new URL("../support/fixtures/speech.wav", import.meta.url);

/** The images that {@link writeImages} wrote. */
function allImages() {
  const { buffer, byteOffset } = readFileSync(imagesFile);
  return Array.from(
    { length: numImages },
    (_, i) =>
      new Float32Array(
        buffer.slice(byteOffset + 4 * pixels * i, byteOffset + 4 * pixels * (i + 1)),
      ),
  );
}
const feedsOf = (images) => images.map((data) => ({ input: { data, dims: [1, 1, 28, 28] } }));
const images = () => allImages().slice(0, numSamples);
const inputs = () => feedsOf(images());
const model = async () => new Uint8Array(await readFile(fashionPaths.cnn));

const fileOf = async (name) => new File([(await onnxWithData())[name]], name);

/** Each gives the value of its name. */
export const fixtures = {
  ort: () => ort,
  model,
  images,
  inputs,
  others: () => feedsOf(allImages().slice(numSamples)),
  calibration: async () => calibrate(await model(), { ort, inputs: inputs() }),
  mainFile: () => fileOf("model.onnx"),
  dataFile: () => fileOf("model.onnx_data"),
  vad: async () => new Uint8Array(await readFile(modelPaths.speech)),
  windows: async () => {
    const sound = decodeWav(await readFile(speech));
    return Array.from({ length: 8 }, (_, i) => sound.slice(i * frame, (i + 1) * frame));
  },
};

/** Writes the images of all fixtures to a small file, once: the data set itself is 150 MB of text. */
export async function writeImages() {
  const [{ data }] = batches(calibrationImages(imagesPerClass), numImages);
  await writeFile(imagesFile, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

/** Some samples as the command reads them. */
function samplesJson() {
  const samples = inputs().map(({ input: { data, dims } }) => ({
    input: { data: [...data], dims, type: "float32" },
  }));
  return JSON.stringify(samples.slice(0, 20));
}

/** Writes the files that blocks name. */
export async function writeFiles(folder) {
  const size = 128;
  const matrix = { name: "w", dtype: "F32", shape: [size, size] };
  const files = {
    "model.onnx": await model(),
    "public/models/vision/model.onnx": await model(),
    "model.gguf": makeGguf(tinyLlama()),
    "model.safetensors": makeSafetensors([{ ...matrix, data: weights(size * size, "F32", 1) }]),
    "samples.json": samplesJson(),
    "package.json": JSON.stringify({ name: "reader", private: true, type: "module" }),
  };
  const llama = { ...safetensorsShards(), "config.json": "{}" };
  for (const [name, content] of Object.entries(llama)) files[`models/llama/${name}`] = content;
  const commit = "0".repeat(40);
  const repository = sentenceModel();
  const siblings = Object.keys(repository).map((rfilename) => ({ rfilename }));
  files["api/models/owner/tiny/revision/main"] = JSON.stringify({ sha: commit, siblings });
  for (const [name, content] of Object.entries(repository)) {
    files[`repository/${name}`] = content;
    files[`owner/tiny/resolve/${commit}/${name}`] = content;
  }
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
}
