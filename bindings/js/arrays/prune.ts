/** Pruning typed arrays. */
import { ArgumentError } from "../base/errors.js";
import {
  checkBoolean,
  checkInteger,
  checkKeys,
  checkNumber,
  checkObject,
  checkOneOf,
  optional,
  show,
  wrongValue,
} from "../base/options.js";
import { isA } from "../base/tags.js";
import { checkAxis, checkBlockShape, checkShape, maxDimension } from "../base/shape.js";
import { copyOut, streamsOf, withScratch } from "../core/heap.js";
import { unwrap } from "../core/load.js";
import type { CoreMask, CoreScheme, HeapBytes } from "../core/types.js";
import { checkFloats, checkFloatsOf, checkMask, type Floats } from "./floats.js";
import type { Gram } from "./gram.js";
import {
  checkDamping,
  checkGram,
  fitLayer,
  layerOf,
  quantizedOf,
  type FitRequest,
} from "./layers.js";
import { outOf, takeFloats, takeFrom, type OutOptions, type Take } from "./out.js";
import type { QuantizeOptions } from "./quantize.js";
import { schemeOf } from "./scheme.js";
import type { QuantizedTensor } from "./tensor.js";
import { checkType, isSymmetricByDefault } from "./types.js";

/** The name of a pruning method; {@link PruneOptions.method} says what each does. */
export type PruneMethod =
  | "magnitude"
  | "random"
  | "ln-structured"
  | "random-structured"
  | "n:m"
  | "block"
  | "mask"
  | "identity"
  | "wanda"
  | "sparsegpt"
  | "obc";

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
  /**
   * An earlier result of an array of the same size, whose arrays are written again and are the new result's: no memory
   * is allocated for it. They may not overlap x. After an error they may hold part of the new result.
   */
  out?: PrunedArray;
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

/** Gives the fraction of zeros in a mask of ones and zeros. */
function sparsityOf(mask: Uint8Array): number {
  const { buffer, byteOffset, length } = mask;
  const begin = Math.min(-byteOffset & 3, length);
  const numWords = (length - begin) >>> 2;
  const words = new Int32Array(buffer, numWords && byteOffset + begin, numWords);
  let numKept = 0;
  // Four bytes at a time, and 255 times before one overflows: one by one takes ten times as long.
  for (let at = 0; at < numWords;) {
    let sums = 0;
    for (const end = Math.min(at + 255, numWords); at < end;) sums = (sums + words[at++]!) | 0;
    const pairs = (sums & 0xff00ff) + ((sums >>> 8) & 0xff00ff);
    numKept += (pairs & 0xffff) + (pairs >>> 16);
  }
  const rest = [...mask.subarray(0, begin), ...mask.subarray(begin + 4 * numWords)];
  for (const kept of rest) numKept += kept;
  return length > 0 ? (length - numKept) / length : 0;
}

/** Gives `amount` or `sparsity` as the core wants it; throws an ArgumentError unless exactly one is given. */
function checkAmount({ amount, sparsity }: Given): { amount: number; isFraction: boolean } {
  if ((amount === undefined) === (sparsity === undefined)) {
    throw new ArgumentError("Give exactly one of the options amount and sparsity.");
  }
  if (sparsity !== undefined) {
    return { amount: checkNumber("sparsity", sparsity, 0, 1), isFraction: true };
  }
  if (typeof amount === "number" && amount >= 0 && (amount < 1 || Number.isInteger(amount))) {
    return { amount, isFraction: amount < 1 };
  }
  throw wrongValue("amount", amount, "a fraction below 1 or a count of what is pruned");
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
  throw wrongValue("norm", norm, 'a number, "fro" or "nuc"');
}

const checkSeed = (seed: unknown) => checkInteger("seed", seed ?? 0, 0, Number.MAX_SAFE_INTEGER);

function checkDim(given: Given, shape: readonly number[]): number {
  if (shape.length < 2) {
    throw new ArgumentError(`shape is ${show(shape)}; pruning channels needs two dimensions.`);
  }
  return checkAxis("dim", given.dim, shape.length);
}

function checkBlocks({ blockShape, pooling, zerosPerBlock }: Given) {
  const [blockRows, blockColumns] = checkBlockShape(blockShape);
  return {
    blockRows,
    blockColumns,
    pooling: checkOneOf("pooling", pooling ?? "mean", ["mean", "max", "mean-square"] as const),
    zerosPerBlock: checkInteger("zerosPerBlock", zerosPerBlock ?? 0, 0, maxDimension),
  };
}

/** Gives the core's arguments for the methods that need no layer. */
function patternOf(
  method: PruneMethod | "lamp",
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

/** Gives the arrays of a result for `length` elements. */
const takePruned = (take: Take, length: number) => ({
  values: take("values", Float32Array, length),
  mask: take("mask", Uint8Array, length),
});

const withSparsity = (pruned: { values: Float32Array; mask: Uint8Array }): PrunedArray => ({
  ...pruned,
  sparsity: sparsityOf(pruned.mask),
});

/** Prunes by a mask; without one everything stays. */
function maskValues(x: Float32Array, mask: Uint8Array | undefined, out: unknown): PrunedArray {
  const result = takePruned(takeFrom(out, mask ? [x, mask] : [x]), x.length);
  if (mask) {
    withScratch((core) =>
      unwrap(
        core.applyMask(x.length, true, streamsOf(core, [x, mask], [result.values, result.mask])),
      ),
    );
  } else {
    result.values.set(x);
    result.mask.fill(1);
  }
  return withSparsity(result);
}

const part = ({ ptr }: HeapBytes, offset: number, size: number) => ({ ptr: ptr + offset, size });

/** Arrays that are pruned as one, and for each its earlier mask and, in `out`, its earlier result. */
interface Pruning {
  arrays: readonly Float32Array[];
  masks: readonly Uint8Array[];
  outs: readonly unknown[];
  /** Gives what precedes the names of the arrays of an `out` in messages. */
  nameOf: (index: number) => string;
}

/** Prunes by a method that needs no layer. */
function pruneByPattern(
  { arrays, masks, outs, nameOf }: Pruning,
  method: PruneMethod | "lamp",
  given: Given,
): PrunedArray[] {
  const count = lengthOf(arrays);
  const shape = checkShape(given.shape ?? [count], count);
  const compat = checkOneOf("compat", given.compat ?? "torch", ["torch", "tfmot"] as const);
  const importance = optional(given.importance, (it) => checkFloatsOf(count, "importance", it));
  const pattern = patternOf(method, given, shape);
  const inputs = [...arrays, ...masks, ...(importance ? [importance] : [])];
  const results = arrays.map(({ length }, i) => {
    const result = takePruned(takeFrom(outs[i], inputs, nameOf(i)), length);
    if (outs[i] !== undefined) inputs.push(result.values, result.mask);
    return result;
  });
  return withScratch((core, scratch) => {
    const values = scratch.copyIn(...arrays);
    const mask = scratch.allocate(count);
    const lamp = method === "lamp" ? scratch.allocate(values.size) : undefined;
    for (let i = 0, at = 0; lamp && i < arrays.length; at += arrays[i++]!.byteLength) {
      const size = arrays[i]!.byteLength;
      unwrap(core.lampScores(part(values, at, size), part(lamp, at, size)));
    }
    const scores = importance ? scratch.copyIn(importance) : lamp;
    if (importance) {
      const factors = new Float32Array(core.HEAPU8.buffer, scores!.ptr, count);
      for (let i = 0; i < count; ++i) factors[i] = Math.abs(arrays[0]![i]! * factors[i]!);
    }
    unwrap(
      core.mask({
        ...pattern,
        ...{ values, mask, shape, asTfmot: compat === "tfmot" },
        ...(masks.length > 0 ? { alive: scratch.copyIn(...masks) } : {}),
        ...(scores ? { scores } : {}),
      }),
    );
    let at = 0;
    return results.map((result) => {
      const { length } = result.mask;
      copyOut(core, part(values, at * 4, length * 4), result.values);
      copyOut(core, part(mask, at, length), result.mask);
      at += length;
      return withSparsity(result);
    });
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

/** Rounds halves of what is not negative to even, as Python's round() does: torch counts that way. */
function roundHalfEven(x: number): number {
  const rounded = Math.round(x);
  return rounded - x === 0.5 ? rounded - (rounded % 2) : rounded;
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
  return fitLayer(w, { layer, gram }, request, (core, found) => {
    const out = optional(given.out, (it) => checkObject("out", it));
    const { values, mask } = takePruned(takeFrom(out, [w]), w.length);
    const inputs = [w, values, mask];
    const quantized =
      scheme && quantizedOf(core, layer, scheme, { found, out: out?.quantized, inputs });
    copyOut(core, found.weights, values);
    copyOut(core, found.mask, mask);
    const { damping, isLeftOut } = found;
    return {
      ...withSparsity({ values, mask }),
      ...(damping === undefined || isLeftOut ? {} : { damping }),
      ...(quantized ? { quantized } : {}),
    };
  });
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
  const method = checkOneOf("method", given.method, Object.keys(keysOf) as PruneMethod[]);
  checkKeys(`options of method "${method}"`, given, [...keysOf[method], "out"]);
  if (method === "wanda" || method === "sparsegpt" || method === "obc") {
    return pruneLayer(floats, method, given);
  }
  if (method === "mask" || method === "identity") {
    optional(given.shape, (shape) => checkShape(shape, x.length));
    const isAll = method === "identity" && given.mask === undefined;
    return maskValues(floats, isAll ? undefined : checkMask(given.mask, x.length), given.out);
  }
  const masks = given.mask === undefined ? [] : [checkMask(given.mask, x.length)];
  const pruning = { arrays: [floats], masks, outs: [given.out], nameOf: () => "out." };
  return pruneByPattern(pruning, method, given)[0]!;
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
  /** An earlier result for arrays of the same sizes, whose arrays are written again and are the new result's. */
  out?: readonly PrunedArray[];
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
  checkKeys("options", given, ["method", "amount", "sparsity", "seed", "masks", "out"]);
  const method = checkOneOf("method", given.method, ["magnitude", "random", "lamp"] as const);
  const listFor = (key: "masks" | "out", what: string): readonly unknown[] => {
    const list = given[key];
    if (list === undefined) return [];
    if (Array.isArray(list) && list.length === floats.length) return list;
    throw new ArgumentError(`${key} must have ${what} for each array.`);
  };
  const masks = listFor("masks", "a mask").map((mask, i) => checkMask(mask, floats[i]!.length));
  const outs = listFor("out", "an earlier result");
  const nameOf = (index: number) => `out[${index}].`;
  const { amount, sparsity, seed } = given;
  return pruneByPattern({ arrays: floats, masks, outs, nameOf }, method, {
    amount,
    sparsity,
    seed,
  });
}

const lengthOf = (arrays: readonly { length: number }[]) =>
  arrays.reduce((all, { length }) => all + length, 0);

/** Tells whether a value is a result of {@link prune}: values with a mask of the same length. */
export function isPruned(value: unknown): value is PrunedArray {
  const { values, mask } = (value ?? {}) as Partial<PrunedArray>;
  return isA(values, "Float32Array") && isA(mask, "Uint8Array") && mask?.length === values?.length;
}

/**
 * Makes a pruning permanent, as torch's `prune.remove`: gives the values without their mask. Needs `init()`.
 *
 * @throws {@link ArgumentError} when it is no result of {@link prune}.
 */
export function remove(pruned: PrunedArray, options: OutOptions | number = {}): Float32Array {
  const out = outOf(options);
  if (!isPruned(pruned)) {
    throw wrongValue("pruned", pruned, "what prune() gave");
  }
  const inputs = [pruned.values, pruned.mask];
  const values = takeFloats(out, inputs, pruned.values.length);
  withScratch((core) =>
    unwrap(core.applyMask(values.length, false, streamsOf(core, inputs, [values]))),
  );
  return values;
}
