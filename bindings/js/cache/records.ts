/**
 * What a cache keeps: sets of files under an id, in parts with their lengths and SHA-256. The parts are written first,
 * under keys of this writing alone, then the record that names them: a record that is there has all its parts, or is
 * damaged.
 */
import { IntegrityError } from "../base/errors.js";
import type { SequentialFile } from "../files/in-order.js";
import type { FileInfo } from "../models/types.js";
import type { Locks } from "./locks.js";
import { newName, noteOf, PartWriter, readPart, textOf } from "./parts.js";
import type { ByteStore } from "./stores.js";

/** A part of a file. */
interface PartEntry {
  key: string;
  size: number;
  sha256: string;
}

/** A file of a record. */
export interface FileEntry {
  name: string;
  /** The MIME type. */
  type: string;
  parts: PartEntry[];
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
  /** When it was written, in milliseconds since 1970. */
  keptAt: number;
}

/** A record as its own text describes it: nobody has looked at the files. */
export interface ListedRecord {
  id: string;
  facts: Facts | undefined;
  files: FileInfo[];
  /** When it was written, in milliseconds since 1970. */
  keptAt: number;
}

const sizeOf = ({ name, parts }: FileEntry): FileInfo => ({
  name,
  bytes: parts.reduce((bytes, { size }) => bytes + size, 0),
});

const recordKey = (id: string) => `record-${id}`;
const idOfRecord = (key: string) => /^record-([\da-f]{64})$/.exec(key)?.[1];

/** The keys of parts, and of what is not whole: runs that were killed leave that under further endings. */
const partPattern =
  /^(?:file|record)-([\da-f]{64})(?:-(\d+)-[\da-f-]{36}-\d+)?(?:\.[\da-f-]{36}\.part|\.crswap)?$/;

/** Reads a part's key; gives undefined for others. */
function readKey(key: string): { id: string; begin: number } | undefined {
  const match = idOfRecord(key) === undefined ? partPattern.exec(key) : undefined;
  return match ? { id: match[1]!, begin: Number(match[2] ?? 0) } : undefined;
}

/** Gives an object's properties, or none of what is no object: whoever can write into the store can write anything. */
const propertiesOf = <T>(value: unknown) => (value ?? {}) as Partial<Record<keyof T, unknown>>;

function isFileEntry(value: unknown, id: string): value is FileEntry {
  const { name, type, parts } = propertiesOf<FileEntry>(value);
  const isPart = (it: unknown) => {
    const { key, size } = propertiesOf<PartEntry>(it);
    const isOwn =
      typeof key === "string" && key.startsWith(`file-${id}-`) && readKey(key)?.id === id;
    return isOwn && Number.isInteger(size);
  };
  const isNamed = typeof name === "string" && typeof type === "string";
  return isNamed && Array.isArray(parts) && parts.every(isPart);
}

/** Tells whether a value is the content of a record: whoever can write into the store can make its digest. */
function isContent(value: unknown, id: string): value is Content {
  const { facts, files, keptAt } = propertiesOf<Content>(value);
  const { url } = propertiesOf<Facts>(facts);
  const isNamed = typeof url === "string" && Number.isFinite(keptAt);
  const isFile = (it: unknown) => isFileEntry(it, id);
  return isNamed && Array.isArray(files) && files.length > 0 && files.every(isFile);
}

/** Gives the record of an id; throws an IntegrityError for what is none. */
async function contentOf(value: Blob | Uint8Array, id: string): Promise<Content> {
  const content = await noteOf(value);
  if (!isContent(content, id)) throw new IntegrityError("The record is none of modelshrink's.");
  return content;
}

/** Tells whether a Blob can still be read: one of a file that has changed cannot. */
const isReadable = async (blob: Blob): Promise<boolean> =>
  blob
    .slice(0, 1)
    .arrayBuffer()
    .then(
      ({ byteLength }) => byteLength === 1,
      () => false,
    );

/** A record that is being written: nobody sees it before it is whole. */
export class Writing {
  readonly #store: ByteStore;
  readonly #id: string;
  readonly #makeRoom: (error: unknown) => Promise<boolean>;
  readonly #begin = Date.now();
  readonly #name = newName();
  /** What was there before, of an earlier record. */
  readonly #earlier: readonly string[];
  readonly #keys = new Set<string>();
  readonly #check: (name: string, part: PartEntry) => Promise<unknown>;
  #count = 0;
  /** What the store has failed with, where it has. */
  failure: { cause: unknown } | undefined;

  /** `makeRoom` tells whether what failed by this error may be tried again; `check` throws for a part that is not there. */
  constructor(
    store: ByteStore,
    id: string,
    earlier: readonly string[],
    makeRoom: (error: unknown) => Promise<boolean>,
    check: (name: string, part: PartEntry) => Promise<unknown>,
  ) {
    this.#check = check;
    this.#store = store;
    this.#id = id;
    this.#earlier = earlier;
    this.#makeRoom = makeRoom;
  }

  /** Makes a file, which is in `files` when it is closed, and whose parts are removed when it is aborted. */
  file(name: string, type: string, files: FileEntry[]): SequentialFile {
    const entry: FileEntry = { name, type, parts: [] };
    const writer = new PartWriter(async (bytes, sha256) => {
      const part = await this.#keep(bytes, sha256);
      entry.parts.push(part);
      try {
        await this.#check(name, part);
      } catch (cause) {
        this.failure = { cause };
        throw cause;
      }
    });
    return {
      // The order of the files is that in which they are opened.
      open: () => void files.push(entry),
      append: (bytes) => writer.add(bytes),
      close: () => writer.flush(),
      abort: async () => {
        await writer.drop();
        await this.#drop(entry.parts.splice(0).map(({ key }) => key));
      },
    };
  }

  async #keep(part: Uint8Array<ArrayBuffer>, digest: Promise<string>): Promise<PartEntry> {
    // The part's place in its file is the record's to know.
    const key = `file-${this.#id}-${this.#begin}-${this.#name}-${this.#count++}`;
    this.#keys.add(key);
    const [sha256] = await Promise.all([digest, this.#set(key, part)]);
    return { key, size: part.length, sha256 };
  }

  async #set(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    for (;;) {
      try {
        await this.#store.set(key, bytes);
        return;
      } catch (cause) {
        if (await this.#makeRoom(cause)) continue;
        this.failure = { cause };
        throw cause;
      }
    }
  }

  async #drop(keys: Iterable<string>): Promise<void> {
    for (const key of keys) {
      this.#keys.delete(key);
      await this.#store.delete(key);
    }
  }

  /** Makes the record, which replaces an earlier one. */
  async finish(facts: Facts, files: FileEntry[]): Promise<void> {
    const content: Content = { facts, files, keptAt: this.#begin };
    await this.#set(recordKey(this.#id), await textOf(content));
    this.#keys.add(recordKey(this.#id));
    for (const key of this.#earlier) await this.#store.delete(key);
  }

  /** Leaves an earlier record that was not replaced yet, and nothing of the new. Never throws: the failure that led here is what matters. */
  async abort(): Promise<void> {
    await this.#drop([...this.#keys]).catch(() => undefined);
  }
}

/** The records of a store. */
export class Records {
  readonly #store: ByteStore;
  /** The Blobs of checked parts, by their keys, by the records' ids: what a Blob gives cannot change. */
  readonly #checked = new Map<string, Map<string, Blob>>();

  constructor(store: ByteStore) {
    this.#store = store;
  }

  /**
   * Gives a record, whose bytes are all checked, once as long as they are the same; undefined where there is none. Throws
   * an IntegrityError for a damaged one.
   */
  async read(id: string): Promise<FoundRecord | undefined> {
    const value = await this.#store.get(recordKey(id));
    const earlier = this.#checked.get(id);
    this.#checked.delete(id);
    if (!value) return undefined;
    const content = await contentOf(value, id);
    const checked = new Map<string, Blob>();
    const files: [string, Blob][] = [];
    for (const { name, type, parts } of content.files) {
      const blobs: Blob[] = [];
      for (const part of parts) {
        const known = earlier?.get(part.key);
        if (known && (await isReadable(known))) {
          blobs.push(known);
          checked.set(part.key, known);
        } else {
          blobs.push(await this.#part(name, part, checked));
        }
      }
      files.push([name, new Blob(blobs, { type })]);
    }
    this.#checked.set(id, checked);
    const { facts, keptAt } = content;
    return { facts, files: Object.fromEntries(files), keptAt };
  }

  /** Gives a part, whose bytes it checks, and notes it among the checked ones. */
  async #part(
    name: string,
    { key, size, sha256 }: PartEntry,
    checked: Map<string, Blob>,
  ): Promise<Blob> {
    const isKept = (digest: string, bytes: number) => digest === sha256 && bytes === size;
    const { blob, isStored } = await readPart(this.#store, key, `"${name}"`, isKept);
    if (isStored) checked.set(key, blob);
    return blob;
  }

  /** Begins to write a record; `makeRoom` tells whether what failed by an error may be tried again. */
  async begin(id: string, makeRoom: (error: unknown) => Promise<boolean>): Promise<Writing> {
    const checked = new Map<string, Blob>();
    this.#checked.set(id, checked);
    // While the next part is made there is time for that.
    const check = (name: string, part: PartEntry) => this.#part(name, part, checked);
    return new Writing(this.#store, id, await this.#keysOf(id), makeRoom, check);
  }

  async #keysOf(id: string): Promise<string[]> {
    return [...(await this.#store.keys())].filter((key) => readKey(key)?.id === id);
  }

  /** Removes a record and its files; tells whether there was one. */
  async remove(id: string): Promise<boolean> {
    this.#checked.delete(id);
    const isThere = (await this.#store.get(recordKey(id))) !== undefined;
    // The record first: without it the parts are leftovers.
    await this.#store.delete(recordKey(id));
    for (const key of await this.#keysOf(id)) await this.#store.delete(key);
    return isThere;
  }

  /** Lists the records, the oldest first; damaged ones, which have no facts, before all. */
  async list(): Promise<ListedRecord[]> {
    const found: ListedRecord[] = [];
    for (const key of await this.#store.keys()) {
      const id = idOfRecord(key);
      if (id === undefined) continue;
      const content = await this.#content(id);
      const { facts, files = [], keptAt = 0 } = content ?? {};
      found.push({ id, facts, files: files.map(sizeOf), keptAt });
    }
    return found.sort((a, b) => a.keptAt - b.keptAt);
  }

  /** Gives the content of a record; undefined where there is none, or a damaged one. */
  async #content(id: string): Promise<Content | undefined> {
    const value = await this.#store.get(recordKey(id));
    return value && contentOf(value, id).catch(() => undefined);
  }

  /**
   * Removes parts that no record names: of writings that were killed. `ifFree` does its work unless a writing of this id
   * is under way; where nobody can know that, leftovers of the last day stay.
   */
  async sweep({ ifFree, isCertain }: Locks): Promise<void> {
    const latest = isCertain ? Infinity : Date.now() - 86_400_000;
    const ids = [...(await this.#store.keys())].map((key) => {
      const parts = readKey(key);
      return parts && parts.begin < latest ? parts.id : undefined;
    });
    for (const id of new Set(ids)) {
      if (id !== undefined) await ifFree(id, () => this.#sweepOne(id, latest));
    }
  }

  /** True where there is a record of this id, whole or not. */
  async has(id: string): Promise<boolean> {
    return (await this.#content(id).catch(() => undefined)) !== undefined;
  }

  async #sweepOne(id: string, latest: number): Promise<void> {
    const content = await this.#content(id);
    const kept = new Set(content?.files.flatMap(({ parts }) => parts.map(({ key }) => key)));
    for (const key of await this.#keysOf(id)) {
      if (!kept.has(key) && readKey(key)!.begin < latest) await this.#store.delete(key);
    }
  }
}
