import { open } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { ArgumentError } from "../errors.js";
import type { OpenFile } from "../platform.js";
import { ioError } from "./io-error.js";
import { readFully } from "./read-fully.js";

export async function openFile(pathOrUrl: string | URL): Promise<OpenFile> {
  const path = pathOrUrl instanceof URL ? fileURLToPath(pathOrUrl) : pathOrUrl;
  const handle = await open(path, "r").catch((cause: unknown) => {
    throw ioError("read", path, cause);
  });
  const stat = await handle.stat();
  if (!stat.isFile()) {
    await handle.close();
    throw new ArgumentError(`Cannot read "${path}": it is not a regular file.`);
  }
  return {
    name: basename(path),
    size: stat.size,
    async read(offset, length) {
      try {
        return await readFully(handle, offset, length);
      } catch (cause) {
        throw ioError("read", path, cause);
      }
    },
    close: () => handle.close(),
  };
}
