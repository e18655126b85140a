/** Folders as outputs, which appear whole or not at all. */
import { lstat, mkdir, readdir, rename, rm, rmdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { ArgumentError, ModelShrinkError } from "../../base/errors.js";
import { removeEmpty, syncFolder } from "./folders.js";
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

/** Makes the folder `part`, in the place of what a killed run has left. Whoever calls it holds the output's lock. */
async function makePart(part: string): Promise<void> {
  try {
    await mkdir(part);
  } catch (cause) {
    if (!isThere(cause)) throw cause;
    const entry = await lstat(part);
    const names = entry.isDirectory() ? await readdir(part) : undefined;
    const isLeft = names !== undefined && (names.length === 0 || names.includes(markName));
    if (!isLeft) {
      throw new ModelShrinkError(
        `"${part}" is in the way of this run's own folder: delete it.`,
        "io",
      );
    }
    await rm(part, { recursive: true });
    await mkdir(part);
  }
  await (await makeNew(join(part, markName))).close();
}

/**
 * Makes a folder under a hidden name beside `pathOrUrl`, which must be free or an empty folder, and not below `input`.
 * What a killed run has left there goes. Rejects with an ArgumentError otherwise, and with an "io" error where another
 * run writes the same folder, or something else is in the way.
 */
export async function makeFolder(pathOrUrl: string | URL, input?: string): Promise<NewFolder> {
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
    await makePart(part);
  } catch (cause) {
    await releaseLock(lock);
    return fail(cause);
  }
  const scratch = join(part, ".source");
  return {
    path: part,
    scratch,
    async commit() {
      try {
        await rm(scratch, { recursive: true, force: true });
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
      await rm(part, { recursive: true, force: true });
      await releaseLock(lock);
      if (made !== undefined) await removeEmpty(home, resolve(made));
    },
  };
}
