export interface Progress {
  phase: "read" | "survey" | "write" | "compare";
  /** Bytes; never decreases within a phase. */
  done: number;
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

  get done(): number {
    return this.#done;
  }

  advanceTo(done: number, tensor?: string): void {
    this.#done = Math.max(this.#done, Math.min(done, this.#total));
    const name = tensor === undefined ? {} : { tensor };
    this.#report?.({ phase: this.#phase, done: this.#done, total: this.#total, ...name });
  }
}
