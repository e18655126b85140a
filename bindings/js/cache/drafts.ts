/**
 * Downloads that are under way or were interrupted: what has come is kept in parts, so that the next call goes on there.
 * A note under a key of its own says what it is of.
 */
import { fromBlob } from "../files/blob.js";
import type { Locks } from "./locks.js";
import { copyOf, idOf, newName, noteOf, readPart, textOf, type CheckedPart } from "./parts.js";
import type { ByteStore } from "./stores.js";

/** What a server says of a file's version; the same as long as the file is. */
export interface Validators {
  etag?: string;
  lastModified?: string;
}

/** What a download is of. */
export interface DraftOf {
  url: string;
  validators: Validators;
  /** The size of the whole file in bytes. */
  size: number;
}

/** An interrupted download is kept for a week. */
const maxAge = 7 * 86_400_000;

/** The keys of notes and parts, and of what is not whole. A part's key has its place in the file and its seal. */
const keyPattern =
  /^(draft|part)-([\da-f]{64})-(\d+)-([\da-f]{36})(?:-(\d+)-([\da-f]{64}))?(?:\.[\da-f-]{36}\.part|\.crswap)?$/;

/** A key, read. */
interface DraftKey {
  key: string;
  id: string;
  begin: number;
  /** The name of the writing. */
  writing: string;
  /** Where a part begins in its file, and its seal; undefined for notes. */
  offset: number | undefined;
  seal: string | undefined;
}

function readKey(key: string): DraftKey | undefined {
  const [, , id, begin, writing, offset, seal] = keyPattern.exec(key) ?? [];
  if (id === undefined || writing === undefined) return undefined;
  const place = offset === undefined ? undefined : Number(offset);
  return { key, id, begin: Number(begin), writing, offset: place, seal };
}

/** Stands for a part's bytes and for what they are: a key that somebody has renamed has another part's. */
const sealOf = (of: DraftOf | undefined, offset: number, sha256: string): Promise<string> =>
  idOf(of ?? null, offset, sha256);

/** Tells whether a stored value is validators that a header can have: whoever can write into the store can write others. */
export function isValidators(value: unknown): value is Validators {
  const isHeader = (it: unknown) =>
    it === undefined || (typeof it === "string" && /^[\x20-\x7e\x80-\xff]*$/.test(it));
  if (typeof value !== "object" || value === null) return false;
  const { etag, lastModified } = value as Partial<Record<keyof Validators, unknown>>;
  return isHeader(etag) && isHeader(lastModified);
}

function isDraftOf(value: unknown): value is DraftOf {
  const { url, validators, size } = (value ?? {}) as Partial<Record<keyof DraftOf, unknown>>;
  const isSized = typeof size === "number" && Number.isSafeInteger(size) && size > 0;
  return typeof url === "string" && isValidators(validators) && isSized;
}

/** A part that has come: in the store when it has a key, else in memory. */
interface Part {
  key?: string;
  blob: Blob;
}

/** What an earlier call has left of a file. */
interface LeftDraft {
  of: DraftOf;
  /** The key of its note, and all keys of its writing. */
  note: DraftKey;
  keys: DraftKey[];
}

/** A part in the store. */
interface KeptPart extends CheckedPart {
  key: string;
}

/** One file as far as it has come. */
export class Draft {
  readonly #store: ByteStore;
  /** What keys begin with after their kind: id, time and name of the writing. */
  readonly #name: string;
  readonly #parts: Part[];
  /** What it is of; undefined for what nobody can go on with. */
  readonly of: DraftOf | undefined;
  /** The bytes that have come. */
  loaded: number;
  #isInMemory = false;
  /** All parts as they are now. */
  #view: Blob | undefined;
  /** The last write of the note, and the last move into memory. */
  #noted: Promise<void> = Promise.resolve();
  #moved: Promise<void> = Promise.resolve();

  constructor(store: ByteStore, name: string, of: DraftOf | undefined, parts: Part[]) {
    this.#store = store;
    this.#name = name;
    this.of = of;
    this.#parts = parts;
    this.loaded = parts.reduce((sum, { blob }) => sum + blob.size, 0);
  }

  /** Says what this is, for later calls. Where the store fails, nobody goes on with it. */
  async note(): Promise<void> {
    if (!this.of || this.#isInMemory) return;
    const { of } = this;
    const work = this.#noted.then(async () =>
      this.#store.set(`draft-${this.#name}`, await textOf(of)),
    );
    this.#noted = work.then(
      () => undefined,
      () => undefined,
    );
    await this.#noted;
  }

  /** Takes the note away. */
  async unnote(): Promise<void> {
    await this.#noted;
    await this.#store.delete(`draft-${this.#name}`);
  }

  /** Keeps the next bytes; in memory where the store fails. */
  async add(bytes: Uint8Array<ArrayBuffer>, sha256: string): Promise<void> {
    const kept = this.#isInMemory ? undefined : await this.#keep(bytes, sha256);
    const part = kept ?? { blob: new Blob([bytes]) };
    this.#parts.push(part);
    this.#view = undefined;
    this.loaded += bytes.length;
    // A store that is full needs its room for the small model.
    if (this.#isInMemory || part.key === undefined) await this.toMemory();
  }

  /** Keeps bytes in the store; gives undefined where it fails. */
  async #keep(bytes: Uint8Array<ArrayBuffer>, sha256: string): Promise<Part | undefined> {
    const seal = await sealOf(this.of, this.loaded, sha256);
    const key = `part-${this.#name}-${this.loaded}-${seal}`;
    try {
      await this.#store.set(key, bytes);
      // The model is shrunk from what the store has: it must be what came.
      const { blob, isStored } = await readPart(
        this.#store,
        key,
        "a download",
        (digest) => digest === sha256,
      );
      if (isStored) return { key, blob };
    } catch {
      // The bytes are here still.
    }
    await this.#store.delete(key).catch(() => undefined);
    return undefined;
  }

  /** Takes all that has come out of the store, and keeps what comes from now on in memory. */
  toMemory(): Promise<void> {
    this.#isInMemory = true;
    this.#moved = this.#moved.then(async () => {
      for (const part of this.#parts) {
        const { key } = part;
        if (key === undefined) continue;
        part.blob = await copyOf(part.blob);
        this.#view = undefined;
        delete part.key;
        await this.#store.delete(key).catch(() => undefined);
      }
      await this.unnote().catch(() => undefined);
    });
    return this.#moved;
  }

  /** Gives bytes that have come. Their parts may move into memory meanwhile. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    for (;;) {
      // Of all parts at once: pieces that are put together leave twice the garbage.
      const view = (this.#view ??= this.blob());
      try {
        return await fromBlob(view).read(offset, length);
      } catch (error) {
        if (this.#view === view) throw error;
      }
    }
  }

  /** Gives what has come; it can be read as long as the draft is there. */
  blob(): Blob {
    return new Blob(this.#parts.map(({ blob }) => blob));
  }

  /** Removes all that is of this draft from the store. */
  async remove(): Promise<void> {
    await this.#moved;
    if (this.#isInMemory) return;
    await this.unnote();
    const keys = this.#parts.flatMap(({ key }) => key ?? []);
    await Promise.all(keys.map((key) => this.#store.delete(key)));
  }
}

/** The drafts of one model, of whose id the caller has the lock. */
export class DraftsOfModel {
  readonly #store: ByteStore;
  readonly #id: string;
  readonly #isCertain: boolean;
  readonly #open = new Set<Draft>();
  /** What earlier calls have left. */
  #left: Promise<LeftDraft[]> | undefined;

  constructor(store: ByteStore, id: string, { isCertain }: Locks) {
    this.#store = store;
    this.#id = id;
    this.#isCertain = isCertain;
  }

  /** Gives what has come of a file in an earlier call; undefined where there is nothing. */
  async find(url: string): Promise<Draft | undefined> {
    try {
      const left = await (this.#left ??= this.#list());
      for (const it of left.filter(({ of }) => of.url === url)) {
        // Whoever has found it useless shall not find it again, even where the store does not let go of it.
        left.splice(left.indexOf(it), 1);
        const { of, note, keys } = it;
        // Where others may not know that this one goes on, they shall not find it.
        if (!this.#isCertain) await this.#store.delete(note.key);
        const parts = await this.#chain(of, keys);
        const name = `${this.#id}-${note.begin}-${note.writing}`;
        const draft = this.#isCertain
          ? this.#opened(new Draft(this.#store, name, of, parts))
          : await this.#claimed(of, parts);
        if (draft.loaded > 0 && draft.loaded <= of.size) return draft;
        await this.drop(draft);
      }
    } catch {
      // A store that cannot be read has nothing.
    }
    return undefined;
  }

  /** Lists what earlier calls have left. */
  async #list(): Promise<LeftDraft[]> {
    const keys = [...(await this.#store.keys())].flatMap((key) => {
      const it = readKey(key);
      return it?.id === this.#id ? [it] : [];
    });
    const found: LeftDraft[] = [];
    for (const note of keys.filter(({ key }) => /^draft-[\da-f-]+$/.test(key))) {
      const value = await this.#store.get(note.key);
      const of = value && (await noteOf(value).catch(() => undefined));
      const own = keys.filter(({ writing }) => writing === note.writing);
      if (isDraftOf(of)) found.push({ of, note, keys: own });
    }
    return found;
  }

  /** Gives the parts from a file's beginning on, as far as they can be read and are what was kept. */
  async #chain(of: DraftOf, keys: readonly DraftKey[]): Promise<KeptPart[]> {
    const parts: KeptPart[] = [];
    for (let loaded = 0; ; loaded += parts.at(-1)!.blob.size) {
      const next = keys.find(({ key, offset }) => offset === loaded && !key.includes("."));
      if (!next) return parts;
      const { key, seal } = next;
      const isKept = async (sha256: string, size: number) =>
        size > 0 && (await sealOf(of, loaded, sha256)) === seal;
      const part = await readPart(this.#store, key, "a download", isKept).catch(() => undefined);
      if (!part) return parts;
      parts.push({ ...part, key });
    }
  }

  /**
   * Sets parts under the name of a new writing. Others may have found them, too, and remove them when they are done, and
   * a sweep goes by the time when a writing began.
   */
  async #claimed(of: DraftOf, parts: readonly KeptPart[]): Promise<Draft> {
    const draft = this.#new(of);
    for (const { key, blob, sha256 } of parts) {
      const copy = await blob.arrayBuffer().catch(() => undefined);
      // Somebody else was faster.
      if (!copy) break;
      await draft.add(new Uint8Array(copy), sha256);
      await this.#store.delete(key).catch(() => undefined);
    }
    return draft;
  }

  #new(of: DraftOf | undefined): Draft {
    const name = `${this.#id}-${Date.now()}-${newName()}`;
    return this.#opened(new Draft(this.#store, name, of, []));
  }

  #opened(draft: Draft): Draft {
    this.#open.add(draft);
    return draft;
  }

  /** Begins a file anew; `of` says what it is where a later call can go on with it. */
  begin(of: DraftOf | undefined): Draft {
    const draft = this.#new(of);
    if (this.#isCertain) void draft.note();
    return draft;
  }

  /** Removes what nobody shall go on with. */
  async drop(draft: Draft): Promise<void> {
    // What cannot be removed now is tried again at the end.
    await draft.remove().then(
      () => this.#open.delete(draft),
      () => undefined,
    );
  }

  /** Lets later calls go on with what has come, and removes what they cannot go on with. */
  async leave(): Promise<void> {
    for (const draft of this.#open) await (draft.of ? draft.note() : this.drop(draft));
  }

  /** Takes all that has come out of the store, which needs the room. */
  async toMemory(): Promise<void> {
    for (const draft of this.#open) await draft.toMemory();
  }

  /** Removes all: what has come is not needed any more. */
  async remove(): Promise<void> {
    await Promise.all([...this.#open].map((draft) => this.drop(draft)));
  }
}

/**
 * Removes what is too old, what no note is of, and what `isMade` says the small model is made of, unless somebody may be
 * at work on it.
 */
export async function sweepDrafts(
  store: ByteStore,
  { ifFree, isCertain }: Locks,
  isMade: (id: string) => Promise<boolean>,
): Promise<void> {
  const now = Date.now();
  const found = [...(await store.keys())].flatMap((key) => readKey(key) ?? []);
  for (const id of new Set(found.map((it) => it.id))) {
    await ifFree(id, async () => {
      const own = found.filter((it) => it.id === id);
      const noted = new Set(
        own.filter(({ key }) => /^draft-[\da-f-]+$/.test(key)).map((it) => it.writing),
      );
      const isOver = await isMade(id);
      for (const { key, begin, writing } of own) {
        const isLeft = isOver || key.includes(".") || !noted.has(writing);
        const age = now - begin;
        if (age > maxAge || (isLeft && (isCertain || age > 86_400_000))) await store.delete(key);
      }
    });
  }
}
