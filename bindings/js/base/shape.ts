/** Checks of shapes and axes. */
import { ArgumentError } from "./errors.js";
import { checkInteger, show, wrongValue } from "./options.js";

/** The largest size of a dimension: the core counts in 32 bits. */
export const maxDimension = 2 ** 32 - 1;

/** Gives the number of elements of an array of this shape. */
export const elementsOf = (shape: readonly number[]) => shape.reduce((all, size) => all * size, 1);

/**
 * Gives a user's shape when it is a list of sizes, of `count` elements together where that is given; throws an
 * ArgumentError otherwise.
 */
export function checkShape(value: unknown, count?: number): number[] {
  if (!Array.isArray(value)) throw wrongValue("shape", value, "an array");
  const shape = value.map((size, i) => checkInteger(`shape[${i}]`, size, 0, maxDimension));
  const product = elementsOf(shape);
  if (count !== undefined && product !== count) {
    throw new ArgumentError(
      `shape is ${show(shape)}, ${product} elements; the array has ${count}.`,
    );
  }
  return shape;
}

/** Gives an axis, which may be negative (from the end), from the start; throws an ArgumentError for others. */
export function checkAxis(name: string, value: unknown, rank: number): number {
  const axis = checkInteger(name, value, -rank, rank - 1);
  return axis < 0 ? axis + rank : axis;
}

/** Gives the size of a block of a matrix, [rows, columns]; throws an ArgumentError for another value. */
export function checkBlockShape(value: unknown): [number, number] {
  if (!Array.isArray(value) || value.length !== 2) {
    throw wrongValue("blockShape", value, "[rows, columns]");
  }
  return value.map((size, i) => checkInteger(`blockShape[${i}]`, size, 1, maxDimension)) as [
    number,
    number,
  ];
}
