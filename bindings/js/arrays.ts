/** Typed arrays: synchronous, copied in and out; results are plain and structured-cloneable. */
import type { CoreErrorStats, CoreScheme } from "./core.js";
import { ArgumentError, UnsupportedError } from "./errors.js";
import { copyOut, withScratch } from "./heap.js";
import { unwrap } from "./load.js";
import {
  checkBoolean,
  checkFloats,
  checkInteger,
  checkKeys,
  checkObject,
  checkOneOf,
  optional,
  show,
} from "./options.js";
import {
  checkType,
  codeBytes,
  codeBytesOf,
  ggmlBlockSize,
  isBlockType,
  isFloatType,
  isSymmetricByDefault,
  toCodes,
  type Codes,
  type QuantizedType,
} from "./types.js";

/** What happens to a NaN or an infinity: an ArgumentError that names its index, or it counts as 0. */
export type NonFinite = "error" | "zero";

export interface QuantizeOptions {
  type: QuantizedType;
  /** By default one dimension. */
  shape?: readonly number[];
  /** One scale for each index along this axis (negative: from the end); by default one for all. */
  axis?: number;
  /** One scale for each run of this many elements along the last axis. */
  blockSize?: number;
  /** Zero point in the middle of the code range; by default as onnxruntime: for signed types. */
  symmetric?: boolean;
  nonFinite?: NonFinite;
}

/**
 * x ≈ (code − zeroPoint) · scale for integer types; float types are converted one by one.
 * Without `zeroPoint` it is the middle of the code range: 0 for signed types, 128 for uint8, ….
 */
export interface QuantizedTensor {
  type: QuantizedType;
  shape: number[];
  axis?: number;
  blockSize?: number;
  /** 4-bit codes are packed, low nibble first; float types are their bit patterns. */
  data: Codes;
  /** Empty for float types, and for ggml's, whose scales are in `data`. */
  scale: Float32Array;
  /** Of the codes' type, and packed like them. */
  zeroPoint?: Codes;
}

export interface PruneOptions {
  method: "magnitude";
  /** How many to prune, if 1 or more; below 1 which fraction of all. */
  amount?: number;
  /** Which fraction to prune, 0 to 1. */
  sparsity?: number;
  /** The score is |x · importance| instead of |x|. */
  importance?: Float32Array;
}

export interface PrunedArray {
  values: Float32Array;
  /** 1 for a kept element, 0 for a pruned one. */
  mask: Uint8Array;
  /** The fraction that was pruned. */
  sparsity: number;
}

export interface ErrorStats {
  /** Signal to quantization noise ratio in dB; Infinity when nothing differs. */
  sqnr: number;
  maxAbsError: number;
  meanAbsError: number;
  cosine: number;
  /** The fraction of zeros in the second array. */
  sparsity: number;
}

const maxDimension = 2 ** 32 - 1;
const quantizeKeys = ["type", "shape", "axis", "blockSize", "symmetric", "nonFinite"] as const;
const laterQuantizeKeys = ["rounding", "search"];
const tensorKeys = ["type", "shape", "axis", "blockSize", "data", "scale", "zeroPoint"] as const;
const pruneKeys = ["method", "amount", "sparsity", "importance"] as const;
const laterMethods = ["random", "ln-structured", "random-structured", "n:m", "block", "mask"];

const elementsOf = (shape: readonly number[]) => shape.reduce((all, size) => all * size, 1);

function checkShape(value: unknown, count?: number): number[] {
  if (!Array.isArray(value))
    throw new ArgumentError(`shape is ${show(value)}; it must be an array.`);
  const shape = value.map((size, i) => checkInteger(`shape[${i}]`, size, 0, maxDimension));
  const product = elementsOf(shape);
  if (count !== undefined && product !== count) {
    throw new ArgumentError(
      `shape is ${show(shape)}, ${product} elements; the array has ${count}.`,
    );
  }
  return shape;
}

/** Which elements share a scale, from `axis` and `blockSize`. */
function checkGranularity(
  { axis: axisOption, blockSize: blockOption }: { axis?: unknown; blockSize?: unknown },
  rank: number,
): Pick<CoreScheme, "granularity" | "axis" | "blockSize"> {
  const last = rank - 1;
  const given = optional(axisOption, (value) => checkInteger("axis", value, -rank, last));
  const axis = given === undefined || given >= 0 ? given : given + rank;
  const blockSize = optional(blockOption, (value) =>
    checkInteger("blockSize", value, 1, maxDimension),
  );
  if (blockSize !== undefined) {
    if (axis !== undefined && axis !== last) {
      throw new ArgumentError(`axis is ${axis}; with blockSize it must be the last axis, ${last}.`);
    }
    return { granularity: "block", axis: 0, blockSize };
  }
  if (axis !== undefined) return { granularity: "axis", axis, blockSize: 0 };
  return { granularity: "tensor", axis: 0, blockSize: 0 };
}

function refuseForFloats(type: QuantizedType, options: Record<string, unknown>): void {
  for (const key of ["axis", "blockSize", "symmetric"]) {
    if (options[key] !== undefined) {
      throw new ArgumentError(`${key} has no meaning for type ${type}, which has no scales.`);
    }
  }
}

/** ggml's formats have their own blocks; a result that is handed back names their size. */
function refuseForBlocks(type: QuantizedType, options: Record<string, unknown>): void {
  const { axis, blockSize, symmetric } = options;
  if (
    axis === undefined &&
    symmetric === undefined &&
    (blockSize ?? ggmlBlockSize) === ggmlBlockSize
  ) {
    return;
  }
  throw new ArgumentError(
    `type ${type} has blocks of ${ggmlBlockSize} and takes neither axis, symmetric nor another blockSize.`,
  );
}

function schemeOf(
  type: QuantizedType,
  options: Record<string, unknown>,
  rank: number,
  symmetric: boolean,
  nonFinite: NonFinite = "error",
): CoreScheme {
  if (isFloatType(type)) refuseForFloats(type, options);
  if (isBlockType(type)) refuseForBlocks(type, options);
  const given = isBlockType(type) ? { blockSize: ggmlBlockSize } : options;
  return {
    type,
    ...checkGranularity(given, rank),
    rule: "onnx-linear",
    symmetric,
    transposed: false,
    nonFinite,
  };
}

function sharing(scheme: CoreScheme): Pick<QuantizedTensor, "axis" | "blockSize"> {
  if (scheme.granularity === "axis") return { axis: scheme.axis };
  return scheme.granularity === "block" ? { blockSize: scheme.blockSize } : {};
}

/** Quantizes with onnxruntime's formulas, or ggml's for its types, byte for byte. */
export function quantize(x: Float32Array, options: QuantizeOptions): QuantizedTensor {
  checkFloats("x", x);
  const given = checkObject("options", options);
  for (const key of laterQuantizeKeys) {
    if (key in given) throw new UnsupportedError(`Option "${key}" is not supported yet.`);
  }
  checkKeys("options", given, quantizeKeys);
  const type = checkType("type", given.type);
  const shape = checkShape(given.shape ?? [x.length], x.length);
  const symmetric = optional(given.symmetric, (value) => checkBoolean("symmetric", value));
  const nonFinite = checkOneOf("nonFinite", given.nonFinite ?? "error", ["error", "zero"]);
  const isSymmetric = symmetric ?? isSymmetricByDefault(type);
  const scheme = schemeOf(type, given, shape.length, isSymmetric, nonFinite);

  return withScratch((core, scratch) => {
    const input = scratch.copyIn(x);
    const parts = unwrap(core.quantize(input.ptr, x.length, shape, scheme));
    const data = toCodes(type, copyOut(core, parts.codes));
    const scale = new Float32Array(copyOut(core, parts.scales).buffer);
    const zeroPoint =
      parts.zeroPoints.size > 0
        ? { zeroPoint: toCodes(type, copyOut(core, parts.zeroPoints)) }
        : {};
    return { type, shape, ...sharing(scheme), data, scale, ...zeroPoint };
  });
}

function checkCodes(type: QuantizedType, data: Uint8Array, count: number): void {
  const expected = codeBytesOf(type, count);
  if (data.length === expected) return;
  throw new ArgumentError(
    `data has ${data.length} bytes; ${count} elements of ${type} take ${expected}.`,
  );
}

/** The values that the codes stand for, as float32. */
export function dequantize(tensor: QuantizedTensor): Float32Array {
  const given = checkObject("tensor", tensor);
  checkKeys("tensor", given, tensorKeys);
  const type = checkType("type", given.type);
  const shape = checkShape(given.shape);
  const symmetric = given.zeroPoint === undefined;
  const scheme = schemeOf(type, given, shape.length, symmetric);
  const data = codeBytes("data", type, given.data);
  const scale = checkFloats("scale", given.scale);
  const zeroPoint = symmetric ? new Uint8Array(0) : codeBytes("zeroPoint", type, given.zeroPoint);
  const count = elementsOf(shape);
  checkCodes(type, data, count);

  return withScratch((core, scratch) => {
    const codes = scratch.copyIn(data);
    const scales = scratch.copyIn(scale);
    const zeroPoints = scratch.copyIn(zeroPoint);
    const out = scratch.allocate(count * Float32Array.BYTES_PER_ELEMENT);
    unwrap(core.dequantize(shape, scheme, codes, scales, zeroPoints, out.ptr));
    return new Float32Array(copyOut(core, out).buffer);
  });
}

/** Round half to even, as Python's round(): torch counts that way. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

function pruneCount(options: Record<string, unknown>, total: number): number {
  const { amount, sparsity } = options;
  if ((amount === undefined) === (sparsity === undefined)) {
    throw new ArgumentError("Give exactly one of the options amount and sparsity.");
  }
  const fraction = sparsity ?? amount;
  if (typeof fraction === "number") {
    if (fraction >= 0 && (sparsity === undefined ? fraction < 1 : fraction <= 1)) {
      return roundHalfEven(fraction * total);
    }
    if (sparsity === undefined && Number.isInteger(fraction) && fraction > 0 && fraction <= total) {
      return fraction;
    }
  }
  throw new ArgumentError(
    sparsity === undefined
      ? `amount is ${show(amount)}; it must be a fraction below 1 or a count up to ${total}.`
      : `sparsity is ${show(sparsity)}; it must be a number from 0 to 1.`,
  );
}

/** Zeroes the elements of smallest score, exactly as many as asked; the lowest index wins ties. */
export function prune(x: Float32Array, options: PruneOptions): PrunedArray {
  checkFloats("x", x);
  const given = checkObject("options", options);
  checkKeys("options", given, pruneKeys);
  if (typeof given.method === "string" && laterMethods.includes(given.method)) {
    throw new UnsupportedError(`method is ${show(given.method)}, which is not supported yet.`);
  }
  checkOneOf("method", given.method, ["magnitude"]);
  const count = pruneCount(given, x.length);
  const importance = optional(given.importance, (value) => checkFloats("importance", value));
  if (importance && importance.length !== x.length) {
    throw new ArgumentError(`importance has ${importance.length} elements, x has ${x.length}.`);
  }

  return withScratch((core, scratch) => {
    const values = scratch.copyIn(x);
    const mask = scratch.allocate(x.length);
    const weights = importance ? scratch.copyIn(importance).ptr : 0;
    unwrap(core.pruneMagnitude(values.ptr, x.length, weights, count, mask.ptr));
    return {
      values: new Float32Array(copyOut(core, values).buffer),
      mask: copyOut(core, mask),
      sparsity: x.length > 0 ? count / x.length : 0,
    };
  });
}

/** How far `b` is from `a`. */
export function compareArrays(a: Float32Array, b: Float32Array): ErrorStats {
  checkFloats("a", a);
  checkFloats("b", b);
  if (a.length !== b.length) {
    throw new ArgumentError(`The arrays differ in length: ${a.length} and ${b.length}.`);
  }
  return withScratch((core, scratch) => {
    const first = scratch.copyIn(a);
    const second = scratch.copyIn(b);
    const stats: CoreErrorStats = unwrap(core.errorStats(first.ptr, second.ptr, a.length));
    const { sqnr, maxAbsError, meanAbsError, cosine, sparsity } = stats;
    return { sqnr, maxAbsError, meanAbsError, cosine, sparsity };
  });
}
