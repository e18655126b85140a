/** A folder that keeps what a cache has, on Node.js. */
import { randomUUID } from "node:crypto";
import { openAsBlob } from "node:fs";
import { lstat, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ArgumentError } from "../base/errors.js";
import { show } from "../base/options.js";
import type { URL } from "../base/platform-types.js";
import { isA } from "../base/tags.js";
import { chunksOf } from "./chunks.js";
import type { CacheStore } from "./types.js";

/** The stores that are folders. */
const folders = new WeakSet<CacheStore>();

const isMissing = (error: unknown) => (error as { code?: unknown }).code === "ENOENT";

/** Writes a file that nobody sees before it is whole. */
async function writeWhole(folder: string, key: string, value: Blob): Promise<void> {
  await mkdir(folder, { recursive: true });
  // The name of another run's file is never guessed, nor a link followed.
  const part = join(folder, `${key}.${randomUUID()}.part`);
  const handle = await open(part, "wx", 0o600);
  try {
    for await (const bytes of chunksOf(value)) await handle.writeFile(bytes);
    await handle.sync();
    await handle.close();
    await rename(part, join(folder, key));
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(part, { force: true });
    throw error;
  }
}

/** Gives the whole path of a folder, which a later change of the process's own does not move. */
function pathOf(folder: unknown): string {
  try {
    const address = isA(folder, "URL") ? (folder as URL).href : folder;
    if (typeof address === "string" && address !== "") {
      return resolve(/^[a-z][a-z\d+.-]+:\/\//i.test(address) ? fileURLToPath(address) : address);
    }
  } catch {
    // Neither a file: address.
  }
  throw new ArgumentError(`The folder is ${show(folder)}; it must be a path or a file: address.`);
}

/**
 * Makes a store that keeps each value in a file of a folder, which is made when it is needed; other files in it are left
 * alone. Only Node.js has it.
 *
 * @param folder - A path or a file: address.
 */
export function folderStore(folder: string | URL): CacheStore {
  const path = pathOf(folder);
  const store: CacheStore = {
    async get(key) {
      const file = join(path, key);
      try {
        // A pipe would be waited for, and a link lead elsewhere.
        return (await lstat(file)).isFile() ? await openAsBlob(file) : undefined;
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    set: (key, value) => writeWhole(path, key, value),
    delete: (key) => rm(join(path, key), { force: true }),
    async keys() {
      const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
        if (isMissing(error)) return [];
        throw error;
      });
      return entries.filter((it) => !it.isDirectory()).map(({ name }) => name);
    },
  };
  folders.add(store);
  return store;
}

/** Tells whether a store is a folder. */
export const isFolderStore = (store: unknown): store is CacheStore =>
  folders.has(store as CacheStore);
