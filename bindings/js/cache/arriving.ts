/** Files as they come from a server: whoever reads waits until the bytes are there. */
import { IntegrityError } from "../base/errors.js";
import type { RawFile } from "../files/raw.js";
import type { Draft, Validators } from "./drafts.js";
import { PartWriter } from "./parts.js";

/**
 * Room in memory for the files of a model: what has come is kept in the store, but reading it from there again, twice by
 * most recipes, takes longer than shrinking it.
 */
export class Room {
  #left = 1 << 26;

  /**
   * Gives memory for the beginning of a file of this size, as much as there is; none for a file of which it would be the
   * lesser part, and which waits in the store anyway.
   */
  take(size = 0): Uint8Array {
    try {
      const bytes = new Uint8Array(size > 2 * this.#left ? 0 : Math.min(size, this.#left));
      this.#left -= bytes.length;
      return bytes;
    } catch {
      return new Uint8Array(0);
    }
  }
}

/** A file that comes, or has come. */
export class Arriving {
  readonly name: string;
  readonly validators: Validators;
  readonly #draft: Draft;
  readonly #writer: PartWriter;
  /** The file's beginning, as far as there was room for it. */
  readonly #head: Uint8Array;
  #size: number;
  /** The size that the last reader was told. */
  #told: number | undefined;
  #loaded: number;
  #wake: () => void = () => undefined;
  #news: Promise<void> | undefined;
  /** Resolves when the file has come whole and is kept; rejects when it does not come. */
  whole: Promise<void> = Promise.resolve();
  isWhole = false;
  /** Why nothing more comes, once that is so. */
  #end: { error: unknown } | undefined;

  /** `head`: memory for the beginning of the file; `size`: what was announced, where it was. */
  constructor(
    name: string,
    validators: Validators,
    draft: Draft,
    head: Uint8Array,
    size: number | undefined,
  ) {
    this.name = name;
    this.validators = validators;
    this.#draft = draft;
    this.#head = head;
    this.#size = size ?? 0;
    this.#loaded = draft.loaded;
    this.#writer = new PartWriter(async (part, sha256) => {
      await draft.add(part, await sha256);
      this.#tell();
    });
  }

  /** The bytes that have come. */
  get loaded(): number {
    return this.#loaded;
  }

  /** True when a reader was told another size than the file turned out to have. */
  get isMisjudged(): boolean {
    return this.isWhole && this.#told !== undefined && this.#told !== this.#size;
  }

  /** Lets `receive` bring the bytes by `take`; `whole` is its end. */
  begin(receive: () => Promise<void>): void {
    this.whole = (async () => {
      try {
        await receive();
        await this.#writer.flush();
        this.#size = this.#loaded;
        this.isWhole = true;
        this.#end = { error: new IntegrityError(`"${this.name}" has less than was announced.`) };
      } catch (error) {
        this.#end = { error };
        // What came is not lost.
        await this.#writer.flush();
        throw error;
      } finally {
        this.#tell();
      }
    })();
    // Readers hear of it, and who waits for all files.
    this.whole.catch(() => undefined);
  }

  /** Takes the next bytes, which may change again when it has resolved. */
  async take(bytes: Uint8Array): Promise<void> {
    const room = this.#head.length - this.#loaded;
    if (room > 0) this.#head.set(bytes.subarray(0, room), this.#loaded);
    this.#loaded += bytes.length;
    this.#tell();
    await this.#writer.add(bytes);
  }

  #tell(): void {
    this.#wake();
    this.#news = undefined;
  }

  /** The size in bytes: as it was announced, and when all has come, as it is. */
  get size(): number {
    return this.#size;
  }

  /** Gives the file to a reader, who may be told another size than it turns out to have. */
  file(): RawFile {
    const size = this.#size;
    this.#told = size;
    const inMemory = size <= this.#head.length;
    return {
      ...{ name: this.name, size, inMemory },
      read: async (offset, length) => {
        const end = offset + length;
        const isInHead = end <= this.#head.length;
        // Reading the rest while it comes leaves garbage faster than a page collects it.
        while (isInHead ? this.#loaded < end : !this.isWhole) await this.#more();
        if (end > this.#loaded) await this.#more();
        if (!isInHead) return this.#draft.read(offset, length);
        return inMemory ? this.#head.subarray(offset, end) : this.#head.slice(offset, end);
      },
    };
  }

  /** Resolves when more has come; throws when nothing more will. */
  async #more(): Promise<void> {
    if (this.#end) throw this.#end.error;
    this.#news ??= new Promise((resolve) => {
      this.#wake = resolve;
    });
    await this.#news;
  }

  /** Gives what has come as a Blob, which can be read as long as the draft is there. */
  blob(): Blob {
    return this.#draft.blob();
  }
}
