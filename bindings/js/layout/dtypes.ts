/** The number types that transformers.js asks for by name: a row each. */
import type { Recipe } from "../recipe/options.js";
import { presets } from "../recipe/presets.js";

/** A number type, by the name that transformers.js has for it. */
export type Dtype = "fp16" | "q8" | "int8" | "uint8" | "q4";

interface DtypeRow {
  /** What stands before ".onnx" in the name of the file that is loaded for it. */
  suffix: string;
  /** The recipe that makes it. */
  recipe: Recipe;
  /** One line for people. */
  description: string;
}

const recipeOf = (preset: string): Recipe => presets[preset]!.recipe;

/** All dtypes that can be written. Each loads in `onnxruntime-web/webgpu`, on its WebAssembly side, too. */
export const dtypes: Readonly<Record<Dtype, DtypeRow>> = {
  fp16: {
    suffix: "_fp16",
    recipe: recipeOf("fp16"),
    description: "half precision weights, computed in float32",
  },
  q8: {
    suffix: "_quantized",
    recipe: recipeOf("dynamic"),
    description: "8 bit integer arithmetic; what transformers.js asks for on WebAssembly",
  },
  int8: {
    suffix: "_int8",
    recipe: recipeOf("int8"),
    description: "8 bit weights, computed in float32",
  },
  uint8: {
    suffix: "_uint8",
    recipe: recipeOf("uint8"),
    description: "8 bit weights with zero points, computed in float32",
  },
  q4: {
    suffix: "_q4",
    recipe: recipeOf("q4"),
    description: "4 bit in memory, too (MatMulNBits), blocks of 32; embeddings have 8 bits",
  },
};

/** The names of all dtypes that can be written. */
export const dtypeNames = Object.keys(dtypes) as Dtype[];
