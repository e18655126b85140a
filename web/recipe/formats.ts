/** What is to be said of each format. */
import type { FormatName, Mode, ModelInfo, Recipe } from "modelshrink";
import { presets } from "modelshrink";

/** A type with a target is one of integers. */
const isFloat = ({ weights }: Recipe): boolean =>
  weights === undefined || (typeof weights === "string" && weights.includes("float"));

interface Format {
  title: string;
  /** What loads the result. */
  loading(recipe: Recipe, mode: Mode): string;
}

const modes: Record<Mode, string> = {
  storage: "storage: loads everywhere and runs at full speed; saves download and disk, not memory.",
  dynamic: "dynamic: integer arithmetic, the fastest on WebAssembly; saves memory too.",
  lowmem: "lowmem: stays packed in memory; fast in Node.js and on GPUs.",
};

const formats: Readonly<Record<FormatName, Format>> = {
  onnx: {
    title: "ONNX",
    loading: (recipe, mode) => (isFloat(recipe) ? "" : modes[mode]),
  },
  safetensors: {
    title: "safetensors",
    loading: (recipe) =>
      isFloat(recipe)
        ? "Loads in everything that reads safetensors and has the type."
        : "Each weight W comes with W.scale: your own code multiplies them, or modelshrink restores floats.",
  },
  gguf: {
    title: "GGUF",
    loading: () => "Loads in llama.cpp; the blocks are those of its own quantizer, byte for byte.",
  },
  tfjs: {
    title: "TensorFlow.js",
    loading: () => "Loads in TensorFlow.js unchanged.",
  },
};

export const formatNamed = (name: FormatName): Format => formats[name];

/** The presets of a format. */
export const presetsOf = (format: FormatName): string[] =>
  Object.keys(presets).filter((name) => presets[name]?.formats[format] !== undefined);

/** In ONNX integers can be written in three ways; everything else in one. */
export const hasModes = (format: FormatName, recipe: Recipe): boolean =>
  format === "onnx" && !isFloat(recipe);

interface Suggestion {
  suggested: string;
  /** One sentence for the visitor. */
  why: string;
}

/** A preset that leaves the model as good as it was and loadable by what loads it now. */
export function suggestionFor({ format, metadata, tensors }: ModelInfo): Suggestion {
  const half = {
    suggested: "fp16",
    why: "half the size, next to no loss, and it loads wherever the original does.",
  };
  switch (format) {
    case "safetensors": {
      // The integers of safetensors need code of one's own: only where floats save nothing more.
      const isWide = tensors.some(({ isWeight, type }) => isWeight && type === "float32");
      if (isWide) return half;
      return {
        suggested: "int8",
        why: "its weights have 16 bits already, and 8 lose little more.",
      };
    }
    case "gguf":
      return { suggested: "Q8_0", why: "nearly lossless, and fast in llama.cpp on every machine." };
    case "tfjs":
      // 8 bits with one scale a tensor ruin many networks.
      if (metadata["format"] === "layers-model") return half;
      return { suggested: "int8", why: "a quarter of the size with one scale a channel." };
    default:
      return {
        suggested: "int8",
        why: "a quarter of the size, and most models answer as before wherever the original runs.",
      };
  }
}
