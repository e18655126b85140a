/** What a model can be read from, and its files once they are open. */
import type { RandomAccess } from "./raw.js";

/** A string is a path (Node.js) or a URL. */
export type OneSource = Blob | ArrayBuffer | Uint8Array | Response | URL | string | RandomAccess;

/**
 * A model: its file, its main file (a path's or a URL's neighbours are found), a folder's path, or a
 * record of all its files by name.
 */
export type Source = OneSource | Record<string, OneSource>;

/** An opened file; `read` gives exactly what is asked, or throws. */
export interface OpenFile {
  name: string;
  size: number;
  /** Changes when the content does, where the platform says so. */
  version?: string;
  /** Where it is in the file system. */
  path?: string;
  /** Whether read() gives the file's own memory, at no cost. */
  inMemory: boolean;
  /** Whether one read waits for the other. */
  isSerial: boolean;
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Bytes that `file` gave, as memory that may be kept, changed or transferred. */
export function ownBytes({ inMemory }: OpenFile, bytes: Uint8Array): Uint8Array {
  const isWhole = bytes.byteLength === bytes.buffer.byteLength;
  // Not slice(): a Buffer's would share its memory.
  return isWhole && !inMemory ? bytes : new Uint8Array(bytes);
}

/** A model's files: the main one, and those that it names. */
export interface OpenFileSet {
  main: OpenFile;
  /**
   * The file of this name, relative to the main file's folder; undefined when there is none. The core
   * has refused absolute names, "..", "\\" and schemes.
   */
  open(name: string): Promise<OpenFile | undefined>;
  close(): Promise<void>;
}
