/** Where there are no paths. */
import { ArgumentError } from "../base/errors.js";
import type { URL } from "../base/platform-types.js";
import type { CacheStore } from "./types.js";

/** Throws an ArgumentError: only Node.js has folders. */
export function folderStore(folder: string | URL): CacheStore {
  throw new ArgumentError(
    `folderStore("${String(folder)}") is for Node.js; a browser's stores are "cache", "opfs" and "indexeddb".`,
  );
}

/** Tells whether a store is a folder: none is. */
export const isFolderStore = (store: unknown): store is CacheStore => store === folderStore;
