/** From a recipe to an order: one specification for each tensor. */
import { ArgumentError } from "../base/errors.js";
import { formats, type FormatName } from "../base/formats.js";
import type { ReasonCode } from "../base/reason-table.js";
import type {
  CoreReport,
  CoreTensorInfo,
  CoreTensorReport,
  CoreTensorSpec,
  CoreWriteOptions,
} from "../core/types.js";
import { isFloatType, type QuantizedType } from "../arrays/types.js";
import { knowsAny, type Calibration } from "./calibration.js";
import { checkWords, type CheckedRecipe } from "./check.js";
import { presetsOf } from "./presets.js";
import {
  pruneSpecFor,
  shareOut,
  whatSamples,
  type CheckedPruning,
  type PruneSurvey,
} from "./pruning.js";
import type { OwnReason } from "./reasons.js";

const elementsOf = ({ shape }: CoreTensorInfo) => shape.reduce((all, size) => all * size, 1);

/** The decision of a recipe on one tensor. */
interface Decision {
  weights?: QuantizedType | undefined;
  prune?: CheckedPruning | undefined;
  /** The reason why the tensor stays as it is. */
  reason?: OwnReason;
}

/** Decides by the rules and the recipe's own words about a weight. */
function decide(recipe: CheckedRecipe, tensor: CoreTensorInfo): Decision {
  if (tensor.quantized && !recipe.requantize) return { reason: { code: "alreadyQuantized" } };
  const rule = recipe.rules.find(({ matches }) => matches(tensor.name));
  if (rule?.keeps) return { reason: { code: "keptByRule" } };
  if (!rule && elementsOf(tensor) < recipe.minElements) {
    const reason: OwnReason = {
      code: "tooFewElements",
      arguments: { elements: recipe.minElements },
    };
    if (recipe.prune?.method !== "structured") return { reason };
    // Channels go through small weights, too.
    return recipe.weights === undefined ? { prune: recipe.prune } : { prune: recipe.prune, reason };
  }
  const weights = rule?.weights ?? recipe.weights;
  // A row of an embedding is a word, not an input: zeros there are lost for good.
  const byDefault = tensor.consumer === "Gather" ? undefined : recipe.prune;
  const prune = rule?.prune === undefined ? byDefault : rule.prune || undefined;
  if (weights !== undefined || prune) return { weights, prune };
  if (rule?.prune === false) return { reason: { code: "keptByRule" } };
  return { reason: { code: recipe.prune ? "embedding" : "noRule" } };
}

/** Tells whether a weight may be stored without its zeros; `reason` says why it is kept. */
const isSparseCandidate = (
  { isWeight, quantized, type }: CoreTensorInfo,
  weights: QuantizedType | undefined,
  reason: OwnReason | undefined,
): boolean =>
  isWeight &&
  !quantized &&
  weights === undefined &&
  (reason === undefined || reason.code === "noRule") &&
  ["float32", "float16", "bfloat16"].includes(type);

/** Codes of weights that someone has quantized before. */
const quantizedBefore: readonly (ReasonCode | undefined)[] = [
  "alreadyQuantized",
  "quantizedInGraph",
];

/** Makes the warning for a model that would only be copied; `kept` are its weights, which stay. */
function idleWarning(format: FormatName, kept: readonly CoreTensorReport[]): string {
  const counts = new Map<string, { count: number; code: ReasonCode | undefined }>();
  for (const { note, reasons } of kept) {
    if (note === undefined) continue;
    const count = (counts.get(note)?.count ?? 0) + 1;
    counts.set(note, { count, code: reasons?.[0]?.code });
  }
  const [most] = [...counts].sort(([, a], [, b]) => b.count - a.count);
  const head = `No weight is changed${most ? ` (${most[1].count} × ${most[0]})` : ""}.`;
  const code = most?.[1].code;
  if (code === "keptByRule") return head;
  if (quantizedBefore.includes(code)) {
    const otherwise =
      format === "onnx" ? "restore it first (restore)" : "requantize: true (--requantize)";
    return `${head} To quantize it anew: ${otherwise}.`;
  }
  if (code === "tooFewElements")
    return `${head} A recipe's minElements says how small they may be.`;
  return `${head} Presets for ${formats[format].title} are ${presetsOf(format).join(", ")}.`;
}

/** The core's arguments for writing a model. */
export interface Order {
  specs: CoreTensorSpec[];
  options: CoreWriteOptions;
}

/** An order, and the recipe's remarks on it: reasons by tensor, rules that match nothing. */
export interface RemarkedOrder {
  order: Order;
  reasons: (OwnReason | undefined)[];
  warnings: string[];
  /** The shares of tensors that have to be found before the order can run. */
  survey?: PruneSurvey;
  /** The numbers of the tensors that may be stored without their zeros. */
  sparse: number[];
  asksForSparse: boolean;
  asksForChannels: boolean;
  isCalibrated: boolean;
  /** True when tensors stay as they are that turn out to go beyond the range of their types. */
  keepsOverflows: boolean;
  /** Gives the warning for a report in which no tensor changes. */
  ifIdle(report: CoreReport): string | undefined;
}

/** The remarks that are needed once the core has planned. */
export type Remarks = Omit<RemarkedOrder, "order" | "survey" | "sparse">;

const noType: QuantizedType = "int8";

/** Makes the warnings on rules that match nothing and on layers without a calibration, which are `numLeft`. */
function warningsFor(
  { rules }: CheckedRecipe,
  tensors: readonly CoreTensorInfo[],
  { isAssumed, numLeft, numFitted }: { isAssumed: boolean; numLeft: number; numFitted: number },
): string[] {
  return [
    isAssumed && numFitted > 0
      ? `Planned as if all inputs were known; to shrink with this recipe takes samples: ${whatSamples}`
      : undefined,
    numLeft > 0 && !isAssumed
      ? `${numLeft} of ${numLeft + numFitted} layers are not in the calibration: no sample reached them, or ` +
        "they cannot be seen. They are done without it (notes say how), and outputs on such samples tell " +
        "nothing of them: give samples that reach them, or rules that keep them."
      : undefined,
    ...rules
      .filter(({ matches }) => !tensors.some((it) => it.isWeight && matches(it.name)))
      .map(({ match }) => `The rule "${match}" matches no weight.`),
  ].filter((warning) => warning !== undefined);
}

/**
 * Makes the order of a recipe for a model's tensors. A tensor that is no weight stays, whatever the rules say. With
 * the calibration "assumed" every layer's inputs are taken to be known, because sizes do not depend on them. Throws
 * an ArgumentError when the calibration was made with another model.
 */
export function orderFor(
  recipe: CheckedRecipe,
  tensors: readonly CoreTensorInfo[],
  calibration?: Calibration | "assumed",
): RemarkedOrder {
  /** The tensors that the recipe's own words prune, not a rule. */
  const sharing: number[] = [];
  const sparse: number[] = [];
  let numLeft = 0;
  let numFitted = 0;
  const decided = tensors.map(
    (tensor, i): { spec: CoreTensorSpec; reason: OwnReason | undefined } => {
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
        reason: mayBeSparse ? found.reason : (reason ?? found.reason),
      };
    },
  );
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
    keepsOverflows: recipe.keepsOverflows,
    reasons: decided.map(({ reason }) => reason),
    warnings: warningsFor(recipe, tensors, {
      isAssumed: calibration === "assumed",
      ...{ numLeft, numFitted },
    }),
    ifIdle: ({ format, tensors: planned }) =>
      sparse.length > 0 || decided.some(({ spec }) => spec.prune)
        ? undefined
        : idleWarning(
            format,
            planned.filter(
              (_, i) => tensors[i]?.isWeight === true || tensors[i]?.isSparse === true,
            ),
          ),
  };
}

/** Every tensor as it is. */
export function keepingOrder(tensors: readonly CoreTensorInfo[]): Order {
  const recipe = checkWords("int8");
  return {
    specs: tensors.map(() => ({ ...recipe.specFor(noType), keep: true })),
    options: recipe.options,
  };
}

/** Every quantized weight as the floats that it stands for. */
export function restoringOrder(tensors: readonly CoreTensorInfo[]): RemarkedOrder {
  const recipe = checkWords("int8");
  const { scheme, ...spec } = recipe.specFor(noType);
  return {
    order: {
      specs: tensors.map(({ isWeight, quantized, restoredType }) => ({
        ...spec,
        keep: !isWeight || !quantized,
        scheme: { ...scheme, type: restoredType ?? "float32", granularity: "tensor" },
      })),
      options: recipe.options,
    },
    sparse: [],
    asksForSparse: false,
    asksForChannels: false,
    isCalibrated: false,
    keepsOverflows: false,
    reasons: tensors.map(() => undefined),
    warnings: [],
    ifIdle: () => "modelshrink sees no quantized weight in this model that it could restore.",
  };
}
