/** Checks of option objects: every complaint names the option, its value and what is allowed. */
import { ArgumentError } from "./errors.js";

/** Cycles and BigInts have no JSON. */
function jsonOf(value: object): string {
  try {
    return JSON.stringify(value);
  } catch {
    return className(value);
  }
}

const className = (value: object): string =>
  typeof value.constructor === "function" ? value.constructor.name : "an object";

/** A value in a message: short, and never "[object Object]". */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "object" && value !== null) {
    return Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
      ? jsonOf(value).slice(0, 80)
      : className(value);
  }
  return String(value);
}

function wrong(name: string, value: unknown, allowed: string): ArgumentError {
  return new ArgumentError(`${name} is ${show(value)}; it must be ${allowed}.`);
}

export const list = (values: readonly string[]) =>
  values.map((value) => JSON.stringify(value)).join(", ");

export function checkObject(what: string, value: unknown): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw wrong(what, value, "an object");
}

export function checkKeys(what: string, value: object, allowed: readonly string[]): void {
  for (const key of Object.keys(value)) {
    if (!allowed.includes(key)) {
      throw new ArgumentError(`${what} has an unknown key "${key}"; allowed: ${list(allowed)}.`);
    }
  }
}

export function checkOneOf<T extends string>(
  name: string,
  value: unknown,
  allowed: readonly T[],
): T {
  if (allowed.includes(value as T)) return value as T;
  throw wrong(name, value, `one of ${list(allowed)}`);
}

export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw wrong(name, value, "true or false");
}

export function checkInteger(name: string, value: unknown, min: number, max: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) {
    return value;
  }
  throw wrong(name, value, `a whole number from ${min} to ${max}`);
}

export function checkFloats(name: string, value: unknown): Float32Array {
  if (value instanceof Float32Array) return value;
  throw wrong(name, value, "a Float32Array");
}

/** `check(value)`, or undefined where the option is not given. */
export function optional<T>(value: unknown, check: (value: unknown) => T): T | undefined {
  return value === undefined ? undefined : check(value);
}
