/** Memory as the target of a run, and the checks of the pieces that any sink is given. */
import { IntegrityError, ModelShrinkError, OutOfMemoryError } from "../base/errors.js";
import type { CoreUnitReports } from "../core/types.js";
import type { FileSetSink, FinishedUnits, Piece, RunIdentity } from "./sink.js";

const nothing: FinishedUnits = new Map();

/** Keeps the output in memory, and gives it as Blobs when all is written. Throws an OutOfMemoryError when it is too large. */
export class MemorySink implements FileSetSink {
  #files: { name: string; bytes: Uint8Array<ArrayBuffer> }[] = [];

  open({ files }: RunIdentity): Promise<FinishedUnits> {
    for (const { name, sizeBytes = 0 } of files) {
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

  write({ file, offset, bytes }: Piece): undefined {
    this.#files[file]?.bytes.set(bytes, offset);
  }

  finish(): void {
    // Nothing outlives the run.
  }

  close(): void {
    // Nothing to commit: the bytes are visible only through take() and blobs().
  }

  abort(): void {
    this.#files = [];
  }

  /** Gives the output's files, and gives up the memory. */
  take(): { name: string; bytes: Uint8Array<ArrayBuffer> }[] {
    return this.#files.splice(0);
  }

  /** Gives the output by name, and gives up the memory. */
  blobs(): Record<string, Blob> {
    return Object.fromEntries(this.take().map(({ name, bytes }) => [name, new Blob([bytes])]));
  }
}

/** Takes an output that nobody wants: of a run that only looks at the weights. */
export const nowhere: FileSetSink = {
  open: () => Promise.resolve(nothing),
  write: () => undefined,
  finish: () => undefined,
  close: () => undefined,
  abort: () => undefined,
};

/** Passes writes on, holds them against the promised sizes, and ends when none is under way. */
export class CheckedSink {
  readonly #sink: FileSetSink;
  readonly #run: RunIdentity;
  /** The bytes of all files together; undefined where only their ends tell. */
  readonly #planned: number | undefined;
  readonly #writes = new Set<Promise<void>>();
  /** True once the output is dropped. */
  isAborted = false;
  written = 0;

  constructor(sink: FileSetSink, run: RunIdentity) {
    this.#sink = sink;
    this.#run = run;
    this.#planned = run.files.reduce<number | undefined>(
      (bytes, { sizeBytes }) =>
        bytes === undefined || sizeBytes === undefined ? undefined : bytes + sizeBytes,
      0,
    );
  }

  open(): Promise<FinishedUnits> {
    return this.#sink.open(this.#run);
  }

  /** Counts bytes of a unit that an earlier run has written. */
  skip(bytes: number): void {
    this.written += bytes;
  }

  async write(piece: Piece): Promise<void> {
    // A worker's last words may come after the failure of another.
    if (this.isAborted) throw new ModelShrinkError("The run has ended.", "internal");
    const file = this.#run.files[piece.file];
    const size = file ? (file.sizeBytes ?? Infinity) : 0;
    const { length } = piece.bytes;
    if (piece.offset + length > size) {
      throw new IntegrityError(
        `${length} bytes at ${piece.offset} lie outside the planned ${size} bytes.`,
      );
    }
    const result = this.#sink.write(piece);
    if (result === "ignored") return;
    this.written += length;
    const work = Promise.resolve(result);
    const settled = work.catch(() => undefined).finally(() => this.#writes.delete(settled));
    this.#writes.add(settled);
    await work;
  }

  /** A unit that the sink needs again, before any other. */
  wanted(): number | undefined {
    return this.#sink.wanted?.();
  }

  spare(size: number): Uint8Array<ArrayBuffer> | undefined {
    return this.#sink.spare?.(size);
  }

  async finish(unit: number, reports: CoreUnitReports): Promise<void> {
    if (this.isAborted) return;
    await this.#sink.finish(unit, reports);
  }

  async close(): Promise<void> {
    if (this.#planned !== undefined && this.written !== this.#planned) {
      throw new IntegrityError(
        `${this.written} bytes were written instead of the planned ${this.#planned}.`,
      );
    }
    await this.#sink.close();
  }

  /** Drops the output and never throws: the caller has to hear `reason`. */
  async abort(reason: unknown): Promise<void> {
    this.isAborted = true;
    await Promise.all(this.#writes);
    try {
      await this.#sink.abort(reason);
    } catch {
      // The earlier failure matters more than a file that could not be removed.
    }
  }
}
