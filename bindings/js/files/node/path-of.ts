import { fileURLToPath } from "node:url";
import { ArgumentError } from "../../base/errors.js";

/** Gives the path that a text or a file: address names. Throws an ArgumentError, which calls it `what`, for none. */
export function pathOf(pathOrUrl: string | URL, what: string): string {
  try {
    const path = typeof pathOrUrl === "string" ? pathOrUrl : fileURLToPath(pathOrUrl);
    if (!path.includes("\0")) return path;
  } catch {
    // Another host, or an encoding of no text or of a slash.
  }
  throw new ArgumentError(`${what} is ${JSON.stringify(String(pathOrUrl))}, which names no file.`);
}
