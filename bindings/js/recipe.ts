/** What to do with each tensor: presets, recipes, rules → one specification a tensor. */
import type { NonFinite } from "./arrays.js";
import type { CoreTensorInfo, CoreTensorSpec, CoreWriteOptions } from "./core.js";
import type { Order } from "./run.js";
import { ArgumentError } from "./errors.js";
import {
  checkBoolean,
  checkInteger,
  checkKeys,
  checkObject,
  checkOneOf,
  optional,
  show,
} from "./options.js";
import {
  checkType,
  ggmlBlockSize,
  isBlockType,
  isFloatType,
  isSymmetricByDefault,
  type QuantizedType,
} from "./types.js";

export type Mode = "storage" | "dynamic" | "lowmem";
export type Granularity = "tensor" | "axis" | "block";

/** Which tensors: a glob (`*` is any text, `?` one character) or a "/regular expression/". */
export type Rule =
  | { match: string; weights: QuantizedType }
  | {
      match: string;
      /** Leave these tensors as they are. */
      keep: true;
    };

export interface Recipe {
  /** The number format of the weights. */
  weights: QuantizedType;
  /**
   * How quantized weights are written into the graph: "storage" (the default) loads everywhere and
   * runs at float speed; "dynamic" computes in integers, fast on WebAssembly; "lowmem" keeps 4 or
   * 8 bits in memory.
   */
  mode?: Mode;
  /** What shares a scale; by default the output channel, and blocks for 4 bits and "lowmem". */
  granularity?: Granularity;
  /** For blocks; 32 by default. */
  blockSize?: number;
  symmetric?: boolean;
  /** Smaller tensors stay as they are unless a rule names them; 1024 by default. */
  minElements?: number;
  nonFinite?: NonFinite;
  /**
   * Leaves out names of nodes and documentation, and shortens names of values, but for inputs,
   * outputs and weights; false by default.
   */
  strip?: boolean;
  /** Whether weights that are quantized already may be quantized again; false by default. */
  requantize?: boolean;
  /** The first rule that matches a tensor's name decides. */
  rules?: readonly Rule[];
}

export interface Preset {
  description: string;
  recipe: Recipe;
}

export const presets: Readonly<Record<string, Preset>> = {
  int8: {
    description: "8 bit, one scale a channel: a quarter of the size, runs anywhere",
    recipe: { weights: "int8" },
  },
  uint8: {
    description: "8 bit with zero points, one scale a channel",
    recipe: { weights: "uint8" },
  },
  int16: {
    description: "16 bit integers, one scale a channel: half the size, nearly lossless",
    recipe: { weights: "int16" },
  },
  int4: {
    description: "4 bit in blocks of 32: about a sixth of the size, runs anywhere",
    recipe: { weights: "int4" },
  },
  uint4: {
    description: "4 bit with zero points in blocks of 32, runs anywhere",
    recipe: { weights: "uint4" },
  },
  fp16: {
    description: "half precision: half the size",
    recipe: { weights: "float16" },
  },
  bf16: {
    description: "bfloat16: half the size, float32's range, for opset 13 and later",
    recipe: { weights: "bfloat16" },
  },
  fp8: {
    description: "float8 e4m3, for opset 19 and later",
    recipe: { weights: "float8e4m3" },
  },
  dynamic: {
    description: "8 bit integer arithmetic: the fastest on WebAssembly, saves memory",
    recipe: { weights: "uint8", mode: "dynamic", symmetric: true },
  },
  q8: {
    description: "8 bit in memory too (MatMulNBits), blocks of 32; onnxruntime 1.30 or newer",
    recipe: { weights: "uint8", mode: "lowmem", symmetric: true },
  },
  q4: {
    description: "4 bit in memory too (MatMulNBits), blocks of 32; onnxruntime 1.21 or newer",
    recipe: { weights: "uint4", mode: "lowmem", symmetric: true },
  },
  Q8_0: {
    description: "GGUF: 8.5 bits a weight, nearly lossless",
    recipe: { weights: "Q8_0" },
  },
  Q5_1: {
    description: "GGUF: 6 bits a weight",
    recipe: { weights: "Q5_1" },
  },
  Q5_0: {
    description: "GGUF: 5.5 bits a weight",
    recipe: { weights: "Q5_0" },
  },
  Q4_1: {
    description: "GGUF: 5 bits a weight",
    recipe: { weights: "Q4_1" },
  },
  Q4_0: {
    description: "GGUF: 4.5 bits a weight",
    recipe: { weights: "Q4_0" },
  },
};

const modes = ["storage", "dynamic", "lowmem"] as const;
const granularities = ["tensor", "axis", "block"] as const;
const recipeKeys = [
  "weights",
  "mode",
  "granularity",
  "blockSize",
  "symmetric",
  "minElements",
  "nonFinite",
  "strip",
  "requantize",
  "rules",
] as const;
const ruleKeys = ["match", "weights", "keep"] as const;
const maxBlockSize = 2 ** 31;

function matcher(where: string, match: unknown): RegExp {
  if (typeof match !== "string" || match === "") {
    throw new ArgumentError(`${where}.match is ${show(match)}; it must be a glob or "/regex/".`);
  }
  const regex = /^\/(.+)\/(i?)$/.exec(match);
  try {
    if (regex) return new RegExp(regex[1]!, `${regex[2]!}u`);
  } catch (cause) {
    throw new ArgumentError(`${where}.match is no regular expression: ${String(cause)}.`, {
      cause,
    });
  }
  const literal = match.replace(/[\\^$.+()[\]{}|/]/g, "\\$&");
  return new RegExp(`^${literal.replaceAll("*", "[^]*").replaceAll("?", "[^]")}$`, "u");
}

interface CheckedRule {
  match: string;
  pattern: RegExp;
  /** undefined: keep. */
  weights: QuantizedType | undefined;
}

function checkRule(value: unknown, i: number): CheckedRule {
  const where = `rules[${i}]`;
  const rule = checkObject(where, value);
  checkKeys(where, rule, ruleKeys);
  const pattern = matcher(where, rule.match);
  if ((rule.weights === undefined) === (rule.keep === undefined)) {
    throw new ArgumentError(`${where} must have either weights or keep.`);
  }
  if (rule.keep !== undefined && rule.keep !== true) {
    throw new ArgumentError(`${where}.keep is ${show(rule.keep)}; it must be true.`);
  }
  return {
    match: rule.match as string,
    pattern,
    weights: optional(rule.weights, (weights) => checkType(`${where}.weights`, weights)),
  };
}

function presetNamed(name: string): Recipe {
  if (Object.hasOwn(presets, name)) return presets[name]!.recipe;
  throw new ArgumentError(
    `There is no preset ${show(name)}; there are ${Object.keys(presets).join(", ")}.`,
  );
}

/** A recipe whose values are known to be right. */
export interface CheckedRecipe {
  weights: QuantizedType;
  rules: CheckedRule[];
  minElements: number;
  requantize: boolean;
  options: CoreWriteOptions;
  specFor(weights: QuantizedType): CoreTensorSpec;
}

export function checkRecipe(value: unknown): CheckedRecipe {
  const recipe = checkObject("recipe", typeof value === "string" ? presetNamed(value) : value);
  checkKeys("recipe", recipe, recipeKeys);
  const weights = checkType("weights", recipe.weights);
  const mode = checkOneOf("mode", recipe.mode ?? "storage", modes);
  const granularity = optional(recipe.granularity, (it) =>
    checkOneOf("granularity", it, granularities),
  );
  const blockSize = checkInteger("blockSize", recipe.blockSize ?? 32, 1, maxBlockSize);
  const symmetric = optional(recipe.symmetric, (it) => checkBoolean("symmetric", it));
  const minElements = checkInteger("minElements", recipe.minElements ?? 1024, 0, 2 ** 53);
  const nonFinite = checkOneOf("nonFinite", recipe.nonFinite ?? "error", ["error", "zero"]);
  const strip = checkBoolean("strip", recipe.strip ?? false);
  const requantize = checkBoolean("requantize", recipe.requantize ?? false);
  const rules = recipe.rules ?? [];
  if (!Array.isArray(rules)) {
    throw new ArgumentError(`rules is ${show(rules)}; it must be an array.`);
  }
  const inBlocks = (type: QuantizedType) => mode === "lowmem" || type.endsWith("int4");
  const granularityFor = (type: QuantizedType) => {
    if (isFloatType(type)) return "tensor";
    if (isBlockType(type)) return "block";
    return granularity ?? (inBlocks(type) ? "block" : "axis");
  };
  return {
    weights,
    rules: rules.map(checkRule),
    minElements,
    requantize,
    options: { strip, mainName: "" },
    specFor: (type) => ({
      keep: false,
      type,
      granularity: granularityFor(type),
      blockSize: isBlockType(type) ? ggmlBlockSize : blockSize,
      symmetric: symmetric ?? isSymmetricByDefault(type),
      mode,
      nonFinite,
    }),
  };
}

const elementsOf = ({ shape }: CoreTensorInfo) => shape.reduce((all, size) => all * size, 1);

/** The type that the recipe gives a weight, or why it leaves it as it is. */
function decide(
  recipe: CheckedRecipe,
  tensor: CoreTensorInfo,
): { weights: QuantizedType } | { reason: string } {
  if (tensor.quantized && !recipe.requantize) return { reason: "already quantized" };
  const rule = recipe.rules.find(({ pattern }) => pattern.test(tensor.name));
  if (rule) return rule.weights ? { weights: rule.weights } : { reason: "kept by a rule" };
  return elementsOf(tensor) < recipe.minElements
    ? { reason: `fewer than ${recipe.minElements} elements` }
    : { weights: recipe.weights };
}

/** An order, and what the recipe has to say beyond it: reasons by tensor, idle rules. */
export interface RemarkedOrder extends Order {
  notes: (string | undefined)[];
  warnings: string[];
}

/** One specification for each tensor. What is no weight stays, whatever the rules say. */
export function orderFor(recipe: CheckedRecipe, tensors: readonly CoreTensorInfo[]): RemarkedOrder {
  const decisions = tensors.map((tensor) =>
    tensor.isWeight ? decide(recipe, tensor) : { reason: undefined },
  );
  return {
    specs: decisions.map((decision) =>
      "weights" in decision
        ? recipe.specFor(decision.weights)
        : { ...recipe.specFor(recipe.weights), keep: true },
    ),
    options: recipe.options,
    notes: decisions.map((decision) => ("reason" in decision ? decision.reason : undefined)),
    warnings: recipe.rules
      .filter(({ pattern }) => !tensors.some((it) => it.isWeight && pattern.test(it.name)))
      .map(({ match }) => `The rule "${match}" matches no weight.`),
  };
}

/** Every quantized weight as the floats that it stands for. */
export function restoringOrder(tensors: readonly CoreTensorInfo[]): RemarkedOrder {
  const recipe = checkRecipe("int8");
  return {
    specs: tensors.map(({ isWeight, quantized, restoredType }) => ({
      ...recipe.specFor("int8"),
      keep: !isWeight || !quantized,
      type: restoredType ?? "float32",
      granularity: "tensor",
    })),
    options: recipe.options,
    notes: tensors.map(() => undefined),
    warnings: tensors.some(({ isWeight, quantized }) => isWeight && quantized)
      ? []
      : ["No weight of this model can be restored."],
  };
}
