/** Memory for one file of a size that nobody knows before its end. */
import type { Blob } from "../base/platform-types.js";
import type { FileSetSink, FinishedUnits, Piece, RunIdentity } from "../files/sink.js";

/** Keeps one output file whose pieces come in order, and gives it as a Blob when all is written. */
export class GrowingSink implements FileSetSink {
  #name = "";
  #pieces: Uint8Array<ArrayBuffer>[] = [];

  open({ files }: RunIdentity): Promise<FinishedUnits> {
    this.#name = files[0]?.name ?? "";
    return Promise.resolve(new Map());
  }

  write({ bytes }: Piece): undefined {
    this.#pieces.push(bytes as Uint8Array<ArrayBuffer>);
  }

  finish(): void {
    // Nothing outlives the run.
  }

  close(): void {
    // The bytes are visible only through blobs().
  }

  abort(): void {
    this.#pieces = [];
  }

  /** Gives the output by name, and gives up the memory. */
  blobs(): Record<string, Blob> {
    return { [this.#name]: new Blob(this.#pieces.splice(0)) };
  }
}
