/** Everything a model can be read from, as one thing: a size and random access. */
import { openFile } from "#platform";
import { ArgumentError, IntegrityError, ModelShrinkError, UnsupportedError } from "./errors.js";

/** Bytes that are read piece by piece, wherever they are. */
export interface RandomAccess {
  /** In bytes. */
  size: number;
  /** Exactly `length` bytes at `offset`; modelshrink never asks past `size`. */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
}

/** A string is a file path (Node.js) or an http(s) URL. */
export type OneSource = Blob | ArrayBuffer | Uint8Array | Response | URL | string | RandomAccess;

/** A model: one file, or a record of names and files. */
export type Source = OneSource | Record<string, OneSource>;

/** An opened source; `read` gives exactly what is asked, or throws. */
export interface OpenSource {
  name: string;
  size: number;
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

const defaultName = "model.onnx";

/** Headers are walked in small steps, so small reads are served from a window of this size. */
const windowBytes = 65536;

interface Raw extends RandomAccess {
  name?: string;
  /** Whether reading costs nothing, so that a window would only copy. */
  inMemory?: boolean;
  close?(): Promise<void>;
}

function fromBytes(bytes: Uint8Array): Raw {
  return {
    size: bytes.length,
    inMemory: true,
    read: (offset, length) => bytes.subarray(offset, offset + length),
  };
}

function fromBlob(blob: Blob): Raw {
  const name = "name" in blob && typeof blob.name === "string" ? { name: blob.name } : {};
  return {
    ...name,
    size: blob.size,
    read: async (offset, length) =>
      new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  };
}

const nameFromPath = (path: string) => path.split("/").at(-1);

async function fromResponse(response: Response): Promise<Raw> {
  const where = response.url || "The response";
  if (!response.ok) {
    throw new ModelShrinkError(`${where} gave HTTP status ${response.status}.`, "io");
  }
  if (response.bodyUsed) {
    throw new ArgumentError(`${where}: the response's body is already used.`);
  }
  const name = response.url ? nameFromPath(new URL(response.url).pathname) : "";
  return { ...fromBlob(await response.blob()), ...(name ? { name } : {}) };
}

async function fromUrl(url: URL, signal?: AbortSignal): Promise<Raw> {
  if (url.protocol === "file:") return openFile(url);
  let response;
  try {
    response = await fetch(url, signal ? { signal } : {});
  } catch (cause) {
    signal?.throwIfAborted();
    throw new ModelShrinkError(`Cannot fetch ${url.href}: ${String(cause)}`, "io", { cause });
  }
  return fromResponse(response);
}

function isRandomAccess(value: object): value is RandomAccess {
  return "size" in value && "read" in value && typeof value.read === "function";
}

function isPlainRecord(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function checkSize(size: unknown): void {
  if (typeof size === "number" && Number.isSafeInteger(size) && size >= 0) return;
  throw new ArgumentError(
    `A source's size is ${String(size)}; it must be a whole number of bytes.`,
  );
}

async function openRaw(source: unknown, signal?: AbortSignal): Promise<Raw> {
  if (typeof source === "string") {
    return /^https?:\/\//i.test(source) ? fromUrl(new URL(source), signal) : openFile(source);
  }
  if (source instanceof URL) return fromUrl(source, signal);
  if (source instanceof Uint8Array) return fromBytes(source);
  if (source instanceof ArrayBuffer) return fromBytes(new Uint8Array(source));
  if (source instanceof Blob) return fromBlob(source);
  if (source instanceof Response) return fromResponse(source);
  if (typeof source !== "object" || source === null) {
    throw new ArgumentError(
      `A model cannot be read from ${typeof source}; it may be a Blob, File, ArrayBuffer, ` +
        "Uint8Array, Response, URL, file path (Node.js), { size, read } or a record of one of them.",
    );
  }
  if (isRandomAccess(source)) {
    checkSize(source.size);
    return { size: source.size, read: (offset, length) => source.read(offset, length) };
  }
  return openRecord(source, signal);
}

async function openRecord(source: object, signal?: AbortSignal): Promise<Raw> {
  const entries = isPlainRecord(source) ? Object.entries(source) : [];
  const [first, second] = entries;
  if (!first) {
    throw new ArgumentError(
      "A model cannot be read from this object: it is neither { size, read } nor a record of files.",
    );
  }
  if (second) {
    throw new UnsupportedError(
      `Models of several files are not supported yet (${entries.map(([name]) => name).join(", ")}).`,
    );
  }
  return { ...(await openRaw(first[1], signal)), name: first[0] };
}

async function readExactly(raw: Raw, offset: number, length: number): Promise<Uint8Array> {
  const bytes: unknown = await raw.read(offset, length);
  if (!(bytes instanceof Uint8Array)) {
    throw new ArgumentError("A source's read() must give a Uint8Array.");
  }
  if (bytes.length !== length) {
    throw new IntegrityError(
      `The source gave ${bytes.length} bytes where ${length} were asked at byte ${offset} of ` +
        `${raw.size}: it is shorter than it said, or changed.`,
      { offset },
    );
  }
  return bytes;
}

export async function openSource(source: unknown, signal?: AbortSignal): Promise<OpenSource> {
  const raw = await openRaw(source, signal);
  let cached = new Uint8Array(0);
  let cachedAt = 0;
  return {
    name: raw.name ?? defaultName,
    size: raw.size,
    async read(offset, length) {
      if (raw.inMemory || length >= windowBytes) return readExactly(raw, offset, length);
      if (offset < cachedAt || offset + length > cachedAt + cached.length) {
        cached = new Uint8Array(0);
        const ahead = Math.max(length, Math.min(windowBytes, raw.size - offset));
        // Copied: a source may read into the same buffer again.
        cached = new Uint8Array(await readExactly(raw, offset, ahead));
        cachedAt = offset;
      }
      return cached.subarray(offset - cachedAt, offset - cachedAt + length);
    },
    close: () => raw.close?.() ?? Promise.resolve(),
  };
}
