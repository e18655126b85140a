import { callUser } from "./door.js";

/** The progress of a piece of work. */
export interface Progress {
  /**
   * The part of the work: "read" (the model's structure), "survey" (a first look at weights, where tensors share an
   * amount of pruning, channels are chosen or zeros are counted), then "write" or "compare".
   */
  phase: "read" | "survey" | "write" | "compare";
  /** The bytes that are done; the number never decreases within a phase. */
  done: number;
  /** The bytes of the whole phase. */
  total: number;
  /** The tensor that was just finished. */
  tensor?: string;
}

/** Reports progress that never goes back. */
export class Meter {
  readonly #report: ((progress: Progress) => void) | undefined;
  readonly #phase: Progress["phase"];
  readonly #total: number;
  #done = 0;

  constructor(
    options: { onProgress?: (progress: Progress) => void },
    phase: Progress["phase"],
    total: number,
  ) {
    this.#report = options.onProgress;
    this.#phase = phase;
    this.#total = total;
  }

  /** The bytes that are done. */
  get done(): number {
    return this.#done;
  }

  /** Reports `done` bytes, or as many as before when that is more, and the tensor that was finished. */
  advanceTo(done: number, tensor?: string): void {
    this.#done = Math.max(this.#done, Math.min(done, this.#total));
    const name = tensor === undefined ? {} : { tensor };
    const progress = { phase: this.#phase, done: this.#done, total: this.#total, ...name };
    callUser(() => this.#report?.(progress));
  }
}
