/** What to do with each tensor: presets, recipes, rules → one specification a tensor. */
import type { NonFinite } from "../arrays/quantize.js";
import { knowsAny, type Calibration } from "./calibration.js";
import type { CoreReport, CoreTensorInfo, CoreTensorSpec, CoreWriteOptions } from "../core/types.js";
import { formatTitles, presetNamed, presetsOf, type FormatName } from "./presets.js";
import {
  checkPruning,
  pruneSpecFor,
  shareOut,
  whatSamples,
  type CheckedPruning,
  type Feedback,
  type PruneRecipe,
  type PruneSurvey,
} from "./pruning.js";
import type { Order } from "../models/run.js";
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
import {
  checkType,
  ggmlBlockSize,
  isBlockType,
  isFloatType,
  isSparseType,
  isSymmetricByDefault,
  type QuantizedType,
} from "../arrays/types.js";

export type Mode = "storage" | "dynamic" | "lowmem";
export type Granularity = "tensor" | "axis" | "block";

/** Which tensors: a glob (`*` is any text, `?` one character) or a "/regular expression/". */
export type Rule =
  | { match: string; weights?: QuantizedType; prune?: PruneRecipe | false }
  | {
      match: string;
      /** Leave these tensors as they are. */
      keep: true;
    };

export interface Recipe {
  /** The number format of the weights; left out: they stay as they are, but for `prune`. */
  weights?: QuantizedType;
  /** Which weights become zero; by default none. Embeddings are pruned only by a rule. */
  prune?: PruneRecipe;
  /**
   * Stores weights that stay floats without their zeros where that is smaller: as `sparse_initializer` of
   * ONNX, which WebGPU builds of onnxruntime refuse, or as the "sparse-bitmask" of compressed-tensors in
   * safetensors. Weights are read twice. False by default.
   */
  sparse?: boolean;
  /**
   * With a calibration: rounding errors are made up for by later weights of the layer (GPTQ); false by
   * default.
   */
  gptq?: boolean;
  /** With `gptq`: takes the inputs of large moments first; false by default. */
  actOrder?: boolean;
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

const elementsOf = ({ shape }: CoreTensorInfo) => shape.reduce((all, size) => all * size, 1);

interface Decision {
  weights?: QuantizedType | undefined;
  prune?: CheckedPruning | undefined;
  /** Why it stays as it is. */
  reason?: string;
}

const noRule = "no rule for it";
const keptByRule = "kept by a rule";
const alreadyQuantized = "already quantized";
const tooFew = "fewer than";

/** What the recipe does with a weight. */
function decide(recipe: CheckedRecipe, tensor: CoreTensorInfo): Decision {
  if (tensor.quantized && !recipe.requantize) return { reason: alreadyQuantized };
  const rule = recipe.rules.find(({ pattern }) => pattern.test(tensor.name));
  if (rule?.keeps) return { reason: keptByRule };
  if (!rule && elementsOf(tensor) < recipe.minElements) {
    const reason = `${tooFew} ${recipe.minElements} elements`;
    if (recipe.prune?.method !== "structured") return { reason };
    // Channels go through small weights, too.
    return recipe.weights === undefined ? { prune: recipe.prune } : { prune: recipe.prune, reason };
  }
  const weights = rule?.weights ?? recipe.weights;
  // A row of an embedding is a word, not an input: zeros there are lost for good.
  const byDefault = tensor.consumer === "Gather" ? undefined : recipe.prune;
  const prune = rule?.prune === undefined ? byDefault : rule.prune || undefined;
  if (weights !== undefined || prune) return { weights, prune };
  if (rule?.prune === false) return { reason: keptByRule };
  return { reason: recipe.prune ? "an embedding, pruned only by a rule" : noRule };
}

/** Whether it may be stored without its zeros; `reason`: why it is kept. */
const isSparseCandidate = (
  { isWeight, quantized, type }: CoreTensorInfo,
  weights: QuantizedType | undefined,
  reason: string | undefined,
): boolean =>
  isWeight &&
  !quantized &&
  weights === undefined &&
  (reason === undefined || reason === noRule) &&
  ["float32", "float16", "bfloat16"].includes(type);

/** A model that is only copied is not what anyone wanted. `notes`: why its weights stay. */
function idleWarning(format: FormatName, notes: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const note of notes) counts.set(note, (counts.get(note) ?? 0) + 1);
  const [most] = [...counts].sort(([, a], [, b]) => b - a);
  const head = `No weight is changed${most ? ` (${most[1]} × ${most[0]})` : ""}.`;
  const reason = most?.[0] ?? "";
  if (reason === keptByRule) return head;
  if (reason.startsWith(alreadyQuantized)) {
    const otherwise =
      format === "onnx" ? "restore it first (restore)" : "requantize: true (--requantize)";
    return `${head} To quantize it anew: ${otherwise}.`;
  }
  if (reason.startsWith(tooFew))
    return `${head} A recipe's minElements says how small they may be.`;
  return `${head} Presets for ${formatTitles[format]} are ${presetsOf(format).join(", ")}.`;
}

/** An order, and what the recipe has to say beyond it: reasons by tensor, idle rules. */
export interface RemarkedOrder {
  order: Order;
  notes: (string | undefined)[];
  warnings: string[];
  /** What is to be found out before: which tensors share how much. */
  survey?: PruneSurvey;
  /** Tensors that may be stored without their zeros. */
  sparse: number[];
  asksForSparse: boolean;
  asksForChannels: boolean;
  isCalibrated: boolean;
  /** The warning when no tensor changes. */
  ifIdle(report: CoreReport): string | undefined;
}

const noType: QuantizedType = "int8";

/**
 * One specification for each tensor. What is no weight stays, whatever the rules say. "assumed": every layer's
 * inputs are taken to be known, as sizes do not depend on them.
 */
export function orderFor(
  recipe: CheckedRecipe,
  tensors: readonly CoreTensorInfo[],
  calibration?: Calibration | "assumed",
): RemarkedOrder {
  /** Those that the recipe's own words prune, not a rule. */
  const sharing: number[] = [];
  const sparse: number[] = [];
  let numLeft = 0;
  let numFitted = 0;
  const decided = tensors.map((tensor, i): { spec: CoreTensorSpec; note: string | undefined } => {
    const { weights, prune, reason } = tensor.isWeight ? decide(recipe, tensor) : {};
    const feedback = weights && !isFloatType(weights) ? recipe.gptq : undefined;
    const found = pruneSpecFor(tensor, prune, feedback, calibration);
    if (found.prune && prune && prune === recipe.prune) sharing.push(i);
    const mayBeSparse = recipe.sparse && isSparseCandidate(tensor, weights, reason);
    if (mayBeSparse) sparse.push(i);
    if (found.isLeft) numLeft++;
    if (found.prune && found.prune.samples > 0) numFitted++;
    return {
      spec: {
        ...recipe.specFor(weights ?? noType),
        keep: weights === undefined,
        ...(found.prune ? { prune: found.prune } : {}),
      },
      note: mayBeSparse ? found.note : (reason ?? found.note),
    };
  });
  const specs = decided.map(({ spec }) => spec);
  if (numLeft > 0 && typeof calibration === "object" && !knowsAny(calibration, tensors)) {
    throw new ArgumentError(
      "The calibration knows none of this model's layers: it was made with another model, or from no samples.",
    );
  }
  const survey = recipe.prune && shareOut(recipe.prune, sharing, tensors, specs);
  return {
    order: { specs, options: recipe.options },
    ...(survey ? { survey } : {}),
    sparse,
    asksForSparse: recipe.sparse,
    asksForChannels: specs.some(({ prune }) => prune?.method === "channels"),
    isCalibrated: typeof calibration === "object",
    notes: decided.map(({ note }) => note),
    warnings: [
      calibration === "assumed" && numFitted > 0
        ? `Planned as if all inputs were known; to shrink with this recipe takes samples: ${whatSamples}`
        : undefined,
      numLeft > 0 && calibration !== "assumed"
        ? `${numLeft} of ${numLeft + numFitted} layers are not in the calibration: no sample reached them, or ` +
          "they cannot be seen. They are done without it (notes say how), and outputs on such samples tell " +
          "nothing of them: give samples that reach them, or rules that keep them."
        : undefined,
      ...recipe.rules
        .filter(({ pattern }) => !tensors.some((it) => it.isWeight && pattern.test(it.name)))
        .map(({ match }) => `The rule "${match}" matches no weight.`),
    ].filter((warning) => warning !== undefined),
    ifIdle: ({ format, tensors: planned }) =>
      sparse.length > 0 || decided.some(({ spec }) => spec.prune)
        ? undefined
        : idleWarning(
            format,
            planned.flatMap(({ note }, i) => {
              const { isWeight = false, type = "" } = tensors[i] ?? {};
              return note && (isWeight || isSparseType(type)) ? [note] : [];
            }),
          ),
  };
}

/** Every tensor as it is. */
export function keepingOrder(tensors: readonly CoreTensorInfo[]): Order {
  const recipe = checkRecipe("int8");
  return {
    specs: tensors.map(() => ({ ...recipe.specFor(noType), keep: true })),
    options: recipe.options,
  };
}

/** Every quantized weight as the floats that it stands for. */
export function restoringOrder(tensors: readonly CoreTensorInfo[]): RemarkedOrder {
  const recipe = checkRecipe("int8");
  return {
    order: {
      specs: tensors.map(({ isWeight, quantized, restoredType }) => ({
        ...recipe.specFor("int8"),
        keep: !isWeight || !quantized,
        type: restoredType ?? "float32",
        granularity: "tensor",
      })),
      options: recipe.options,
    },
    sparse: [],
    asksForSparse: false,
    asksForChannels: false,
    isCalibrated: false,
    notes: tensors.map(() => undefined),
    warnings: [],
    ifIdle: () => "modelshrink sees no quantized weight in this model that it could restore.",
  };
}
