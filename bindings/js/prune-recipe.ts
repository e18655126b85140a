/** The recipe's words for pruning → what the core is asked for each tensor. */
import { gramsFor, layerShapeOf, noMatrix, type Calibration } from "./calibration.js";
import { allocateSparsity } from "./allocation.js";
import type { CorePruneSpec, CoreShare, CoreTensorInfo, CoreTensorSpec } from "./core.js";
import { ArgumentError } from "./errors.js";
import { checkDamping } from "./layers.js";
import {
  checkBoolean,
  checkInteger,
  checkKeys,
  checkObject,
  checkOneOf,
  optional,
  show,
} from "./options.js";

export interface PruneRecipe {
  /**
   * - "magnitude": the smallest |w|; "random"; "n:m": n of each m inputs of an output stay;
   * - with a calibration: "wanda" (|w|·‖x‖ within each output), "sparsegpt" and "obc" (the surviving
   *   weights make up for the pruned ones);
   * - "structured": whole channels and neurons of the smallest norm leave an ONNX graph, which becomes
   *   smaller and faster everywhere; layers that are added to each other lose the same ones.
   */
  method: "magnitude" | "random" | "n:m" | "wanda" | "sparsegpt" | "obc" | "structured";
  /** Which fraction goes, 0 to 1; not with n and m. */
  sparsity?: number;
  n?: number;
  m?: number;
  /**
   * Of "magnitude", how tensors share the sparsity: "uniform" (the default): each has it; "erk": small
   * ones lose less, by their dimensions; "global": one threshold for all; "lamp": layer-adaptive
   * magnitudes. The last two read the weights before, and leave out tensors with rules of their own.
   */
  allocation?: "uniform" | "erk" | "global" | "lamp";
  /**
   * With a calibration: fits the survivors anew by least squares; false by default, but true for
   * "structured".
   */
  refit?: boolean;
  /** With a calibration: added to the diagonal of XᵀX, as a fraction of its mean; 0.01. */
  damping?: number;
  /** Of "random"; 0 by default. */
  seed?: number;
  /** Of "structured": p of the Lp norm of a channel's weights, above 0; Infinity: the largest; 2 by default. */
  norm?: number;
  /**
   * Of "structured": as many channels stay as a multiple of this, rounded up, because runtimes compute
   * several at a time; 8 by default, 1 for exactly the sparsity.
   */
  multipleOf?: number;
}

export const recipePruneMethods = [
  "magnitude",
  "random",
  "n:m",
  "wanda",
  "sparsegpt",
  "obc",
  "structured",
] as const;
const allocations = ["uniform", "erk", "global", "lamp"] as const;
const keys = [
  ...(["method", "sparsity", "allocation", "n", "m", "refit", "damping", "seed"] as const),
  ...(["norm", "multipleOf"] as const),
] as const;

export interface CheckedPruning {
  method: PruneRecipe["method"];
  sparsity: number;
  allocation: NonNullable<PruneRecipe["allocation"]>;
  n: number;
  m: number;
  /** undefined: as the method has it. */
  refit: boolean | undefined;
  damping: number;
  seed: number;
  norm: number;
  multipleOf: number;
}

export function checkPruning(where: string, value: unknown): CheckedPruning {
  const given = checkObject(where, value);
  checkKeys(where, given, keys);
  const method = checkOneOf(`${where}.method`, given.method, recipePruneMethods);
  const isPattern = given.n !== undefined || given.m !== undefined || method === "n:m";
  if (isPattern === (given.sparsity !== undefined)) {
    throw new ArgumentError(
      method === "n:m"
        ? `${where} of method "n:m" needs n and m, and no sparsity.`
        : `${where} needs either sparsity, or n and m.`,
    );
  }
  if (isPattern && (method === "magnitude" || method === "random" || method === "structured")) {
    throw new ArgumentError(`${where}: n and m are for "n:m" and the calibrated methods.`);
  }
  const { sparsity = 0 } = given;
  if (typeof sparsity !== "number" || !(sparsity >= 0 && sparsity <= 1)) {
    throw new ArgumentError(
      `${where}.sparsity is ${show(sparsity)}; it must be a number from 0 to 1.`,
    );
  }
  if (method === "structured" && (sparsity === 0 || sparsity === 1)) {
    throw new ArgumentError(
      `${where}.sparsity is ${sparsity}; of "structured" it must be above 0 and below 1: a layer keeps some channels.`,
    );
  }
  const allocation = checkOneOf(`${where}.allocation`, given.allocation ?? "uniform", allocations);
  if (allocation !== "uniform" && method !== "magnitude") {
    throw new ArgumentError(`${where}.allocation is an option of method "magnitude".`);
  }
  const { norm = 2 } = given;
  if (typeof norm !== "number" || !(norm > 0)) {
    throw new ArgumentError(`${where}.norm is ${show(norm)}; it must be a number above 0.`);
  }
  for (const name of ["norm", "multipleOf"] as const) {
    if (given[name] !== undefined && method !== "structured") {
      throw new ArgumentError(`${where}.${name} is an option of method "structured".`);
    }
  }
  const n = isPattern ? checkInteger(`${where}.n`, given.n, 1, 63) : 0;
  if (isPattern && typeof given.m === "number" && given.m <= n) {
    throw new ArgumentError(`${where}: n of each m stay, so n must be below m.`);
  }
  return {
    ...{ method, sparsity, allocation, n },
    m: isPattern ? checkInteger(`${where}.m`, given.m, n + 1, 64) : 0,
    refit: optional(given.refit, (refit) => checkBoolean(`${where}.refit`, refit)),
    damping: checkDamping(given.damping),
    seed: checkInteger(`${where}.seed`, given.seed ?? 0, 0, Number.MAX_SAFE_INTEGER),
    norm,
    multipleOf: checkInteger(`${where}.multipleOf`, given.multipleOf ?? 8, 1, 4096),
  };
}

export const noPruning: CorePruneSpec = {
  ...{ method: "none", amount: 0, isFraction: true, n: 0, m: 0, magnitudeBits: 0, seed: 0 },
  ...{
    norm: 2,
    multipleOf: 1,
    samples: 0,
    damping: 0.01,
    refit: false,
    feedback: false,
    actOrder: false,
  },
};

/** Whether it needs to know the layer's inputs. */
const isCalibrated = ({ method, refit }: CheckedPruning) =>
  refit === true || method === "wanda" || method === "sparsegpt" || method === "obc";

/** What makes up for the channels that go, unless it was asked not to. */
const refitsChannels = ({ method, refit }: CheckedPruning) =>
  method === "structured" && refit !== false;

const nameOf = ({ method, refit }: CheckedPruning) =>
  refit ? "refit" : `prune method "${method}"`;

/** GPTQ's options. */
export interface Feedback {
  actOrder: boolean;
}

export const whatSamples =
  'the option calibration, made by calibrate() of "modelshrink/runtime", or --inputs of the command.';

function samplesOf(
  calibration: Calibration | "assumed",
  tensor: CoreTensorInfo,
): { samples: number } | { reason: string } {
  if (calibration === "assumed") {
    return layerShapeOf(tensor) ? { samples: 1 } : { reason: noMatrix };
  }
  const found = gramsFor(calibration, tensor);
  return "reason" in found ? found : { samples: found.grams[0]!.rows };
}

/**
 * What is done with one weight. Where its inputs are not known, what needs them is done without: `isLeft`,
 * and the note says so.
 */
export function pruneSpecFor(
  tensor: CoreTensorInfo,
  pruning: CheckedPruning | undefined,
  feedback: Feedback | undefined,
  calibration: Calibration | "assumed" | undefined,
): { prune?: CorePruneSpec; note?: string; isLeft?: boolean } {
  if (!pruning && !feedback) return {};
  const needs = [
    ...(pruning && isCalibrated(pruning) ? [nameOf(pruning)] : []),
    ...(feedback ? ["gptq"] : []),
  ];
  if (needs.length > 0 && !calibration) {
    throw new ArgumentError(`The recipe's ${needs.join(" and ")} needs samples: ${whatSamples}`);
  }
  const uses = needs.length > 0 || (pruning !== undefined && refitsChannels(pruning));
  const isKnown = calibration !== "assumed" || needs.length > 0;
  const found = uses && calibration && isKnown ? samplesOf(calibration, tensor) : { reason: "" };
  const spec: CorePruneSpec = { ...noPruning };
  if (pruning) {
    const { sparsity, n, m, damping, seed, norm, multipleOf } = pruning;
    const method = pruning.method === "structured" ? "channels" : pruning.method;
    Object.assign(spec, { method, amount: sparsity, n, m, damping, seed, norm, multipleOf });
  }
  if ("samples" in found) {
    const { samples } = found;
    const isJoint = feedback !== undefined;
    const calibrated = { samples, feedback: isJoint };
    const refit = pruning !== undefined && (pruning.refit ?? refitsChannels(pruning));
    return { prune: { ...spec, ...calibrated, refit, actOrder: feedback?.actOrder ?? false } };
  }
  if (spec.method === "channels" && uses && calibration && isKnown) {
    return { prune: spec, note: `not fitted: ${found.reason}`, isLeft: true };
  }
  if (needs.length === 0) return { prune: spec };
  const plain = pruning && { ...spec, method: plainMethod(pruning, tensor) };
  const instead = plain && plain.method !== pruning.method ? `, so pruned by ${plain.method}` : "";
  return { ...(plain ? { prune: plain } : {}), note: `${found.reason}${instead}`, isLeft: true };
}

/** What comes nearest without a calibration. */
function plainMethod(
  { method, m }: CheckedPruning,
  tensor: CoreTensorInfo,
): CorePruneSpec["method"] {
  if (method === "magnitude" || method === "random") return method;
  return m === 0 || !layerShapeOf(tensor) ? "magnitude" : "n:m";
}

/** One amount for several tensors that is shared out by looking at their weights. */
export interface PruneSurvey {
  tensors: number[];
  allocation: "global" | "lamp";
  sparsity: number;
}

/** Gives the tensors of these numbers their shares, or says what has to be found out first. */
export function shareOut(
  { allocation, sparsity }: CheckedPruning,
  indices: number[],
  tensors: readonly CoreTensorInfo[],
  specs: readonly CoreTensorSpec[],
): PruneSurvey | undefined {
  if (allocation === "uniform") return undefined;
  if (allocation !== "erk") return { tensors: indices, allocation, sparsity };
  const shapes = indices.map((i) => tensors[i]!.shape);
  const sparsities = allocateSparsity(shapes, { method: "erk", sparsity });
  for (const [k, i] of indices.entries()) specs[i]!.prune!.amount = sparsities[k]!;
  return undefined;
}

/** What a survey found, into the specifications. */
export function applyShares(
  { allocation }: PruneSurvey,
  shares: readonly CoreShare[],
  specs: readonly CoreTensorSpec[],
): void {
  for (const { tensor, magnitudeBits, count } of shares) {
    const found =
      allocation === "global"
        ? { method: "below", magnitudeBits }
        : { amount: count, isFraction: false };
    Object.assign(specs[tensor]!.prune!, found);
  }
}
