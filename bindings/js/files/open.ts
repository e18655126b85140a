/** Opens every kind of source as one thing: files with a size and random access. */
import { openNodeHandle, openPath } from "#files";
import { callUser } from "../base/door.js";
import { headBytes, nameFromHead } from "../base/formats.js";
import { ArgumentError, IntegrityError, ModelShrinkError, statusError } from "../base/errors.js";
import { openUrl } from "./address.js";
import { show } from "../base/options.js";
import { hasMethods, isA, isDetached } from "../base/tags.js";
import { fromBlob } from "./blob.js";
import { isFileHandle, isFolderHandle, openHandle } from "./handle.js";
import { folderOf, mainFileOf } from "./main-file.js";
import type { NodeFileHandle } from "./node-types.js";
import {
  alone,
  type RandomAccess,
  type RawFile,
  type RawFileSet,
  type ReadOptions,
  windowed,
} from "./raw.js";
import type { OpenFile, OpenFileSet, Source } from "./source.js";
import { announcedBy, blobOfResponse, blobOfStream } from "./stream.js";
import { nameOfUrl, parseUrl, shownUrl } from "./url.js";

/** Makes a file of memory, which its owner may give away (transfer, resize) at any time. */
function fromBuffer(buffer: ArrayBufferLike, start: number, size: number): RawFile {
  if (isDetached(buffer)) throw new ArgumentError("The source's buffer was transferred.");
  const isThere = () => start + size <= buffer.byteLength;
  return {
    size,
    inMemory: true,
    isSame: () => Promise.resolve(isThere()),
    read(offset, length) {
      if (isThere()) return new Uint8Array(buffer, start + offset, length);
      throw new IntegrityError("The source's buffer was transferred or resized while it was read.");
    },
  };
}

async function blobOf(response: Response, waiting: ReadOptions): Promise<Blob> {
  const what = response.url ? shownUrl(response.url) : "The response";
  if (!response.ok) throw statusError(what, response);
  const blob = await blobOfResponse(response, { ...waiting, what });
  const name = response.url ? nameOfUrl(response.url) : "";
  return name ? new File([blob], name) : blob;
}

/** A stream's bytes; an http.IncomingMessage of Node.js announces how many there are. */
async function blobOfIterable(stream: object, waiting: ReadOptions): Promise<Blob> {
  const { headers } = stream as { headers?: Readonly<Record<string, unknown>> };
  // Only servers are known to owe their bytes soon.
  const bound = headers ? announcedBy((name) => headers[name]) : { timeoutMs: Infinity };
  const blob = await blobOfStream(stream, { ...waiting, ...bound, what: "The stream" });
  if (blob.size > 0) return blob;
  throw new ArgumentError("The stream gave no bytes: pass it before anything else has read it.");
}

async function openAddress(address: string, waiting: ReadOptions): Promise<RawFileSet> {
  // These hold their bytes themselves, or name a Blob of the page.
  if (/^(data|blob):/i.test(address)) {
    const response = await fetch(address).catch((cause: unknown) => {
      const what = address.slice(0, 4).toLowerCase();
      throw new ModelShrinkError(`The ${what}: address cannot be read.`, "io", { cause });
    });
    return alone(fromBlob(await response.blob()));
  }
  const scheme = /^([a-z][a-z\d+.-]+):\/\//i.exec(address)?.[1];
  if (scheme === undefined) return openPath(address, waiting);
  if (!/^(https?|file)$/i.test(scheme)) {
    throw new ArgumentError(
      `The source's address begins with ${scheme}: it may be an http, https, file, data or blob address.`,
    );
  }
  const url = parseUrl(address);
  // What is before an "@" may be a password.
  const shown = address.replace(/\/\/.*@/s, "//…@");
  if (!url) throw new ArgumentError(`The source ${show(shown)} is no address.`);
  return url.protocol === "file:" ? openPath(url, waiting) : openUrl(url, waiting);
}

/** Tells whether a value is an object of own keys, such as a record of sources. */
export function isPlainRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  if (!isA(value, "Object") || Symbol.asyncIterator in (value as object)) return false;
  const prototype = Object.getPrototypeOf(value) as object | null;
  // Records of other realms have another Object.prototype, which is the end of their chain, too.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
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

/** Makes a file of a user's { size, read }. Bytes are copied before the next read, which may use the same buffer. */
function fromRandomAccess(source: RandomAccess, inTurn: Queue): RawFile {
  if (!Number.isSafeInteger(source.size) || source.size < 0) {
    throw new ArgumentError(
      `A source's size is ${String(source.size)}; it must be a whole number of bytes.`,
    );
  }
  const { size } = source;
  return {
    size,
    isSerial: true,
    isSame: () => Promise.resolve(source.size === size),
    read: (offset, length) =>
      inTurn(async () => {
        const bytes: unknown = await callUser(() => source.read(offset, length));
        if (bytes instanceof Uint8Array) return new Uint8Array(bytes);
        throw new ArgumentError("A source's read() must give a Uint8Array.");
      }),
  };
}

interface OpenOptions extends ReadOptions {
  /** The queue of the model's own read() functions, which run one after the other. */
  inTurn: Queue;
}

/** A kind of source. */
interface Kind {
  /** Its name in errors. */
  title: string;
  is: (value: unknown) => boolean;
  open: (value: unknown, options: OpenOptions) => Promise<RawFileSet>;
  /** Reads all bytes of a source that can be read only once. */
  read?: (value: unknown, waiting: ReadOptions) => Promise<Blob>;
  /** True for a set of files, which cannot be one of a record's files. */
  isSet?: boolean;
}

/** Makes a row of the table of kinds for a file without neighbours. */
const oneFile = (
  title: string,
  is: (value: unknown) => boolean,
  open: (value: never, options: OpenOptions) => RawFile | Promise<RawFile>,
): Kind => ({
  title,
  is,
  open: async (value, options) => alone(await open(value as never, options)),
});

/** Makes a row for sources that can be read only once. */
const onlyOnce = (
  title: string,
  is: (value: unknown) => boolean,
  read: (value: never, waiting: ReadOptions) => Promise<Blob>,
): Kind => ({
  title,
  is,
  read: (value, waiting) => read(value as never, waiting),
  open: async (value, waiting) => alone(fromBlob(await read(value as never, waiting))),
});

/** A set of files that was opened already: a source of modelshrink's own, for models that are read as they come. */
export class FileSetSource {
  readonly set: RawFileSet;

  constructor(set: RawFileSet) {
    this.set = set;
  }
}

/** Every kind of source; the first that fits is taken. */
const kinds: readonly Kind[] = [
  oneFile("a Blob or File", (it) => isA(it, "Blob", "File"), fromBlob),
  oneFile(
    "a Uint8Array",
    (it) => isA(it, "Uint8Array"),
    ({ buffer, byteOffset, length }: Uint8Array) => fromBuffer(buffer, byteOffset, length),
  ),
  oneFile(
    "an ArrayBuffer",
    (it) => isA(it, "ArrayBuffer"),
    (buffer: ArrayBuffer) => fromBuffer(buffer, 0, buffer.byteLength),
  ),
  {
    title: "a URL",
    is: (it) => isA(it, "URL"),
    open: async (it, waiting) => openAddress((it as URL).href, waiting),
  },
  {
    title: "a string with an address or (Node.js) a path",
    is: (it) => typeof it === "string",
    open: async (it, waiting) => openAddress(it as string, waiting),
  },
  {
    title: "a Request",
    is: (it) => isA(it, "Request"),
    open: async (it, waiting) => openUrl(new URL((it as Request).url), waiting, it as Request),
  },
  onlyOnce("a Response", (it) => isA(it, "Response"), blobOf),
  oneFile("a FileSystemFileHandle", isFileHandle, openHandle),
  {
    title: "a FileSystemDirectoryHandle",
    is: isFolderHandle,
    open: async (it) =>
      (await import("./folder-handle.js")).openFolderHandle(it as FileSystemDirectoryHandle),
    isSet: true,
  },
  oneFile(
    "a FileHandle (Node.js)",
    (it) => hasMethods(it, "read", "stat") && typeof (it as { fd?: unknown }).fd === "number",
    (handle: NodeFileHandle) => openNodeHandle(handle),
  ),
  onlyOnce(
    "a ReadableStream, a Readable (Node.js) or another asynchronous iterable of bytes",
    (it) =>
      hasMethods(it, "getReader") ||
      (typeof it === "object" && it !== null && Symbol.asyncIterator in it),
    blobOfIterable,
  ),
  oneFile(
    "an object { size, read(offset, length) }",
    (it) => hasMethods(it, "read") && "size" in it,
    (source: RandomAccess, { inTurn }) => fromRandomAccess(source, inTurn),
  ),
  {
    title: "a record of those by the files' names",
    is: (it) => isPlainRecord(it) && Object.keys(it).length > 0,
    open: (it, options) => openRecord(it as Readonly<Record<string, unknown>>, options),
    isSet: true,
  },
];

function kindOf(value: unknown, name: string, isInRecord = false): Kind {
  const allowed = isInRecord ? kinds.filter(({ isSet }) => !isSet) : kinds;
  const kind = allowed.find(({ is }) => is(value));
  if (kind) return kind;
  throw new ArgumentError(
    `${name} is ${show(value)}; a model can be read from ${allowed.map(({ title }) => title).join(", ")}. ` +
      "Wrap what else can be read at any place in { size, read }, and what cannot in a ReadableStream.",
  );
}

/** Tells whether a source can be read only once, from front to end. */
export const comesOnce = (value: unknown): boolean =>
  kinds.find(({ is }) => is(value))?.read !== undefined;

/** Tells whether a value is a record of sources by the files' names. */
export const isFileRecord = (value: unknown): boolean =>
  kinds.find(({ is }) => is(value)) === kinds.at(-1);

/** Checks the whole source before anything of it is opened. */
function checkSource(source: unknown): Kind {
  const kind = kindOf(source, "The source");
  if (isPlainRecord(source) && kind.isSet) {
    for (const [name, value] of Object.entries(source)) {
      kindOf(value, `The source's "${name}"`, true);
    }
  }
  return kind;
}

/** Gives a name as the core gives it: models may name their files "./name", and so may records. */
const plainly = (name: string): string => name.replace(/(^|\/)(\.\/)+/g, "$1");

/** Opens a record with `mainName` as its main file, by default the one that mainFileOf chooses. */
async function openRecord(
  source: Readonly<Record<string, unknown>>,
  options: OpenOptions,
  mainName?: string,
): Promise<RawFileSet> {
  const values = new Map(Object.entries(source).map(([name, value]) => [plainly(name), value]));
  const main = mainName ?? mainFileOf([...values.keys()]);
  const folder = folderOf(main);
  const openOne = async (name: string) => {
    const value = values.get(folder + name);
    const { main: file } = await kindOf(value, `The source's "${name}"`, true).open(value, options);
    return { ...file, read: file.read.bind(file), name };
  };
  return {
    main: await openOne(main.slice(folder.length)),
    open: (name) => (values.has(folder + name) ? openOne(name) : Promise.resolve(undefined)),
  };
}

function toOpenFile(raw: RawFile, name: string): OpenFile {
  return {
    name,
    size: raw.size,
    ...(raw.version === undefined ? {} : { version: raw.version }),
    ...(raw.path === undefined ? {} : { path: raw.path }),
    ...(raw.mode === undefined ? {} : { mode: raw.mode }),
    inMemory: raw.inMemory ?? false,
    isSerial: raw.isSerial ?? false,
    read: windowed(raw),
    ...(raw.isSame ? { isSame: () => raw.isSame!() } : {}),
    close: () => raw.close?.() ?? Promise.resolve(),
  };
}

/** Gives a file without a name one that fits its format, because its output and errors have that name, too. */
async function named(file: OpenFile): Promise<OpenFile> {
  if (file.name) return file;
  // Whatever has no name has nothing to close either, should it fail.
  const name = nameFromHead(await file.read(0, Math.min(file.size, headBytes)));
  return { ...file, name, isNamedByBytes: true };
}

interface NodeStream {
  on(event: "error", listener: () => void): unknown;
}

/**
 * Listens to the failures of the Node.js streams in a source that is not opened at once: a stream that fails meanwhile
 * would end the process. Whoever reads it then hears of the failure.
 */
export function attend(source: unknown): void {
  for (const it of isPlainRecord(source) ? Object.values(source) : [source]) {
    // Only Readables of Node.js have `pipe`.
    if (hasMethods(it, "on", "pipe")) (it as unknown as NodeStream).on("error", () => undefined);
  }
}

/** Opens a source's main file, and others as they are asked for. */
export async function openSource(source: unknown, waiting: ReadOptions = {}): Promise<OpenFileSet> {
  const set =
    source instanceof FileSetSource
      ? source.set
      : await checkSource(source).open(source, { ...waiting, inTurn: newQueue() });
  const files = [await named(toOpenFile(set.main, set.main.name ?? ""))];
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

/** Gives the names of a record's files, and a function that opens each as the main one, with those beside it and below. */
export function openerOf(source: Readonly<Record<string, unknown>>, waiting: ReadOptions) {
  const options = { ...waiting, inTurn: newQueue() };
  return {
    names: Object.keys(source).map(plainly),
    open: async (name: string) => new FileSetSource(await openRecord(source, options, name)),
  };
}

/** One file as a source that can be opened again and again. */
function reusableFile(value: unknown, name: string, waiting: ReadOptions): unknown {
  const kind = kindOf(value, name);
  return kind.read ? kind.read(value, waiting) : value;
}

/** The same source for those who open it more than once: what can be read only once is read into memory. */
export async function reusable(source: unknown, waiting: ReadOptions = {}): Promise<Source> {
  checkSource(source);
  attend(source);
  if (!isFileRecord(source)) {
    return (await reusableFile(source, "The source", waiting)) as Source;
  }
  const files: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(source as Readonly<Record<string, unknown>>)) {
    files[name] = await reusableFile(value, `The source's "${name}"`, waiting);
  }
  return files as Source;
}
