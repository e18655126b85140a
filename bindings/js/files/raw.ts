/** Files that are read in pieces: every kind of source becomes one. */
import { IntegrityError, UnsupportedError } from "../base/errors.js";
import type { AbortSignal, URL } from "../base/platform-types.js";

/** Bytes that are read piece by piece, wherever they are. */
export interface RandomAccess {
  /** The size in bytes. */
  size: number;
  /**
   * Gives exactly `length` bytes at `offset`; modelshrink never asks past `size`. Reads of one model come one
   * after the other, and the next one may fill the same memory again.
   */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
}

/** A file of a model before its reads are checked. */
export interface RawFile extends RandomAccess {
  name?: string;
  /** A text that changes when the content does, where the platform has one. */
  version?: string | undefined;
  /** The path in the file system, for files that have one. */
  path?: string;
  /** The permissions in the file system (0o777), for files that have some. */
  mode?: number;
  /** True when one read waits for the other. */
  isSerial?: boolean;
  /** True when reading costs nothing, so that a window would only copy. */
  inMemory?: boolean;
  /** Tells whether the file still is as it was when it was opened; absent where nobody can know. */
  isSame?(): Promise<boolean>;
  close?(): Promise<void>;
}

/** A model's files before their reads are checked. */
export interface RawFileSet {
  main: RawFile;
  /** Opens the file of this name, relative to the main file's folder; undefined when there is none. */
  open(name: string): Promise<RawFile | undefined>;
}

/** The files of a repository before anything is checked. Names are paths below it, parted by "/". */
export interface RawRepository {
  names: readonly string[];
  /** The path in the file system, for a folder there. */
  path?: string;
  /** The commit, which stays what it is, for one on a hub. */
  commit?: string;
  /** Opens the file of this name, one of `names`; its neighbours are those in its folder. */
  open(name: string): Promise<RawFileSet>;
}

/** The most files of a repository. */
export const maxRepositoryFiles = 10_000;

/** Makes the error for a repository of more files. */
export const tooManyFiles = (what: string) =>
  new UnsupportedError(`${what} has more than ${maxRepositoryFiles} files.`);

/** Options of everything that reads what a source gives. */
export interface ReadOptions {
  /** Ends the work when it is aborted: the promise rejects with its reason, and nothing is left behind. */
  signal?: AbortSignal | undefined;
  /** The longest time in milliseconds that a server may send nothing; 30 000 by default. */
  timeoutMs?: number | undefined;
}

/** Opens a path, or what a string means where there are no paths; `waiting` is for what it reads from a network. */
export type OpenPath = (path: string | URL, waiting: ReadOptions) => Promise<RawFileSet>;

/** Makes a set of one file, which has no neighbours. */
export const alone = (main: RawFile): RawFileSet => ({
  main,
  open: () => Promise.resolve(undefined),
});

async function readExactly(raw: RawFile, offset: number, length: number): Promise<Uint8Array> {
  const bytes = await raw.read(offset, length);
  if (bytes.length !== length) {
    throw new IntegrityError(
      `The source gave ${bytes.length} bytes where ${length} were asked at byte ${offset} of ` +
        `${raw.size}: it is shorter than it said, or changed.`,
      { offset },
    );
  }
  return bytes;
}

/** Headers are walked in small steps, so small reads are served from a window of this size … */
const windowBytes = 65536;
/** … that doubles up to this one while they follow one another: every request may be a round trip. */
const maxWindowBytes = 1 << 20;

/** Gives a read() of `raw` that gives exactly as many bytes as are asked, or throws an IntegrityError. */
export function windowed(raw: RawFile): (offset: number, length: number) => Promise<Uint8Array> {
  let window: Uint8Array = new Uint8Array(0);
  let start = 0;
  let ahead = windowBytes;
  return async (offset, length) => {
    if (raw.inMemory || length > windowBytes) return readExactly(raw, offset, length);
    const end = start + window.length;
    if (offset < start || offset + length > end) {
      const follows = end > 0 && offset >= start && offset <= end;
      ahead = follows ? Math.min(2 * ahead, maxWindowBytes) : windowBytes;
      window = new Uint8Array(0);
      const size = Math.max(length, Math.min(ahead, raw.size - offset));
      window = await readExactly(raw, offset, size);
      start = offset;
    }
    return window.subarray(offset - start, offset - start + length);
  };
}
