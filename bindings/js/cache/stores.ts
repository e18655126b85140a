/** The stores that browsers have. */
import { isFolderStore } from "#folder-store";
import { ArgumentError } from "../base/errors.js";
import { list, show } from "../base/options.js";
import { hasMethods } from "../base/tags.js";
import { ifThere, namesIn } from "../files/folder-handle.js";
import { platform } from "./platform.js";
import type { CacheStore, StoreName } from "./types.js";

/** A store that keeps bytes, which are the caller's to change again when `set` has resolved. */
export interface ByteStore extends Pick<CacheStore, "get" | "delete" | "keys"> {
  set(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<unknown>;
}

/** Gives bytes to a store as Blobs. */
const inBlobs = (store: CacheStore): ByteStore => ({
  get: (key) => store.get(key),
  set: (key, bytes) => store.set(key, new Blob([bytes])),
  delete: (key) => store.delete(key),
  keys: () => store.keys(),
});

/** Keys become addresses that no server has. */
const addressOf = (key: string) => `https://modelshrink.invalid/${key}`;

/** The Cache API: a cache of this name. */
function cacheApiStore(name: string): ByteStore {
  const open = () => caches.open(name);
  return {
    get: async (key) => (await (await open()).match(addressOf(key)))?.blob(),
    // Of a Blob the browser would have a copy in memory, and the page another one.
    set: async (key, bytes) => (await open()).put(addressOf(key), new Response(bytes)),
    delete: async (key) => (await open()).delete(addressOf(key)),
    keys: async () =>
      (await (await open()).keys()).map(({ url }) => url.slice(addressOf("").length)),
  };
}

/** The origin's private file system: a folder of this name. */
function opfsStore(name: string): ByteStore {
  const open = async () => {
    const root = await navigator.storage.getDirectory();
    return root.getDirectoryHandle(name, { create: true });
  };
  return {
    get: async (key) => (await ifThere((await open()).getFileHandle(key)))?.getFile(),
    async set(key, bytes) {
      const handle = await (await open()).getFileHandle(key, { create: true });
      const writable = await handle.createWritable();
      try {
        await writable.write(bytes);
        await writable.close();
      } catch (error) {
        await writable.abort().catch(() => undefined);
        throw error;
      }
    },
    delete: async (key) => ifThere((await open()).removeEntry(key)),
    keys: async () => namesIn(await open()),
  };
}

const resultOf = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => {
      resolve(request.result);
    };
    request.onerror = () => {
      reject(request.error!);
    };
  });

/** IndexedDB: a database of this name with one table. */
function indexedDbStore(name: string): CacheStore {
  const table = "values";
  const begin = async (mode: IDBTransactionMode) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(table);
    const database = await resultOf(request);
    const transaction = database.transaction(table, mode);
    // A connection that stays open would hold up whoever deletes the database.
    const done = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => {
        resolve();
      };
      transaction.onerror = transaction.onabort = () => {
        reject(transaction.error!);
      };
    }).finally(() => {
      database.close();
    });
    done.catch(() => undefined);
    return { values: transaction.objectStore(table), done };
  };
  return {
    async get(key) {
      const { values } = await begin("readonly");
      return resultOf<Blob | undefined>(values.get(key) as IDBRequest<Blob | undefined>);
    },
    async set(key, value) {
      const { values, done } = await begin("readwrite");
      values.put(value, key);
      await done;
    },
    async delete(key) {
      const { values, done } = await begin("readwrite");
      values.delete(key);
      await done;
    },
    async keys() {
      const { values } = await begin("readonly");
      return (await resultOf(values.getAllKeys())).map(String);
    },
  };
}

/** Memory of this process or page. */
function memoryStore(): CacheStore {
  const values = new Map<string, Blob>();
  return {
    get: (key) => Promise.resolve(values.get(key)),
    set: (key, value) => Promise.resolve(values.set(key, value)),
    delete: (key) => Promise.resolve(values.delete(key)),
    keys: () => Promise.resolve([...values.keys()]),
  };
}

const stores: Readonly<
  Record<StoreName, { isThere: () => boolean; open: (name: string) => ByteStore }>
> = {
  cache: { isThere: () => "caches" in globalThis, open: cacheApiStore },
  opfs: {
    isThere: () => hasMethods(platform.navigator?.storage, "getDirectory"),
    open: opfsStore,
  },
  indexeddb: {
    isThere: () => "indexedDB" in globalThis,
    open: (name) => inBlobs(indexedDbStore(name)),
  },
  memory: { isThere: () => true, open: () => inBlobs(memoryStore()) },
};

/** Gives the store of the option `store`, or the platform's own; throws an ArgumentError for what is none. */
export function storeFor(value: unknown, name: string): ByteStore {
  if (hasMethods(value, "get", "set", "delete", "keys"))
    return inBlobs(value as unknown as CacheStore);
  const names = Object.keys(stores) as StoreName[];
  const wanted = value ?? (stores.cache.isThere() ? "cache" : "memory");
  const found = names.find((it) => it === wanted);
  if (!found) {
    throw new ArgumentError(
      `store is ${show(value)}; it must be one of ${list(names)}, folderStore(path) on Node.js, or an object with get, ` +
        "set, delete and keys.",
    );
  }
  if (!stores[found].isThere()) {
    throw new ArgumentError(
      `store is "${found}", which is not there: pages on https and localhost have it.`,
    );
  }
  return stores[found].open(name);
}

/**
 * Gives the store of downloads that are under way: the folder that the option `store` names, or the browser's private
 * file system, else memory.
 */
export function draftStoreFor(value: unknown, name: string): ByteStore {
  if (isFolderStore(value)) return inBlobs(value);
  const isInMemory = value === "memory" || !stores.opfs.isThere();
  return stores[isInMemory ? "memory" : "opfs"].open(name);
}
