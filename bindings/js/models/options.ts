/** The options of everything that reads or writes models, and their checks. */
import { ArgumentError } from "../base/errors.js";
import {
  checkFunction,
  checkInteger,
  checkKeys,
  checkObject,
  checkSignal,
  optional,
  show,
} from "../base/options.js";
import type { ReadOptions } from "../files/raw.js";

/** The options of everything that reads a source. */
export const readKeys = ["signal", "timeoutMs"] as const;
/** The options of everything that reads a model and tells how far it is. */
export const runKeys = [...readKeys, "onProgress"] as const;
/** The options of everything that plans an output. */
export const planKeys = [...runKeys, "calibration", "maxGrowth"] as const;
/** The options of everything that writes a model. */
export const writeKeys = [...planKeys, "sink", "resume", "skipIdle", "workers"] as const;
/** The longest time of a timer, in milliseconds. */
export const maxTimeoutMs = 2 ** 31 - 1;
/** The largest number of workers. */
export const maxWorkers = 64;

/**
 * Gives options that are an object with no keys but `keys`; throws an ArgumentError, which calls them `what`, for
 * others, and for a wrong value of those that everything has which reads.
 */
export function checkRunOptions(
  options: unknown,
  keys: readonly string[],
  what = "options",
): Record<string, unknown> {
  const given = checkObject(what, options);
  checkKeys(what, given, keys);
  checkSignal("signal", given.signal);
  checkFunction("onProgress", given.onProgress);
  optional(given.timeoutMs, (it) => checkInteger("timeoutMs", it, 1, maxTimeoutMs));
  optional(given.maxGrowth, checkGrowthOption);
  optional(given.workers, (it) => checkInteger("workers", it, 0, maxWorkers));
  return given;
}

function checkGrowthOption(value: unknown): void {
  if (typeof value === "number" && value >= 1) return;
  throw new ArgumentError(`maxGrowth is ${show(value)}; it must be a number from 1.`);
}

/** Gives those of the options that are for reading, and for all that is read. */
export const readingOf = ({ signal, timeoutMs }: ReadOptions): ReadOptions => ({
  signal,
  timeoutMs,
});
