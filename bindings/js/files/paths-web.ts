/** Browsers, workers and edge runtimes have no paths: files are Blobs there. */
import { ArgumentError } from "../base/errors.js";
import type { RawFileSet } from "./raw.js";
import type { Target } from "./sink.js";

/** Rejects with an ArgumentError that says what to pass instead. */
export const openPath = (path: string | URL): Promise<RawFileSet> =>
  Promise.reject(
    new ArgumentError(
      `"${String(path)}" is a path, which only Node.js can open: pass a URL, a Blob or bytes.`,
    ),
  );

/** Throws an ArgumentError that says what to pass instead. */
export function pathTarget(path: string): Target {
  throw new ArgumentError(
    `sink is "${path}", a path, which only Node.js can write: pass a Sink object.`,
  );
}
