/** Pruning typed arrays. */
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
import { isA } from "../base/tags.js";
import { checkAxis, checkShape, maxDimension } from "../base/shape.js";
import { copyOut, withScratch } from "../core/heap.js";
import { unwrap } from "../core/load.js";
import type { CoreMask, CoreScheme } from "../core/types.js";
import { checkFloats, type Floats } from "./floats.js";
import type { Gram } from "./gram.js";
import { checkDamping, checkGram, fitLayer, layerOf, type FitRequest } from "./layers.js";
import type { QuantizeOptions } from "./quantize.js";
import { schemeOf } from "./scheme.js";
import type { QuantizedTensor } from "./tensor.js";
import { checkType, isSymmetricByDefault } from "./types.js";

/** The names of all pruning methods. */
const pruneMethods = [
  "magnitude",
  "random",
  "ln-structured",
  "random-structured",
  "n:m",
  "block",
  "mask",
  "identity",
  "wanda",
  "sparsegpt",
  "obc",
] as const;
/** The name of a pruning method; {@link PruneOptions.method} says what each does. */
export type PruneMethod = (typeof pruneMethods)[number];

/** The options of {@link prune}; each method takes some of them, and refuses the others. */
export interface PruneOptions {
  /**
   * The method:
   *
   * - "magnitude", "random": single elements; "ln-structured", "random-structured": whole channels
   *   of `dim`, by their norm; "n:m": n of each m neighbours stay; "block": rectangles of a matrix;
   * - "mask": those that `mask` says; "identity": none;
   * - with a `gram` of the layer's inputs: "wanda" (|w|·‖x‖ within each output), "sparsegpt" and
   *   "obc" (the surviving weights make up for the pruned ones).
   */
  method: PruneMethod;
  /** The number of elements to prune, if 1 or more; below 1 the fraction of those that are not pruned yet. */
  amount?: number;
  /** The fraction to prune, 0 to 1; give this or `amount`. */
  sparsity?: number;
  /**
   * The mask that method "mask" applies: 1 keeps, 0 prunes. For the other methods the mask of an earlier pruning:
   * what it pruned stays pruned.
   */
  mask?: Uint8Array;
  /** The sizes of the dimensions, outermost first; by default one dimension. */
  shape?: readonly number[];
  /** The dimension whose channels the structured methods prune. */
  dim?: number;
  /** The norm that "ln-structured" compares: any number, ±Infinity, "fro" (2) or "nuc"; 2 by default. */
  norm?: number | "fro" | "nuc";
  /** The number of elements that stay of each `m`, for "n:m" and the methods with a `gram`. */
  n?: number;
  /** The length of a run of neighbours, above `n`, at most 64. */
  m?: number;
  /** The axis along which "n:m" prunes; the last by default. */
  axis?: number;
  /** The size of a block of method "block": [rows, columns]. */
  blockShape?: readonly [number, number];
  /** The figure of a block's |x| that "block" compares; "mean" by default. */
  pooling?: "mean" | "max" | "mean-square";
  /** The number of elements, the smallest ones, that go of a block that "block" chooses; by default all. */
  zerosPerBlock?: number;
  /** The seed of the random methods, 0 by default; the same seed gives the same mask everywhere. */
  seed?: number;
  /** A factor for each element: "magnitude" compares |x · importance| instead of |x|. */
  importance?: Floats;
  /**
   * The library whose counts are taken, "torch" by default. With "tfmot" the number that stays is rounded instead of
   * the number that goes, and ties at the threshold stay.
   */
  compat?: "torch" | "tfmot";
  /** The moments of the layer's inputs, for "wanda", "sparsegpt" and "obc". */
  gram?: Gram;
  /** The axis of the outputs of a layer, with `gram`: 0 by default, 1 for a matrix [inputs, outputs]. */
  outputAxis?: number;
  /**
   * Is added to the diagonal of XᵀX by "sparsegpt" and "obc", as a fraction of its mean, 0 to 100; 0.01 by default.
   */
  damping?: number;
  /** Quantizes on the way, as {@link quantize} would; for "sparsegpt". */
  quantize?: Pick<QuantizeOptions, "type" | "axis" | "blockSize" | "symmetric">;
}

/** The result of pruning an array. */
export interface PrunedArray {
  /** The values, those that were pruned as 0. */
  values: Float32Array;
  /** 1 for a kept element, 0 for a pruned one. */
  mask: Uint8Array;
  /** The fraction that is pruned, 0 to 1. */
  sparsity: number;
  /** The codes of `values`; only with the option `quantize`. */
  quantized?: QuantizedTensor;
  /**
   * The damping that methods used that invert XᵀX: more than asked where it was singular or its rows are few; undefined
   * where magnitudes alone do as well on rows that were held out.
   */
  damping?: number;
}

const commonKeys = ["method", "amount", "sparsity", "mask", "shape", "compat"];
const layerKeys = ["method", "amount", "sparsity", "shape", "outputAxis", "gram"];
/** The options that each method takes. */
const keysOf: Record<PruneMethod, readonly string[]> = {
  magnitude: [...commonKeys, "importance"],
  random: [...commonKeys, "seed"],
  "ln-structured": [...commonKeys, "dim", "norm"],
  "random-structured": [...commonKeys, "dim", "seed"],
  "n:m": ["method", "n", "m", "axis", "shape", "mask", "compat"],
  block: [
    "method",
    "amount",
    "sparsity",
    "shape",
    "compat",
    "blockShape",
    "pooling",
    "zerosPerBlock",
  ],
  mask: ["method", "mask", "shape"],
  identity: ["method", "mask", "shape"],
  wanda: [...layerKeys, "n", "m"],
  sparsegpt: [...layerKeys, "n", "m", "damping", "quantize"],
  obc: [...layerKeys, "n", "m", "damping"],
};

type Given = Record<string, unknown>;

function sparsityOf(mask: Uint8Array): number {
  let numPruned = 0;
  for (const kept of mask) numPruned += kept === 0 ? 1 : 0;
  return mask.length > 0 ? numPruned / mask.length : 0;
}

/** Gives `amount` or `sparsity` as the core wants it; throws an ArgumentError unless exactly one is given. */
function checkAmount({ amount, sparsity }: Given): { amount: number; isFraction: boolean } {
  if ((amount === undefined) === (sparsity === undefined)) {
    throw new ArgumentError("Give exactly one of the options amount and sparsity.");
  }
  const value = sparsity ?? amount;
  if (sparsity !== undefined) {
    if (typeof value === "number" && value >= 0 && value <= 1) {
      return { amount: value, isFraction: true };
    }
    throw new ArgumentError(`sparsity is ${show(sparsity)}; it must be a number from 0 to 1.`);
  }
  if (typeof value === "number" && value >= 0 && (value < 1 || Number.isInteger(value))) {
    return { amount: value, isFraction: value < 1 };
  }
  throw new ArgumentError(
    `amount is ${show(amount)}; it must be a fraction below 1 or a count of what is pruned.`,
  );
}

function checkMask(mask: unknown, count: number): Uint8Array {
  if (mask instanceof Uint8Array && mask.length === count) return mask;
  throw new ArgumentError(
    `mask is ${show(mask)}; it must be a Uint8Array with as many elements as x, ${count}.`,
  );
}

function checkPattern(given: Given, rank: number) {
  const n = checkInteger("n", given.n, 1, 63);
  const m = checkInteger("m", given.m, n + 1, 64);
  return { n, m, dim: checkAxis("axis", given.axis ?? -1, rank) };
}

function checkNorm(norm: unknown): { norm: number; nuclear: boolean } {
  if (norm === "nuc") return { norm: 1, nuclear: true };
  const p = norm === undefined || norm === "fro" ? 2 : norm;
  if (typeof p === "number" && !Number.isNaN(p)) return { norm: p, nuclear: false };
  throw new ArgumentError(`norm is ${show(norm)}; it must be a number, "fro" or "nuc".`);
}

const checkSeed = (seed: unknown) => checkInteger("seed", seed ?? 0, 0, Number.MAX_SAFE_INTEGER);

function checkDim(given: Given, shape: readonly number[]): number {
  if (shape.length < 2) {
    throw new ArgumentError(`shape is ${show(shape)}; pruning channels needs two dimensions.`);
  }
  return checkAxis("dim", given.dim, shape.length);
}

function checkBlocks({ blockShape, pooling, zerosPerBlock }: Given) {
  if (!Array.isArray(blockShape) || blockShape.length !== 2) {
    throw new ArgumentError(`blockShape is ${show(blockShape)}; it must be [rows, columns].`);
  }
  const [blockRows, blockColumns] = blockShape.map((size, i) =>
    checkInteger(`blockShape[${i}]`, size, 1, maxDimension),
  ) as [number, number];
  return {
    blockRows,
    blockColumns,
    pooling: checkOneOf("pooling", pooling ?? "mean", ["mean", "max", "mean-square"] as const),
    zerosPerBlock: checkInteger("zerosPerBlock", zerosPerBlock ?? 0, 0, maxDimension),
  };
}

/** Gives the core's arguments for the methods that need no layer. */
function patternOf(
  method: PruneMethod,
  given: Given,
  shape: readonly number[],
): Omit<CoreMask, "values" | "mask" | "alive" | "scores" | "shape" | "asTfmot"> {
  switch (method) {
    case "n:m":
      return { pattern: "runs", ...checkPattern(given, shape.length) };
    case "ln-structured":
      return {
        ...{ pattern: "channels", ...checkAmount(given) },
        ...{ dim: checkDim(given, shape), ...checkNorm(given.norm) },
      };
    case "random-structured":
      return {
        ...{ pattern: "channels", ...checkAmount(given) },
        ...{ dim: checkDim(given, shape), seed: checkSeed(given.seed) },
      };
    case "block":
      return { pattern: "blocks", ...checkAmount(given), ...checkBlocks(given) };
    case "random":
      return { pattern: "elements", ...checkAmount(given), seed: checkSeed(given.seed) };
    default:
      return { pattern: "elements", ...checkAmount(given) };
  }
}

/** Gives |x · importance| in float32; undefined without an importance. */
function scoresFrom(x: Float32Array, value: unknown): Float32Array | undefined {
  if (value === undefined) return undefined;
  const importance = checkFloats("importance", value);
  if (importance.length === x.length) return x.map((it, i) => Math.abs(it * importance[i]!));
  throw new ArgumentError(`importance has ${importance.length} elements, x has ${x.length}.`);
}

function maskValues(x: Float32Array, mask: Uint8Array): PrunedArray {
  const values = x.map((value, i) => (mask[i] === 0 ? 0 : value));
  return { values, mask: mask.map((kept) => (kept === 0 ? 0 : 1)), sparsity: sparsityOf(mask) };
}

/** Prunes by a method that needs no layer; `scores` are compared instead of x. */
function pruneByPattern(
  x: Float32Array,
  method: PruneMethod,
  given: Given,
  scores = scoresFrom(x, given.importance),
): PrunedArray {
  const shape = checkShape(given.shape ?? [x.length], x.length);
  const earlier = optional(given.mask, (mask) => checkMask(mask, x.length));
  const compat = checkOneOf("compat", given.compat ?? "torch", ["torch", "tfmot"] as const);
  const pattern = patternOf(method, given, shape);
  return withScratch((core, scratch) => {
    const values = scratch.copyIn(x);
    const mask = scratch.allocate(x.length);
    unwrap(
      core.mask({
        ...pattern,
        ...{ values, mask, shape, asTfmot: compat === "tfmot" },
        ...(earlier ? { alive: scratch.copyIn(earlier) } : {}),
        ...(scores ? { scores: scratch.copyIn(scores) } : {}),
      }),
    );
    const kept = copyOut(core, mask);
    const pruned = new Float32Array(copyOut(core, values).buffer);
    return { values: pruned, mask: kept, sparsity: sparsityOf(kept) };
  });
}

/** Gives the pattern n:m, or the number of weights of the layer (for Wanda: of each output) that go. */
function targetOf(method: PruneMethod, given: Given, rows: number, columns: number) {
  if (given.n !== undefined || given.m !== undefined) {
    if (given.amount !== undefined || given.sparsity !== undefined) {
      throw new ArgumentError("Give either n and m, or one of amount and sparsity.");
    }
    const { n, m } = checkPattern(given, 1);
    return { target: "n:m", n, m } as const;
  }
  const { amount, isFraction } = checkAmount(given);
  if (method === "wanda") {
    if (isFraction) return { target: "count", count: Math.floor(columns * amount) } as const;
    throw new ArgumentError('"wanda" prunes a fraction of each output: give sparsity.');
  }
  const count = isFraction ? roundHalfEven(amount * rows * columns) : amount;
  return { target: "count", count } as const;
}

/** Rounds halves to even, as Python's round() does: torch counts that way. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

function jointScheme(value: unknown, inputsFirst: boolean): CoreScheme {
  const given = checkObject("quantize", value);
  checkKeys("quantize", given, ["type", "axis", "blockSize", "symmetric"]);
  const type = checkType("type", given.type);
  const symmetric = optional(given.symmetric, (it) => checkBoolean("symmetric", it));
  const axis = given.axis ?? (given.blockSize === undefined ? Number(inputsFirst) : undefined);
  return schemeOf(type, { ...given, axis }, 2, symmetric ?? isSymmetricByDefault(type));
}

function pruneLayer(w: Float32Array, method: PruneMethod, given: Given): PrunedArray {
  const layer = layerOf(w, given.shape, given.outputAxis);
  const gram = checkGram(given.gram, layer);
  const target = targetOf(method, given, layer.rows, layer.columns);
  const damping = checkDamping(given.damping);
  const scheme = optional(given.quantize, (it) => jointScheme(it, layer.inputsFirst));
  const request: FitRequest = {
    ...{ ...target, damping, actOrder: false, staticGroups: false },
    method: method === "sparsegpt" ? "feedback" : (method as "wanda" | "obc"),
    ...(scheme ? { scheme } : {}),
  };
  const { weights, mask, ...rest } = fitLayer(w, { layer, gram }, request);
  return { values: weights, mask, sparsity: sparsityOf(mask), ...rest };
}

/**
 * Zeroes the elements that matter least, exactly as many as asked; the lowest index goes first among equals. Counts
 * as torch.nn.utils.prune does. Needs `init()`.
 *
 * @param x - The values, in row-major order of `shape`; they are not changed.
 * @throws {@link ArgumentError} for a wrong option, or one of another method; {@link OutOfMemoryError}.
 */
export function prune(x: Floats, options: PruneOptions): PrunedArray {
  const floats = checkFloats("x", x);
  const given = checkObject("options", options);
  const method = checkOneOf("method", given.method, pruneMethods);
  checkKeys(`options of method "${method}"`, given, keysOf[method]);
  if (method === "wanda" || method === "sparsegpt" || method === "obc") {
    return pruneLayer(floats, method, given);
  }
  if (method === "mask" || method === "identity") {
    optional(given.shape, (shape) => checkShape(shape, x.length));
    const all = method === "identity" ? new Uint8Array(x.length).fill(1) : undefined;
    return maskValues(floats, checkMask(given.mask ?? all, x.length));
  }
  return pruneByPattern(floats, method, given);
}

/** The options of {@link pruneGlobal}. */
export interface GlobalPruneOptions {
  /** The method; "lamp" makes magnitudes comparable between layers (layer-adaptive magnitude pruning). */
  method: "magnitude" | "random" | "lamp";
  /** The number of elements of all arrays to prune, if 1 or more; below 1 the fraction. */
  amount?: number;
  /** The fraction of all elements to prune, 0 to 1; give this or `amount`. */
  sparsity?: number;
  /** The seed of "random"; 0 by default. */
  seed?: number;
  /** The masks of earlier prunings, one for each array: what they pruned stays pruned. */
  masks?: readonly Uint8Array[];
}

/**
 * Prunes several arrays as if they were one: some lose more, others less. Needs `init()`.
 *
 * @returns One result for each array, in order.
 * @throws {@link ArgumentError} for a wrong option; {@link OutOfMemoryError}.
 */
export function pruneGlobal(arrays: readonly Floats[], options: GlobalPruneOptions): PrunedArray[] {
  if (!Array.isArray(arrays)) throw new ArgumentError("arrays must be a list of arrays.");
  const floats = arrays.map((array, i) => checkFloats(`arrays[${i}]`, array));
  const given = checkObject("options", options);
  checkKeys("options", given, ["method", "amount", "sparsity", "seed", "masks"]);
  const method = checkOneOf("method", given.method, ["magnitude", "random", "lamp"] as const);
  const earlier = optional(given.masks, (masks) => {
    if (Array.isArray(masks) && masks.length === floats.length) {
      const checked = masks.map((mask, i) => checkMask(mask, floats[i]!.length));
      return joined(checked, new Uint8Array(lengthOf(checked)));
    }
    throw new ArgumentError("masks must have a mask for each array.");
  });
  const all = joinedFloats(floats);
  const { amount, sparsity, seed } = given;
  const pruned = pruneByPattern(
    all,
    method === "random" ? "random" : "magnitude",
    { amount, sparsity, seed, mask: earlier },
    method === "lamp" ? lampScores(floats) : undefined,
  );
  let end = 0;
  return floats.map(({ length }) => {
    end += length;
    const mask = pruned.mask.slice(end - length, end);
    return { values: pruned.values.slice(end - length, end), mask, sparsity: sparsityOf(mask) };
  });
}

const lengthOf = (arrays: readonly { length: number }[]) =>
  arrays.reduce((all, { length }) => all + length, 0);

/** Copies arrays one after the other into `into`, which has room for all. */
function joined<T extends Float32Array | Uint8Array>(arrays: readonly T[], into: T): T {
  let at = 0;
  for (const array of arrays) {
    into.set(array, at);
    at += array.length;
  }
  return into;
}

const joinedFloats = (arrays: readonly Float32Array[]) =>
  joined(arrays, new Float32Array(lengthOf(arrays)));

/** Gives w² / Σ u² of each element, over the u of its own array that are at least as large. */
const lampScores = (arrays: readonly Float32Array[]): Float32Array =>
  joinedFloats(
    arrays.map((array) =>
      withScratch((core, scratch) => {
        const scores = scratch.allocate(array.byteLength);
        unwrap(core.lampScores(scratch.copyIn(array), scores));
        return new Float32Array(copyOut(core, scores).buffer);
      }),
    ),
  );

/** Tells whether a value is a result of {@link prune}: values with a mask of the same length. */
export function isPruned(value: unknown): value is PrunedArray {
  const { values, mask } = (value ?? {}) as Partial<PrunedArray>;
  return isA(values, "Float32Array") && isA(mask, "Uint8Array") && mask?.length === values?.length;
}

/**
 * Makes a pruning permanent, as torch's `prune.remove`: gives the values without their mask.
 *
 * @throws {@link ArgumentError} when it is no result of {@link prune}.
 */
export function remove(pruned: PrunedArray): Float32Array {
  if (!isPruned(pruned)) {
    throw new ArgumentError(`pruned is ${show(pruned)}; it must be what prune() gave.`);
  }
  return pruned.values.map((value, i) => (pruned.mask[i] === 0 ? 0 : value));
}
