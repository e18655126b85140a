import { IntegrityError } from "../base/errors.js";
import type { RawFile } from "./raw.js";

/** A Blob, or a File, whose name it keeps. Reading one whose file on the disk has changed is an IntegrityError. */
export function fromBlob(blob: Blob): RawFile {
  const name = "name" in blob && typeof blob.name === "string" ? { name: blob.name } : {};
  return {
    ...name,
    size: blob.size,
    async read(offset, length) {
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (cause) {
        throw new IntegrityError(`"${name.name ?? "The Blob"}" changed, or is gone.`, { cause });
      }
    },
  };
}
