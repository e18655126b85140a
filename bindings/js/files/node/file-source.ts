/** Models in files and folders. */
import { open, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { ArgumentError } from "../../base/errors.js";
import { mainFileOf } from "../main-file.js";
import { ioError } from "./io-error.js";
import { readFully } from "./read-fully.js";
import type { RawFile, RawFileSet } from "../raw.js";

async function openFile(path: string): Promise<RawFile> {
  const fail = (cause: unknown) => {
    throw ioError("read", path, cause);
  };
  // Asked before opening: opening a FIFO waits for its writer.
  const it = await stat(path, { bigint: true }).catch(fail);
  if (!it.isFile()) throw new ArgumentError(`Cannot read "${path}": it is not a regular file.`);
  const handle = await open(path, "r").catch(fail);
  return {
    name: basename(path),
    path,
    size: Number(it.size),
    // The time of the last change of any kind cannot be set back.
    version: [it.dev, it.ino, it.mtimeNs, it.ctimeNs].join("-"),
    read: (offset, length) => readFully(handle, offset, length).catch(fail),
    close: () => handle.close(),
  };
}

/**
 * Names in a model must not lead out of its folder, not even through a symbolic link. Hugging Face's
 * cache is the exception: its folders of links, snapshots/<revision>, lead to blobs beside snapshots.
 */
async function checkInside(folder: string, path: string): Promise<void> {
  const [home, target] = await Promise.all([realpath(folder), realpath(path)]);
  const isInside = (parent: string) =>
    target.startsWith(parent.endsWith(sep) ? parent : parent + sep);
  const isCache = basename(dirname(home)) === "snapshots";
  if (isInside(home) || (isCache && isInside(join(dirname(dirname(home)), "blobs")))) return;
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

/** The main file of a folder. */
async function mainFileIn(folder: string): Promise<string> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith("."))
    .map(({ name }) => name)
    .sort();
  try {
    return join(folder, mainFileOf(names));
  } catch (error) {
    if (!(error instanceof ArgumentError)) throw error;
    throw new ArgumentError(`"${folder}": ${error.message}`);
  }
}

/** A file, whose neighbours are found by their names, or a folder. */
export async function openPath(pathOrUrl: string | URL): Promise<RawFileSet> {
  const path = pathOrUrl instanceof URL ? fileURLToPath(pathOrUrl) : pathOrUrl;
  const isFolder = await stat(path).then(
    (it) => it.isDirectory(),
    () => false,
  );
  const main = isFolder ? await mainFileIn(path) : path;
  const folder = dirname(main);
  return { main: await openFile(main), open: (name) => openNeighbour(folder, name) };
}
