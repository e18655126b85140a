/** Quantizing typed arrays: synchronous, copied in and out; results are plain and structured-cloneable. */
import {
  checkedLater,
  checkOptions,
  flag,
  required,
  word,
  type CheckedOptions,
  type OptionsOf,
} from "../base/option-table.js";
import { ArgumentError, UnsupportedError } from "../base/errors.js";
import { checkKeys, checkObject } from "../base/options.js";
import { checkShape, elementsOf } from "../base/shape.js";
import { streamsOf, withScratch } from "../core/heap.js";
import { unwrap } from "../core/load.js";
import type { CoreScheme } from "../core/types.js";
import { checkFloats, type Floats } from "./floats.js";
import type { Gram } from "./gram.js";
import { checkDamping, checkGram, fitLayer, layerOf, quantizedOf } from "./layers.js";
import { checkBytes, outOf, takeFloats, type OutOptions } from "./out.js";
import { schemeOf, sharing } from "./scheme.js";
import { takeParts, type QuantizedTensor } from "./tensor.js";
import { checkType, codeBytes, isSymmetricByDefault, type QuantizedType } from "./types.js";

/** The options of quantize(), a row each; base/option-table.ts says what follows from a row. */
export const quantizeOptions = {
  /** The number type of the codes. */
  type: required<QuantizedType, QuantizedType>(checkType),
  /** The sizes of the array's dimensions, outermost first; by default one dimension. */
  shape: checkedLater<readonly number[]>(),
  /** Gives each index along this axis (negative: from the end) a scale; by default all share one. */
  axis: checkedLater<number>(),
  /** Gives each run of this many elements along the last axis a scale. */
  blockSize: checkedLater<number>(),
  /** Puts the zero point in the middle of the code range; by default for signed types, as onnxruntime does. */
  symmetric: flag(undefined),
  /** A NaN or an infinity is an ArgumentError that names its index ("error", the default) or counts as 0. */
  nonFinite: word(["error", "zero"], "error"),
  /**
   * The moments of the inputs of the layer whose weights these are: later weights make up for the errors of
   * earlier ones (GPTQ).
   */
  gram: checkedLater<Gram>(),
  /** The axis of the outputs, with `gram`: 0 by default, 1 for a matrix [inputs, outputs]. */
  outputAxis: checkedLater<number>(),
  /** Is added to the diagonal of XᵀX, with `gram`, as a fraction of its mean, 0 to 100; 0.01 by default. */
  damping: checkedLater<number>(),
  /** Takes the inputs of large moments first, with `gram`. False by default. */
  actOrder: flag(undefined),
  /** Takes the scales of all blocks from the weights as they were given, with `gram`. False by default. */
  staticGroups: flag(undefined),
  /**
   * An earlier result of the same type, size and options, whose arrays are written again and are the new result's: no
   * memory is allocated for it. They may not overlap x. After an error they may hold part of the new result.
   */
  out: checkedLater<QuantizedTensor>(),
};

/** The options of {@link quantize}; only `type` is required. */
export interface QuantizeOptions extends OptionsOf<typeof quantizeOptions> {
  type: QuantizedType;
}

/** The distance between two arrays a and b. */
export interface ErrorStats {
  /** The signal to quantization noise ratio in dB: 10 · log₁₀(Σ a² / Σ (a − b)²); Infinity when nothing differs. */
  sqnr: number;
  /** The largest |a − b|. */
  maxAbsError: number;
  /** The mean |a − b|. */
  meanAbsError: number;
  /** The cosine of the angle between a and b, −1 to 1. */
  cosine: number;
  /** The fraction of zeros in b, 0 to 1. */
  sparsity: number;
}

const feedbackKeys = ["outputAxis", "gram", "damping", "actOrder", "staticGroups"] as const;
const laterQuantizeKeys = ["rounding", "search"];
const tensorKeys = ["type", "shape", "axis", "blockSize", "data", "scale", "zeroPoint"] as const;

/**
 * Quantizes an array with onnxruntime's formulas, or ggml's for its types, byte for byte. Needs `init()`.
 *
 * @param x - The values, in row-major order of `shape`; they are not changed.
 * @throws {@link ArgumentError} for a wrong option, or a NaN or an infinity unless `nonFinite` is "zero";
 *   {@link UnsupportedError} for a type that is known but not built yet; {@link OutOfMemoryError}.
 */
export function quantize(x: Floats, options: QuantizeOptions): QuantizedTensor {
  const floats = checkFloats("x", x);
  for (const key of laterQuantizeKeys) {
    if (key in checkObject("options", options)) {
      throw new UnsupportedError(`Option "${key}" is not supported yet.`);
    }
  }
  const given = checkOptions("options", options, quantizeOptions);
  const { type, nonFinite } = given;
  const shape = checkShape(given.shape ?? [floats.length], floats.length);
  const isSymmetric = given.symmetric ?? isSymmetricByDefault(type);
  const scheme = schemeOf(type, given, shape.length, isSymmetric, nonFinite);
  if (given.gram !== undefined) {
    return quantizeLayer(floats, given, shape, scheme);
  }
  for (const key of feedbackKeys) {
    if (given[key] !== undefined) throw new ArgumentError(`Option "${key}" needs a gram.`);
  }

  return withScratch((core) => {
    const sizes = unwrap(core.quantizedSizes(shape, scheme));
    const parts = takeParts(type, given.out, [floats], sizes);
    const streams = streamsOf(core, [floats], [parts.data, parts.scale, parts.zeroPoint ?? none]);
    unwrap(core.quantize(shape, scheme, streams));
    return { type, shape, ...sharing(scheme), ...parts };
  });
}

/** The bytes of a part that is not there. */
const none = new Uint8Array(0);

/** Quantizes the weights of a layer whose inputs are known (GPTQ). */
function quantizeLayer(
  w: Float32Array,
  given: CheckedOptions<typeof quantizeOptions>,
  shape: number[],
  scheme: CoreScheme,
): QuantizedTensor {
  const layer = layerOf(w, shape, given.outputAxis);
  if (shape.length > 2 && scheme.granularity === "block") {
    throw new ArgumentError("With a gram, blocks need weights of two dimensions.");
  }
  if (scheme.granularity === "axis" && scheme.axis > (shape.length > 2 ? 0 : 1)) {
    throw new ArgumentError("With a gram, axis must be 0 for weights of more than two dimensions.");
  }
  return fitLayer(
    w,
    { layer, gram: checkGram(given.gram, layer) },
    {
      method: "feedback",
      target: "none",
      damping: checkDamping(given.damping),
      actOrder: given.actOrder ?? false,
      staticGroups: given.staticGroups ?? false,
      scheme,
    },
    (core, found) => ({
      ...quantizedOf(core, layer, scheme, { found, out: given.out, inputs: [w] }),
      shape,
    }),
  );
}

/** The options of {@link dequantize}. */
export type DequantizeOptions = OutOptions;

/**
 * Gives the values that the codes stand for, as float32. Needs `init()`.
 *
 * @throws {@link ArgumentError} when the codes, scales and zero points do not fit the type and the shape.
 */
export function dequantize(
  tensor: QuantizedTensor,
  // tensors.map(dequantize) hands over an index.
  options: DequantizeOptions | number = {},
): Float32Array {
  const out = outOf(options);
  const given = checkObject("tensor", tensor);
  checkKeys("tensor", given, tensorKeys);
  const type = checkType("type", given.type);
  const shape = checkShape(given.shape);
  const symmetric = given.zeroPoint === undefined;
  const scheme = schemeOf(type, given, shape.length, symmetric);
  const data = codeBytes("data", type, given.data);
  const scale = checkFloats("scale", given.scale);
  const zeroPoint = symmetric ? none : codeBytes("zeroPoint", type, given.zeroPoint);

  return withScratch((core) => {
    const { codes, scales, zeroPoints } = unwrap(core.quantizedSizes(shape, scheme));
    checkBytes("data", data, codes);
    checkBytes("scale", scale, scales);
    checkBytes("zeroPoint", zeroPoint, zeroPoints);
    const inputs = [data, scale, zeroPoint];
    const values = takeFloats(out, inputs, elementsOf(shape));
    unwrap(core.dequantize(shape, scheme, streamsOf(core, inputs, [values])));
    return values;
  });
}

/** Says how far `b` is from `a`; throws an ArgumentError when the lengths differ. */
export function compareArrays(a: Floats, b: Floats): ErrorStats {
  const original = checkFloats("a", a);
  const other = checkFloats("b", b);
  if (a.length !== b.length) {
    throw new ArgumentError(`The arrays differ in length: ${a.length} and ${b.length}.`);
  }
  return withScratch((core): ErrorStats =>
    unwrap(core.errorStats(a.length, streamsOf(core, [original, other]))),
  );
}
