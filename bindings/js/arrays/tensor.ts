/** Quantized tensors as the array functions give and take them. */
import type { Codes, QuantizedType } from "./types.js";

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
