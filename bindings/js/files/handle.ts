/** Files and folders that a page was allowed to use, or of its private file system. */
import { ArgumentError } from "../base/errors.js";
import { hasMethods } from "../base/tags.js";
import { fromBlob } from "./blob.js";
import { mainFileInFolder, onnxFolder } from "./main-file.js";
import type { RawFile, RawFileSet } from "./raw.js";

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

/** Gives the result of `work`; undefined when there is no such file or folder. */
async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    const name = error instanceof Error ? error.name : "";
    if (name === "NotFoundError" || name === "TypeMismatchError") return undefined;
    throw error;
  }
}

async function namesIn(folder: FileSystemDirectoryHandle | undefined): Promise<string[]> {
  const names: string[] = [];
  if (!folder) return names;
  // The DOM library's own declaration leaves out that a folder can be iterated.
  const entries = folder as unknown as AsyncIterable<[string, FileSystemHandle]>;
  for await (const [name, { kind }] of entries) if (kind === "file") names.push(name);
  return names;
}

/** A folder and the model in it or in its subfolder "onnx". */
export async function openFolderHandle(folder: FileSystemDirectoryHandle): Promise<RawFileSet> {
  const below = () => ifThere(folder.getDirectoryHandle(onnxFolder));
  const main = await mainFileInFolder(folder.name, await namesIn(folder), async () =>
    namesIn(await below()),
  );
  const parts = main.split("/");
  const home = parts.length > 1 ? await below() : folder;
  const open = async (path: string): Promise<RawFile | undefined> => {
    const folders = path.split("/");
    const name = folders.pop()!;
    let at = home;
    for (const part of folders) at = at && (await ifThere(at.getDirectoryHandle(part)));
    const handle = at && (await ifThere(at.getFileHandle(name)));
    return handle && openHandle(handle);
  };
  const file = await open(parts.at(-1)!);
  if (!file) throw new ArgumentError(`"${folder.name}" has no "${main}" any more.`);
  return { main: file, open };
}
