/** From a recipe to an order: one specification for each tensor. */
import { ArgumentError } from "../base/errors.js";
import { someRow, type ReportRows, type Rows } from "../core/table.js";
import type {
  CorePruneSpec,
  CoreRateTarget,
  CoreTensorInfo,
  CoreTensorReport,
  CoreTensorSpec,
} from "../core/types.js";
import { isFloatType, type QuantizedType } from "../arrays/types.js";
import { gramsFor, knowsAny, type Calibration } from "./calibration.js";
import { checkWords, type CheckedRecipe } from "./check.js";
import type { ModelFacts } from "./idle.js";
import {
  pruneSpecFor,
  shareOut,
  type CheckedPruning,
  type Feedback,
  type PruneSurvey,
} from "./pruning.js";
import type { OwnReason } from "./reasons.js";
import type { MatchingRule } from "./rules.js";
import { SpecList, type Order } from "./specs.js";
import type { Rate, TargetGroup } from "./targets.js";

const elementsOf = ({ shape }: CoreTensorInfo) => shape.reduce((all, size) => all * size, 1);

/** The decision of a recipe on one tensor. */
interface Decision {
  weights?: QuantizedType | undefined;
  /** True where a rule says which type it gets. */
  isRuled?: boolean;
  /** The target that it shares with other tensors. */
  target?: CoreRateTarget | undefined;
  prune?: CheckedPruning | undefined;
  /** The reason why the tensor stays as it is. */
  reason?: OwnReason;
}

const alreadyQuantized: Decision = { reason: { code: "alreadyQuantized" } };
const keptByRule: Decision = { reason: { code: "keptByRule" } };
const embedding: Decision = { reason: { code: "embedding" } };
const noRule: Decision = { reason: { code: "noRule" } };

/** Decides by the rules and the recipe's own words about a weight. */
function decide(recipe: CheckedRecipe, tensor: CoreTensorInfo): Decision {
  const rule = recipe.rules.find(({ matches }) => matches(tensor.name));
  // Somebody who names a tensor means it, whatever uses it.
  if (!tensor.isWeight && !(rule?.weights && rule.match === tensor.name)) return {};
  if (tensor.quantized && !recipe.requantize) return alreadyQuantized;
  if (rule?.keeps) return keptByRule;
  if (!rule && elementsOf(tensor) < recipe.minElements) {
    const reason = recipe.tooFew;
    if (recipe.prune?.method !== "structured") return { reason };
    // Channels go through small weights, too.
    return recipe.weights === undefined ? { prune: recipe.prune } : { prune: recipe.prune, reason };
  }
  const weights = rule?.weights ?? recipe.weights;
  // A row of an embedding is a word, not an input: zeros there are lost for good.
  const byDefault = tensor.isEmbedding ? undefined : recipe.prune;
  const prune = rule?.prune === undefined ? byDefault : rule.prune || undefined;
  if (weights !== undefined || prune) {
    const isRuled = rule?.weights !== undefined;
    const own = isRuled ? rule.target : recipe.weightsTarget;
    return {
      weights,
      prune,
      isRuled,
      target: weights === "int8" ? (own ?? recipe.target) : undefined,
    };
  }
  if (rule?.prune === false) return keptByRule;
  return recipe.prune ? embedding : noRule;
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

/** An order, and the recipe's remarks on it: reasons by tensor, rules that match nothing. */
export interface RemarkedOrder {
  order: Order;
  reasons: (OwnReason | undefined)[];
  warnings: string[];
  /** The shares of tensors that have to be found before the order can run. */
  survey?: PruneSurvey;
  /** The tensors whose steps have to be found before the order can run; those of the recipe's own target come last. */
  targets: readonly TargetGroup[];
  /** What the tensors are expected to take, once that has been found. */
  rate?: Rate;
  /** The numbers of the tensors that may be stored without their zeros. */
  sparse: number[];
  asksForSparse: boolean;
  asksForChannels: boolean;
  isCalibrated: boolean;
  /** Left out where there is nothing to warn of. */
  layers?: LayerCounts;
  /** True when tensors stay as they are that turn out to go beyond the range of their types. */
  keepsOverflows: boolean;
  /** Gives the warning for a report in which no tensor changes. */
  ifIdle(report: ReportRows, facts: ModelFacts): Promise<string | undefined>;
}

/** The remarks that are needed once the core has planned. */
export type Remarks = Omit<RemarkedOrder, "survey" | "sparse" | "targets">;

const noType: QuantizedType = "int8";

/** The types that restored weights may have. */
export const restoredTypes = ["float32", "float16", "bfloat16"] as const;
/** A type that restored weights may have. */
export type RestoredType = (typeof restoredTypes)[number];

/** Gives the specification of tensors that get this type, the same one for all. */
function specsOf(recipe: CheckedRecipe): (weights: QuantizedType | undefined) => CoreTensorSpec {
  const specs = new Map<QuantizedType | undefined, CoreTensorSpec>();
  return (weights) => {
    let spec = specs.get(weights);
    if (!spec) {
      spec = { ...recipe.specFor(weights ?? noType), keep: weights === undefined };
      specs.set(weights, spec);
    }
    return spec;
  };
}

/** The numbers of layers that a recipe for a calibration does with it, and of those that it does without. */
export interface LayerCounts {
  fitted: number;
  missed: number;
  unseen: number;
  /** Of those with it, the ones whose inputs were seen in few rows; and the one of the fewest. */
  few: number;
  fewest?: SeenLayer;
}

/** A layer of so many inputs, which were seen in `samples` rows, where `wanted` would do. */
export interface SeenLayer {
  name: string;
  columns: number;
  samples: number;
  wanted: number;
}

/** Fits to fewer rows than this times the layer's inputs are damped more, or left out (src/calibrated/fit.h). */
const rowsPerInput = 8;

/** Norms of fewer rows than this may choose worse than the weights alone. */
const rowsOfNorms = 128;

/** Counts a layer that is done with the calibration. */
function countFitted(
  layers: LayerCounts,
  { name, layer: matrix }: CoreTensorInfo,
  { method, refit, feedback, samples }: CorePruneSpec,
): void {
  layers.fitted++;
  const { columns } = matrix!;
  const isFit = method !== "wanda" || refit || feedback;
  const wanted = isFit ? rowsPerInput * columns : rowsOfNorms;
  if (samples >= wanted) return;
  layers.few++;
  const { fewest } = layers;
  if (!fewest || samples / wanted < fewest.samples / fewest.wanted) {
    layers.fewest = { name, columns, samples, wanted };
  }
}

/** The decisions on all tensors of a model, by their numbers. */
interface Decisions {
  list: SpecList;
  reasons: (OwnReason | undefined)[];
  /** The tensors that the recipe's own words prune, not a rule. */
  sharing: number[];
  sparse: number[];
  /** The tensors of each target. */
  targets: Map<CoreRateTarget, number[]>;
  /** A 1 for each tensor that is a weight, or sparse. */
  isWeight: Uint8Array;
  /** The rules that match no weight. */
  unmatched: Set<MatchingRule>;
  layers: LayerCounts;
}

function addTo<Key>(lists: Map<Key, number[]>, key: Key, item: number): void {
  const list = lists.get(key);
  if (list) {
    list.push(item);
  } else {
    lists.set(key, [item]);
  }
}

/** The options of GPTQ for a tensor; undefined where nothing is to be made up for, or codes do so without samples. */
function feedbackFor(
  { gptq, trellis }: CheckedRecipe,
  tensor: CoreTensorInfo,
  isQuantized: boolean,
  target: CoreRateTarget | undefined,
  calibration: Calibration | "assumed" | undefined,
): Feedback | undefined {
  if (!isQuantized) return undefined;
  if (gptq || !target || trellis || typeof calibration !== "object") return gptq;
  // The order of the moments is what coarse steps need.
  return "grams" in gramsFor(calibration, tensor) ? { actOrder: true } : undefined;
}

function decideAll(
  recipe: CheckedRecipe,
  tensors: Rows<CoreTensorInfo>,
  calibration: Calibration | "assumed" | undefined,
): Decisions {
  const { length } = tensors;
  const layers: LayerCounts = { fitted: 0, missed: 0, unseen: 0, few: 0 };
  const all: Decisions = {
    ...{ list: new SpecList(length), reasons: [], sharing: [], sparse: [], layers },
    targets: new Map(),
    ...{ isWeight: new Uint8Array(length), unmatched: new Set(recipe.rules) },
  };
  const specOf = specsOf(recipe);
  let i = 0;
  for (const tensor of tensors) {
    for (const rule of all.unmatched) {
      const isMeant = tensor.isWeight || rule.match === tensor.name;
      if (isMeant && rule.matches(tensor.name)) all.unmatched.delete(rule);
    }
    const { weights, prune, reason, isRuled, target } = decide(recipe, tensor);
    if (target) addTo(all.targets, target, i);
    const isQuantized = weights !== undefined && !isFloatType(weights);
    const feedback = feedbackFor(
      recipe,
      tensor,
      isQuantized && !tensor.isEmbedding,
      target,
      calibration,
    );
    const found = pruneSpecFor(tensor, prune, feedback, calibration);
    if (found.prune && prune && prune === recipe.prune) all.sharing.push(i);
    const mayBeSparse = recipe.sparse && isSparseCandidate(tensor, weights, reason);
    if (mayBeSparse) all.sparse.push(i);
    // Of ONNX files alone it is known what a layer reads.
    const isUnseen = tensor.consumer !== "" && !tensor.layerInputs?.length;
    if (found.isLeft) layers[isUnseen ? "unseen" : "missed"]++;
    if (found.prune && found.prune.samples > 0) countFitted(layers, tensor, found.prune);
    let spec = specOf(weights);
    let own = reason;
    if (isQuantized && tensor.isEmbedding && recipe.keepsRows) {
      spec = { ...spec, mode: "storage" };
      if (!isRuled && !weights.endsWith("16")) {
        spec.scheme = { ...spec.scheme, type: "int8", granularity: "axis", symmetric: true };
        own = { code: "notPacked" };
      }
    }
    if (weights && !tensor.isWeight) spec = { ...spec, isForced: true };
    all.list.add(found.prune ? { ...spec, prune: found.prune } : spec);
    all.reasons.push(mayBeSparse ? found.reason : (own ?? found.reason));
    all.isWeight[i++] = Number(tensor.isWeight || tensor.isSparse === true);
  }
  return all;
}

/** The entries of a report on the tensors that are weights or sparse. */
function* weightsOf(
  { tensors }: ReportRows,
  isWeight: Uint8Array,
): Generator<CoreTensorReport, undefined> {
  for (const [i, is] of isWeight.entries()) if (is === 1) yield tensors.at(i)!;
}

/** Gives the groups of tensors with a target. The size of a file depends on all the others: its group comes last. */
const groupsOf = (
  targets: ReadonlyMap<CoreRateTarget, number[]>,
  last: CoreRateTarget | undefined,
): TargetGroup[] =>
  [...targets]
    .map(([target, tensors]) => ({ target, tensors }))
    .sort((a, b) => Number(a.target === last) - Number(b.target === last));

/**
 * Makes the order of a recipe for a model's tensors. A tensor that is no weight stays, whatever the rules say. With
 * the calibration "assumed" every layer's inputs are taken to be known, because sizes do not depend on them. Throws
 * an ArgumentError when the calibration was made with another model.
 */
export function orderFor(
  recipe: CheckedRecipe,
  tensors: Rows<CoreTensorInfo>,
  calibration?: Calibration | "assumed",
): RemarkedOrder {
  const decided = decideAll(recipe, tensors, calibration);
  const { list, reasons, sharing, sparse, isWeight, unmatched, layers } = decided;
  const isCalibrated = typeof calibration === "object";
  if (isCalibrated && layers.missed + layers.unseen > 0 && !knowsAny(calibration, tensors)) {
    throw new ArgumentError(
      "The calibration knows none of this model's layers: it was made with another model, or from no samples.",
    );
  }
  const chosen = list.order(recipe.options);
  const { order, survey } = recipe.prune
    ? shareOut(recipe.prune, sharing, tensors, chosen)
    : { order: chosen };
  return {
    order,
    ...(survey ? { survey } : {}),
    targets: groupsOf(decided.targets, recipe.target),
    sparse,
    asksForSparse: recipe.sparse,
    asksForChannels: order.specs.some(({ prune }) => prune?.method === "channels"),
    isCalibrated,
    ...((isCalibrated ? layers.missed + layers.unseen + layers.few : layers.fitted) > 0
      ? { layers }
      : {}),
    keepsOverflows: recipe.keepsOverflows,
    reasons,
    warnings: [
      ...[...unmatched]
        .filter(({ match }) => match !== undefined)
        .map(({ match }) => `The rule "${match}" matches no weight.`),
    ],
    async ifIdle(report, facts) {
      if (sparse.length > 0 || order.specs.some(({ prune }) => prune)) return undefined;
      const { idleWarning } = await import("./idle.js");
      const weights = weightsOf(report, isWeight);
      return idleWarning(facts, weights, report.tensors, recipe.requantize);
    },
  };
}

/** Every tensor as it is. */
export function keepingOrder(tensors: Rows<CoreTensorInfo>): Order {
  const recipe = checkWords("int8");
  const specs = [{ ...recipe.specFor(noType), keep: true }];
  return { specs, which: new Uint32Array(tensors.length), options: recipe.options };
}

/** Every quantized weight as the floats that it stands for: of type `weights`, or of the one that it once had. */
export function restoringOrder(
  tensors: Rows<CoreTensorInfo>,
  weights: RestoredType | undefined,
): RemarkedOrder {
  const recipe = checkWords("int8");
  const { scheme, ...spec } = recipe.specFor(noType);
  const isRestored = ({ isWeight, quantized }: CoreTensorInfo) => isWeight && quantized;
  const list = new SpecList(tensors.length);
  for (const tensor of tensors) {
    const type = weights ?? tensor.restoredType ?? "float32";
    const keep = !isRestored(tensor);
    list.add({ ...spec, keep, scheme: { ...scheme, type, granularity: "tensor" } });
  }
  return {
    order: list.order(recipe.options),
    targets: [],
    sparse: [],
    asksForSparse: false,
    asksForChannels: false,
    isCalibrated: false,
    keepsOverflows: false,
    reasons: [],
    warnings: [],
    async ifIdle(_, facts) {
      const { nothingToRestore } = await import("./idle.js");
      return nothingToRestore(facts, someRow(tensors, isRestored));
    },
  };
}
