/** Quantized tensors as the array functions give and take them. */
import type { Codes, QuantizedType } from "./types.js";

/** What happens to a NaN or an infinity: an ArgumentError that names its index, or it counts as 0. */
export type NonFinite = "error" | "zero";

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
