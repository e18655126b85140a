/** Streams of Node.js that take an output from front to end. Failures are the stream's own errors. */
import { ArgumentError, ModelShrinkError } from "../../base/errors.js";
import type { SequentialFile } from "../in-order.js";
import type { NodeWritable } from "../node-types.js";

/** A Node.js Writable: ended at the end, destroyed where the run fails. */
class NodeStreamFile implements SequentialFile {
  readonly #stream: NodeWritable;
  #failure: { error: unknown } | undefined;
  /** Called when the stream may have room again, has ended, or failed. */
  #wake: () => void = () => undefined;
  #isFinished = false;

  /** Throws an ArgumentError where nothing more can be written. */
  constructor(stream: NodeWritable) {
    const { destroyed, writableEnded } = stream as { destroyed?: boolean; writableEnded?: boolean };
    if (destroyed || writableEnded) {
      throw new ArgumentError("sink is a Writable that has ended or was destroyed.");
    }
    this.#stream = stream;
    // From now on: a stream may fail while the model is still read, and an error that nobody listens to would end the
    // process.
    const fail = (error: unknown) => {
      this.#failure ??= { error };
      this.#wake();
    };
    this.#stream.on("error", fail);
    this.#stream.on("close", () => {
      if (this.#isFinished) return;
      fail(new ModelShrinkError("The sink was closed before all was written.", "io"));
    });
    this.#stream.on("drain", () => {
      this.#wake();
    });
  }

  open(): void {
    this.#check();
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.#check();
    if (this.#stream.write(bytes)) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#check();
  }

  async close(): Promise<void> {
    this.#check();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#stream.end(() => {
        this.#isFinished = true;
        resolve();
      });
    });
    this.#check();
  }

  abort(reason: unknown): Promise<void> {
    this.#isFinished = true;
    this.#stream.destroy(reason instanceof Error ? reason : undefined);
    return Promise.resolve();
  }

  #check(): void {
    if (this.#failure) throw this.#failure.error;
  }
}

/** Makes an output of a Writable. */
export const streamFile = (stream: NodeWritable): SequentialFile => new NodeStreamFile(stream);
