/** The sparsity of each of several layers, and of all of them at a step of training. */
import {
  checkInteger,
  checkKeys,
  checkNumber,
  checkObject,
  checkOneOf,
  optional,
} from "../base/options.js";
import { checkShape } from "../base/shape.js";

/** The options of {@link allocateSparsity}. */
export interface AllocationOptions {
  /**
   * The way to share. "uniform": all layers alike. "erk" (Erdős–Rényi kernel, Evci et al. 2020): a layer keeps a
   * share in proportion to (Σ its dimensions) / (Π its dimensions), so that small ones keep more.
   */
  method: "uniform" | "erk";
  /** The sparsity of all weights together, 0 to 1. */
  sparsity: number;
}

const checkFraction = (name: string, value: unknown) => checkNumber(name, value, 0, 1);

/**
 * Shares a sparsity among layers of these shapes. Needs no `init()`.
 *
 * @returns The sparsity of each layer, 0 to 1, in order.
 * @throws {@link ArgumentError} for a wrong option or shape.
 */
export function allocateSparsity(
  shapes: readonly (readonly number[])[],
  options: AllocationOptions,
): number[] {
  const given = checkObject("options", options);
  checkKeys("options", given, ["method", "sparsity"]);
  const method = checkOneOf("method", given.method, ["uniform", "erk"] as const);
  const sparsity = checkFraction("sparsity", given.sparsity);
  const layers = shapes.map((shape) => checkShape(shape));
  return method === "uniform" ? layers.map(() => sparsity) : erkSparsities(layers, sparsity);
}

function erkSparsities(shapes: readonly number[][], sparsity: number): number[] {
  const sizes = shapes.map((shape) => shape.reduce((all, size) => all * size, 1));
  const scores = shapes.map((shape, i) =>
    sizes[i]! > 0 ? shape.reduce((all, size) => all + size, 0) / sizes[i]! : 0,
  );
  const kept = (1 - sparsity) * sizes.reduce((all, size) => all + size, 0);
  const isDense = sizes.map(() => false);
  // A layer whose share would exceed all of it stays dense, and the others have more to give.
  for (;;) {
    let budget = kept;
    let weight = 0;
    for (const [i, size] of sizes.entries()) {
      if (isDense[i]) budget -= size;
      else weight += scores[i]! * size;
    }
    const factor = weight > 0 ? Math.max(0, budget) / weight : 0;
    const tooDense = scores.findIndex((score, i) => !isDense[i] && factor * score > 1);
    if (tooDense < 0) return scores.map((score, i) => (isDense[i] ? 0 : 1 - factor * score));
    isDense[tooDense] = true;
  }
}

/** TF-MOT's ConstantSparsity. */
export interface ConstantSchedule {
  /** The kind of the schedule. */
  type: "constant";
  /** The sparsity at every step, 0 to 1. */
  sparsity: number;
  /** The first step that prunes. */
  begin: number;
  /** The last step that prunes; by default all do. */
  end?: number;
  /** The number of steps between prunings; 100 by default. */
  frequency?: number;
}

/**
 * TF-MOT's PolynomialDecay: final + (initial − final) · (1 − p)^power, where p goes from 0 at `begin` to 1 at
 * `end`.
 */
export interface PolynomialSchedule {
  /** The kind of the schedule. */
  type: "polynomial";
  /** The sparsity at `begin` and before, 0 to 1. */
  initial: number;
  /** The sparsity at `end` and after, 0 to 1. */
  final: number;
  /** The first step that prunes. */
  begin: number;
  /** The last step that prunes. */
  end: number;
  /** The exponent; 3 by default. */
  power?: number;
  /** The number of steps between prunings; 100 by default. */
  frequency?: number;
}

/** torch.ao's CubicSL: a polynomial of power 3 over `steps` of `delta`. */
export interface CubicSchedule {
  /** The kind of the schedule. */
  type: "cubic";
  /** The sparsity at `begin`, 0 to 1; 0 by default. */
  initial?: number;
  /** The sparsity at the end, 0 to 1. */
  final: number;
  /** The first step; 0 by default. */
  begin?: number;
  /** The number of changes until `final`. */
  steps: number;
  /** The number of steps between changes; 1 by default. */
  delta?: number;
  /** Makes the sparsity before `begin` 0 instead of `initial`; false by default. */
  initiallyZero?: boolean;
}

/** A course of sparsity over the steps of training. */
export type Schedule = ConstantSchedule | PolynomialSchedule | CubicSchedule;

const keysOf = {
  constant: ["type", "sparsity", "begin", "end", "frequency"],
  polynomial: ["type", "initial", "final", "begin", "end", "power", "frequency"],
  cubic: ["type", "initial", "final", "begin", "steps", "delta", "initiallyZero"],
} as const;

function checkSchedule(schedule: Schedule): Schedule {
  const given = checkObject("schedule", schedule);
  const types = Object.keys(keysOf) as Schedule["type"][];
  const type = checkOneOf("schedule.type", given.type, types);
  checkKeys("schedule", given, keysOf[type]);
  return schedule;
}

const clamp = (x: number, low: number, high: number) => Math.min(high, Math.max(low, x));

/**
 * Gives the sparsity, 0 to 1, that a schedule wants at a step of training, computed in float64. Needs no `init()`.
 *
 * @throws {@link ArgumentError} for a wrong step or schedule.
 */
export function sparsityAt(step: number, schedule: Schedule): number {
  checkInteger("step", step, 0, Number.MAX_SAFE_INTEGER);
  const given = checkSchedule(schedule);
  switch (given.type) {
    case "constant":
      return checkFraction("sparsity", given.sparsity);
    case "polynomial": {
      const { initial, final, begin, end, power = 3 } = given;
      checkFraction("initial", initial);
      checkFraction("final", final);
      const length = checkInteger("end", end, begin, Number.MAX_SAFE_INTEGER) - begin;
      const progress = length > 0 ? clamp((step - begin) / length, 0, 1) : Number(step >= begin);
      return final + (initial - final) * (1 - progress) ** power;
    }
    case "cubic": {
      const { initial = 0, final, begin = 0, steps, delta = 1, initiallyZero = false } = given;
      checkFraction("initial", initial);
      checkFraction("final", final);
      if (initiallyZero && step < begin) return 0;
      const length = checkInteger("steps", steps, 1, Number.MAX_SAFE_INTEGER) * delta;
      const level = final + (initial - final) * (1 - (step - begin) / length) ** 3;
      return clamp(level, Math.min(initial, final), Math.max(initial, final));
    }
  }
}

/**
 * Tells whether TF-MOT makes new masks at this step; torch.ao's scheduler ("cubic") does so at every one.
 *
 * @throws {@link ArgumentError} for a wrong step or schedule.
 */
export function prunesAt(step: number, schedule: Schedule): boolean {
  checkInteger("step", step, 0, Number.MAX_SAFE_INTEGER);
  const given = checkSchedule(schedule);
  if (given.type === "cubic") return true;
  const { begin, end = -1 } = given;
  const frequency = optional(given.frequency, (it) =>
    checkInteger("frequency", it, 1, Number.MAX_SAFE_INTEGER),
  );
  return step >= begin && (end < 0 || step <= end) && (step - begin) % (frequency ?? 100) === 0;
}
