/** The classes of the platform that values are of. */

/** Gives the name of the platform's class that `value` is of, such as "Float32Array". */
export const tagOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1);

/**
 * Tells whether `value` is an instance of one of the platform's classes of these names, whatever realm it was made
 * in: frames and test runners have classes of their own, which `instanceof` does not know.
 */
export function isA(value: unknown, ...names: readonly string[]): boolean {
  return names.includes(tagOf(value));
}

/** Tells whether `value` is an object with methods of these names. */
export function hasMethods<Name extends string>(
  value: unknown,
  ...names: readonly Name[]
): value is Record<Name, (...args: never[]) => unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    names.every((name) => typeof (value as Record<string, unknown>)[name] === "function")
  );
}

/** Tells whether the memory of a buffer was given to somebody else. */
export function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    // Of no bytes, because a view of all of them may be longer than the engine allows.
    return new Uint8Array(buffer, 0, 0).buffer !== buffer;
  } catch {
    return true;
  }
}
