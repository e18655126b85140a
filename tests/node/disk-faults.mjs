// Makes Node's file handles fail, for tests: `node --import ./disk-faults.mjs` with DISK_FAULT set, or
// setDiskFault() in the same process.
import { open } from "node:fs/promises";
import { devNull } from "node:os";

const handle = await open(devNull);
const prototype = Object.getPrototypeOf(handle);
await handle.close();
const { write } = prototype;

const faults = {
  /** The disk is full after the first write. */
  full(count, original, args) {
    if (count === 0) return original(...args);
    throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  },
  /** A bit flips on the way to the disk. */
  flip(count, original, [bytes, ...rest]) {
    const flipped = Uint8Array.from(bytes);
    flipped[flipped.length - 1] ^= 1;
    return original(flipped, ...rest);
  },
  async slow(count, original, args) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return original(...args);
  },
};

export function setDiskFault(name) {
  let count = 0;
  prototype.write = name
    ? async function (...args) {
        return faults[name](count++, write.bind(this), args);
      }
    : write;
}

setDiskFault(process.env.DISK_FAULT);
