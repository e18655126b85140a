// What the blocks use and do not define, their readers' own models and data. Small real ones stand for them here.
import { readFile, writeFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import * as ort from "onnxruntime-node";
import { calibrate } from "../../dist/runtime.js";
import { onnxWithData, safetensorsShards } from "../support/file-sets.mjs";
import { batches, calibrationImages, fashionPaths } from "../support/fashion.mjs";
import { modelPaths } from "../support/models.mjs";
import { decodeWav } from "../support/speech.mjs";
import { makeGguf, tinyLlama, weights } from "../support/gguf.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

const imagesPerClass = 6;
const numSamples = 40;
const frame = 512 + 64;
const speech = new URL("../support/fixtures/speech.wav", import.meta.url);

const allImages = () => [...batches(calibrationImages(imagesPerClass), 1)].map(({ data }) => data);
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
    "model.gguf": makeGguf(tinyLlama()),
    "model.safetensors": makeSafetensors([{ ...matrix, data: weights(size * size, "F32", 1) }]),
    "samples.json": samplesJson(),
    "package.json": JSON.stringify({ name: "reader", private: true, type: "module" }),
  };
  const llama = { ...safetensorsShards(), "config.json": "{}" };
  for (const [name, content] of Object.entries(llama)) files[`models/llama/${name}`] = content;
  await mkdir(join(folder, "models/llama"), { recursive: true });
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
}
