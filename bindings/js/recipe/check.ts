/** The check of recipes. */
import { ArgumentError } from "../base/errors.js";
import { checkOptions, type CheckedOptions } from "../base/option-table.js";
import type { CoreRateTarget, CoreTensorSpec, CoreWriteOptions } from "../core/types.js";
import {
  blockElementsOf,
  isBlockType,
  isFloat8,
  isFloatType,
  isPackedType,
  isSymmetricByDefault,
  type QuantizedType,
} from "../arrays/types.js";
import { presetNamed } from "./presets.js";
import { recipeOptions } from "./options.js";
import type { OwnReason } from "./reasons.js";
import type { CheckedPruning, Feedback } from "./pruning.js";
import { withMatchers, type CheckedRule, type MatchingRule } from "./rules.js";

/** A recipe whose values are known to be right, but for the patterns of its rules. */
interface CheckedWords {
  weights: QuantizedType | undefined;
  /** The target of the tensors that get the recipe's own type. */
  weightsTarget: CoreRateTarget | undefined;
  /** The target of all tensors of int8 that have none of their own. */
  target: CoreRateTarget | undefined;
  prune: CheckedPruning | undefined;
  gptq: Feedback | undefined;
  /** True when a trellis chooses int8 codes, and not what a calibration knows. */
  trellis: boolean;
  sparse: boolean;
  rules: CheckedRule[];
  minElements: number;
  /** The reason for tensors of fewer elements, one object for a million of them. */
  tooFew: OwnReason;
  requantize: boolean;
  /** True when a tensor stays as it is that goes beyond the range of its type. */
  keepsOverflows: boolean;
  options: CoreWriteOptions;
  /** True when embeddings are not packed as other weights are. */
  keepsRows: boolean;
  specFor(weights: QuantizedType): CoreTensorSpec;
}

/** A recipe that can be carried out. */
export interface CheckedRecipe extends Omit<CheckedWords, "rules"> {
  rules: MatchingRule[];
}

type Options = CheckedOptions<typeof recipeOptions>;

/** Throws an ArgumentError where something else decides the steps or the codes that an option is to choose. */
function checkTargets(recipe: Options): void {
  const {
    weights,
    target,
    prune,
    rules = [],
    mode,
    granularity,
    symmetric,
    gptq,
    trellis,
  } = recipe;
  const hasTarget = [target, weights?.target, ...rules.map((it) => it.target)].some((it) => it);
  if (!hasTarget && !trellis) return;
  const what = hasTarget ? "A target" : "A trellis";
  if (target && weights?.target) {
    throw new ArgumentError("The recipe has a target, and its weights have one: give one of them.");
  }
  if (target && weights && weights.type !== "int8") {
    throw new ArgumentError(`A target is for weights "int8", not "${weights.type}".`);
  }
  const types = [weights?.type, ...rules.map((it) => it.weights)];
  if (trellis && !target && !types.includes("int8")) {
    throw new ArgumentError('A trellis is for weights "int8": give them.');
  }
  if (trellis && gptq) {
    throw new ArgumentError("Either gptq or a trellis chooses the codes: give one of them.");
  }
  if (prune ?? rules.some((it) => it.prune)) {
    throw new ArgumentError(
      `${what} chooses codes for the weights as they are, and makes zeros itself: leave out prune.`,
    );
  }
  if (mode === "lowmem" || granularity === "block" || symmetric === false) {
    const other =
      mode === "lowmem"
        ? 'mode "lowmem"'
        : symmetric === false
          ? "symmetric: false"
          : 'granularity "block"';
    throw new ArgumentError(`${what} is for int8 with one step for a channel: leave out ${other}.`);
  }
}

/** Throws an ArgumentError for options that make no sense together, or alone. */
function checkTogether(recipe: Options): void {
  const { weights, target, prune, sparse, gptq, actOrder, rules = [] } = recipe;
  checkTargets(recipe);
  if (weights === undefined && !prune && !sparse && !target && rules.length === 0) {
    throw new ArgumentError(
      "The recipe says nothing to do: give weights, target, prune, sparse or rules.",
    );
  }
  if (sparse && weights !== undefined) {
    throw new ArgumentError("sparse is for weights that keep their type: leave out weights.");
  }
  if (gptq && weights === undefined && !rules.some(({ weights: own }) => own !== undefined)) {
    throw new ArgumentError("gptq makes up for rounding errors: give weights, too.");
  }
  if (actOrder && !gptq) throw new ArgumentError("actOrder is an option of gptq: give both.");
}

/** Checks every value of a recipe, or of the preset of this name, but for the patterns of its rules. */
export function checkWords(value: unknown): CheckedWords {
  const given = typeof value === "string" ? presetNamed(value).recipe : value;
  const recipe = checkOptions("recipe", given, recipeOptions);
  checkTogether(recipe);
  const { prune, gptq, actOrder, sparse, rules = [], minElements, requantize, target } = recipe;
  // Whoever wants a size wants something done to the weights.
  const weights = recipe.weights?.type ?? (target && rules.length === 0 ? "int8" : undefined);
  const { mode, packEmbeddings, granularity, blockSize, symmetric } = recipe;
  const { trellis, nonFinite, overflow, strip } = recipe;
  const inBlocks = (type: QuantizedType) => mode === "lowmem" || isPackedType(type);
  const granularityFor = (type: QuantizedType) => {
    if (isFloatType(type)) return isFloat8(type) && granularity !== "tensor" ? "axis" : "tensor";
    if (isBlockType(type)) return "block";
    return granularity ?? (inBlocks(type) ? "block" : "axis");
  };
  return {
    weights,
    weightsTarget: recipe.weights?.target,
    target,
    prune,
    gptq: gptq ? { actOrder } : undefined,
    trellis,
    sparse,
    rules,
    minElements,
    tooFew: { code: "tooFewElements", arguments: { elements: minElements } },
    requantize,
    keepsOverflows: overflow === "keep",
    keepsRows: mode === "lowmem" && !packEmbeddings,
    options: { strip, mainName: "" },
    specFor: (type) => ({
      keep: false,
      scheme: {
        type,
        granularity: granularityFor(type),
        rule: "onnx-linear",
        axis: 0,
        blockSize: isBlockType(type) ? blockElementsOf(type) : blockSize,
        symmetric: isFloatType(type) || (symmetric ?? isSymmetricByDefault(type)),
        transposed: false,
        nonFinite,
        saturate: overflow === "saturate",
        ...(trellis && type === "int8" ? { trellis } : {}),
      },
      mode,
      isForced: false,
    }),
  };
}

/** Checks every value of a recipe, or of the preset of this name; an ArgumentError names what is wrong. */
export async function checkRecipe(value: unknown): Promise<CheckedRecipe> {
  const words = checkWords(value);
  return { ...words, rules: await withMatchers(words.rules) };
}
