import { ArgumentError } from "./base/errors.js";
import { compareArrays, type ErrorStats } from "./arrays/quantize.js";
import type { Source } from "./files/source.js";
import { compareModels } from "./models/compare.js";
import type { Report, RunOptions } from "./models/types.js";

/**
 * Says how far the array `b` is from `a`, at once. Needs `init()`.
 *
 * @throws {@link ArgumentError} when the lengths differ.
 */
export function compare(a: Float32Array, b: Float32Array): ErrorStats;
/**
 * Compares two models tensor by tensor: those of the same name, whatever each is stored as. The result describes `b`;
 * tensors that only one of the models has carry no errors.
 *
 * @throws The same errors as `inspect`, for either model.
 */
export function compare(a: Source, b: Source, options?: RunOptions): Promise<Report>;
export function compare(
  a: Source | Float32Array,
  b: Source | Float32Array,
  options?: RunOptions,
): ErrorStats | Promise<Report> {
  const arrays = [a instanceof Float32Array, b instanceof Float32Array];
  if (a instanceof Float32Array && b instanceof Float32Array) return compareArrays(a, b);
  if (arrays.includes(true)) {
    throw new ArgumentError("Compare two Float32Arrays or two models, not one of each.");
  }
  return compareModels(a as Source, b as Source, options);
}
