/** Output files of pages: what was there before stays until everything is written. */
import { ArgumentError } from "../base/errors.js";
import type { Sink } from "./sink.js";

/** An output file from createWritable() of a file's handle: closed at the end, aborted where the run fails. */
export class PageFile implements Sink {
  readonly #file: FileSystemWritableFileStream;

  /** Throws an ArgumentError where somebody else writes to it. */
  constructor(file: FileSystemWritableFileStream) {
    if (file.locked) throw new ArgumentError("sink is locked: another writer has it.");
    this.#file = file;
  }

  open(size = 0): Promise<void> {
    return this.#file.truncate(size);
  }

  write(position: number, bytes: Uint8Array): Promise<void> {
    const data = bytes as Uint8Array<ArrayBuffer>;
    return this.#file.write({ type: "write", position, data });
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  abort(reason: unknown): Promise<void> {
    return this.#file.abort(reason);
  }
}

/** A file's handle, whose createWritable() is called when the output begins. */
export class HandleFile implements Sink {
  readonly #handle: FileSystemFileHandle;
  #file: PageFile | undefined;

  constructor(handle: FileSystemFileHandle) {
    this.#handle = handle;
  }

  async open(size?: number): Promise<void> {
    this.#file = new PageFile(await this.#handle.createWritable());
    await this.#file.open(size);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#file?.write(offset, bytes);
  }

  async close(): Promise<void> {
    await this.#file?.close();
  }

  async abort(reason: unknown): Promise<void> {
    await this.#file?.abort(reason);
  }
}
