/** Models in files and folders. */
import type { BigIntStats } from "node:fs";
import { open, type FileHandle, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { ArgumentError } from "../../base/errors.js";
import { mainFileInFolder, onnxFolder } from "../main-file.js";
import type { NodeFileHandle } from "../node-types.js";
import { ioError, isMissing } from "./io-error.js";
import { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } from "./open-flags.js";
import { pathOf } from "./path-of.js";
import { readFully } from "./read-fully.js";
import {
  maxRepositoryFiles,
  tooManyFiles,
  type OpenPath,
  type RawFile,
  type RawRepository,
} from "../raw.js";

/** The time of the last change of any kind cannot be set back. */
const versionOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats) =>
  [dev, ino, size, mtimeNs, ctimeNs].join("-");

/** Makes a file of an open handle; `what` names it in errors. */
async function fromHandle(handle: FileHandle, what: string): Promise<RawFile> {
  const fail = (cause: unknown) => {
    throw ioError("read", what, cause);
  };
  const state = () => handle.stat({ bigint: true }).catch(fail);
  const it = await state();
  if (!it.isFile()) throw new ArgumentError(`Cannot read "${what}": it is not a regular file.`);
  const version = versionOf(it);
  return {
    size: Number(it.size),
    mode: Number(it.mode) & 0o777,
    version,
    read: (offset, length) => readFully(handle, offset, length).catch(fail),
    isSame: async () => versionOf(await state()) === version,
  };
}

/** Opens a regular file; `target` is the path without links that `path` leads to, where links are not to be followed. */
async function openFile(path: string, target?: string): Promise<RawFile> {
  const fail = (cause: unknown) => {
    throw ioError("read", path, cause);
  };
  // The kind is asked for before opening: opening a device may do something.
  const it = await stat(target ?? path).catch(fail);
  if (!it.isFile()) throw new ArgumentError(`Cannot read "${path}": it is not a regular file.`);
  const links = target === undefined ? 0 : O_NOFOLLOW;
  const handle = await open(target ?? path, O_RDONLY | O_NONBLOCK | links).catch(fail);
  try {
    const file = await fromHandle(handle, path);
    return { ...file, name: basename(path), path, close: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** A file that the user has opened, and closes. */
export function openNodeHandle(given: NodeFileHandle): Promise<RawFile> {
  return fromHandle(given as FileHandle, `file descriptor ${given.fd}`);
}

/**
 * The folder of the files that links may lead to from `home`. Hugging Face's cache keeps links in
 * <repository>/snapshots/<revision>, at any depth, that lead to files in <repository>/blobs.
 */
function blobsFolderOf(home: string): string | undefined {
  for (let at = home; dirname(at) !== at; at = dirname(at)) {
    const parent = dirname(at);
    if (basename(parent) === "snapshots") return join(dirname(parent), "blobs");
  }
  return undefined;
}

/**
 * Gives the path that `path` leads to. Throws an ArgumentError where a link leads out of the model's folder: only links
 * that the user has named may lead anywhere.
 */
async function targetInside(folder: string, path: string): Promise<string> {
  const [home, target] = await Promise.all([realpath(folder), realpath(path)]).catch(
    (cause: unknown) => {
      throw ioError("read", path, cause);
    },
  );
  const isInside = (parent: string) =>
    target.startsWith(parent.endsWith(sep) ? parent : parent + sep);
  const blobs = blobsFolderOf(home);
  if (isInside(home) || (blobs !== undefined && isInside(blobs))) return target;
  throw new ArgumentError(
    `Cannot read "${path}": it is a link to "${target}", outside the model's folder.`,
  );
}

/** Opens the file of a name that a model has; undefined where there is none. */
async function openNeighbour(folder: string, name: string): Promise<RawFile | undefined> {
  const path = join(folder, name);
  const entry = await stat(path).catch((cause: unknown) => {
    if (isMissing(cause)) return undefined;
    throw ioError("read", path, cause);
  });
  if (!entry) return undefined;
  const target = await targetInside(folder, path);
  if (entry.isFile() && entry.nlink > 1) {
    // Nothing tells whether its other name is in the model's folder.
    throw new ArgumentError(
      `Cannot read "${path}": it is a hard link, which may be to a file outside the model's folder: copy it, or ` +
        "name all files of the model (a record of paths).",
    );
  }
  return openFile(path, target);
}

/** The names of the files in a folder; none where there is no such folder. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    const isMissing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    if (isMissing) return [];
    throw ioError("read", folder, cause);
  });
  return entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
}

/** The path of the main file of a folder. */
async function mainFileIn(folder: string): Promise<string> {
  const below = () => filesIn(join(folder, onnxFolder));
  return join(folder, await mainFileInFolder(folder, await filesIn(folder), below));
}

/** Tells whether there is a folder at a path or a file: address. */
export const isFolder = async (pathOrUrl: string | URL): Promise<boolean> =>
  !/^(?!file:)[a-z][a-z\d+.-]+:/i.test(String(pathOrUrl)) &&
  stat(pathOf(pathOrUrl, "The source")).then(
    (it) => it.isDirectory(),
    () => false,
  );

/** Opens a file, whose neighbours are found by their names, or a folder. */
export const openPath: OpenPath = async (pathOrUrl) => {
  const path = pathOf(pathOrUrl, "The source");
  const isInside = await isFolder(pathOrUrl);
  const main = isInside ? await mainFileIn(path) : path;
  const folder = dirname(main);
  return {
    main: await openFile(main, isInside ? await targetInside(path, main) : undefined),
    open: (name) => openNeighbour(folder, name),
  };
};

/**
 * A folder as a repository: all files below it but hidden ones. Folders behind links are not entered, and no file is
 * opened that lies elsewhere.
 */
export async function openFolder(pathOrUrl: string | URL): Promise<RawRepository> {
  const path = pathOf(pathOrUrl, "The source");
  const names: string[] = [];
  const list = async (folder: string, prefix: string): Promise<void> => {
    const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
      throw ioError("read", folder, cause);
    });
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      if (entry.isDirectory()) await list(join(folder, entry.name), `${prefix}${entry.name}/`);
      else if (names.push(prefix + entry.name) > maxRepositoryFiles)
        throw tooManyFiles(`"${path}"`);
    }
  };
  await list(path, "");
  const open = async (name: string) => {
    const main = await openNeighbour(path, name);
    if (!main) throw new ArgumentError(`"${path}" has no "${name}" any more.`);
    const home = dirname(join(path, name));
    return { main, open: (it: string) => openNeighbour(home, it) };
  };
  return { names: names.sort(), path, open };
}
