import { createHash, randomBytes } from "node:crypto";
import { open, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { IntegrityError, ModelShrinkError } from "../errors.js";
import type { Sink } from "../sink.js";
import { ioError } from "./io-error.js";
import { readFully } from "./read-fully.js";

/** One write, as it has to read back. */
interface Piece {
  offset: number;
  length: number;
  hash: string;
}

/** In UTF-16 units, of at most three bytes each. */
const maxNameLength = 64;

const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("base64");

/**
 * Writes to a temporary name in the file's own folder. Only when every byte is on the disk and
 * reads back as it was written does the file get its real name, so whoever looks there finds the
 * old file or the whole new one.
 */
class FileSink implements Sink {
  readonly #path: string;
  readonly #temporary: string;
  readonly #pieces: Piece[] = [];
  #handle: FileHandle | undefined;
  #size = 0;

  constructor(path: string) {
    this.#path = path;
    const unique = `${process.pid}-${randomBytes(4).toString("hex")}`;
    // Shortened: a file name may have 255 bytes.
    const name = basename(path).slice(0, maxNameLength);
    this.#temporary = join(dirname(path), `.${name}.${unique}.tmp`);
  }

  async open(size: number): Promise<void> {
    this.#size = size;
    await this.#checkTarget();
    await this.#attempt(async () => {
      this.#handle = await open(this.#temporary, "wx+");
    });
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#pieces.push({ offset, length: bytes.length, hash: hashOf(bytes) });
    await this.#attempt(async () => {
      let done = 0;
      while (done < bytes.length) {
        const { bytesWritten } = await this.#file().write(
          bytes,
          done,
          bytes.length - done,
          offset + done,
        );
        done += bytesWritten;
      }
    });
  }

  async close(): Promise<void> {
    await this.#attempt(() => this.#file().sync());
    await this.#verify();
    await this.#attempt(async () => {
      await this.#file().close();
      this.#handle = undefined;
      await rename(this.#temporary, this.#path);
    });
    await this.#syncFolder();
  }

  async abort(): Promise<void> {
    await this.#handle?.close().catch(() => undefined);
    this.#handle = undefined;
    await rm(this.#temporary, { force: true });
  }

  /** The rename would replace a device, or fail on a folder after all the work. */
  async #checkTarget(): Promise<void> {
    const target = await stat(this.#path).catch(() => undefined);
    if (!target || target.isFile()) return;
    const reason = target.isDirectory() ? "it is a folder" : "it is not a regular file";
    throw new ModelShrinkError(`Cannot write "${this.#path}": ${reason}.`, "io");
  }

  #file(): FileHandle {
    if (!this.#handle) throw new Error("the file is not open");
    return this.#handle;
  }

  async #verify(): Promise<void> {
    const { size } = await this.#file().stat();
    if (size !== this.#size) {
      throw new IntegrityError(`"${this.#path}" has ${size} bytes instead of ${this.#size}.`);
    }
    for (const { offset, length, hash } of this.#pieces) {
      const bytes = await readFully(this.#file(), offset, length);
      if (hashOf(bytes) !== hash) {
        throw new IntegrityError(`"${this.#path}" does not read back as it was written.`, {
          offset,
        });
      }
    }
  }

  /** Makes the new name itself durable, where the system can open folders. */
  async #syncFolder(): Promise<void> {
    const folder = await open(dirname(this.#path), "r").catch(() => undefined);
    await folder?.sync().catch(() => undefined);
    await folder?.close();
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      throw ioError("write", this.#path, cause);
    }
  }
}

export const fileSink = (path: string): Sink => new FileSink(path);
