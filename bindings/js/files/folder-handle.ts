/** Folders that a page was allowed to use, or of its private file system: loaded by whoever has one. */
import { ArgumentError } from "../base/errors.js";
import { openHandle } from "./handle.js";
import { mainFileInFolder, onnxFolder } from "./main-file.js";
import type { RawFile, RawFileSet } from "./raw.js";

/** Gives the result of `work`; undefined when there is no such file or folder. */
export async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    const name = error instanceof Error ? error.name : "";
    if (name === "NotFoundError" || name === "TypeMismatchError") return undefined;
    throw error;
  }
}

/** Gives the names of the files in a folder. */
export async function namesIn(folder: FileSystemDirectoryHandle | undefined): Promise<string[]> {
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
