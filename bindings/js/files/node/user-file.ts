/** Small files that the user has named, read whole. */
import { constants } from "node:fs";
import { open, stat } from "node:fs/promises";
import { formatBytes } from "../../base/bytes.js";
import { ArgumentError, UnsupportedError } from "../../base/errors.js";
import { ioError } from "./io-error.js";
import { readFully } from "./read-fully.js";

/** Windows has no such flag. */
const { O_NONBLOCK = 0 } = constants as Partial<typeof constants>;

/**
 * All bytes of a regular file. Throws an ArgumentError for pipes and devices, which may have no end, and an
 * UnsupportedError for more than `maxBytes`.
 */
export async function readUserFile(path: string, maxBytes: number): Promise<Uint8Array> {
  const fail = (cause: unknown) => {
    throw ioError("read", path, cause);
  };
  const entry = await stat(path).catch(fail);
  if (!entry.isFile()) throw new ArgumentError(`Cannot read "${path}": it is not a regular file.`);
  const handle = await open(path, constants.O_RDONLY | O_NONBLOCK).catch(fail);
  try {
    const opened = await handle.stat().catch(fail);
    const { size } = opened;
    if (!opened.isFile() || size > maxBytes) {
      throw new UnsupportedError(
        `"${path}" has ${formatBytes(size)}; the most that is read is ${formatBytes(maxBytes)}.`,
      );
    }
    return await readFully(handle, 0, size).catch(fail);
  } finally {
    await handle.close();
  }
}
