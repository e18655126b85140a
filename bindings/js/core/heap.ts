/** Copies in and out of the core's memory. No view of it ever reaches a user. */
import { bytesOf } from "../base/bytes.js";
import { OutOfMemoryError } from "../base/errors.js";
import { callCore, loadedCore } from "./load.js";
import type { CoreModule, HeapBytes } from "./types.js";

/** The largest size in WebAssembly's 32-bit memory; a larger one would wrap around. */
const maxBytes = 2 ** 32 - 1;

/** Memory for one call into the core, freed when the call is over. */
export class Scratch {
  readonly #core: CoreModule;
  readonly #pointers: number[] = [];

  constructor(core: CoreModule) {
    this.#core = core;
  }

  allocate(size: number): HeapBytes {
    // 32-bit pointers arrive signed; malloc(0) may give 0, which would look like exhaustion.
    const ptr = size > maxBytes ? 0 : this.#core._malloc(Math.max(size, 1)) >>> 0;
    if (ptr === 0) {
      throw new OutOfMemoryError(
        `The core cannot allocate ${size} bytes: pass smaller arrays, a part at a time.`,
      );
    }
    this.#pointers.push(ptr);
    return { ptr, size };
  }

  copyIn(data: ArrayBufferView): HeapBytes {
    const place = this.allocate(data.byteLength);
    writeHeap(this.#core, place, bytesOf(data));
    return place;
  }

  free(): void {
    for (const ptr of this.#pointers) this.#core._free(ptr);
  }
}

/** Copies bytes into the heap. HEAPU8 is asked for anew each time, because growth detaches the old view. */
export function writeHeap(core: CoreModule, place: HeapBytes, bytes: Uint8Array): void {
  core.HEAPU8.set(bytes, place.ptr >>> 0);
}

/** Copies bytes out of the heap, into `into` when it is given, which has their size. */
export function copyOut(
  core: CoreModule,
  { ptr, size }: HeapBytes,
  into = new Uint8Array(size),
): Uint8Array<ArrayBuffer> {
  const start = ptr >>> 0;
  into.set(core.HEAPU8.subarray(start, start + size));
  return into;
}

/** Runs `work` in the loaded core with scratch memory. */
export function withScratch<T>(work: (core: CoreModule, scratch: Scratch) => T): T {
  return callCore(loadedCore(), (core) => {
    const scratch = new Scratch(core);
    try {
      return work(core, scratch);
    } finally {
      scratch.free();
    }
  });
}
