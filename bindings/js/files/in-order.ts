/** Output files that take their bytes from front to end only, from runs that give them in another order. */
import { callUser } from "../base/door.js";
import type { Ignored } from "./sink.js";

/** A file that grows at its end. */
export interface SequentialFile {
  /** Is called once, first; `size` is the exact size of the file in bytes, undefined where only its end tells it. */
  open(size: number | undefined): void | Promise<void>;
  /** Resolves when there is room for more. */
  append(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
  abort(reason: unknown): Promise<void>;
}

/** Counts the bytes that all files of one output hold back. */
export class HeldBytes {
  readonly #max: number;
  #held = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Takes room for so many bytes; tells whether there was enough. */
  take(bytes: number): boolean {
    if (this.#held + bytes > this.#max) return false;
    this.#held += bytes;
    return true;
  }

  free(bytes: number): void {
    this.#held -= bytes;
  }
}

/**
 * Puts the pieces of one file in order. Those that come early are held back as far as `held` has room; others are
 * missed, and their unit has to run again when it is their turn: the same order gives the same bytes.
 */
export class InOrder {
  readonly #file: SequentialFile;
  readonly #held: HeldBytes;
  readonly #early = new Map<number, Uint8Array>();
  /** The units whose pieces at these offsets were missed. */
  readonly #missed = new Map<number, number>();
  /** The byte where the next piece has to begin. */
  #next = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(file: SequentialFile, held: HeldBytes) {
    this.#file = file;
    this.#held = held;
  }

  /** Takes a piece of a unit; "ignored": it was written before, or it is missed. */
  write(unit: number, offset: number, bytes: Uint8Array): Promise<void> | Ignored {
    if (offset < this.#next || this.#early.has(offset)) return "ignored";
    if (offset > this.#next) {
      if (!this.#held.take(bytes.length)) {
        this.#missed.set(offset, unit);
        return "ignored";
      }
      this.#early.set(offset, bytes);
      this.#missed.delete(offset);
      return Promise.resolve();
    }
    this.#append(bytes);
    for (let early = this.#takeNext(); early; early = this.#takeNext()) this.#append(early, true);
    return this.#last;
  }

  /** A unit that has to run again now; it is named once. */
  wanted(): number | undefined {
    const unit = this.#missed.get(this.#next);
    if (unit === undefined) return undefined;
    for (const [offset, other] of this.#missed) if (other === unit) this.#missed.delete(offset);
    return unit;
  }

  #takeNext(): Uint8Array | undefined {
    const bytes = this.#early.get(this.#next);
    this.#early.delete(this.#next);
    return bytes;
  }

  #append(bytes: Uint8Array, isHeld = false): void {
    this.#next += bytes.length;
    this.#missed.delete(this.#next - bytes.length);
    this.#last = this.#last.then(async () => {
      await callUser(() => this.#file.append(bytes));
      if (isHeld) this.#held.free(bytes.length);
    });
    // Whoever waits for the last piece hears of it.
    this.#last.catch(() => undefined);
  }
}
