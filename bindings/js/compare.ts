import { ArgumentError } from "./base/errors.js";
import { compareArrays, type ErrorStats } from "./arrays/quantize.js";
import { isFloats, type Floats } from "./arrays/floats.js";
import { attend } from "./files/open.js";
import type { Source } from "./files/source.js";
import type { CompareOptions, Report } from "./models/types.js";

/**
 * Says how far the array `b` is from `a`, at once. Needs `init()`.
 *
 * @throws {@link ArgumentError} when the lengths differ.
 */
export function compare(a: Floats, b: Floats): ErrorStats;
/**
 * Compares two models tensor by tensor: those of the same name, whatever each is stored as. The result describes `b`;
 * tensors that only one of the models has carry no errors.
 *
 * @throws The same errors as `inspect`, for either model.
 */
export function compare(a: Source, b: Source, options?: CompareOptions): Promise<Report>;
export function compare(
  a: Source | Floats,
  b: Source | Floats,
  options?: CompareOptions,
): ErrorStats | Promise<Report> {
  if (isFloats(a) && isFloats(b)) return compareArrays(a, b);
  if (isFloats(a) || isFloats(b)) {
    throw new ArgumentError("Compare two arrays or two models, not one of each.");
  }
  return compareLater(a, b, options);
}

/** Loads what compares models: a page that only compares arrays does without. */
async function compareLater(a: Source, b: Source, options?: CompareOptions): Promise<Report> {
  attend(a);
  attend(b);
  const { compareModels } = await import("./models/compare.js");
  return compareModels(a, b, options);
}
