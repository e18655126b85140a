/**
 * What a cache keeps: sets of files under an id, each with its length and SHA-256. The files are written first, under
 * keys of this writing alone, then the record that names them: a record that is there has all its files, or is damaged.
 */
import { IntegrityError } from "../base/errors.js";
import { isA } from "../base/tags.js";
import { sha256Of } from "#digest";
import type { Locks } from "./locks.js";
import type { CacheStore } from "./types.js";

/** A file of a record. */
interface FileEntry {
  name: string;
  key: string;
  size: number;
  sha256: string;
  /** The MIME type. */
  type: string;
}

/** What is kept with the files; the meaning is the caller's. */
export interface Facts {
  /** The address that the files came from. */
  url: string;
  [name: string]: unknown;
}

interface Content {
  facts: Facts;
  files: FileEntry[];
  /** When it was written, in milliseconds since 1970. */
  keptAt: number;
}

/** A record whose files are what was kept. */
export interface FoundRecord {
  facts: Facts;
  files: Record<string, Blob>;
}

const recordKey = (id: string) => `record-${id}`;
const idOfRecord = (key: string) => /^record-([\da-f]{64})$/.exec(key)?.[1];

/** A file's key: its record's id, when its writing began, in milliseconds since 1970, and that writing's own name. */
const fileKey = (id: string, begin: number, writing: string, i: number) =>
  `file-${id}-${begin}-${writing}-${i}`;

/** The keys of files, and of what is not whole: runs that were killed leave that under further endings. */
const filePattern =
  /^(?:file|record)-([\da-f]{64})(?:-(\d+)-[\da-f-]{36}-\d+)?(?:\.[\da-f-]{36}\.part|\.crswap)?$/;

/** Gives the parts of a file's key; undefined for others. */
function partsOf(key: string): { id: string; begin: number } | undefined {
  const match = idOfRecord(key) === undefined ? filePattern.exec(key) : undefined;
  return match ? { id: match[1]!, begin: Number(match[2] ?? 0) } : undefined;
}

/** A name that no other writing has: pages without a secure context have no randomUUID. */
const newName = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(18)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");

function blobOf(value: Blob | Uint8Array): Blob {
  if (isA(value, "Uint8Array")) return new Blob([value as Uint8Array<ArrayBuffer>]);
  if (isA(value, "Blob", "File")) return value as Blob;
  throw new IntegrityError("The store gave what is neither a Blob nor a Uint8Array.");
}

const digestOf = (text: string) => sha256Of(new Blob([text]));

/** Gives a text that stands for `parts`, whatever characters they have. */
export const idOf = (...parts: unknown[]): Promise<string> => digestOf(JSON.stringify(parts));

/** The line of a record's digest and the record. */
async function textOf(content: Content): Promise<Blob> {
  const json = JSON.stringify(content);
  return new Blob([await digestOf(json), "\n", json], { type: "application/json" });
}

/** A record has names and facts only; a larger one is none. */
const maxRecordBytes = 1 << 26;

/** Tells whether a value is the content of a record: whoever can write into the store can make its digest. */
function isContent(value: unknown, id: string): value is Content {
  const { facts, files, keptAt } = (value ?? {}) as Partial<Record<keyof Content, unknown>>;
  const isFile = (it: unknown) => {
    const { name, key, size, type } = (it ?? {}) as Partial<Record<keyof FileEntry, unknown>>;
    const isOwn =
      typeof key === "string" && key.startsWith(`file-${id}-`) && partsOf(key)?.id === id;
    return isOwn && typeof name === "string" && typeof type === "string" && Number.isInteger(size);
  };
  const { url } = (facts ?? {}) as Partial<Facts>;
  const isNamed = typeof url === "string" && Number.isFinite(keptAt);
  return isNamed && Array.isArray(files) && files.length > 0 && files.every(isFile);
}

/** Gives the record of an id; throws an IntegrityError for what is none. */
async function contentOf(value: Blob | Uint8Array, id: string): Promise<Content> {
  const blob = blobOf(value);
  const text = blob.size > maxRecordBytes ? "" : await blob.text();
  const [digest, json] = [text.slice(0, 64), text.slice(65)];
  if (digest !== (await digestOf(json)))
    throw new IntegrityError("The record is not what was kept.");
  const content: unknown = JSON.parse(json);
  if (!isContent(content, id)) throw new IntegrityError("The record is none of modelshrink's.");
  return content;
}

/** The records of a store. */
export class Records {
  readonly #store: CacheStore;

  constructor(store: CacheStore) {
    this.#store = store;
  }

  /** Gives a record, whose bytes are all checked; undefined where there is none. Throws an IntegrityError for a damaged one. */
  async read(id: string): Promise<FoundRecord | undefined> {
    const value = await this.#store.get(recordKey(id));
    if (!value) return undefined;
    const content = await contentOf(value, id);
    const files: [string, Blob][] = [];
    for (const entry of content.files) files.push([entry.name, await this.#file(entry)]);
    return { facts: content.facts, files: Object.fromEntries(files) };
  }

  async #file({ name, key, size, sha256, type }: FileEntry): Promise<Blob> {
    const value = await this.#store.get(key);
    const blob = value && blobOf(value);
    if (blob?.size !== size) {
      throw new IntegrityError(
        `"${name}" has ${blob?.size ?? "no"} bytes in the cache instead of ${size}.`,
      );
    }
    if ((await sha256Of(blob)) !== sha256) {
      throw new IntegrityError(`"${name}" in the cache is not what was kept.`);
    }
    return blob.type === type ? blob : blob.slice(0, size, type);
  }

  /** Keeps files under an id, and replaces an earlier record. A failure leaves that one, and nothing of the new. */
  async write(id: string, facts: Facts, files: Readonly<Record<string, Blob>>): Promise<void> {
    const writing = newName();
    const begin = Date.now();
    const earlier = await this.#keysOf(id);
    const entries: FileEntry[] = [];
    try {
      for (const [name, blob] of Object.entries(files)) {
        const key = fileKey(id, begin, writing, entries.length);
        const { size, type } = blob;
        entries.push({ name, key, size, type, sha256: await sha256Of(blob) });
        await this.#store.set(key, blob);
      }
      const content = { facts, files: entries, keptAt: begin };
      await this.#store.set(recordKey(id), await textOf(content));
    } catch (error) {
      for (const { key } of entries) await this.#store.delete(key);
      throw error;
    }
    for (const key of earlier) await this.#store.delete(key);
  }

  async #keysOf(id: string): Promise<string[]> {
    return [...(await this.#store.keys())].filter((key) => partsOf(key)?.id === id);
  }

  /** Removes a record and its files; tells whether there was one. */
  async remove(id: string): Promise<boolean> {
    const isThere = (await this.#store.get(recordKey(id))) !== undefined;
    // The record first: without it the files are leftovers.
    await this.#store.delete(recordKey(id));
    for (const key of await this.#keysOf(id)) await this.#store.delete(key);
    return isThere;
  }

  /** Lists the records, the oldest first; damaged ones before all. */
  async list(): Promise<{ id: string; facts?: Facts; keptAt: number }[]> {
    const found: { id: string; facts?: Facts; keptAt: number }[] = [];
    for (const key of await this.#store.keys()) {
      const id = idOfRecord(key);
      if (id === undefined) continue;
      const value = await this.#store.get(key);
      const content = value && (await contentOf(value, id).catch(() => undefined));
      found.push(
        content ? { id, facts: content.facts, keptAt: content.keptAt } : { id, keptAt: 0 },
      );
    }
    return found.sort((a, b) => a.keptAt - b.keptAt);
  }

  /**
   * Removes files that no record names: of writings that were killed. `ifFree` does its work unless a writing of this id
   * is under way; where nobody can know that, leftovers of the last day stay.
   */
  async sweep({ ifFree, isCertain }: Locks): Promise<void> {
    const latest = isCertain ? Infinity : Date.now() - 86_400_000;
    const ids = [...(await this.#store.keys())].map((key) => {
      const parts = partsOf(key);
      return parts && parts.begin < latest ? parts.id : undefined;
    });
    for (const id of new Set(ids)) {
      if (id !== undefined) await ifFree(id, () => this.#sweepOne(id, latest));
    }
  }

  async #sweepOne(id: string, latest: number): Promise<void> {
    const value = await this.#store.get(recordKey(id));
    const content = value && (await contentOf(value, id).catch(() => undefined));
    const kept = new Set(content?.files.map(({ key }) => key));
    for (const key of await this.#keysOf(id)) {
      if (!kept.has(key) && partsOf(key)!.begin < latest) await this.#store.delete(key);
    }
  }
}
