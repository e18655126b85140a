/** Folders that a page was allowed to use, or of its private file system: loaded by whoever has one. */
import { ArgumentError } from "../base/errors.js";
import { openHandle } from "./handle.js";
import { folderOf, mainFileInFolder, onnxFolder } from "./main-file.js";
import {
  maxRepositoryFiles,
  tooManyFiles,
  type RawFile,
  type RawFileSet,
  type RawRepository,
} from "./raw.js";

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

/** Opens the file at a path below a folder; undefined where there is none. */
async function openBelow(
  folder: FileSystemDirectoryHandle | undefined,
  path: string,
): Promise<RawFile | undefined> {
  const folders = path.split("/");
  const name = folders.pop()!;
  let at = folder;
  for (const part of folders) at = at && (await ifThere(at.getDirectoryHandle(part)));
  const handle = at && (await ifThere(at.getFileHandle(name)));
  return handle && openHandle(handle);
}

/** A file below a folder, whose neighbours are those of its own folder. */
async function openSet(folder: FileSystemDirectoryHandle, path: string): Promise<RawFileSet> {
  const main = await openBelow(folder, path);
  if (!main) throw new ArgumentError(`"${folder.name}" has no "${path}" any more.`);
  const home = folderOf(path);
  return { main, open: (name) => openBelow(folder, home + name) };
}

/** A folder and the model in it or in its subfolder "onnx". */
export async function openFolderHandle(folder: FileSystemDirectoryHandle): Promise<RawFileSet> {
  const below = () => ifThere(folder.getDirectoryHandle(onnxFolder));
  const main = await mainFileInFolder(folder.name, await namesIn(folder), async () =>
    namesIn(await below()),
  );
  return openSet(folder, main);
}

/** A folder as a repository: all files below it but hidden ones. */
export async function openFolderRepository(
  folder: FileSystemDirectoryHandle,
): Promise<RawRepository> {
  const names: string[] = [];
  const list = async (at: FileSystemDirectoryHandle, prefix: string): Promise<void> => {
    const entries = at as unknown as AsyncIterable<[string, FileSystemHandle]>;
    for await (const [name, entry] of entries) {
      if (name.startsWith(".")) continue;
      if (entry.kind === "directory") {
        await list(entry as FileSystemDirectoryHandle, `${prefix}${name}/`);
      } else if (names.push(prefix + name) > maxRepositoryFiles) {
        throw tooManyFiles(`"${folder.name}"`);
      }
    }
  };
  await list(folder, "");
  return { names, open: (name) => openSet(folder, name) };
}
