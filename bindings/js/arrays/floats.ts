/** Arrays of numbers from users, as the float32 that the core computes with. */
import { checkLive } from "../base/bytes.js";
import { ArgumentError } from "../base/errors.js";
import { show, wrongValue } from "../base/options.js";
import type { Float16Array } from "../base/platform-types.js";
import { isA } from "../base/tags.js";

/**
 * Numbers in row-major order. Others than a Float32Array are copied and rounded to float32, to the nearest, ties to
 * even (`Math.fround`).
 */
export type Floats = Float32Array | Float64Array | Float16Array | readonly number[];

const otherArrays = ["Float64Array", "Float16Array"] as const;

/** Tells whether a value is of a kind of array that holds Floats; its elements are not looked at. */
export const isFloats = (value: unknown): value is Floats =>
  isA(value, "Float32Array", ...otherArrays) || Array.isArray(value);

function refuseElement(name: string, index: number, value: unknown): never {
  const what = `${name}[${index}] is ${show(value)}`;
  throw new ArgumentError(
    Array.isArray(value) || ArrayBuffer.isView(value)
      ? `${what}: pass the numbers flat, one row after the other, and their sizes as shape.`
      : `${what}; it must be a number.`,
  );
}

/**
 * Gives `value` as float32; a Float32Array is not copied. Throws an ArgumentError for another kind of value, for an
 * element that is no number, and for a finite one that float32 has no finite number for.
 */
export function checkFloats(name: string, value: unknown): Float32Array {
  if (!isFloats(value)) {
    throw new ArgumentError(
      `${name} is ${show(value)}; it must be a Float32Array, a Float64Array, a Float16Array or an ` +
        "array of numbers.",
    );
  }
  if (ArrayBuffer.isView(value)) checkLive(value);
  if (isA(value, "Float32Array")) return value as unknown as Float32Array;
  const given = value as readonly number[];
  if (Array.isArray(value)) {
    // Not findIndex: it is undefined where nothing is found and where an element is missing.
    for (let i = 0; i < given.length; ++i) {
      if (typeof given[i] !== "number") refuseElement(name, i, given[i]);
    }
  }
  const floats = new Float32Array(given);
  for (let i = 0; i < floats.length; ++i) {
    if (Number.isFinite(floats[i]) || !Number.isFinite(given[i])) continue;
    throw new ArgumentError(
      `${name}[${i}] is ${given[i]!}, which is too large for float32: its largest number is 3.4e38.`,
    );
  }
  return floats;
}

/** The same for an array that must have `count` elements. */
export function checkFloatsOf(count: number, name: string, value: unknown): Float32Array {
  const floats = checkFloats(name, value);
  if (floats.length === count) return floats;
  throw new ArgumentError(`${name} has ${floats.length} elements; it must have ${count}.`);
}

/** Gives `mask` when it has a byte for each of `count` elements; throws an ArgumentError otherwise. */
export function checkMask(mask: unknown, count: number): Uint8Array {
  if (mask instanceof Uint8Array && mask.length === count) return mask;
  throw wrongValue("mask", mask, `a Uint8Array of ${count} elements`);
}
