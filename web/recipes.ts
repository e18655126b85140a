/** What each format can be made into, and what is to be said of it. */
import type { Mode, ModelInfo, Recipe } from "modelshrink";

const isFloat = ({ weights }: Recipe): boolean => weights.includes("float");

interface Format {
  title: string;
  /** Presets that mean something of their own here. */
  presets: readonly string[];
  /** Where a preset's own description, which has ONNX in mind, does not hold. */
  descriptions: Readonly<Record<string, string>>;
  /** What loads the result. */
  loading(recipe: Recipe, mode: Mode): string;
}

const modes: Record<Mode, string> = {
  storage: "storage: loads everywhere and runs at full speed; saves download and disk, not memory.",
  dynamic: "dynamic: integer arithmetic, the fastest on WebAssembly; saves memory too.",
  lowmem: "lowmem: stays packed in memory; fast in Node.js and on GPUs.",
};

const half = "half precision: half of float32";

const formats: Readonly<Record<string, Format>> = {
  onnx: {
    title: "ONNX",
    presets: "int8 uint8 int16 int4 uint4 fp16 bf16 fp8 dynamic q8 q4".split(" "),
    descriptions: {},
    loading: (recipe, mode) => (isFloat(recipe) ? "" : modes[mode]),
  },
  safetensors: {
    title: "safetensors",
    presets: "fp16 bf16 fp8 int16 int8 uint8 int4 uint4".split(" "),
    descriptions: {
      fp16: half,
      bf16: "bfloat16: half of float32, with its range",
      fp8: "float8 e4m3: a quarter of float32",
      int8: "8 bit, one scale a channel: a quarter of float32",
      int4: "4 bit in blocks of 32: about a sixth of float32",
      uint4: "4 bit with zero points in blocks of 32",
    },
    loading: (recipe) =>
      isFloat(recipe)
        ? "Loads in everything that reads safetensors and has the type."
        : "Each weight W comes with W.scale: your own code multiplies them, or modelshrink restores floats.",
  },
  gguf: {
    title: "GGUF",
    presets: "Q8_0 Q5_1 Q5_0 Q4_1 Q4_0 fp16 bf16".split(" "),
    descriptions: {
      Q8_0: "8.5 bits a weight, nearly lossless",
      Q5_1: "6 bits a weight",
      Q5_0: "5.5 bits a weight",
      Q4_1: "5 bits a weight",
      Q4_0: "4.5 bits a weight",
      fp16: half,
      bf16: "bfloat16: half of float32, with its range",
    },
    loading: () => "Loads in llama.cpp; the blocks are those of its own quantizer, byte for byte.",
  },
  tfjs: {
    title: "TensorFlow.js",
    presets: "int8 int16 fp16".split(" "),
    descriptions: {
      int8: "8 bit, one scale a channel in graph models, one a tensor in layers models",
      int16: "16 bit integers, one scale a tensor: half the size, nearly lossless",
    },
    loading: () => "Loads in TensorFlow.js unchanged.",
  },
};

export function formatNamed(name: string): Format {
  const format = formats[name];
  if (!format) throw new Error(`The page does not know the format "${name}".`);
  return format;
}

/** In ONNX integers can be written in three ways; everything else in one. */
export const hasModes = (format: string, recipe: Recipe): boolean =>
  format === "onnx" && !isFloat(recipe);

/** A preset that leaves the model as good as it was and loadable by what loads it now. */
export function suggestedPreset({ format, metadata, tensors }: ModelInfo): string {
  switch (format) {
    case "safetensors": {
      // The integers of safetensors need code of one's own: only where floats save nothing more.
      const isWide = tensors.some(({ isWeight, type }) => isWeight && type === "float32");
      return isWide ? "fp16" : "int8";
    }
    case "gguf":
      return "Q8_0";
    case "tfjs":
      // 8 bits with one scale a tensor ruin many networks.
      return metadata["format"] === "layers-model" ? "fp16" : "int8";
    default:
      return "int8";
  }
}
