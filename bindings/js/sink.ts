/** Where a shrunken model goes: memory by default, a file in Node.js, or whatever the user brings. */
import { fileSink } from "#platform";
import type { CoreFile } from "./core.js";
import { ArgumentError, IntegrityError, OutOfMemoryError } from "./errors.js";

/**
 * Takes one output file. `open` comes first; then every byte is written exactly once, in any order;
 * then `close`, which makes the output visible, or `abort`, which leaves nothing behind. Bytes
 * belong to the sink once they are handed over.
 */
export interface Sink {
  /** `size`: the exact size of the output, in bytes. */
  open(size: number): void | Promise<void>;
  write(offset: number, bytes: Uint8Array): void | Promise<void>;
  close(): void | Promise<void>;
  abort(reason: unknown): void | Promise<void>;
}

/** A Sink for the output file of this name and size. */
export type SinkFor = (name: string, size: number) => Sink | Promise<Sink>;

/** Takes all output files of a run, numbered; otherwise as Sink. */
export interface FileSetSink {
  open(files: readonly CoreFile[]): void | Promise<void>;
  write(file: number, offset: number, bytes: Uint8Array): void | Promise<void>;
  close(): void | Promise<void>;
  abort(reason: unknown): void | Promise<void>;
}

export class MemorySink implements FileSetSink {
  #files: { name: string; bytes: Uint8Array<ArrayBuffer> }[] = [];

  open(files: readonly CoreFile[]): void {
    for (const { name, sizeBytes } of files) {
      try {
        this.#files.push({ name, bytes: new Uint8Array(sizeBytes) });
      } catch (cause) {
        throw new OutOfMemoryError(
          `"${name}" takes ${sizeBytes} bytes, more than can be allocated: give a sink.`,
          { cause },
        );
      }
    }
  }

  write(file: number, offset: number, bytes: Uint8Array): void {
    this.#files[file]?.bytes.set(bytes, offset);
  }

  close(): void {
    // Nothing to commit: the bytes are visible only through blobs().
  }

  abort(): void {
    this.#files = [];
  }

  /** The output by name; the memory is given up. */
  blobs(): Record<string, Blob> {
    const blobs = Object.fromEntries(
      this.#files.map(({ name, bytes }) => [name, new Blob([bytes])]),
    );
    this.#files = [];
    return blobs;
  }
}

/** Passes each file on to a Sink of its own. The main file, the first, becomes visible last. */
class SinkPerFile implements FileSetSink {
  readonly #sinkFor: SinkFor;
  readonly #sinks: Sink[] = [];

  constructor(sinkFor: SinkFor) {
    this.#sinkFor = sinkFor;
  }

  async open(files: readonly CoreFile[]): Promise<void> {
    for (const { name, sizeBytes } of files) {
      const sink: unknown = await this.#sinkFor(name, sizeBytes);
      if (!isSink(sink)) {
        throw new ArgumentError(
          `sink("${name}") must give an object with ${sinkMethods.join(", ")}.`,
        );
      }
      this.#sinks.push(sink);
      await sink.open(sizeBytes);
    }
  }

  async write(file: number, offset: number, bytes: Uint8Array): Promise<void> {
    await this.#sinks[file]?.write(offset, bytes);
  }

  async close(): Promise<void> {
    for (const sink of this.#sinks.slice(1)) await sink.close();
    await this.#sinks[0]?.close();
  }

  async abort(reason: unknown): Promise<void> {
    for (const sink of this.#sinks) await sink.abort(reason);
  }
}

const sinkMethods = ["open", "write", "close", "abort"];

function isSink(value: unknown): value is Sink {
  return (
    typeof value === "object" &&
    value !== null &&
    sinkMethods.every(
      (name) => name in value && typeof (value as Record<string, unknown>)[name] === "function",
    )
  );
}

function onlyOne(sink: Sink): SinkFor {
  let taken = false;
  return (name) => {
    if (taken) {
      throw new ArgumentError(
        `The output has several files (the second is "${name}"): give a path or (name, size) => Sink.`,
      );
    }
    taken = true;
    return sink;
  };
}

/** The sink that the `sink` option names; undefined for memory. */
export function sinkFromOption(sink: unknown): FileSetSink | undefined {
  if (sink === undefined) return undefined;
  if (typeof sink === "string") return new SinkPerFile(onlyOne(fileSink(sink)));
  if (typeof sink === "function") return new SinkPerFile(sink as SinkFor);
  if (isSink(sink)) return new SinkPerFile(onlyOne(sink));
  throw new ArgumentError(
    "sink may be a path (Node.js), an object with open, write, close and abort, or a function " +
      "that gives one for each file.",
  );
}

/** Passes writes on and holds them against the promised sizes. */
export class CheckedSink {
  readonly #sink: FileSetSink;
  readonly #files: readonly CoreFile[];
  written = 0;

  constructor(sink: FileSetSink, files: readonly CoreFile[]) {
    this.#sink = sink;
    this.#files = files;
  }

  async open(): Promise<void> {
    await this.#sink.open(this.#files);
  }

  async write(file: number, offset: number, bytes: Uint8Array): Promise<void> {
    const planned = this.#files[file]?.sizeBytes ?? 0;
    if (offset + bytes.length > planned) {
      throw new IntegrityError(
        `${bytes.length} bytes at ${offset} lie outside the planned ${planned} bytes.`,
      );
    }
    this.written += bytes.length;
    await this.#sink.write(file, offset, bytes);
  }

  async close(): Promise<void> {
    const planned = this.#files.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
    if (this.written !== planned) {
      throw new IntegrityError(
        `${this.written} bytes were written instead of the planned ${planned}.`,
      );
    }
    await this.#sink.close();
  }

  /** Never fails: `reason` is what the caller has to hear. */
  async abort(reason: unknown): Promise<void> {
    try {
      await this.#sink.abort(reason);
    } catch {
      // What went wrong before matters more than what could not be cleaned up.
    }
  }
}
