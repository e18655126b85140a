/** What a shrink has written, for as long as somebody needs it. */
import type { Files } from "../open/files.js";

export class Output {
  readonly files: Files;
  readonly #release: () => void;
  #holders = 1;

  /** `release` is called once, when the last holder has let go; the first one is the caller. */
  constructor(files: Files, release: () => void) {
    this.files = files;
    this.#release = release;
  }

  letGo(): void {
    if (--this.#holders === 0) this.#release();
  }

  /** Holds it until `work` is done. */
  async during<T>(work: (files: Files) => Promise<T>): Promise<T> {
    this.#holders++;
    try {
      return await work(this.files);
    } finally {
      this.letGo();
    }
  }
}
