/** Models by address and recipe: out of the records, or downloaded, shrunk and kept. */
import { callUser } from "../base/door.js";
import { FormatError, IntegrityError, ModelShrinkError } from "../base/errors.js";
import { version as libraryVersion } from "../base/version.js";
import { init } from "../core/init.js";
import { waitFor } from "../files/stream.js";
import { besideUrl, nameOfUrl, shownUrl } from "../files/url.js";
import type { Target } from "../files/sink.js";
import { sequentialTarget } from "../files/user-sink.js";
import { refuseMissing } from "../models/missing-files.js";
import { shrinkModel } from "../models/write.js";
import type { FileInfo, Report, WriteOptions, WriteResult } from "../models/types.js";
import { checkRecipe, type CheckedRecipe } from "../recipe/check.js";
import type { Recipe } from "../recipe/options.js";
import { isUnchanged, ModelDownload, type CameFile } from "./download.js";
import { DraftsOfModel, isValidators, sweepDrafts } from "./drafts.js";
import { locksFor, type Locks } from "./locks.js";
import { copyOf, idOf, partsOf } from "./parts.js";
import {
  Records,
  type Facts,
  type FileEntry,
  type FoundRecord,
  type ListedRecord,
  type Writing,
} from "./records.js";
import type { ByteStore } from "./stores.js";
import type { CachedEntry, CachedModel, CacheWarning, ShrinkCacheOptions } from "./types.js";

/** A model, or what came where it could not be shrunk. */
export type Served = CachedModel | { files: Record<string, Blob>; failure: unknown };

/** What is known of a kept model. */
interface ModelFacts extends Facts {
  kind: "model";
  /** What was asked for; where there was no room for that, `report` tells of a smaller one. */
  recipe: string | Recipe;
  report: Report;
  /** The files that came, the main one first. */
  came: CameFile[];
  /** The small model's files, the main one first, where the record's only file is a packed one that holds them. */
  packed?: FileInfo[];
}

/** A model that is kept. */
type Kept = FoundRecord & { facts: ModelFacts };

/** Tells whether facts are a model's: whoever can write into the store can write others. */
function isModelFacts({ recipe, report, came, packed }: Facts): boolean {
  const isFile = (it: unknown) => {
    const { name, validators } = (it ?? {}) as Partial<CameFile>;
    return typeof name === "string" && isValidators(validators);
  };
  const isObject = (it: unknown) => typeof it === "object" && it !== null;
  const hasRecipe = typeof recipe === "string" || isObject(recipe);
  const isPacked = (it: unknown) => {
    const { name, bytes } = (it ?? {}) as Partial<FileInfo>;
    return typeof name === "string" && Number.isSafeInteger(bytes);
  };
  const lists = [
    [came, isFile],
    [packed ?? [{ name: "", bytes: 0 }], isPacked],
  ] as const;
  const areLists = lists.every(
    ([list, is]) => Array.isArray(list) && list.length > 0 && list.every(is),
  );
  return hasRecipe && isObject(report) && areLists;
}

/** Gives the files of a model that is kept, which a record may have packed. */
const filesOf = ({ facts, files }: Pick<ListedRecord, "facts" | "files">): FileInfo[] =>
  (facts as ModelFacts | undefined)?.packed ?? files;

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

/** Gives copies of the files that came. */
async function copiesOf(model: ModelDownload): Promise<Record<string, Blob>> {
  const copies: [string, Blob][] = [];
  for (const [name, file] of model.came()) copies.push([name, await copyOf(file.blob())]);
  return Object.fromEntries(copies);
}

/** The files of a packed record. */
interface Unpacked {
  id: string;
  keptAt: number;
  files: Record<string, Blob>;
}

/** The time for which what was unpacked is remembered, in milliseconds: apps ask for a model's files one after the other. */
const rememberedMs = 30_000;

/** An entry that is to be made. */
interface NewEntry {
  id: string;
  url: string;
  /** The recipe that the entry is for. */
  asked: string | Recipe;
}

const loadUnpack = () => import("../pack/unpack.js");

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
  /** Where downloads are while they come. */
  readonly #draftStore: ByteStore;
  readonly #locks: Locks;
  /** Loads under way, so that those who ask at once wait for one. */
  readonly #loads = new Map<string, Promise<Served>>();
  #swept: Promise<void> | undefined;
  /** What was unpacked last, since apps ask for a model's files one by one. */
  #unpacked: Unpacked | undefined;

  constructor(settings: Settings, store: ByteStore, draftStore: ByteStore) {
    this.#settings = settings;
    this.#records = new Records(store);
    this.#draftStore = draftStore;
    this.#locks = locksFor(settings.name);
  }

  /** Gives the records, from which leftovers of killed runs are swept first. */
  async records(): Promise<Records> {
    // Leftovers that cannot be removed are no reason to give nothing.
    this.#swept ??= this.#sweep();
    await this.#swept;
    return this.#records;
  }

  async #sweep(): Promise<void> {
    await this.#records.sweep(this.#locks).catch(() => undefined);
    const isMade = (id: string) => this.#records.has(id);
    await sweepDrafts(this.#draftStore, this.#locks, isMade).catch(() => undefined);
  }

  /** Gives the model at an absolute address. What cannot be shrunk is given as it came, with the failure. */
  async load(url: string, recipe: string | Recipe, how: Loading = {}): Promise<Served> {
    // Leftovers are swept meanwhile, and the stores are open when they are asked for the model.
    void this.records();
    // What unpacks comes while the packed bytes are read; what it fails with is heard of when it is used.
    if (this.#settings.packed)
      loadUnpack()
        .then((it) => it.readyToUnpack())
        .catch(() => undefined);
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
      this.#unpacked = undefined;
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
    let found: Kept | undefined;
    try {
      const kept = (await this.#records.read(id)) as Kept | undefined;
      if (kept && !isModelFacts(kept.facts)) throw new IntegrityError("The record is no model.");
      const isPacked = kept?.facts.packed !== undefined;
      found = isPacked ? { ...kept, files: await this.#unpackedOf(id, kept) } : kept;
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

  /** Gives the files of a record that was written just now. */
  async #filesOf(id: string): Promise<Record<string, Blob>> {
    const found = (await this.#records.read(id)) as Kept | undefined;
    if (!found) throw new IntegrityError("The store has not kept it.");
    return found.facts.packed ? this.#unpackedOf(id, found) : found.files;
  }

  /** Gives the files of a packed record. */
  async #unpackedOf(id: string, { facts, files, keptAt }: Kept): Promise<Record<string, Blob>> {
    const last = this.#unpacked;
    if (last?.id === id && last.keptAt === keptAt) return last.files;
    this.#unpacked = undefined;
    const { unpack } = await loadUnpack();
    const [packed] = Object.values(files);
    // The record has checked the SHA-256 of each part.
    const options = { sha256: false, maxGrowth: Infinity };
    const { files: found } = await unpack(packed!, options).catch((cause: unknown) => {
      // What cannot be unpacked is made anew, whatever is wrong with it.
      throw cause instanceof FormatError ? new IntegrityError(cause.message, { cause }) : cause;
    });
    const restored: [string, Blob][] = [];
    for (const { name, bytes } of facts.packed!) {
      const blob = found[name];
      if (blob?.size !== bytes) throw new IntegrityError(`The packed file has another "${name}".`);
      restored.push([name, blob]);
    }
    const result = Object.fromEntries(restored);
    if (restored.length > 1) this.#remember({ id, keptAt, files: result });
    return result;
  }

  #remember(unpacked: Unpacked): void {
    this.#unpacked = unpacked;
    const timer: { unref?: () => void } | number = setTimeout(() => {
      if (this.#unpacked === unpacked) this.#unpacked = undefined;
    }, rememberedMs);
    // Nobody waits for it: a Node.js process may end before.
    if (typeof timer === "object") timer.unref?.();
  }

  async #make(
    id: string,
    url: string,
    recipe: string | Recipe,
    { signal, request = {} }: Loading,
  ): Promise<Served> {
    const { onProgress, timeoutMs, smaller } = this.#settings;
    // Here, because a hit does without the core, which comes while the model does.
    const core = init();
    core.catch(() => undefined);
    const recipes = await Promise.all([recipe, ...smaller].map(checkRecipe));
    const names = { name: url, file: nameOfUrl(url) };
    callUser(() => onProgress?.({ status: "initiate", ...names }));
    const drafts = new DraftsOfModel(this.#draftStore, id, this.#locks);
    const asking = { signal, timeoutMs, onProgress, request, drafts };
    const model = new ModelDownload(url, asking);
    const make = () =>
      this.#madeAndKept({ id, url, asked: recipe }, model, recipes, drafts, signal);
    let served: Served;
    try {
      await model.begin();
      served = await make().catch(async (failure: unknown) => {
        await model.settled();
        if (!model.isMisjudged) throw failure;
        return make();
      });
    } catch (failure) {
      if (signal?.aborted || model.isInterrupted) await drafts.leave();
      signal?.throwIfAborted();
      if (model.failure) throw model.failure.error;
      served = { files: await copiesOf(model), failure };
    }
    if (!model.isInterrupted) await drafts.remove();
    if (!("failure" in served)) callUser(() => onProgress?.({ status: "done", ...names }));
    return served;
  }

  /** Shrinks a model by the first of the recipes whose result can be kept; by the first one into memory where none can. */
  async #madeAndKept(
    entry: NewEntry,
    model: ModelDownload,
    recipes: readonly CheckedRecipe[],
    drafts: DraftsOfModel,
    signal: AbortSignal | undefined,
  ): Promise<CachedModel> {
    for (const recipe of recipes) {
      const served = await this.#kept(entry, model, recipe, drafts, signal);
      if (served) return served;
    }
    const { files, report } = await this.#shrunk(entry.url, model, recipes[0]!, signal);
    return { files, report, hit: false };
  }

  async #shrunk(
    url: string,
    model: ModelDownload,
    recipe: CheckedRecipe,
    signal: AbortSignal | undefined,
    target?: Target,
  ): Promise<WriteResult> {
    const { onProgress, workers } = this.#settings;
    const tell = (progress: number) => {
      const names = { name: url, file: nameOfUrl(url) };
      callUser(() => onProgress?.({ status: "shrink", ...names, progress }));
    };
    const options: WriteOptions = {
      ...(signal ? { signal } : {}),
      // Each worker takes memory of its own, and most of the time is the download's.
      workers: workers ?? 0,
      onProgress: ({ phase, done, total }) => {
        // What is shrunk while it comes is the download, and looks at weights are not known to come.
        if (phase === "write" && done < total && !model.isComing) tell((100 * done) / total);
      },
    };
    const output = { check: refuseMissing, ...(target ? { target } : {}) };
    const result = await shrinkModel(await model.source(), recipe, options, output);
    // It may have been made of less than the server had to give.
    await model.whole();
    tell(100);
    return result;
  }

  /** Shrinks a model into the store; gives undefined, after a warning, when that cannot keep it. */
  async #kept(
    { id, url, asked }: NewEntry,
    model: ModelDownload,
    recipe: CheckedRecipe,
    drafts: DraftsOfModel,
    signal: AbortSignal | undefined,
  ): Promise<CachedModel | undefined> {
    const writing = await this.#begin(id, () => drafts.toMemory()).catch((cause: unknown) => {
      this.#warnOfNone(url, cause);
    });
    if (!writing) return undefined;
    let files: FileEntry[] = [];
    // A run that is followed by another has dropped its files.
    const target = sequentialTarget(
      (name) => writing.file(name, "", files),
      () => (files = []),
    );
    let report: Report;
    try {
      ({ report } = await this.#shrunk(url, model, recipe, signal, target));
    } catch (error) {
      await writing.abort();
      if (!writing.failure || signal?.aborted) throw error;
      this.#warnOfNone(url, writing.failure.cause);
      return undefined;
    }
    try {
      const came = model.came().map(([name, { validators, size }]) => ({ name, validators, size }));
      const facts: ModelFacts = { kind: "model", url, recipe: asked, report, came };
      await writing.finish(facts, files);
      const found = await (await this.records()).read(id);
      if (!found) throw new IntegrityError("The store has not kept it.");
      if (!this.#settings.packed) return { files: found.files, report, hit: false };
      await this.#pack(id, facts, found.files, signal);
      return { files: await this.#filesOf(id), report, hit: false };
    } catch (cause) {
      await writing.abort();
      this.#warnOfNone(url, cause);
      return undefined;
    }
  }

  /** Packs what is kept; where that fails, after a warning, it stays as it is. */
  async #pack(
    id: string,
    facts: ModelFacts,
    files: Record<string, Blob>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { packInto } = await import("../pack/pack.js");
    const writing = await this.#begin(id);
    const kept: FileEntry[] = [];
    try {
      const target = sequentialTarget(
        (name) => writing.file(name, "", kept),
        () => undefined,
      );
      await packInto(target, files, { signal });
      const packed = Object.entries(files).map(([name, { size }]) => ({ name, bytes: size }));
      await writing.finish({ ...facts, packed }, kept);
    } catch (cause) {
      await writing.abort();
      signal?.throwIfAborted();
      this.#warn("unpacked", `${shownUrl(facts.url)} is kept, but not packed.`, cause);
    }
  }

  #warnOfNone(url: string, cause: unknown): void {
    const why = isFull(cause) ? "there is no room for it" : "the store failed";
    this.#warn("uncached", `${shownUrl(url)} is not kept: ${why}.`, cause);
  }

  /** Begins to write a record; evicts others, the oldest first, while there is no room, and then calls `release`. */
  async #begin(id: string, release?: () => Promise<void>): Promise<Writing> {
    const records = await this.records();
    let others: string[] | undefined;
    return records.begin(id, async (error) => {
      if (!isFull(error)) return false;
      others ??= (await records.list()).map((it) => it.id).filter((it) => it !== id);
      const oldest = others.shift();
      if (oldest === undefined) {
        const work = release?.();
        release = undefined;
        await work;
        return work !== undefined;
      }
      // One that somebody is at work on stays.
      await this.#locks.ifFree(oldest, async () => {
        await records.remove(oldest);
      });
      return true;
    });
  }

  /** Keeps a file that is no model. */
  async keepFile(id: string, url: string, name: string, blob: Blob): Promise<void> {
    await this.#locks.alone(id, async () => {
      const writing = await this.#begin(id);
      const files: FileEntry[] = [];
      try {
        const file = writing.file(name, blob.type, files);
        await file.open(blob.size);
        for (const part of partsOf(blob))
          await file.append(new Uint8Array(await part.arrayBuffer()));
        await file.close();
        await writing.finish({ kind: "file", url }, files);
      } catch (error) {
        await writing.abort();
        throw error;
      }
    });
  }

  /** Lists the models that are kept by a recipe: their addresses, and the names of their files, the main one first. */
  async list(recipe: string | Recipe): Promise<{ url: string; names: string[] }[]> {
    const found: { url: string; names: string[] }[] = [];
    for (const record of await (await this.records()).list()) {
      const { id, facts } = record;
      const url = facts?.kind === "model" ? facts.url : undefined;
      if (url === undefined || id !== (await this.#idOf(url, recipe))) continue;
      found.push({ url, names: filesOf(record).map(({ name }) => name) });
    }
    return found;
  }

  /** Lists all models, the newest first; those that a damaged record is of are left out. */
  async entries(): Promise<CachedEntry[]> {
    const records = await (await this.records()).list();
    const entries: CachedEntry[] = [];
    for (const record of records.reverse()) {
      const { id, facts, keptAt } = record;
      if (facts?.kind !== "model" || !isModelFacts(facts)) continue;
      const keptBytes = record.files.reduce((all, { bytes }) => all + bytes, 0);
      const files = filesOf(record);
      const { url } = facts;
      const recipe = facts.recipe as string | Recipe;
      // Those of another revision or version of the library are not what a load gives.
      if (id === (await this.#idOf(url, recipe)))
        entries.push({ id, url, recipe, files, keptBytes, keptAt });
    }
    return entries;
  }

  /** Removes all that is of an address, whatever its recipe, or one entry of it; tells whether there was something. */
  async remove(url: string, only?: string): Promise<boolean> {
    const records = await this.records();
    let wasThere = false;
    for (const { id, facts } of await records.list()) {
      if (facts?.url !== url || (only !== undefined && id !== only)) continue;
      wasThere = (await this.#locks.alone(id, () => records.remove(id))) || wasThere;
    }
    return wasThere;
  }
}

/** Gives a model as `cached` does: what could not be shrunk is the failure. */
export function modelOf(served: Served): CachedModel {
  if (!("failure" in served)) return served;
  throw served.failure instanceof Error
    ? served.failure
    : new ModelShrinkError("The model could not be shrunk.", "internal", { cause: served.failure });
}
