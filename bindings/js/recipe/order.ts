/** From a recipe to an order: one specification for each tensor. */
import { ArgumentError } from "../base/errors.js";
import type {
  CoreReport,
  CoreTensorInfo,
  CoreTensorSpec,
  CoreWriteOptions,
} from "../core/types.js";
import { isFloatType, type QuantizedType } from "../arrays/types.js";
import { knowsAny, type Calibration } from "./calibration.js";
import { checkWords, type CheckedRecipe } from "./check.js";
import type { ModelFacts } from "./idle.js";
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
  ifIdle(report: CoreReport, facts: ModelFacts): Promise<string | undefined>;
}

/** The remarks that are needed once the core has planned. */
export type Remarks = Omit<RemarkedOrder, "survey" | "sparse">;

const noType: QuantizedType = "int8";

/** The types that restored weights may have. */
export const restoredTypes = ["float32", "float16", "bfloat16"] as const;
/** A type that restored weights may have. */
export type RestoredType = (typeof restoredTypes)[number];

/** The decision on a tensor, for the core. */
interface Decided {
  spec: CoreTensorSpec;
  reason: OwnReason | undefined;
  /** True for a layer that is done without a calibration. */
  isLeft: boolean;
}

/** Makes the warnings on layers that a recipe for a calibration does without it. */
function calibrationWarnings(
  decided: readonly Decided[],
  tensors: readonly CoreTensorInfo[],
  isAssumed: boolean,
): (string | undefined)[] {
  const numFitted = decided.filter(({ spec: { prune } }) => prune && prune.samples > 0).length;
  const left = tensors.filter((_, i) => decided[i]!.isLeft);
  // Of ONNX files alone it is known what a layer reads.
  const isUnseen = (it: CoreTensorInfo) => it.consumer !== "" && !it.layerInputs?.length;
  const numUnseen = left.filter(isUnseen).length;
  const numMissed = left.length - numUnseen;
  const all = left.length + numFitted;
  if (isAssumed) {
    return [
      numFitted > 0
        ? `Planned as if all inputs were known; to shrink with this recipe takes samples: ${whatSamples}`
        : undefined,
    ];
  }
  return [
    numMissed > 0
      ? `${numMissed} of ${all} layers are not in the calibration and are done without it (notes say how); ` +
        "outputs on such samples tell nothing of them: give samples that reach them, or rules that keep them."
      : undefined,
    numUnseen > 0
      ? `${numUnseen} of ${all} layers have inputs that cannot be seen, and are done without a calibration ` +
        "(notes say how)."
      : undefined,
  ];
}

/** Makes the warnings on rules that match nothing. */
const ruleWarnings = ({ rules }: CheckedRecipe, tensors: readonly CoreTensorInfo[]): string[] =>
  rules
    .filter(({ match }) => match !== undefined)
    .filter(({ matches }) => !tensors.some((it) => it.isWeight && matches(it.name)))
    .map(({ match }) => `The rule "${match}" matches no weight.`);

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
  const decided = tensors.map((tensor, i): Decided => {
    const { weights, prune, reason } = tensor.isWeight ? decide(recipe, tensor) : {};
    // A row of an embedding is looked up and multiplied by nothing.
    const isLayer = tensor.consumer !== "Gather";
    const feedback = weights && !isFloatType(weights) && isLayer ? recipe.gptq : undefined;
    const found = pruneSpecFor(tensor, prune, feedback, calibration);
    if (found.prune && prune && prune === recipe.prune) sharing.push(i);
    const mayBeSparse = recipe.sparse && isSparseCandidate(tensor, weights, reason);
    if (mayBeSparse) sparse.push(i);
    return {
      spec: {
        ...recipe.specFor(weights ?? noType),
        keep: weights === undefined,
        ...(found.prune ? { prune: found.prune } : {}),
      },
      reason: mayBeSparse ? found.reason : (reason ?? found.reason),
      isLeft: found.isLeft ?? false,
    };
  });
  const specs = decided.map(({ spec }) => spec);
  const isCalibrated = typeof calibration === "object";
  if (isCalibrated && decided.some(({ isLeft }) => isLeft) && !knowsAny(calibration, tensors)) {
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
    isCalibrated,
    keepsOverflows: recipe.keepsOverflows,
    reasons: decided.map(({ reason }) => reason),
    warnings: [
      ...calibrationWarnings(decided, tensors, calibration === "assumed"),
      ...ruleWarnings(recipe, tensors),
    ].filter((warning) => warning !== undefined),
    async ifIdle({ tensors: planned }, facts) {
      if (sparse.length > 0 || decided.some(({ spec }) => spec.prune)) return undefined;
      const { idleWarning } = await import("./idle.js");
      const isKept = (it: CoreTensorInfo) => it.isWeight || it.isSparse === true;
      const kept = planned.filter((_, i) => isKept(tensors[i]!));
      return idleWarning(facts, kept, recipe.requantize);
    },
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

/** Every quantized weight as the floats that it stands for: of type `weights`, or of the one that it once had. */
export function restoringOrder(
  tensors: readonly CoreTensorInfo[],
  weights: RestoredType | undefined,
): RemarkedOrder {
  const recipe = checkWords("int8");
  const { scheme, ...spec } = recipe.specFor(noType);
  const isRestored = ({ isWeight, quantized }: CoreTensorInfo) => isWeight && quantized;
  return {
    order: {
      specs: tensors.map((tensor) => {
        const type = weights ?? tensor.restoredType ?? "float32";
        const keep = !isRestored(tensor);
        return { ...spec, keep, scheme: { ...scheme, type, granularity: "tensor" } };
      }),
      options: recipe.options,
    },
    sparse: [],
    asksForSparse: false,
    asksForChannels: false,
    isCalibrated: false,
    keepsOverflows: false,
    reasons: tensors.map(() => undefined),
    warnings: [],
    async ifIdle(_, facts) {
      const { nothingToRestore } = await import("./idle.js");
      return nothingToRestore(facts, tensors.some(isRestored));
    },
  };
}
