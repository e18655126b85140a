/** Models in files and folders. */
import type { BigIntStats } from "node:fs";
import { open, type FileHandle, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { ArgumentError } from "../../base/errors.js";
import { mainFileInFolder, onnxFolder } from "../main-file.js";
import type { NodeFileHandle } from "../node-types.js";
import { ioError } from "./io-error.js";
import { readFully } from "./read-fully.js";
import type { OpenPath, RawFile } from "../raw.js";

/** The time of the last change of any kind cannot be set back. */
const versionOf = ({ dev, ino, mtimeNs, ctimeNs }: BigIntStats) =>
  [dev, ino, mtimeNs, ctimeNs].join("-");

async function openFile(path: string): Promise<RawFile> {
  const fail = (cause: unknown) => {
    throw ioError("read", path, cause);
  };
  // The kind is asked for before opening: opening a FIFO waits for its writer.
  const it = await stat(path, { bigint: true }).catch(fail);
  if (!it.isFile()) throw new ArgumentError(`Cannot read "${path}": it is not a regular file.`);
  const handle = await open(path, "r").catch(fail);
  return {
    name: basename(path),
    path,
    size: Number(it.size),
    version: versionOf(it),
    read: (offset, length) => readFully(handle, offset, length).catch(fail),
    close: () => handle.close(),
  };
}

/** A file that the user has opened, and closes. */
export async function openNodeHandle(given: NodeFileHandle): Promise<RawFile> {
  const handle = given as FileHandle;
  const fail = (cause: unknown) => {
    throw ioError("read", `file descriptor ${handle.fd}`, cause);
  };
  const it = await handle.stat({ bigint: true }).catch(fail);
  if (!it.isFile()) throw new ArgumentError("The FileHandle is not of a regular file.");
  return {
    size: Number(it.size),
    version: versionOf(it),
    read: (offset, length) => readFully(handle, offset, length).catch(fail),
  };
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

/** Names in a model must not lead out of its folder, not even through a symbolic link. */
async function checkInside(folder: string, path: string): Promise<void> {
  const [home, target] = await Promise.all([realpath(folder), realpath(path)]);
  const isInside = (parent: string) =>
    target.startsWith(parent.endsWith(sep) ? parent : parent + sep);
  const blobs = blobsFolderOf(home);
  if (isInside(home) || (blobs !== undefined && isInside(blobs))) return;
  throw new ArgumentError(
    `Cannot read "${path}": it is a link to "${target}", outside the model's folder.`,
  );
}

async function openNeighbour(folder: string, name: string): Promise<RawFile | undefined> {
  const path = join(folder, name);
  const exists = await stat(path).then(
    () => true,
    (cause: unknown) => {
      const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
      if (code === "ENOENT" || code === "ENOTDIR") return false;
      throw ioError("read", path, cause);
    },
  );
  if (!exists) return undefined;
  await checkInside(folder, path);
  return openFile(path);
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

/** Opens a file, whose neighbours are found by their names, or a folder. */
export const openPath: OpenPath = async (pathOrUrl) => {
  const path = pathOrUrl instanceof URL ? fileURLToPath(pathOrUrl) : pathOrUrl;
  const isFolder = await stat(path).then(
    (it) => it.isDirectory(),
    () => false,
  );
  const main = isFolder ? await mainFileIn(path) : path;
  const folder = dirname(main);
  return { main: await openFile(main), open: (name) => openNeighbour(folder, name) };
};
