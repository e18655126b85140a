/** The structure of a model. */
import { behindDoor } from "../base/door.js";
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
import type { Source } from "../files/source.js";
import { withTensors } from "./lazy.js";
import { withModel } from "./open.js";
import type { ModelInfo, FileInfo, RunOptions } from "./types.js";

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

/** Gives the core's files as reports name them. */
export const toFiles = (files: readonly { name: string; sizeBytes: number }[]): FileInfo[] =>
  files.map(({ name, sizeBytes }) => ({ name, bytes: sizeBytes }));

/**
 * Says what is in a model, from its headers alone.
 *
 * @throws {@link FormatError} when a file breaks a rule of its format; {@link UnsupportedError} for another format;
 *   {@link ArgumentError} for a wrong source or option; a {@link ModelShrinkError} of code "io" when reading fails.
 */
export async function inspect(source: Source, options: RunOptions = {}): Promise<ModelInfo> {
  return behindDoor(options, async () => {
    checkRunOptions(options, runKeys);
    return withModel(source, options, ({ info }) => {
      const { format, sizeBytes, files, metadata, metadataLeftOut, tensors } = info;
      const head = {
        format,
        inputBytes: sizeBytes,
        files: toFiles(files),
        metadata,
        ...(metadataLeftOut === undefined ? {} : { metadataLeftOut }),
      };
      return Promise.resolve(withTensors(head, tensors));
    });
  });
}
