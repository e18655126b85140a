// What tests of packed files share: file sets of every kind, and their bytes.
import { shrink } from "modelshrink";
import { pack } from "modelshrink/pack";
import {
  ggufSplits,
  onnxWithData,
  safetensorsShards,
  tfjsLayers,
  tfjsShards,
} from "./file-sets.mjs";
import { makeGguf, tinyLlama } from "./gguf.mjs";
import { chainModel, externalModel } from "./onnx.mjs";
import { makeSafetensors } from "./safetensors.mjs";

/** The bytes of files, which are Blobs or bytes, by name. */
export const bytesByName = async (files) =>
  Object.fromEntries(
    await Promise.all(
      Object.entries(files).map(async ([name, it]) => [
        name,
        Buffer.from(it instanceof Blob ? await it.arrayBuffer() : it),
      ]),
    ),
  );

/** The packed file of a source, in memory. */
export const packed = async (source, options) => (await pack(source, options)).bytes();

const noise = (size, seed = 7) => {
  let state = seed;
  return Uint8Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
};

/** A safetensors file with a tensor of each type, whose bytes mean nothing. */
function everyType() {
  const bits = {
    F64: 64,
    F32: 32,
    F16: 16,
    BF16: 16,
    I64: 64,
    I32: 32,
    I16: 16,
    I8: 8,
    U8: 8,
    BOOL: 8,
  };
  const tensors = Object.entries(bits).map(([dtype, size], i) => ({
    ...{ name: `t.${dtype}`, dtype, shape: [33, 17] },
    data: noise((33 * 17 * size) / 8, i + 1),
  }));
  return { "types.safetensors": makeSafetensors(tensors) };
}

/** GGUF's types that are packed by their own blocks, and some that are not: number, elements and bytes of a block. */
const ggmlTypes = [
  ...[2, 3, 6, 7, 8].map((type, i) => [type, 32, [18, 20, 22, 24, 34][i]]),
  ...[10, 11, 12, 13, 14, 15].map((type, i) => [type, 256, [84, 110, 144, 176, 210, 292][i]]),
  ...[16, 20, 23, 29].map((type, i) => [type, [256, 32, 256, 256][i], [66, 18, 136, 56][i]]),
  ...[39, 40].map((type, i) => [type, [32, 64][i], [17, 36][i]]),
];

/** A GGUF file with a tensor of each type. */
function everyGgmlType() {
  const tensors = ggmlTypes.map(([type, elements, size], i) => ({
    ...{ name: `t${type}`, dims: [1024, 9], type },
    // Less than noise, so that not all of it stays raw.
    data: noise(((1024 * 9) / elements) * size, i + 1).map(
      (it) => it & (i % 2 === 0 ? 0x37 : 0xff),
    ),
  }));
  const keys = [["general.architecture", "string", "llama"]];
  return { "types.gguf": makeGguf({ keys, tensors }) };
}

const shrunk = async (files, recipe) => bytesByName((await shrink(files, recipe)).files);

/** File sets of every kind by what they are; each is a record of bytes by name. */
export async function fileSets() {
  const chain = { "chain.onnx": chainModel([{ name: "w", size: 128 }]) };
  const llama = { "llama.gguf": makeGguf(tinyLlama({ embedding: 128 })) };
  const sets = {
    ONNX: chain,
    "ONNX with its data in another file": externalModel(),
    "ONNX whose data has several chunks": await onnxWithData(),
    "sharded safetensors with their index": safetensorsShards(),
    "safetensors of every type": everyType(),
    "GGUF of every type": everyGgmlType(),
    "GGUF splits": ggufSplits(),
    "TensorFlow.js shards": tfjsShards(),
    "a Keras model for TensorFlow.js": tfjsLayers(),
    "uint8 for TensorFlow.js": await shrunk(tfjsLayers(), "uint8"),
    "int8 safetensors in shards": await shrunk(safetensorsShards(), "int8"),
  };
  for (const recipe of ["int8", "q4", "fp16"])
    sets[`ONNX as ${recipe}`] = await shrunk(chain, recipe);
  for (const recipe of ["Q8_0", "Q5_1", "Q4_0", "fp16"]) {
    sets[`GGUF as ${recipe}`] = await shrunk(llama, recipe);
  }
  return sets;
}
