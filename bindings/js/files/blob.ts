import { IntegrityError, OutOfMemoryError } from "../base/errors.js";
import type { RawFile } from "./raw.js";

/**
 * A Blob, or a File, whose name it keeps. Reading one whose file on the disk has changed is an IntegrityError, and reading
 * without memory for it an OutOfMemoryError.
 */
export function fromBlob(blob: Blob): RawFile {
  const { name } = blob as Partial<File>;
  return {
    ...(typeof name === "string" ? { name } : {}),
    size: blob.size,
    async read(offset, length) {
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (cause) {
        const what = name ?? "The Blob";
        // Allocations fail with a language's error, reading with a platform's.
        throw cause instanceof RangeError
          ? new OutOfMemoryError(`"${what}" is more than can be allocated.`, {
              cause,
            })
          : new IntegrityError(`"${what}" changed, or is gone.`, { cause });
      }
    },
  };
}
