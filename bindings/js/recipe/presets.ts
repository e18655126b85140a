/** Recipes by name, with a line on each for each format. */
import { codeBytesOf, isBlockType, quantizedTypes } from "../arrays/types.js";
import { ArgumentError } from "../base/errors.js";
import type { FormatName } from "../base/formats.js";
import { suggestion } from "../base/suggest.js";
import type { Recipe } from "./options.js";

/** A recipe with a name. */
export interface Preset {
  /** One line that holds for every format. */
  description: string;
  /** The recipe that the name stands for. */
  recipe: Recipe;
  /** One line for each format that has it under this name. */
  formats: Readonly<Partial<Record<FormatName, string>>>;
}

const half = "half precision: half of float32";
const wideHalf = "bfloat16: half of float32, with its range";

/** ggml's formats, each under its own name, from many bits a weight to few. */
const blockPresets = Object.fromEntries(
  quantizedTypes
    .filter(isBlockType)
    .map((type) => ({ type, bits: codeBytesOf(type, 256) / 32 }))
    .sort((a, b) => b.bits - a.bits)
    .map(({ type, bits }): [string, Preset] => {
      const description = `${bits} bits a weight${bits > 8 ? ", nearly lossless" : ""}`;
      return [type, { description, recipe: { weights: type }, formats: { gguf: description } }];
    }),
);

/** All presets by name. */
export const presets: Readonly<Record<string, Preset>> = {
  int8: {
    description: "8 bit: a quarter of float32",
    recipe: { weights: "int8" },
    formats: {
      onnx: "8 bit, one scale a channel: a quarter of the size, runs anywhere",
      safetensors: "8 bit, one scale a channel: a quarter of float32",
      tfjs: "8 bit, one scale a channel in graph models, one a tensor in layers models",
    },
  },
  small: {
    description: "8 bit in coarse steps: packed, an eighth of float32",
    recipe: { weights: "int8", target: { bitsPerWeight: 4 } },
    formats: {
      onnx: "8 bit in coarse steps: packed, an eighth of float32; runs anywhere",
      safetensors: "8 bit in coarse steps: packed, an eighth of float32",
      tfjs: "8 bit in coarse steps, in graph models: packed, an eighth of float32",
    },
  },
  uint8: {
    description: "8 bit with zero points, one scale a channel",
    recipe: { weights: "uint8" },
    formats: {
      onnx: "8 bit with zero points, one scale a channel: runs anywhere",
      safetensors: "8 bit with zero points, one scale a channel",
    },
  },
  int16: {
    description: "16 bit integers: half of float32, nearly lossless",
    recipe: { weights: "int16" },
    formats: {
      onnx: "16 bit integers, one scale a channel: half the size, nearly lossless",
      safetensors: "16 bit integers, one scale a channel: half of float32, nearly lossless",
      tfjs: "16 bit integers, one scale a tensor: half the size, nearly lossless",
    },
  },
  int4: {
    description: "4 bit in blocks of 32: about a sixth of float32",
    recipe: { weights: "int4" },
    formats: {
      onnx: "4 bit in blocks of 32: about a sixth of the size, runs anywhere",
      safetensors: "4 bit in blocks of 32: about a sixth of float32",
    },
  },
  uint4: {
    description: "4 bit with zero points in blocks of 32",
    recipe: { weights: "uint4" },
    formats: {
      onnx: "4 bit with zero points in blocks of 32, runs anywhere",
      safetensors: "4 bit with zero points in blocks of 32",
    },
  },
  fp16: {
    description: half,
    recipe: { weights: "float16" },
    formats: { onnx: half, safetensors: half, gguf: half, tfjs: half },
  },
  bf16: {
    description: wideHalf,
    recipe: { weights: "bfloat16" },
    formats: {
      onnx: "bfloat16: half the size, float32's range, for opset 13 and later",
      safetensors: wideHalf,
      gguf: wideHalf,
    },
  },
  fp8: {
    description: "float8 e4m3: a quarter of float32",
    recipe: { weights: "float8e4m3" },
    formats: {
      onnx: "float8 e4m3, for opset 19 and later",
      safetensors: "float8 e4m3: a quarter of float32",
    },
  },
  dynamic: {
    description: "8 bit integer arithmetic: the fastest on WebAssembly, saves memory",
    recipe: { weights: "uint8", mode: "dynamic", symmetric: true },
    formats: { onnx: "8 bit integer arithmetic: the fastest on WebAssembly, saves memory" },
  },
  q8: {
    description: "8 bit in memory too (MatMulNBits), blocks of 32; onnxruntime 1.30 or newer",
    recipe: { weights: "uint8", mode: "lowmem", symmetric: true },
    formats: {
      onnx: "8 bit in memory too (MatMulNBits), blocks of 32; onnxruntime 1.30 or newer",
    },
  },
  q4: {
    description: "4 bit in memory too (MatMulNBits), blocks of 32; onnxruntime 1.21 or newer",
    recipe: { weights: "uint4", mode: "lowmem", symmetric: true },
    formats: {
      onnx: "4 bit in memory too (MatMulNBits), blocks of 32; onnxruntime 1.21 or newer",
    },
  },
  ...blockPresets,
};

/** Gives the names of a format's presets. */
export const presetsOf = (format: FormatName): string[] =>
  Object.keys(presets).filter((name) => presets[name]!.formats[format] !== undefined);

/** Gives the preset of this name. Throws an ArgumentError that suggests another name when there is none. */
export function presetNamed(name: string): Preset {
  if (Object.hasOwn(presets, name)) return presets[name]!;
  const known = Object.keys(presets);
  const ofType = known.find((it) => presets[it]!.recipe.weights === name);
  throw new ArgumentError(
    `There is no preset "${name}"; there are ${known.join(", ")}.` +
      (ofType === undefined ? suggestion(name, known) : suggestion(ofType, known)),
  );
}
