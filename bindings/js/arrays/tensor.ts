/** Quantized tensors as the array functions give and take them. */
import type { CoreQuantizedSizes } from "../core/types.js";
import { ArgumentError } from "../base/errors.js";
import { show } from "../base/options.js";
import { takeFrom } from "./out.js";
import { codesOf, type Codes, type QuantizedType } from "./types.js";

/** The fate of a NaN or an infinity: an ArgumentError names its index, or it counts as 0. */
export type NonFinite = "error" | "zero";

/**
 * A quantized array, plain and structured-cloneable. For integer types x ≈ (code − zeroPoint) · scale; values of
 * float types are converted one by one. Without `zeroPoint` it is the middle of the code range: 0 for signed types,
 * 128 for uint8 and so on.
 */
export interface QuantizedTensor {
  /** The number type of the codes. */
  type: QuantizedType;
  /** The sizes of the dimensions, outermost first. */
  shape: number[];
  /** The axis whose indices have a scale each; left out when one scale holds for all, or for blocks. */
  axis?: number;
  /** The number of elements of the last axis that share a scale; left out without blocks. */
  blockSize?: number;
  /** The codes in row-major order. Those of 4 bits are packed, low nibble first; floats are their bit patterns. */
  data: Codes;
  /** The scales in order; empty for float types, and for ggml's, whose scales are in `data`. */
  scale: Float32Array;
  /** A zero point for each scale, of the codes' type and packed like them. */
  zeroPoint?: Codes;
}

/**
 * Gives the arrays of a result of these sizes in bytes: new ones, or those of `out`, an earlier result; throws as
 * takeFrom() and for an `out` of another type.
 */
export function takeParts(
  type: QuantizedType,
  out: unknown,
  inputs: readonly ArrayBufferView[],
  { codes, scales, zeroPoints }: CoreQuantizedSizes,
): Pick<QuantizedTensor, "data" | "scale" | "zeroPoint"> {
  const take = takeFrom(out, inputs);
  const again = (out ?? {}) as Partial<QuantizedTensor>;
  if (out !== undefined && again.type !== type) {
    throw new ArgumentError(`out.type is ${show(again.type)}; the result is of type ${type}.`);
  }
  const kind = codesOf(type);
  const data = take("data", kind, codes / kind.BYTES_PER_ELEMENT);
  const scale = take("scale", Float32Array, scales / Float32Array.BYTES_PER_ELEMENT);
  if (zeroPoints === 0 && again.zeroPoint === undefined) return { data, scale };
  return { data, scale, zeroPoint: take("zeroPoint", kind, zeroPoints / kind.BYTES_PER_ELEMENT) };
}
