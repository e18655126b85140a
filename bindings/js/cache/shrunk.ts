/** Models by address and recipe: out of the records, or downloaded, shrunk and kept. */
import { callUser } from "../base/door.js";
import { IntegrityError, ModelShrinkError } from "../base/errors.js";
import { version as libraryVersion } from "../base/version.js";
import { waitFor } from "../files/stream.js";
import { besideUrl, nameOfUrl, shownUrl } from "../files/url.js";
import { shrinkModel } from "../models/write.js";
import type { Report } from "../models/types.js";
import { checkRecipe, type CheckedRecipe } from "../recipe/check.js";
import type { Recipe } from "../recipe/options.js";
import { downloadModel, isUnchanged, type CameFile, type DownloadedModel } from "./download.js";
import { locksFor, type Locks } from "./locks.js";
import { idOf, Records, type Facts, type FoundRecord } from "./records.js";
import type { CachedModel, CacheStore, CacheWarning, ShrinkCacheOptions } from "./types.js";

/** A model, or what came where it could not be shrunk. */
export type Served = CachedModel | { files: Record<string, Blob>; failure: unknown };

/** What is known of a kept model. */
interface ModelFacts extends Facts {
  kind: "model";
  report: Report;
  /** The files that came, the main one first. */
  came: CameFile[];
}

/** Tells whether facts are a model's: whoever can write into the store can write others. */
function isModelFacts({ report, came }: Facts): boolean {
  const isFile = (it: unknown) => {
    const { name, validators } = (it ?? {}) as Partial<CameFile>;
    return typeof name === "string" && typeof validators === "object";
  };
  const hasReport = typeof report === "object" && report !== null;
  return hasReport && Array.isArray(came) && came.length > 0 && came.every(isFile);
}

interface Settings extends ShrinkCacheOptions {
  recipe: string | Recipe;
  name: string;
  smaller: readonly (string | Recipe)[];
  onWarning: (warning: CacheWarning) => void;
}

/** Tells whether a store is full; user's stores may say so in the words of Node.js. */
function isFull(error: unknown): boolean {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
  return name === "QuotaExceededError" || code === "ENOSPC" || code === "EDQUOT";
}

const recordOf = (files: DownloadedModel["files"]) =>
  Object.fromEntries([...files].map(([name, { blob }]) => [name, blob]));

/** How a model is loaded. */
export interface Loading {
  signal?: AbortSignal | undefined;
  /** How the server is asked: headers, credentials and so on. */
  request?: RequestInit | undefined;
}

/** The models of one cache. */
export class ShrunkModels {
  readonly #settings: Settings;
  readonly #records: Records;
  readonly #locks: Locks;
  /** Loads under way, so that those who ask at once wait for one. */
  readonly #loads = new Map<string, Promise<Served>>();
  #swept: Promise<void> | undefined;

  constructor(settings: Settings, store: CacheStore) {
    this.#settings = settings;
    this.#records = new Records(store);
    this.#locks = locksFor(settings.name);
  }

  /** Gives the records, from which leftovers of killed runs are swept first. */
  async records(): Promise<Records> {
    // Leftovers that cannot be removed are no reason to give nothing.
    this.#swept ??= this.#records.sweep(this.#locks).catch(() => undefined);
    await this.#swept;
    return this.#records;
  }

  /** Gives the model at an absolute address. What cannot be shrunk is given as it came, with the failure. */
  async load(url: string, recipe: string | Recipe, how: Loading = {}): Promise<Served> {
    const id = await this.#idOf(url, recipe);
    const load = () => this.#loadAlone(id, url, recipe, how);
    const { signal, request = {} } = how;
    // Whoever may end its load shares none, and need not wait for the end of another's.
    if (signal) return waitFor(shownUrl(url), { signal, timeoutMs: Infinity }, load());
    // A server may give others something else.
    const key = id + JSON.stringify(request);
    const shared = this.#loads.get(key) ?? load();
    this.#loads.set(key, shared);
    try {
      return await shared;
    } finally {
      this.#loads.delete(key);
    }
  }

  #idOf(url: string, recipe: string | Recipe): Promise<string> {
    return idOf("model", url, recipe, libraryVersion, this.#settings.revision ?? null);
  }

  #loadAlone(id: string, url: string, recipe: string | Recipe, how: Loading): Promise<Served> {
    return this.#locks.alone(id, async () => {
      how.signal?.throwIfAborted();
      const found = await this.#find(id, url, how);
      if (found) return { files: found.files, report: found.facts.report, hit: true };
      return this.#make(id, url, recipe, how);
    });
  }

  #warn(code: CacheWarning["code"], message: string, cause: unknown): void {
    callUser(() => {
      this.#settings.onWarning({ code, message, cause });
    });
  }

  /** Gives what is kept, when it is whole and still what the server has. */
  async #find(id: string, url: string, { signal, request = {} }: Loading) {
    let found: (FoundRecord & { facts: ModelFacts }) | undefined;
    try {
      const records = await this.records();
      found = (await records.read(id)) as typeof found;
      if (found && !isModelFacts(found.facts)) throw new IntegrityError("The record is no model.");
    } catch (cause) {
      // A store that cannot be read is told of when it cannot be written either.
      if (cause instanceof IntegrityError) {
        this.#warn(
          "damaged",
          "An entry of the cache is not what was kept, and is made anew.",
          cause,
        );
      }
    }
    if (!found || !this.#settings.revalidate) return found;
    const asking = { signal, request, timeoutMs: this.#settings.timeoutMs };
    try {
      // A graph may be the same while its weights, in another file, are not.
      const answers = await Promise.all(
        found.facts.came.map((file, i) =>
          isUnchanged(i === 0 ? url : besideUrl(file.name, url), file, asking),
        ),
      );
      return answers.every(Boolean) ? found : undefined;
    } catch (cause) {
      signal?.throwIfAborted();
      this.#warn("stale", `${shownUrl(url)} cannot be asked whether it has changed.`, cause);
      return found;
    }
  }

  async #make(
    id: string,
    url: string,
    recipe: string | Recipe,
    { signal, request = {} }: Loading,
  ): Promise<Served> {
    const { onProgress, timeoutMs, smaller } = this.#settings;
    const checked = await checkRecipe(recipe);
    const others = await Promise.all(smaller.map(checkRecipe));
    const names = { name: url, file: nameOfUrl(url) };
    callUser(() => onProgress?.({ status: "initiate", ...names }));
    const model = await downloadModel(url, { signal, timeoutMs, onProgress, request });
    let served: Served;
    try {
      served = await this.#shrunk(url, model, checked, signal);
    } catch (failure) {
      signal?.throwIfAborted();
      return { files: recordOf(model.files), failure };
    }
    if (!(await this.#keep(id, url, model, served))) {
      for (const other of others) {
        const less = await this.#shrunk(url, model, other, signal);
        if (await this.#keep(id, url, model, less)) {
          served = less;
          break;
        }
      }
    }
    callUser(() => onProgress?.({ status: "done", ...names }));
    return served;
  }

  async #shrunk(
    url: string,
    { source }: DownloadedModel,
    recipe: CheckedRecipe,
    signal: AbortSignal | undefined,
  ): Promise<CachedModel> {
    const { onProgress, workers } = this.#settings;
    const names = { name: url, file: nameOfUrl(url) };
    const { files, report } = await shrinkModel(source, recipe, {
      ...(signal ? { signal } : {}),
      ...(workers === undefined ? {} : { workers }),
      onProgress: ({ phase, done, total }) => {
        // What is read before is the download, and looks at weights are not known to come.
        if (phase !== "write") return;
        const progress = total > 0 ? (100 * done) / total : 100;
        callUser(() => onProgress?.({ status: "shrink", ...names, progress }));
      },
    });
    return { files, report, hit: false };
  }

  /** Keeps a file that is no model. */
  async keepFile(id: string, url: string, name: string, blob: Blob): Promise<void> {
    await this.#locks.alone(id, () =>
      this.#write(id, { kind: "file", url }, Object.fromEntries([[name, blob]])),
    );
  }

  /** Removes all that is of an address, whatever its recipe; tells whether there was something. */
  async remove(url: string): Promise<boolean> {
    const records = await this.records();
    let wasThere = false;
    for (const { id, facts } of await records.list()) {
      if (facts?.url !== url) continue;
      wasThere = (await this.#locks.alone(id, () => records.remove(id))) || wasThere;
    }
    return wasThere;
  }

  /** Writes a record; evicts others, the oldest first, while there is no room. */
  async #write(id: string, facts: Facts, files: Readonly<Record<string, Blob>>): Promise<void> {
    const records = await this.records();
    let others: string[] | undefined;
    for (;;) {
      try {
        await records.write(id, facts, files);
        return;
      } catch (error) {
        if (!isFull(error)) throw error;
        others ??= (await records.list()).map((it) => it.id).filter((it) => it !== id);
        const oldest = others.shift();
        if (oldest === undefined) throw error;
        // One that somebody is at work on stays.
        await this.#locks.ifFree(oldest, async () => {
          await records.remove(oldest);
        });
      }
    }
  }

  /** Keeps a model; tells whether it is kept. */
  async #keep(
    id: string,
    url: string,
    { files: came }: DownloadedModel,
    { files, report }: CachedModel,
  ): Promise<boolean> {
    const facts: ModelFacts = {
      ...{ kind: "model", url, report },
      came: [...came].map(([name, { blob, validators }]) => ({
        name,
        validators,
        size: blob.size,
      })),
    };
    try {
      await this.#write(id, facts, files);
      return true;
    } catch (cause) {
      const why = isFull(cause) ? "there is no room for it" : "the store failed";
      this.#warn("uncached", `${shownUrl(url)} is not kept: ${why}.`, cause);
      return false;
    }
  }
}

/** Gives a model as `cached` does: what could not be shrunk is the failure. */
export function modelOf(served: Served): CachedModel {
  if (!("failure" in served)) return served;
  throw served.failure instanceof Error
    ? served.failure
    : new ModelShrinkError("The model could not be shrunk.", "internal", { cause: served.failure });
}
