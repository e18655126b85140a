/**
 * Bytes that are kept in parts, each under a key of its own: nothing is in memory as a whole, and a store needs no way to
 * write into the middle of a value.
 */
import { IntegrityError } from "../base/errors.js";
import { isA } from "../base/tags.js";
import { sha256 } from "#digest";
import { chunksOf } from "./chunks.js";
import { hexOf } from "../base/hex.js";
import type { ByteStore } from "./stores.js";

/** The bytes of a part; the last one has what is left. */
const partBytes = 1 << 23;

/**
 * Keeps a part, whose SHA-256 is on its way; the bytes change when that has resolved. Parts come one after the other.
 */
export type KeepPart = (part: Uint8Array<ArrayBuffer>, sha256: Promise<string>) => Promise<void>;

/**
 * Collects bytes to parts. One is kept while the next one comes, so that there are two buffers, used in turn: new ones
 * would stay in memory until the garbage is collected.
 */
export class PartWriter {
  readonly #keep: KeepPart;
  /** The buffer that is filled, which grows to a part as bytes come, and the other one. */
  #buffers = [new Uint8Array(0), new Uint8Array(0)] as [
    Uint8Array<ArrayBuffer>,
    Uint8Array<ArrayBuffer>,
  ];
  #filled = 0;
  #kept: Promise<void> = Promise.resolve();

  constructor(keep: KeepPart) {
    this.#keep = keep;
  }

  /** Takes bytes, which may change again when it has resolved: then there is room for others. */
  async add(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const piece = bytes.subarray(at, at + partBytes - this.#filled);
      this.#reserve(this.#filled + piece.length);
      this.#buffers[0].set(piece, this.#filled);
      this.#filled += piece.length;
      at += piece.length;
      if (this.#filled === partBytes) await this.#next();
    }
  }

  /** Makes room for so many bytes of a part: most files are smaller than one. */
  #reserve(size: number): void {
    const [buffer] = this.#buffers;
    if (buffer.length >= size) return;
    this.#buffers[0] = new Uint8Array(Math.min(partBytes, Math.max(2 * buffer.length, size)));
    this.#buffers[0].set(buffer.subarray(0, this.#filled));
  }

  /** Begins to keep what was collected, when the part before is kept. */
  async #next(): Promise<void> {
    await this.#kept;
    const [full, free] = this.#buffers;
    this.#buffers = [free, full];
    const part = full.subarray(0, this.#filled);
    this.#filled = 0;
    this.#kept = this.#keep(part, sha256(part));
    // Whoever adds more, or flushes, hears of a failure.
    this.#kept.catch(() => undefined);
  }

  /** Resolves when all is kept. */
  async flush(): Promise<void> {
    if (this.#filled > 0) await this.#next();
    await this.#kept;
  }

  /** Forgets what was collected; resolves when nothing is under way. */
  async drop(): Promise<void> {
    this.#filled = 0;
    await this.#kept.catch(() => undefined);
  }
}

/** Gives a Blob in parts of the usual size. */
export function* partsOf(blob: Blob): Generator<Blob> {
  for (let at = 0; at < blob.size; at += partBytes) yield blob.slice(at, at + partBytes);
}

/** Copies a Blob, so that it outlives the file that it may be a view of. */
export async function copyOf(blob: Blob): Promise<Blob> {
  const copies: Blob[] = [];
  for (const part of partsOf(blob)) copies.push(new Blob([await part.arrayBuffer()]));
  return new Blob(copies, { type: blob.type });
}

/** Gives what a store gave as a Blob; throws an IntegrityError for what is none. */
export function blobOf(value: Blob | Uint8Array): Blob {
  if (isA(value, "Uint8Array")) return new Blob([value as Uint8Array<ArrayBuffer>]);
  if (isA(value, "Blob", "File")) return value as Blob;
  throw new IntegrityError("The store gave what is neither a Blob nor a Uint8Array.");
}

/** A buffer of a part's size that nobody uses at the moment. */
let spare: Uint8Array<ArrayBuffer> | undefined;

/** Gives the SHA-256 of what is at most a part, in hexadecimal digits; throws an IntegrityError for more. */
async function sha256Of(blob: Blob): Promise<string> {
  if (blob.size > partBytes) throw new IntegrityError("The store gave more than was kept.");
  // A buffer for each part would stay in memory until the garbage is collected.
  const isWhole = blob.size === partBytes;
  const buffer = (isWhole ? spare : undefined) ?? new Uint8Array(blob.size);
  if (isWhole) spare = undefined;
  try {
    let filled = 0;
    for await (const bytes of chunksOf(blob)) {
      buffer.set(bytes, filled);
      filled += bytes.length;
    }
    return await sha256(buffer.subarray(0, filled));
  } finally {
    if (isWhole) spare = buffer;
  }
}

/** A part as a store gives it. */
export interface CheckedPart {
  blob: Blob;
  sha256: string;
  /** True where the Blob is a view of what is stored: a copy stays in memory. */
  isStored: boolean;
}

/**
 * Gives the part at a key when `isKept` says of its digest and size that it is what was kept; throws an IntegrityError,
 * which names `what` it is of, for another and for none.
 */
export async function readPart(
  store: Pick<ByteStore, "get">,
  key: string,
  what: string,
  isKept: (sha256: string, size: number) => boolean | Promise<boolean>,
): Promise<CheckedPart> {
  const value = await store.get(key);
  const blob = value && blobOf(value);
  const sha256 = blob && (await sha256Of(blob));
  if (sha256 !== undefined && (await isKept(sha256, blob!.size)))
    return { blob: blob!, sha256, isStored: blob === value };
  throw new IntegrityError(
    `A part of ${what} in the cache is ${blob ? "not what was kept" : "gone"}.`,
  );
}

const digestOf = (text: string) => sha256(new TextEncoder().encode(text));

/** Gives a text that stands for `parts`, whatever characters they have. */
export const idOf = (...parts: unknown[]): Promise<string> => digestOf(JSON.stringify(parts));

/** A name that no other writing has: pages without a secure context have no randomUUID. */
export const newName = () => hexOf(crypto.getRandomValues(new Uint8Array(18)));

/** Makes what is kept of a note: the line of its digest, and its JSON. */
export async function textOf(content: unknown): Promise<Uint8Array<ArrayBuffer>> {
  const json = JSON.stringify(content);
  return new TextEncoder().encode(`${await digestOf(json)}\n${json}`);
}

/** A note has names and facts only; a larger one is none. */
const maxNoteBytes = 1 << 26;

/** Gives back what {@link textOf} was given; throws an IntegrityError for what it has not made. */
export async function noteOf(value: Blob | Uint8Array): Promise<unknown> {
  const blob = blobOf(value);
  const text = blob.size > maxNoteBytes ? "" : await blob.text();
  const [digest, json] = [text.slice(0, 64), text.slice(65)];
  if (digest !== (await digestOf(json)))
    throw new IntegrityError("The record is not what was kept.");
  return JSON.parse(json);
}
