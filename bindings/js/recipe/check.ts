/** The check of recipes. */
import { ArgumentError } from "../base/errors.js";
import { checkOptions, type CheckedOptions } from "../base/option-table.js";
import type { CoreTensorSpec, CoreWriteOptions } from "../core/types.js";
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
  prune: CheckedPruning | undefined;
  gptq: Feedback | undefined;
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

/** Throws an ArgumentError for options that make no sense together, or alone. */
function checkTogether(recipe: CheckedOptions<typeof recipeOptions>): void {
  const { weights, prune, sparse, gptq, actOrder, rules = [] } = recipe;
  if (weights === undefined && !prune && !sparse && rules.length === 0) {
    throw new ArgumentError("The recipe says nothing to do: give weights, prune, sparse or rules.");
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
  const { weights, prune, gptq, actOrder, sparse, rules = [], minElements, requantize } = recipe;
  const { mode, packEmbeddings, granularity, blockSize, symmetric, nonFinite, overflow, strip } =
    recipe;
  const inBlocks = (type: QuantizedType) => mode === "lowmem" || isPackedType(type);
  const granularityFor = (type: QuantizedType) => {
    if (isFloatType(type)) return isFloat8(type) && granularity !== "tensor" ? "axis" : "tensor";
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
