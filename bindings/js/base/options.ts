/** Checks of option objects: every complaint names the option, its value and what is allowed. */
import { ArgumentError } from "./errors.js";
import { suggestion } from "./suggest.js";
import { hasMethods } from "./tags.js";

/** Gives an object's JSON, or its class where it has none (cycles, BigInts). */
function jsonOf(value: object): string {
  try {
    return JSON.stringify(value);
  } catch {
    return className(value);
  }
}

const className = (value: object): string =>
  typeof value.constructor === "function" ? value.constructor.name : "an object";

/** Gives a value's text for a message: short, and never "[object Object]". */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "object" && value !== null) {
    return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
      ? jsonOf(value).slice(0, 80)
      : className(value);
  }
  return String(value);
}

/** Makes the error for a value that is not what is `allowed`. */
export function wrongValue(name: string, value: unknown, allowed: string): ArgumentError {
  return new ArgumentError(`${name} is ${show(value)}; it must be ${allowed}.`);
}

/** Gives names for a message: "a", "b". */
export const list = (values: readonly string[]) =>
  values.map((value) => JSON.stringify(value)).join(", ");

/** Gives `value` when it is an object and no array; throws an ArgumentError that calls it `what` otherwise. */
export function checkObject(what: string, value: unknown): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw wrongValue(what, value, "an object");
}

/** Throws an ArgumentError when an object has a key that is not among `allowed`. */
export function checkKeys(what: string, value: object, allowed: readonly string[]): void {
  for (const key of Object.keys(value)) {
    if (!allowed.includes(key)) {
      throw new ArgumentError(
        `${what} has an unknown key "${key}"; allowed: ${list(allowed)}.${suggestion(key, allowed)}`,
      );
    }
  }
}

/** Gives `value` when it is among `allowed`; throws an ArgumentError otherwise. */
export function checkOneOf<T extends string>(
  name: string,
  value: unknown,
  allowed: readonly T[],
): T {
  if (allowed.includes(value as T)) return value as T;
  const near = typeof value === "string" ? suggestion(value, allowed) : "";
  throw new ArgumentError(`${name} is ${show(value)}; it must be one of ${list(allowed)}.${near}`);
}

/** Throws an ArgumentError when an option is given and is no function. */
export function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "function")
    throw wrongValue(name, value, "a function");
}

/** Throws an ArgumentError when an option is given and is no AbortSignal. */
export function checkSignal(name: string, value: unknown): void {
  if (value !== undefined && !hasMethods(value, "throwIfAborted", "addEventListener")) {
    throw wrongValue(name, value, "an AbortSignal");
  }
}

/** Gives `value` when it is true or false; throws an ArgumentError otherwise. */
export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw wrongValue(name, value, "true or false");
}

/** Gives `value` when it is a whole number from `min` to `max`; throws an ArgumentError otherwise. */
export function checkInteger(name: string, value: unknown, min: number, max: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) {
    return value;
  }
  throw wrongValue(name, value, `a whole number from ${min} to ${max}`);
}

/** Gives `value` when it is a number from `min` to `max`; throws an ArgumentError otherwise. */
export function checkNumber(name: string, value: unknown, min: number, max: number): number {
  if (typeof value === "number" && value >= min && value <= max) return value;
  throw wrongValue(name, value, `a number from ${min} to ${max}`);
}

/** Gives `check(value)`, or undefined when the option is not given. */
export function optional<T>(value: unknown, check: (value: unknown) => T): T | undefined {
  return value === undefined ? undefined : check(value);
}
