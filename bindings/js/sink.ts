/** Where a shrunken model goes: memory by default, a file in Node.js, or whatever the user brings. */
import { fileSink } from "#platform";
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

export class MemorySink implements Sink {
  #bytes: Uint8Array<ArrayBuffer> | undefined;

  open(size: number): void {
    try {
      this.#bytes = new Uint8Array(size);
    } catch (cause) {
      throw new OutOfMemoryError(
        `The output takes ${size} bytes, more than can be allocated: give shrink() a sink.`,
        { cause },
      );
    }
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#bytes?.set(bytes, offset);
  }

  close(): void {
    // Nothing to commit: the bytes are visible only through blob().
  }

  abort(): void {
    this.#bytes = undefined;
  }

  /** The output; the memory is given up. */
  blob(): Blob {
    const blob = new Blob(this.#bytes ? [this.#bytes] : []);
    this.#bytes = undefined;
    return blob;
  }
}

function isSink(value: unknown): value is Sink {
  return (
    typeof value === "object" &&
    value !== null &&
    ["open", "write", "close", "abort"].every(
      (name) => name in value && typeof (value as Record<string, unknown>)[name] === "function",
    )
  );
}

/** The sink that the `sink` option names; undefined for memory. */
export function sinkFromOption(sink: unknown): Sink | undefined {
  if (sink === undefined) return undefined;
  if (typeof sink === "string") return fileSink(sink);
  if (isSink(sink)) return sink;
  throw new ArgumentError(
    "sink may be a file path (Node.js) or an object with open, write, close and abort.",
  );
}

/** Passes writes on and holds them against the promised size. */
export class CheckedSink {
  readonly #sink: Sink;
  readonly #size: number;
  written = 0;

  constructor(sink: Sink, size: number) {
    this.#sink = sink;
    this.#size = size;
  }

  async open(): Promise<void> {
    await this.#sink.open(this.#size);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    if (offset + bytes.length > this.#size) {
      throw new IntegrityError(
        `${bytes.length} bytes at ${offset} lie outside the planned ${this.#size} bytes.`,
      );
    }
    this.written += bytes.length;
    await this.#sink.write(offset, bytes);
  }

  async close(): Promise<void> {
    if (this.written !== this.#size) {
      throw new IntegrityError(
        `${this.written} bytes were written instead of the planned ${this.#size}.`,
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
