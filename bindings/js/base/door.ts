/** The public doors: what leaves them is an error of this library, or what the user's own code threw. */
import { ModelShrinkError } from "./errors.js";
import { tagOf } from "./tags.js";

/** The objects that the user's code threw. */
const users = new WeakSet();

/** Gives what the user's code threw, or aborted by, which leaves a door as it is. */
export function fromUser<T>(error: T): T {
  if (typeof error === "object" && error !== null) users.add(error);
  return error;
}

/** Tells whether an error is the platform's for work that somebody has ended. */
export const isAbort = (error: unknown): boolean =>
  tagOf(error) === "DOMException" && /^(Abort|Timeout)Error$/.test((error as Error).name);

/** Calls the user's code: what it throws, or rejects with, leaves a door as it is. */
export function callUser<T>(work: () => T): T {
  try {
    const result = work();
    if (result instanceof Promise) result.catch(fromUser);
    return result;
  } catch (error) {
    throw fromUser(error);
  }
}

/** Gives what a door throws for `error`: what a language or a platform throws says nothing to the caller. */
function leaving(error: unknown): unknown {
  if (!(error instanceof Error) || users.has(error) || isAbort(error)) return error;
  const { name, message } = error;
  const isPlatforms = tagOf(error) === "DOMException";
  const isForeign = isPlatforms || /^(Type|URI|Range|Syntax|Reference)Error$/.test(name);
  if (!isForeign) return error;
  return new ModelShrinkError(`${name}: ${message}`, isPlatforms ? "io" : "internal", {
    cause: error,
  });
}

/** Does the work of a public function, whose `signal` may be aborted for any reason. */
export async function behindDoor<T>(
  options: { signal?: { readonly reason: unknown } | undefined } | null | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error === options?.signal?.reason ? error : leaving(error);
  }
}

/** The same values, one after the other; what the user's code throws while it makes them leaves a door as it is. */
export async function* usersValues<T>(values: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* values;
  } catch (error) {
    throw fromUser(error);
  }
}
