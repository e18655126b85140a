import type { RawFile } from "./raw.js";

/** A Blob, or a File, whose name it keeps. */
export function fromBlob(blob: Blob): RawFile {
  const name = "name" in blob && typeof blob.name === "string" ? { name: blob.name } : {};
  return {
    ...name,
    size: blob.size,
    read: async (offset, length) =>
      new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  };
}
