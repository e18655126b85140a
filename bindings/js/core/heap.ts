/** Copies in and out of the core's memory. No view of it ever reaches a user. */
import { bytesOf } from "../base/bytes.js";
import { OutOfMemoryError } from "../base/errors.js";
import { callCore, loadedCore } from "./load.js";
import type { AnyModule, CoreModule, CoreStreams, HeapBytes } from "./types.js";

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

  /** Copies arrays, one after the other. */
  copyIn(...arrays: readonly ArrayBufferView[]): HeapBytes {
    const place = this.allocate(arrays.reduce((all, { byteLength }) => all + byteLength, 0));
    let { ptr } = place;
    for (const array of arrays) {
      writeHeap(this.#core, { ptr, size: array.byteLength }, bytesOf(array));
      ptr += array.byteLength;
    }
    return place;
  }

  /** Copies numbers as 32 bits each. */
  copyIn32(numbers: Uint16Array | Uint32Array): HeapBytes {
    const place = this.allocate(numbers.length * 4);
    new Uint32Array(this.#core.HEAPU8.buffer, place.ptr, numbers.length).set(numbers);
    return place;
  }

  free(): void {
    for (const ptr of this.#pointers) this.#core._free(ptr);
  }
}

/** Copies bytes into the heap. HEAPU8 is asked for anew each time, because growth detaches the old view. */
export function writeHeap(core: AnyModule, place: HeapBytes, bytes: Uint8Array): void {
  core.HEAPU8.set(bytes, place.ptr >>> 0);
}

/** Copies bytes out of the heap, into `into` when it is given, which has their size. */
export function copyOut<T extends ArrayBufferView = Uint8Array<ArrayBuffer>>(
  core: AnyModule,
  { ptr, size }: HeapBytes,
  into = new Uint8Array(size) as ArrayBufferView as T,
): T {
  const start = ptr >>> 0;
  bytesOf(into).set(core.HEAPU8.subarray(start, start + size));
  return into;
}

/** Copies numbers of 32 bits out of the heap. */
export function copyOut32(
  core: CoreModule,
  { ptr, size }: HeapBytes,
  into: Uint16Array | Uint32Array,
): void {
  into.set(new Uint32Array(core.HEAPU8.buffer, ptr >>> 0, size / 4));
}

/**
 * Arrays that the core reads and writes a piece at a time, through memory that it keeps: they may be larger than its
 * heap, and the heap does not grow with them.
 */
export const streamsOf = (
  core: CoreModule,
  inputs: readonly ArrayBufferView[],
  outputs: readonly ArrayBufferView[] = [],
): CoreStreams => {
  const arrays = [...inputs, ...outputs];
  return {
    copy(array, offset, ptr, size) {
      const { buffer, byteOffset } = arrays[array]!;
      const piece = new Uint8Array(buffer, byteOffset + offset, size);
      const heap = core.HEAPU8.subarray(ptr, ptr + size);
      if (array < inputs.length) heap.set(piece);
      else piece.set(heap);
    },
  };
};

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
