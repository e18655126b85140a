/** The words of the shrinking cache. */
import type { Blob, Request, Response, URL } from "../base/platform-types.js";
import type { ReadOptions } from "../files/raw.js";
import type { FileInfo, Report } from "../models/types.js";
import type { Recipe } from "../recipe/options.js";

/**
 * Keeps values by their keys, which have no other characters than a–z, 0–9, "-" and ".". A value that `set` has not
 * finished may be left in pieces: the cache knows whole values by their length and SHA-256. A store that is full rejects
 * with an error named "QuotaExceededError", or whose `code` is "ENOSPC".
 */
export interface CacheStore {
  /** Gives a value; undefined where there is none. */
  get(key: string): Promise<Blob | Uint8Array | undefined>;
  /** Keeps a value, and replaces an earlier one. */
  set(key: string, value: Blob): Promise<unknown>;
  /** Removes a value, where there is one. */
  delete(key: string): Promise<unknown>;
  /** Lists all keys. */
  keys(): Promise<Iterable<string>>;
}

/** The names of the stores that modelshrink has: what browsers call Cache API, OPFS and IndexedDB, and memory. */
export type StoreName = "cache" | "opfs" | "indexeddb" | "memory";

/** A request as `fetch` takes it. */
export type Address = string | URL | Request;

/** Something that the app need not know, but a developer may want to: what was asked for was given nevertheless. */
export interface CacheWarning {
  /**
   * "unshrunk": the model is given as it is, because it could not be shrunk; "uncached": what was made could not be kept;
   * "damaged": an entry was not what was kept, and is made anew; "stale": the server could not be asked whether the model
   * changed; "unpacked": the model is kept, but not packed, because that failed.
   */
  code: "unshrunk" | "uncached" | "damaged" | "stale" | "unpacked";
  /** A sentence. */
  message: string;
  /** The error that led to it. */
  cause: unknown;
}

/** How far a model is, in the shape of transformers.js's progress events. */
export interface CacheProgress {
  /** "initiate" comes once; then "download" and "progress" while bytes come; "shrink" when all have; "done". */
  status: "initiate" | "download" | "progress" | "shrink" | "done";
  /** The address of the model. */
  name: string;
  /** The name of the file. */
  file: string;
  /** From 0 to 100, where it is known. */
  progress?: number;
  /** The bytes that have come. */
  loaded?: number;
  /** The bytes that will come, where the server says. */
  total?: number;
}

/** The options of {@link createShrinkCache}. */
export interface ShrinkCacheOptions extends Pick<ReadOptions, "timeoutMs"> {
  /** A preset's name or a recipe; "int8" by default. */
  recipe?: string | Recipe;
  /** The name in the browser's own stores: caches of other names know nothing of it. "modelshrink" by default. */
  name?: string;
  /**
   * The place of what is kept. By default the Cache API in browsers, and elsewhere memory, which ends with the process: give
   * `folderStore(path)` on Node.js.
   */
  store?: StoreName | CacheStore;
  /** The version of the models, where you know it: another one is another entry. */
  revision?: string;
  /** Asks the server at each hit whether a file of the model has changed; false by default, which needs no network. */
  revalidate?: boolean;
  /** Recipes whose result is smaller, tried one after the other when the store is full; none by default. */
  smaller?: readonly (string | Recipe)[];
  /**
   * Keeps models packed, losslessly, and restores them when they are asked for: less room, a little more time. False by
   * default. What is kept already stays as it is.
   */
  packed?: boolean;
  /** The number of workers that shrink; none by default, since each takes memory of its own. */
  workers?: number;
  /** Is called as a model comes. */
  onProgress?: (progress: CacheProgress) => void;
  /** Is called with what went otherwise than it should; by default it goes to `console.warn`. */
  onWarning?: (warning: CacheWarning) => void;
}

/** The options of `cached`. */
export interface CachedOptions {
  /** Ends the work when it is aborted. */
  signal?: ReadOptions["signal"];
  /** Headers for the requests, such as a token's. */
  headers?: Readonly<Record<string, string>>;
}

/** A model out of the cache. */
export interface CachedModel {
  /** The small model's files by name, the main one first. */
  files: Record<string, Blob>;
  /** The fate of each tensor, as `shrink` gave it. */
  report: Report;
  /** True when nothing was downloaded and nothing shrunk. */
  hit: boolean;
}

/** A model that a cache keeps, as {@link ShrinkCache.list} gives it. */
export interface CachedEntry {
  /** The entry's own name, of 64 hexadecimal digits. */
  id: string;
  /** The address that the model came from. */
  url: string;
  /** The recipe that it was asked for with: `cached(url, recipe)` gives it. */
  recipe: string | Recipe;
  /** The small model's files, the main one first. */
  files: FileInfo[];
  /** The bytes that they take in the store: fewer where they are packed. */
  keptBytes: number;
  /** The time when it was kept, in milliseconds since 1970. */
  keptAt: number;
}

/**
 * A cache of models that are shrunk when they come. `match`, `put` and `delete` are what transformers.js's
 * `env.customCache` calls.
 */
export interface ShrinkCache {
  /**
   * Gives the small model at an address: out of the cache, else downloaded, shrunk and kept. A Request says how it is
   * downloaded, but for its ranges and conditions, and its signal ends that.
   *
   * @param recipe - A preset's name or a recipe instead of the cache's own.
   * @throws What `shrink` throws; an "io" error when the download fails.
   */
  cached(url: Address, recipe?: string | Recipe, options?: CachedOptions): Promise<CachedModel>;
  /** Gives a model's file shrunk, whether or not it is there already; another file only when it is. */
  match(request: Address): Promise<Response | undefined>;
  /** Keeps a file that is no model as it is; its response must be whole, of status 200. */
  put(request: Address, response: Response): Promise<void>;
  /**
   * Lists the models that are kept, of all recipes, the newest first. Damaged records are left out, and so are models of
   * another `revision` or version of the library, which a load would make anew.
   */
  list(): Promise<CachedEntry[]>;
  /**
   * Removes a file, or a model with all its recipes; only one of these when it is given an entry of `list`. Tells whether
   * there was something to remove.
   */
  delete(request: Address | CachedEntry): Promise<boolean>;
  /**
   * Does what the platform's `fetch` does, but gives models shrunk, also to HEAD and to requests for a range. A download is
   * asked for as the request says: headers but for conditions, credentials, mode, redirect, referrer and so on.
   */
  fetch(input: Address, init?: object): Promise<Response>;
  /** Asks the browser, once, to keep the storage when the disk fills; tells whether it will. */
  persist(): Promise<boolean>;
}
