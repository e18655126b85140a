/** Files and folders that a page was allowed to use, or of its private file system. */
import { hasMethods } from "../base/tags.js";
import { fromBlob } from "./blob.js";
import type { RawFile } from "./raw.js";

/** Tells whether `value` is a FileSystemFileHandle. */
export const isFileHandle = (value: unknown): value is FileSystemFileHandle =>
  hasMethods(value, "getFile") && (value as { kind?: unknown }).kind === "file";

/** Tells whether `value` is a FileSystemDirectoryHandle. */
export const isFolderHandle = (value: unknown): value is FileSystemDirectoryHandle =>
  hasMethods(value, "getFileHandle", "getDirectoryHandle", "keys") &&
  (value as { kind?: unknown }).kind === "directory";

/** Opens a file as it is now: reading one that is written meanwhile fails. */
export async function openHandle(handle: FileSystemFileHandle): Promise<RawFile> {
  const file = await handle.getFile();
  return {
    ...fromBlob(file),
    isSame: async () => {
      const { size, lastModified } = await handle.getFile();
      return size === file.size && lastModified === file.lastModified;
    },
  };
}
