/** Streams that take an output from front to end. Failures are the stream's own errors. */
import { ArgumentError } from "../base/errors.js";
import type { SequentialFile } from "./in-order.js";

/** A WritableStream: closed at the end, aborted where the run fails. */
export class WebStreamFile implements SequentialFile {
  readonly #stream: WritableStream<Uint8Array>;
  #writer: WritableStreamDefaultWriter<Uint8Array> | undefined;

  /** Throws an ArgumentError where somebody else writes to the stream. */
  constructor(stream: WritableStream<Uint8Array>) {
    if (stream.locked) {
      throw new ArgumentError("sink is a WritableStream that is locked: another writer has it.");
    }
    this.#stream = stream;
  }

  open(): void {
    this.#writer = this.#stream.getWriter();
  }

  async append(bytes: Uint8Array): Promise<void> {
    await this.#writer!.ready;
    // A write that fails makes `ready` and close() fail.
    this.#writer!.write(bytes).catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.#writer!.close();
    this.#writer!.releaseLock();
  }

  async abort(reason: unknown): Promise<void> {
    await (this.#writer ?? this.#stream).abort(reason);
    this.#writer?.releaseLock();
  }
}
