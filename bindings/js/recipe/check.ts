/** Recipes whose values are known to be right. */
import { ArgumentError } from "../base/errors.js";
import {
  checkBoolean,
  checkInteger,
  checkKeys,
  checkObject,
  checkOneOf,
  optional,
  show,
} from "../base/options.js";
import type { CoreTensorSpec, CoreWriteOptions } from "../core/types.js";
import {
  checkType,
  ggmlBlockSize,
  isBlockType,
  isFloatType,
  isSymmetricByDefault,
  type QuantizedType,
} from "../arrays/types.js";
import { presetNamed } from "./presets.js";
import { checkPruning, type CheckedPruning, type Feedback } from "./pruning.js";

const modes = ["storage", "dynamic", "lowmem"] as const;
const granularities = ["tensor", "axis", "block"] as const;
const recipeKeys = [
  "weights",
  "prune",
  "sparse",
  "gptq",
  "actOrder",
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
const ruleKeys = ["match", "weights", "prune", "keep"] as const;
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
  keeps: boolean;
  /** undefined: as the recipe. */
  weights: QuantizedType | undefined;
  prune: CheckedPruning | false | undefined;
}

function checkRule(value: unknown, i: number): CheckedRule {
  const where = `rules[${i}]`;
  const rule = checkObject(where, value);
  checkKeys(where, rule, ruleKeys);
  const pattern = matcher(where, rule.match);
  const changes = rule.weights !== undefined || rule.prune !== undefined;
  if (changes === (rule.keep !== undefined)) {
    throw new ArgumentError(`${where} must have either keep, or weights or prune or both.`);
  }
  if (rule.keep !== undefined && rule.keep !== true) {
    throw new ArgumentError(`${where}.keep is ${show(rule.keep)}; it must be true.`);
  }
  return {
    match: rule.match as string,
    pattern,
    keeps: rule.keep === true,
    prune: optional(
      rule.prune,
      (prune) => prune !== false && checkPruning(`${where}.prune`, prune),
    ),
    weights: optional(rule.weights, (weights) => checkType(`${where}.weights`, weights)),
  };
}

function checkRules(rules: unknown = []): CheckedRule[] {
  if (!Array.isArray(rules)) {
    throw new ArgumentError(`rules is ${show(rules)}; it must be an array.`);
  }
  return rules.map(checkRule);
}

/** A recipe whose values are known to be right. */
export interface CheckedRecipe {
  weights: QuantizedType | undefined;
  prune: CheckedPruning | undefined;
  gptq: Feedback | undefined;
  sparse: boolean;
  rules: CheckedRule[];
  minElements: number;
  requantize: boolean;
  options: CoreWriteOptions;
  specFor(weights: QuantizedType): CoreTensorSpec;
}

export function checkRecipe(value: unknown): CheckedRecipe {
  const recipe = checkObject(
    "recipe",
    typeof value === "string" ? presetNamed(value).recipe : value,
  );
  checkKeys("recipe", recipe, recipeKeys);
  const weights = optional(recipe.weights, (it) => checkType("weights", it));
  const prune = optional(recipe.prune, (it) => checkPruning("prune", it));
  const sparse = checkBoolean("sparse", recipe.sparse ?? false);
  const gptq = checkBoolean("gptq", recipe.gptq ?? false);
  const actOrder = checkBoolean("actOrder", recipe.actOrder ?? false);
  if (
    weights === undefined &&
    !prune &&
    !sparse &&
    !(Array.isArray(recipe.rules) && recipe.rules.length > 0)
  ) {
    throw new ArgumentError("The recipe says nothing to do: give weights, prune or rules.");
  }
  if (sparse && weights !== undefined) {
    throw new ArgumentError("sparse is for weights that keep their type: leave out weights.");
  }
  const hasWeights = ({ weights: own }: CheckedRule) => own !== undefined;
  const rules = checkRules(recipe.rules);
  if (gptq && weights === undefined && !rules.some(hasWeights)) {
    throw new ArgumentError("gptq makes up for rounding errors: give weights, too.");
  }
  if (actOrder && !gptq) throw new ArgumentError("actOrder is an option of gptq: give both.");
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
  const inBlocks = (type: QuantizedType) => mode === "lowmem" || type.endsWith("int4");
  const granularityFor = (type: QuantizedType) => {
    if (isFloatType(type)) return "tensor";
    if (isBlockType(type)) return "block";
    return granularity ?? (inBlocks(type) ? "block" : "axis");
  };
  return {
    weights,
    prune,
    gptq: gptq ? { actOrder } : undefined,
    sparse,
    rules,
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
