// Small models of several files, by file name.
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { splitGguf, tinyLlama, weights } from "./gguf.mjs";
import { makeLarge } from "./large-models.mjs";
import { makeSafetensors } from "./safetensors.mjs";

const rows = 64;
const matrix = (seed) => weights(rows * rows, "F32", seed);
const json = (value) => Buffer.from(JSON.stringify(value));

export function ggufSplits() {
  const llama = tinyLlama({});
  return splitGguf(llama, [5, llama.tensors.length - 5]);
}

/** Large enough to be read in several slices when it is small. */
export async function onnxWithData() {
  const folder = await mkdtemp(join(tmpdir(), "modelshrink-set-"));
  await makeLarge("onnx", folder, 2.4e7);
  const files = {};
  for (const name of await readdir(folder)) files[name] = await readFile(join(folder, name));
  await rm(folder, { recursive: true });
  return files;
}

export function safetensorsShards() {
  const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  const shard = (i) =>
    makeSafetensors([
      { name: `layers.${i}.weight`, dtype: "F32", shape: [rows, rows], data: matrix(i + 1) },
    ]);
  const weight_map = Object.fromEntries(shards.map((name, i) => [`layers.${i}.weight`, name]));
  return {
    "model.safetensors.index.json": json({
      metadata: { total_size: 2 * 4 * rows ** 2 },
      weight_map,
    }),
    ...Object.fromEntries(shards.map((name, i) => [name, shard(i)])),
  };
}

export function tfjsShards() {
  const paths = ["group1-shard1of2.bin", "group1-shard2of2.bin"];
  const float = { attr: { dtype: { type: "DT_FLOAT" } } };
  const node = [
    { name: "x", op: "Placeholder", ...float },
    ...["a", "b"].map((name) => ({ name, op: "Const", ...float })),
    { name: "h", op: "MatMul", input: ["x", "a"] },
    { name: "y", op: "MatMul", input: ["h", "b"] },
  ];
  const entries = ["a", "b"].map((name) => ({ name, shape: [rows, rows], dtype: "float32" }));
  return {
    "model.json": json({
      format: "graph-model",
      modelTopology: { node, versions: {} },
      weightsManifest: [{ paths, weights: entries }],
    }),
    ...Object.fromEntries(paths.map((path, i) => [path, matrix(i + 1)])),
  };
}

/** A Keras model, whose weights have one scale a tensor. */
export const tfjsLayers = () => ({
  "model.json": json({
    format: "layers-model",
    modelTopology: { class_name: "Sequential" },
    weightsManifest: [
      {
        paths: ["weights.bin"],
        weights: [{ name: "dense/kernel", shape: [rows, rows], dtype: "float32" }],
      },
    ],
  }),
  "weights.bin": matrix(1),
});
