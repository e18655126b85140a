/** Sources of models, and their files once they are open. */
import { IntegrityError } from "../base/errors.js";
import type {
  Blob,
  FileSystemDirectoryHandle,
  FileSystemFileHandle,
  ReadableStream,
  Request,
  Response,
  URL,
} from "../base/platform-types.js";
import type { NodeFileHandle } from "./node-types.js";
import type { RandomAccess } from "./raw.js";

/**
 * A source of one file. A string is a path (Node.js) or an address; in a page one without a scheme is relative to the
 * page. Streams, Node.js Readables and other asynchronous iterables give bytes, and are read to their ends. A
 * NodeFileHandle (`fs.promises.open`) stays open.
 */
export type OneSource =
  | Blob
  | ArrayBuffer
  | Uint8Array
  | Response
  | Request
  | ReadableStream
  | AsyncIterable<Uint8Array>
  | FileSystemFileHandle
  | NodeFileHandle
  | URL
  | string
  | RandomAccess;

/**
 * A source of a model: its file; its main file as a path or address, whose neighbours are found by their names; a
 * folder's path (Node.js) or handle; or a record of all its files by name.
 */
export type Source = OneSource | FileSystemDirectoryHandle | Readonly<Record<string, OneSource>>;

/** An opened file; `read` gives exactly what is asked, or throws. */
export interface OpenFile {
  name: string;
  /** True where the source had no name, and its first bytes gave this one. */
  isNamedByBytes?: boolean;
  size: number;
  /** A text that changes when the content does, where the platform has one. */
  version?: string;
  /** The path in the file system, for files that have one. */
  path?: string;
  /** The permissions in the file system (0o777), for files that have some. */
  mode?: number;
  /** True when read() gives the file's own memory, at no cost. */
  inMemory: boolean;
  /** True when one read waits for the other. */
  isSerial: boolean;
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Tells whether the file still is as it was when it was opened; absent where nobody can know. */
  isSame?(): Promise<boolean>;
  close(): Promise<void>;
}

/** Makes bytes that the file gave into memory that may be kept, changed or transferred. */
export function ownBytes({ inMemory }: OpenFile, bytes: Uint8Array): Uint8Array {
  const isWhole = bytes.byteLength === bytes.buffer.byteLength;
  // Not slice(): a Buffer's would share its memory.
  return isWhole && !inMemory ? bytes : new Uint8Array(bytes);
}

/** Throws an IntegrityError when a file changed since it was opened: the output would be made of two models. */
export async function checkSame(files: readonly OpenFile[]): Promise<void> {
  for (const file of files) {
    if ((await file.isSame?.()) === false) {
      throw new IntegrityError(`"${file.name}" changed while it was read.`);
    }
  }
}

/** A model's files: the main one, and those that it names. */
export interface OpenFileSet {
  main: OpenFile;
  /**
   * Opens the file of this name, relative to the main file's folder; undefined when there is none. The core
   * has refused absolute names, "..", "\\" and schemes.
   */
  open(name: string): Promise<OpenFile | undefined>;
  close(): Promise<void>;
}
