/** Results with a row for each tensor, which cost little until somebody looks at the rows. */
import type { Rows } from "../core/table.js";

interface HasTensors<T> {
  tensors: T[];
}

/** Gives a value of JSON anew, so that who changes a row changes no other. */
function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyOf(item)]));
}

/** The rows of results whose arrays nobody has looked at yet. */
const unseen = new WeakMap<object, Rows<unknown>>();

/**
 * Gives `result` an array of the rows as its member `tensors`, which is made when it is first looked at: who does not
 * look saves several hundred bytes a row. Copies, structured clones and JSON of the result have the array. A frozen
 * result keeps one array, too.
 */
export function withTensors<R extends object, T>(result: R, rows: Rows<T>): R & HasTensors<T> {
  let tensors: T[] | undefined;
  const set = (value: T[]): T[] => {
    unseen.delete(result);
    return (tensors = value);
  };
  unseen.set(result, rows);
  Object.defineProperty(result, "tensors", {
    enumerable: true,
    configurable: true,
    get: () => tensors ?? set(Array.from(rows, copyOf) as T[]),
    set,
  });
  // The console of Node.js would show a getter.
  Object.defineProperty(result, Symbol.for("nodejs.util.inspect.custom"), {
    value: () => ({ ...result }),
  });
  return result as R & HasTensors<T>;
}

/** Tells whether nobody has looked at the array of a result's rows. */
export const isUnseen = (result: object): result is HasTensors<object> => unseen.has(result);

/** Gives the rows of a result without making the array. */
export const tensorsOf = <T>(result: { readonly tensors: readonly T[] }): Rows<T> =>
  (unseen.get(result) as Rows<T> | undefined) ?? result.tensors;

/** Gives an object with the members of all parts, of which none is looked at. */
export function joined(...parts: readonly object[]): object {
  const all = {};
  for (const part of parts) {
    Object.defineProperties(all, Object.getOwnPropertyDescriptors(part));
    const rows = unseen.get(part);
    if (rows) unseen.set(all, rows);
  }
  return all;
}
