/** The arrays of results: new ones, or those of an earlier result, `out`, that are written again. */
import { checkLive } from "../base/bytes.js";
import { ArgumentError } from "../base/errors.js";
import { checkKeys, checkObject, wrongValue } from "../base/options.js";
import { isA } from "../base/tags.js";

/** The options of functions that have no other. */
export interface OutOptions {
  /**
   * A Float32Array of as many elements as the result, which is written and returned: no memory is allocated. It may
   * not overlap what the function reads.
   */
  out?: Float32Array;
}

/** Gives `out` of such options; a number is the index that `list.map(remove)` hands over. */
export function outOf(options: OutOptions | number): unknown {
  if (typeof options === "number") return undefined;
  checkKeys("options", checkObject("options", options), ["out"]);
  return options.out;
}

type NumberArray = ArrayBufferView & {
  readonly length: number;
  subarray(begin: number, end: number): unknown;
};

/** A class of typed arrays. */
export interface ArrayClass<T> {
  new (length: number): T;
  readonly name: string;
  readonly BYTES_PER_ELEMENT: number;
}

/** Gives an array of a result by its name in there, its class and its number of elements. */
export type Take = <T extends NumberArray>(key: string, kind: ArrayClass<T>, length: number) => T;

const overlap = (a: ArrayBufferView, b: ArrayBufferView): boolean =>
  a.buffer === b.buffer &&
  a.byteOffset < b.byteOffset + b.byteLength &&
  b.byteOffset < a.byteOffset + a.byteLength;

/** Throws an ArgumentError for an array of another size. */
export function checkBytes(name: string, { byteLength }: ArrayBufferView, expected: number): void {
  if (byteLength === expected) return;
  throw new ArgumentError(`${name} has ${byteLength} bytes; the shape takes ${expected}.`);
}

/**
 * Gives what hands out the arrays of a result: those of `out`, or new ones where it is undefined. An ArgumentError
 * says which array of `out` is of another class or size, was transferred, or overlaps one of `inputs` or another array
 * of `out`. All are to be taken before the first is written.
 *
 * @param prefix - What precedes a name in messages.
 * @param hasRoom - The arrays of `out` may be longer; those that are handed out are then views of their beginnings.
 */
export function takeFrom(
  out: unknown,
  inputs: readonly ArrayBufferView[],
  prefix = "out.",
  hasRoom = false,
): Take {
  if (out === undefined) return (_, kind, length) => new kind(length);
  const given = checkObject(prefix.slice(0, -1), out);
  const inUse = [...inputs];
  return <T extends NumberArray>(key: string, kind: ArrayClass<T>, length: number) => {
    const name = prefix + key;
    const array = given[key] as T;
    if (!isA(array, kind.name)) {
      throw wrongValue(name, array, `a ${kind.name}`);
    }
    checkLive(array);
    if (hasRoom ? array.length < length : array.length !== length) {
      throw new ArgumentError(
        `${name} has ${array.byteLength} bytes; the result takes ${length * kind.BYTES_PER_ELEMENT}.`,
      );
    }
    if (inUse.some((other) => overlap(array, other))) {
      throw new ArgumentError(`${name} overlaps another array that this call reads or writes.`);
    }
    inUse.push(array);
    return array.length === length ? array : (array.subarray(0, length) as T);
  };
}

/** The same for a result that is one Float32Array. */
export const takeFloats = (
  out: unknown,
  inputs: readonly ArrayBufferView[],
  length: number,
): Float32Array =>
  takeFrom(out === undefined ? out : { out }, inputs, "")("out", Float32Array, length);
