/** Targets: sizes or errors that the steps of int8 weights are chosen for. */
import { ArgumentError } from "../base/errors.js";
import { checkKeys, checkObject, list, show } from "../base/options.js";
import { checkType, type QuantizedType } from "../arrays/types.js";
import type { CoreRates, CoreRateTarget } from "../core/types.js";
import { changeSpecs, type Order } from "./specs.js";

const kinds = ["bitsPerWeight", "sqnr", "bytes"] as const;

function checkKind(
  where: string,
  value: unknown,
  known: readonly CoreRateTarget["kind"][],
): CoreRateTarget {
  const given = checkObject(where, value);
  checkKeys(where, given, kinds);
  const [kind, ...others] = kinds.filter((it) => given[it] !== undefined);
  if (!kind || others.length > 0) {
    throw new ArgumentError(`${where} must have one of ${list(known)}.`);
  }
  if (!known.includes(kind)) {
    throw new ArgumentError(`${where}.${kind} is for the whole recipe: give it as its target.`);
  }
  const amount = given[kind];
  if (typeof amount !== "number" || !(amount > 0 && amount < Infinity)) {
    throw new ArgumentError(`${where}.${kind} is ${show(amount)}; it must be a number above 0.`);
  }
  return { kind, value: amount };
}

/** Checks the target of a recipe; throws an ArgumentError. */
export const checkTarget = (where: string, value: unknown): CoreRateTarget =>
  checkKind(where, value, kinds);

/** The type of some weights, and the target that they share, if any. */
export interface CheckedWeights {
  type: QuantizedType;
  target: CoreRateTarget | undefined;
}

/** Checks the `weights` of a recipe or a rule, which errors call `where`; throws an ArgumentError. */
export function checkWeights(where: string, value: unknown): CheckedWeights {
  if (typeof value !== "object" || value === null) {
    return { type: checkType(where, value), target: undefined };
  }
  const given = checkObject(where, value);
  checkKeys(where, given, ["type", "target"]);
  const type = checkType(`${where}.type`, given.type);
  const target = checkKind(`${where}.target`, given.target, ["bitsPerWeight", "sqnr"]);
  if (type === "int8") return { type, target };
  throw new ArgumentError(`${where}.type is "${type}"; only "int8" has a target.`);
}

/** Tensors that share a target, by their numbers. */
export interface TargetGroup {
  tensors: number[];
  target?: CoreRateTarget;
}

/** What a model is expected to take when it is packed, by a look at its weights; codes are rounded to nearest. */
export interface Rate {
  /** The number of weights that int8 codes stand for. */
  weights: number;
  /** The bits of such a weight, on average, once the codes are packed. */
  bitsPerWeight: number;
  /** The signal to noise ratio of all of them together, in dB. */
  sqnr: number;
  /** The size of the packed file in bytes. */
  packedBytes: number;
}

/** Sums up what a survey has found. */
export function rateOf({ tensors, otherBytes }: CoreRates): Rate {
  const sums = { weights: 0, bytes: 0, squares: 0, noise: 0 };
  for (const it of tensors) {
    for (const key of ["weights", "bytes", "squares", "noise"] as const) sums[key] += it[key];
  }
  const { weights, bytes, squares, noise } = sums;
  return {
    weights,
    bitsPerWeight: weights > 0 ? (8 * bytes) / weights : 0,
    sqnr: 10 * Math.log10(squares / noise),
    packedBytes: Math.round(bytes + otherBytes),
  };
}

/** The formats in which one scale for all rows of an int8 tensor has the same form as one for each. */
const scalarFormats: readonly string[] = ["onnx", "safetensors"];

/** Gives the order with the steps that a survey has found. */
export function applySteps(order: Order, format: string, { tensors }: CoreRates): Order {
  const found = new Map(tensors.map((it) => [it.tensor, it]));
  return changeSpecs(order, (spec, i) => {
    const rate = found.get(i);
    if (!rate || rate.step === 0) return spec;
    // Groups of a convolution whose inputs are known are fitted one by one, each with its own scales.
    const isScalar = rate.isUniform && !spec.prune && scalarFormats.includes(format);
    const scheme = {
      ...spec.scheme,
      ...(isScalar ? { granularity: "tensor" as const } : {}),
      leastScale: rate.step,
    };
    return { ...spec, scheme };
  });
}
