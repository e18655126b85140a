/** Notes of files that have come whole, by which a later run tells that they are as they were. */
import { openFolder } from "#files";
import { hexOf } from "../base/hex.js";
import { folderOf } from "../files/main-file.js";
import { FileSetSource, openSource } from "../files/open.js";
import type { ReadOptions } from "../files/raw.js";
import type { OpenFile } from "../files/source.js";
import { withTarget } from "../files/with-target.js";
import { copyFile, fileOf, piecesOf } from "./output.js";

/** The most bytes of a note. */
const maxNoteBytes = 1 << 10;

const sha256 = async (bytes: Uint8Array<ArrayBuffer>) =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

/** The digest of a file that is read in pieces: that of their digests, because the platform has none of what comes. */
export class PiecesDigest {
  readonly #digests: Uint8Array<ArrayBuffer>[] = [];
  #size = 0;

  async add(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#size += bytes.length;
    this.#digests.push(await sha256(bytes));
  }

  /** Gives a line that stands for all bytes. */
  async text(): Promise<string> {
    const all = new Uint8Array(await new Blob(this.#digests).arrayBuffer());
    return `${this.#size} ${hexOf(await sha256(all))}\n`;
  }
}

/** Calls `work` with the file of this name below a folder. */
async function withFile<T>(
  folder: string,
  name: string,
  reading: ReadOptions,
  work: (file: OpenFile) => Promise<T>,
): Promise<T> {
  const { main } = await (await openFolder(folder)).open(name);
  const opened = await openSource(
    new FileSetSource({ main, open: () => Promise.resolve(undefined) }),
    reading,
  );
  try {
    return await work(opened.main);
  } finally {
    await opened.close();
  }
}

/** The notes of a folder's files, in another folder, under the same paths. */
export class Notes {
  readonly #folder: string;
  readonly #notes: string;
  readonly #reading: ReadOptions;

  constructor(folder: string, notes: string, reading: ReadOptions) {
    this.#folder = folder;
    this.#notes = notes;
    this.#reading = reading;
  }

  /** Notes that a file is there, and whole. */
  async write(path: string, digest: PiecesDigest): Promise<void> {
    const home = folderOf(path);
    const name = path.slice(home.length);
    const note = fileOf(name, new TextEncoder().encode(await digest.text()));
    await withTarget(`${this.#notes}/${home}`, false, (target) => copyFile(target!, name, note));
  }

  /** Tells whether a file is as it was when it was noted. */
  async holdsOf(path: string): Promise<boolean> {
    const { signal } = this.#reading;
    const note = await this.#try(async () =>
      withFile(this.#notes, path, this.#reading, async (file) => {
        if (file.size > maxNoteBytes) return undefined;
        return new TextDecoder().decode(await file.read(0, file.size));
      }),
    );
    if (note === undefined) return false;
    const now = await this.#try(() =>
      withFile(this.#folder, path, this.#reading, async (file) => {
        const digest = new PiecesDigest();
        for await (const bytes of piecesOf(file)) {
          signal?.throwIfAborted();
          await digest.add(bytes);
        }
        return digest.text();
      }),
    );
    return now === note;
  }

  /** Gives what `work` gives; undefined where it fails: what cannot be read is not there. */
  async #try<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch {
      this.#reading.signal?.throwIfAborted();
      return undefined;
    }
  }
}
