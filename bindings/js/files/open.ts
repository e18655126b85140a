/** Everything a model can be read from, as one thing: files with a size and random access. */
import { openPath } from "#files";
import { ArgumentError, ModelShrinkError } from "../base/errors.js";
import { fromBlob } from "./blob.js";
import { openUrl } from "./http.js";
import { mainFileOf } from "./main-file.js";
import { alone, type RandomAccess, type RawFile, type RawFileSet, windowed } from "./raw.js";
import type { OpenFile, OpenFileSet } from "./source.js";

const defaultName = "model.onnx";

function fromBytes(bytes: Uint8Array): RawFile {
  return {
    size: bytes.length,
    inMemory: true,
    read: (offset, length) => bytes.subarray(offset, offset + length),
  };
}

async function fromResponse(response: Response): Promise<RawFile> {
  const where = response.url || "The response";
  if (!response.ok) {
    throw new ModelShrinkError(`${where} gave HTTP status ${response.status}.`, "io");
  }
  if (response.bodyUsed) {
    throw new ArgumentError(`${where}: the response's body is already used.`);
  }
  const name = response.url ? new URL(response.url).pathname.split("/").at(-1) : "";
  return { ...fromBlob(await response.blob()), ...(name ? { name } : {}) };
}

function isRandomAccess(value: object): value is RandomAccess {
  return "size" in value && "read" in value && typeof value.read === "function";
}

function isPlainRecord(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Runs one piece of work after the other. */
type Queue = <T>(work: () => Promise<T>) => Promise<T>;

function newQueue(): Queue {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
}

/** Its bytes are copied before the next read, which may go into the same buffer. */
function fromRandomAccess(source: RandomAccess, inTurn: Queue): RawFile {
  if (!Number.isSafeInteger(source.size) || source.size < 0) {
    throw new ArgumentError(
      `A source's size is ${String(source.size)}; it must be a whole number of bytes.`,
    );
  }
  return {
    size: source.size,
    isSerial: true,
    read: (offset, length) =>
      inTurn(async () => {
        const bytes: unknown = await source.read(offset, length);
        if (bytes instanceof Uint8Array) return new Uint8Array(bytes);
        throw new ArgumentError("A source's read() must give a Uint8Array.");
      }),
  };
}

interface OpenOptions {
  signal?: AbortSignal | undefined;
  /** For what the model's own read() functions do. */
  inTurn: Queue;
}

async function openAny(source: unknown, options: OpenOptions): Promise<RawFileSet> {
  const { signal, inTurn } = options;
  if (typeof source === "string") {
    if (/^file:\/\//i.test(source)) return openPath(new URL(source));
    return /^https?:\/\//i.test(source) ? openUrl(new URL(source), signal) : openPath(source);
  }
  if (source instanceof URL) {
    return source.protocol === "file:" ? openPath(source) : openUrl(source, signal);
  }
  if (source instanceof Uint8Array) return alone(fromBytes(source));
  if (source instanceof ArrayBuffer) return alone(fromBytes(new Uint8Array(source)));
  if (source instanceof Blob) return alone(fromBlob(source));
  if (source instanceof Response) return alone(await fromResponse(source));
  if (typeof source !== "object" || source === null) {
    throw new ArgumentError(
      `A model cannot be read from ${typeof source}; it may be a Blob, File, ArrayBuffer, ` +
        "Uint8Array, Response, URL, path (Node.js), { size, read } or a record of those.",
    );
  }
  if (isRandomAccess(source)) return alone(fromRandomAccess(source, inTurn));
  return openRecord(source, options);
}

async function openRecord(source: object, options: OpenOptions): Promise<RawFileSet> {
  const names = isPlainRecord(source) ? Object.keys(source) : [];
  if (!isPlainRecord(source) || names.length === 0) {
    throw new ArgumentError(
      "A model cannot be read from this object: it is neither { size, read } nor a record of files.",
    );
  }
  const main = mainFileOf(names);
  const folder = main.slice(0, main.lastIndexOf("/") + 1);
  const openOne = async (name: string) => {
    const { main: file } = await openAny(source[folder + name], options);
    return { ...file, read: file.read.bind(file), name };
  };
  return {
    main: await openOne(main.slice(folder.length)),
    open: (name) =>
      Object.hasOwn(source, folder + name) ? openOne(name) : Promise.resolve(undefined),
  };
}

function toOpenFile(raw: RawFile, name: string): OpenFile {
  return {
    name,
    size: raw.size,
    ...(raw.version === undefined ? {} : { version: raw.version }),
    ...(raw.path === undefined ? {} : { path: raw.path }),
    inMemory: raw.inMemory ?? false,
    isSerial: raw.isSerial ?? false,
    read: windowed(raw),
    close: () => raw.close?.() ?? Promise.resolve(),
  };
}

export async function openSource(source: unknown, signal?: AbortSignal): Promise<OpenFileSet> {
  const set = await openAny(source, { signal, inTurn: newQueue() });
  const files = [toOpenFile(set.main, set.main.name || defaultName)];
  return {
    main: files[0]!,
    async open(name) {
      const raw = await set.open(name);
      if (!raw) return undefined;
      const file = toOpenFile(raw, name);
      files.push(file);
      return file;
    },
    async close() {
      for (const file of files) await file.close();
    },
  };
}
