/** From a recipe's words for pruning to the core's specification of each tensor. */
import { ArgumentError } from "../base/errors.js";
import {
  checkBoolean,
  checkInteger,
  checkKeys,
  checkObject,
  checkOneOf,
  list,
  optional,
  show,
} from "../base/options.js";
import type { Rows } from "../core/table.js";
import type { CorePruneSpec, CoreShare, CoreTensorInfo } from "../core/types.js";
import { allocateSparsity } from "../arrays/allocation.js";
import { checkDamping } from "../arrays/layers.js";
import { gramsFor, heldOutOf, type Calibration } from "./calibration.js";
import type { OwnReason } from "./reasons.js";
import { changeSpecs, type Order } from "./specs.js";
import type { PruneRecipe } from "./types.js";

type Method = PruneRecipe["method"];
type Allocation = NonNullable<Extract<PruneRecipe, { method: "magnitude" }>["allocation"]>;

const allocations = ["uniform", "erk", "global", "lamp"] as const;

const commonOptions = ["refit", "damping"] as const;

/** The options that each method takes beside them. */
const optionsOf: Record<Method, readonly string[]> = {
  magnitude: ["sparsity", "allocation"],
  random: ["sparsity", "seed"],
  "n:m": ["n", "m"],
  wanda: ["sparsity", "n", "m"],
  sparsegpt: ["sparsity", "n", "m"],
  obc: ["sparsity", "n", "m"],
  structured: ["sparsity", "norm", "multipleOf"],
};
const methods = Object.keys(optionsOf) as Method[];
const options = [...new Set([...Object.values(optionsOf).flat(), ...commonOptions])];

/** Gives the method of a pruning; throws an ArgumentError for options of other methods, or without an amount. */
function checkMethod(where: string, given: Record<string, unknown>): Method {
  checkKeys(where, given, ["method", ...options]);
  const method = checkOneOf(`${where}.method`, given.method, methods);
  const own = [...optionsOf[method], ...commonOptions];
  const foreign = options.find((it) => given[it] !== undefined && !own.includes(it));
  if (foreign !== undefined) {
    throw new ArgumentError(
      `${where}.${foreign} is no option of method ${show(method)}, which takes ${list(own)}.`,
    );
  }
  const isPattern = given.n !== undefined || given.m !== undefined;
  if (isPattern === (given.sparsity !== undefined)) {
    const amounts = [
      optionsOf[method].includes("sparsity") ? ["sparsity"] : [],
      optionsOf[method].includes("n") ? ["n and m"] : [],
    ].flat();
    throw new ArgumentError(`${where} of method ${show(method)} needs ${amounts.join(", or ")}.`);
  }
  return method;
}

function checkSparsity(where: string, value: unknown, method: Method): number {
  if (typeof value !== "number" || !(value >= 0 && value <= 1)) {
    throw new ArgumentError(`${where} is ${show(value)}; it must be a number from 0 to 1.`);
  }
  if (method === "structured" && (value === 0 || value === 1)) {
    throw new ArgumentError(
      `${where} is ${value}; of "structured" it must be above 0 and below 1: a layer keeps some channels.`,
    );
  }
  return value;
}

/** A pruning whose values are known to be right; n and m are 0 unless it is a pattern. */
export interface CheckedPruning {
  method: Method;
  sparsity: number;
  allocation: Allocation;
  n: number;
  m: number;
  /** Undefined means the method's default. */
  refit: boolean | undefined;
  damping: number;
  seed: number;
  norm: number;
  multipleOf: number;
}

/** Checks a recipe's pruning, which errors call `where`; throws an ArgumentError. */
export function checkPruning(where: string, value: unknown): CheckedPruning {
  const given = checkObject(where, value);
  const method = checkMethod(where, given);
  const isPattern = given.sparsity === undefined;
  const { norm = 2 } = given;
  if (typeof norm !== "number" || !(norm > 0)) {
    throw new ArgumentError(`${where}.norm is ${show(norm)}; it must be a number above 0.`);
  }
  const n = isPattern ? checkInteger(`${where}.n`, given.n, 1, 63) : 0;
  if (isPattern && typeof given.m === "number" && given.m <= n) {
    throw new ArgumentError(`${where}: n of each m stay, so n must be below m.`);
  }
  return {
    ...{ method, n },
    sparsity: isPattern ? 0 : checkSparsity(`${where}.sparsity`, given.sparsity, method),
    allocation: checkOneOf(`${where}.allocation`, given.allocation ?? "uniform", allocations),
    m: isPattern ? checkInteger(`${where}.m`, given.m, n + 1, 64) : 0,
    refit: optional(given.refit, (refit) => checkBoolean(`${where}.refit`, refit)),
    damping: checkDamping(given.damping),
    seed: checkInteger(`${where}.seed`, given.seed ?? 0, 0, Number.MAX_SAFE_INTEGER),
    norm,
    multipleOf: checkInteger(`${where}.multipleOf`, given.multipleOf ?? 8, 1, 4096),
  };
}

/** The core's specification of a tensor that is not pruned. */
export const noPruning: CorePruneSpec = {
  ...{ method: "none", amount: 0, isFraction: true, n: 0, m: 0, magnitudeBits: 0, seed: 0 },
  ...{
    norm: 2,
    multipleOf: 1,
    samples: 0,
    heldOut: 0,
    damping: 0.01,
    refit: false,
    feedback: false,
    actOrder: false,
  },
};

/** Tells whether a pruning needs to know the layer's inputs. */
const isCalibrated = ({ method, refit }: CheckedPruning) =>
  refit === true || method === "wanda" || method === "sparsegpt" || method === "obc";

/** Tells whether the layers that read removed channels are fitted anew. */
const refitsChannels = ({ method, refit }: CheckedPruning) =>
  method === "structured" && refit !== false;

/** Tells whether a calibration makes a difference to a pruning. */
export const usesSamples = (pruning: CheckedPruning): boolean =>
  isCalibrated(pruning) || refitsChannels(pruning);

const nameOf = ({ method, refit }: CheckedPruning) =>
  refit ? "refit" : `prune method "${method}"`;

/** The options of GPTQ. */
export interface Feedback {
  actOrder: boolean;
}

/** The end of a sentence that asks for samples. */
export const whatSamples =
  'the option calibration, made by calibrate() of "modelshrink/runtime", or --inputs of the command.';

function samplesOf(
  calibration: Calibration | "assumed",
  tensor: CoreTensorInfo,
): { samples: number; heldOut: number } | { reason: OwnReason } {
  if (calibration === "assumed") {
    return tensor.layer ? { samples: 1, heldOut: 0 } : { reason: { code: "noMatrix" } };
  }
  const found = gramsFor(calibration, tensor);
  if ("reason" in found) return found;
  return { samples: found.grams[0]!.rows, heldOut: heldOutOf(found.grams) };
}

/**
 * Gives the core's specification for one weight. Where its inputs are not known, a method that needs them is replaced
 * by one that does not: `isLeft` is then true, and the reason says so. Throws an ArgumentError when the recipe needs a
 * calibration and there is none.
 */
export function pruneSpecFor(
  tensor: CoreTensorInfo,
  pruning: CheckedPruning | undefined,
  feedback: Feedback | undefined,
  calibration: Calibration | "assumed" | undefined,
): { prune?: CorePruneSpec; reason?: OwnReason; isLeft?: boolean } {
  if (!pruning && !feedback) return {};
  const needs = [
    ...(pruning && isCalibrated(pruning) ? [nameOf(pruning)] : []),
    ...(feedback ? ["gptq"] : []),
  ];
  if (needs.length > 0 && !calibration) {
    throw new ArgumentError(`The recipe's ${needs.join(" and ")} needs samples: ${whatSamples}`);
  }
  const uses = needs.length > 0 || (pruning !== undefined && usesSamples(pruning));
  const isKnown = calibration !== "assumed" || needs.length > 0;
  const found = uses && calibration && isKnown ? samplesOf(calibration, tensor) : undefined;
  const spec: CorePruneSpec = { ...noPruning };
  if (pruning) {
    const { sparsity, n, m, damping, seed, norm, multipleOf } = pruning;
    const method = pruning.method === "structured" ? "channels" : pruning.method;
    Object.assign(spec, { method, amount: sparsity, n, m, damping, seed, norm, multipleOf });
  }
  if (found && "samples" in found) {
    const calibrated = { ...found, feedback: feedback !== undefined };
    const refit = pruning !== undefined && (pruning.refit ?? refitsChannels(pruning));
    return { prune: { ...spec, ...calibrated, refit, actOrder: feedback?.actOrder ?? false } };
  }
  if (spec.method === "channels" && found) {
    return { prune: spec, reason: { code: "notFitted", cause: found.reason }, isLeft: true };
  }
  if (needs.length === 0 || !found) return { prune: spec };
  const plain = pruning && { ...spec, method: plainMethod(pruning, tensor) };
  const reason: OwnReason =
    plain && plain.method !== pruning.method
      ? { code: "prunedInstead", arguments: { method: plain.method }, cause: found.reason }
      : found.reason;
  return { ...(plain ? { prune: plain } : {}), reason, isLeft: true };
}

/** Gives the method that comes nearest and needs no calibration. */
function plainMethod(
  { method, m }: CheckedPruning,
  tensor: CoreTensorInfo,
): CorePruneSpec["method"] {
  if (method === "magnitude" || method === "random") return method;
  return m === 0 || !tensor.layer ? "magnitude" : "n:m";
}

/** An amount for several tensors that share it by their weights, which have to be looked at first. */
export interface PruneSurvey {
  tensors: number[];
  allocation: "global" | "lamp";
  sparsity: number;
}

/**
 * Gives the order with the shares of the tensors `indices`, or the survey that has to find them.
 */
export function shareOut(
  { allocation, sparsity }: CheckedPruning,
  indices: number[],
  tensors: Rows<CoreTensorInfo>,
  order: Order,
): { order: Order; survey?: PruneSurvey } {
  if (allocation === "uniform") return { order };
  if (allocation !== "erk") return { order, survey: { tensors: indices, allocation, sparsity } };
  const shapes = indices.map((i) => tensors.at(i)!.shape);
  const sparsities = allocateSparsity(shapes, { method: "erk", sparsity });
  const amounts = new Map(indices.map((i, k) => [i, sparsities[k]!]));
  return {
    order: changeSpecs(order, (spec, i) => {
      const amount = amounts.get(i);
      return amount === undefined ? spec : { ...spec, prune: { ...spec.prune!, amount } };
    }),
  };
}

/** The order with what a survey found. */
export function applyShares(
  { allocation }: PruneSurvey,
  shares: readonly CoreShare[],
  order: Order,
): Order {
  const found = new Map(shares.map((share) => [share.tensor, share]));
  return changeSpecs(order, (spec, i) => {
    const share = found.get(i);
    if (!share) return spec;
    const { magnitudeBits, count } = share;
    const amount =
      allocation === "global"
        ? ({ method: "below", magnitudeBits } as const)
        : { amount: count, isFraction: false };
    return { ...spec, prune: { ...spec.prune!, ...amount } };
  });
}
