/** Folders as outputs, which appear whole or not at all. */
import type { Stats } from "node:fs";
import { lstat, mkdir, readdir, rename, rm, rmdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { ArgumentError, ModelShrinkError } from "../../base/errors.js";
import { pathTarget } from "./file-target.js";
import { entriesBelow, removeEmpty, syncFolder } from "./folders.js";
import { hidden, suffixes } from "./hidden.js";
import { ioError, isMissing } from "./io-error.js";
import { releaseLock, takeLock } from "./lock.js";
import { refuseInside } from "./meetings.js";
import { makeNew } from "./own-file.js";
import { pathOf } from "./path-of.js";
import type { NewFolder } from "../sink.js";

/** Throws an ArgumentError unless nothing is at `path`, or an empty folder. Tells whether there is one. */
async function isEmptyFolder(path: string): Promise<boolean> {
  const entry = await lstat(path).catch((cause: unknown) => {
    if (isMissing(cause)) return undefined;
    throw cause;
  });
  if (!entry) return false;
  if (entry.isDirectory() && (await readdir(path)).length === 0) return true;
  const what = entry.isDirectory() ? "it is not empty" : "it is no folder";
  throw new ArgumentError(`The output "${path}" is there already, and ${what}: name another.`);
}

const isThere = (cause: unknown) =>
  cause instanceof Error && "code" in cause && cause.code === "EEXIST";

/** An empty file in a folder says that a run of this kind has made it, and has not come to its end. */
const markName = ".modelshrink-unfinished";

/**
 * Tells whether a run may write into a folder that is there: it is this user's, and has files and folders only. A link
 * would lead elsewhere.
 */
async function isPlain(folder: string, { uid }: Stats): Promise<boolean> {
  if (process.getuid && uid !== process.getuid()) return false;
  for await (const [, entry] of entriesBelow(folder)) {
    if (!entry.isFile() && !entry.isDirectory()) return false;
  }
  return true;
}

/**
 * Makes the folder `part`, in the place of what an earlier run has left, or goes on with that where `isResuming`.
 * Whoever calls it holds the output's lock.
 */
async function makePart(part: string, isResuming: boolean): Promise<void> {
  try {
    await mkdir(part);
  } catch (cause) {
    if (!isThere(cause)) throw cause;
    const entry = await lstat(part);
    const names = entry.isDirectory() ? await readdir(part) : undefined;
    const isMarked = names?.includes(markName) === true;
    const isLeft = names?.length === 0 || isMarked;
    if (!isLeft || (isResuming && !(await isPlain(part, entry)))) {
      throw new ModelShrinkError(
        `"${part}" is in the way of this run's own folder: delete it.`,
        "io",
      );
    }
    if (isResuming && isMarked) return;
    await rm(part, { recursive: true });
    await mkdir(part);
  }
  await (await makeNew(join(part, markName))).close();
}

/** Removes the files below a folder that are not of these paths, and the folders that are empty then. */
async function keepOnly(folder: string, paths: ReadonlySet<string>): Promise<void> {
  for await (const [path, entry] of entriesBelow(folder)) {
    if (entry.isDirectory()) await removeEmpty(path, path);
    else if (!paths.has(path)) await rm(path);
  }
}

/**
 * Makes a folder under a hidden name beside `pathOrUrl`, which must be free or an empty folder, and not below `input`.
 * What an earlier run has left there goes, or is gone on with where `isResuming`. Rejects with an ArgumentError otherwise, and with an "io" error where another
 * run writes the same folder, or something else is in the way.
 */
export async function makeFolder(
  pathOrUrl: string | URL,
  isResuming: boolean,
  input?: string,
): Promise<NewFolder> {
  const path = resolve(pathOf(pathOrUrl, "sink"));
  const fail = (cause: unknown): never => {
    throw cause instanceof ModelShrinkError ? cause : ioError("write", path, cause);
  };
  if (input !== undefined) await refuseInside(path, input);
  await isEmptyFolder(path).catch(fail);
  const home = dirname(path);
  const part = hidden(path, suffixes.part);
  const made = await mkdir(home, { recursive: true }).catch(fail);
  const lock = await takeLock(path).catch(fail);
  try {
    await makePart(part, isResuming);
  } catch (cause) {
    await releaseLock(lock);
    return fail(cause);
  }
  const scratchName = ".source";
  const scratch = join(part, scratchName);
  return {
    path: part,
    scratch,
    async startOver() {
      const names = await readdir(part).catch(fail);
      const left = names.filter((name) => name !== markName && name !== scratchName);
      for (const name of left) await rm(join(part, name), { recursive: true }).catch(fail);
    },
    targetIn: (folder) => pathTarget(`${part}/${folder}`, isResuming, true),
    async commit(paths) {
      try {
        await rm(scratch, { recursive: true, force: true });
        await keepOnly(part, new Set([markName, ...paths].map((it) => join(part, it))));
        if (await isEmptyFolder(path)) await rmdir(path);
        await rename(part, path);
        // Last: without it a killed run's folder would be in the way of the next one.
        await rm(join(path, markName));
        await syncFolder(home);
      } catch (cause) {
        fail(cause);
      }
      await releaseLock(lock);
    },
    async abort() {
      if (!isResuming) await rm(part, { recursive: true, force: true });
      await releaseLock(lock);
      if (made !== undefined) await removeEmpty(home, resolve(made));
    },
  };
}
