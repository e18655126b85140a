/** Where a model goes: memory by default, files in Node.js, or whatever the user brings. */
import { pathTarget } from "#files";
import {
  ArgumentError,
  IntegrityError,
  ModelShrinkError,
  OutOfMemoryError,
} from "../base/errors.js";
import type { CoreTensorReport } from "../core/types.js";
import type {
  SinkFor,
  FinishedUnits,
  RunIdentity,
  Piece,
  Target,
  FileSetSink,
  Sink,
} from "./sink.js";

const nothing: FinishedUnits = new Map();

export class MemorySink implements FileSetSink {
  #files: { name: string; bytes: Uint8Array<ArrayBuffer> }[] = [];

  open({ files }: RunIdentity): Promise<FinishedUnits> {
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
    return Promise.resolve(nothing);
  }

  write({ file, offset, bytes }: Piece): void {
    this.#files[file]?.bytes.set(bytes, offset);
  }

  finish(): void {
    // Nothing outlives the run.
  }

  close(): void {
    // Nothing to commit: the bytes are visible only through blobs().
  }

  abort(): void {
    this.#files = [];
  }

  /** The output by name; the memory is given up. */
  blobs(): Record<string, Blob> {
    const blobs = this.#files.map(({ name, bytes }) => [name, new Blob([bytes])] as const);
    this.#files = [];
    return Object.fromEntries(blobs);
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

/** Passes each file on to a Sink of its own. The main file, the first, becomes visible last. */
class SinkPerFile implements FileSetSink {
  readonly #sinkFor: SinkFor;
  readonly #sinks: Sink[] = [];

  constructor(sinkFor: SinkFor) {
    this.#sinkFor = sinkFor;
  }

  async open({ files }: RunIdentity): Promise<FinishedUnits> {
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
    return nothing;
  }

  async write({ file, offset, bytes }: Piece): Promise<void> {
    await this.#sinks[file]?.write(offset, bytes);
  }

  finish(): void {
    // A user's sink knows no units.
  }

  async close(): Promise<void> {
    for (const sink of this.#sinks.slice(1)) await sink.close();
    await this.#sinks[0]?.close();
  }

  async abort(reason: unknown): Promise<void> {
    for (const sink of this.#sinks) await sink.abort(reason);
  }
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

const ownSink = (sinkFor: SinkFor): Target => ({
  mainName: () => Promise.resolve(undefined),
  sink: () => new SinkPerFile(sinkFor),
});

/** What the options `sink` and `resume` name; undefined for memory. */
export function targetFromOption(sink: unknown, resume: boolean): Target | undefined {
  if (typeof sink === "string") return pathTarget(sink, resume);
  if (resume) throw new ArgumentError("resume needs a path as sink.");
  if (sink === undefined) return undefined;
  if (typeof sink === "function") return ownSink(sink as SinkFor);
  if (isSink(sink)) return ownSink(onlyOne(sink));
  throw new ArgumentError(
    "sink may be a path (Node.js), an object with open, write, close and abort, or a function " +
      "that gives one for each file.",
  );
}

/** Passes writes on, holds them against the promised sizes, and ends when none is under way. */
export class CheckedSink {
  readonly #sink: FileSetSink;
  readonly #run: RunIdentity;
  readonly #planned: number;
  readonly #writes = new Set<Promise<void>>();
  #isAborted = false;
  written = 0;

  constructor(sink: FileSetSink, run: RunIdentity) {
    this.#sink = sink;
    this.#run = run;
    this.#planned = run.files.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0);
  }

  open(): Promise<FinishedUnits> {
    return this.#sink.open(this.#run);
  }

  /** Bytes of a unit that an earlier run has written. */
  skip(bytes: number): void {
    this.written += bytes;
  }

  async write(piece: Piece): Promise<void> {
    // A worker's last words may come after the failure of another.
    if (this.#isAborted) throw new ModelShrinkError("The run has ended.", "internal");
    const size = this.#run.files[piece.file]?.sizeBytes ?? 0;
    const { length } = piece.bytes;
    if (piece.offset + length > size) {
      throw new IntegrityError(
        `${length} bytes at ${piece.offset} lie outside the planned ${size} bytes.`,
      );
    }
    this.written += length;
    const work = Promise.resolve(this.#sink.write(piece));
    const settled = work.catch(() => undefined).finally(() => this.#writes.delete(settled));
    this.#writes.add(settled);
    await work;
  }

  spare(size: number): Uint8Array<ArrayBuffer> | undefined {
    return this.#sink.spare?.(size);
  }

  async finish(unit: number, report: CoreTensorReport | undefined): Promise<void> {
    if (this.#isAborted) return;
    await this.#sink.finish(unit, report);
  }

  async close(): Promise<void> {
    if (this.written !== this.#planned) {
      throw new IntegrityError(
        `${this.written} bytes were written instead of the planned ${this.#planned}.`,
      );
    }
    await this.#sink.close();
  }

  /** Never fails: `reason` is what the caller has to hear. */
  async abort(reason: unknown): Promise<void> {
    this.#isAborted = true;
    await Promise.all(this.#writes);
    try {
      await this.#sink.abort(reason);
    } catch {
      // What went wrong before matters more than what could not be cleaned up.
    }
  }
}
