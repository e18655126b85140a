/**
 * Browsers, workers and edge runtimes have no paths: files are Blobs there, and addresses are relative to the page.
 */
import { ArgumentError } from "../base/errors.js";
import { openUrl } from "./address.js";
import type { OpenPath, RawFile, RawRepository } from "./raw.js";
import type { NewFolder, Target } from "./sink.js";
import { baseAddress, parseUrl } from "./url.js";

/**
 * Opens an address that is relative to the page. Rejects with an ArgumentError where there is no page on a server,
 * and for `file:` addresses.
 */
export const openPath: OpenPath = (path, waiting) => {
  const base = baseAddress();
  const isRelative = typeof path === "string" && base !== undefined;
  const address = isRelative ? parseUrl(path, base) : undefined;
  if (address && address.protocol !== "file:") return openUrl(address, waiting);
  return Promise.reject(
    new ArgumentError(
      `"${String(path)}" is a path, which only Node.js can open: pass a URL, a Blob or bytes.`,
    ),
  );
};

/** Gives false: only Node.js has paths of folders. */
export const isFolder = (): Promise<boolean> => Promise.resolve(false);

/** Rejects with an ArgumentError: only Node.js has such handles. */
export const openNodeHandle = (): Promise<RawFile> =>
  Promise.reject(new ArgumentError("Only Node.js can read a FileHandle of its own."));

/** Rejects with an ArgumentError: only Node.js has paths of folders. */
export const openFolder = (path: string | URL): Promise<RawRepository> =>
  Promise.reject(new ArgumentError(`"${String(path)}" is a path: pass the folder's handle.`));

/** Rejects with an ArgumentError: only Node.js has paths of folders. */
export const makeFolder = (path: string | URL): Promise<NewFolder> =>
  Promise.reject(new ArgumentError(`sink is "${String(path)}", a path: pass the folder's handle.`));

/** Throws an ArgumentError that says what to pass instead. */
export function pathTarget(path: string | URL): Target {
  throw new ArgumentError(
    `sink is "${String(path)}", a path, which only Node.js can write: pass a FileSystemFileHandle, ` +
      "a WritableStream or a Sink object.",
  );
}

/** Throws an ArgumentError: only Node.js has such streams. */
export function streamFile(): never {
  throw new ArgumentError("sink is a Writable of Node.js: pass a WritableStream.");
}
