/** Folders as outputs, which appear whole or not at all. */
import { lstat, mkdir, readdir, rename, rm, rmdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { ArgumentError, ModelShrinkError } from "../../base/errors.js";
import { removeEmpty, syncFolder } from "./folders.js";
import { hidden, suffixes } from "./hidden.js";
import { ioError, isMissing } from "./io-error.js";
import { refuseInside } from "./meetings.js";
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

/**
 * Makes a folder under a hidden name beside `pathOrUrl`, which must be free or an empty folder, and not below `input`.
 * Rejects with an ArgumentError otherwise, and with an "io" error where another run, or one that was killed, has such a
 * folder.
 */
export async function makeFolder(pathOrUrl: string | URL, input?: string): Promise<NewFolder> {
  const path = resolve(pathOf(pathOrUrl, "sink"));
  const fail = (cause: unknown) => {
    throw cause instanceof ModelShrinkError ? cause : ioError("write", path, cause);
  };
  if (input !== undefined) await refuseInside(path, input);
  await isEmptyFolder(path).catch(fail);
  const home = dirname(path);
  const part = hidden(path, suffixes.part);
  const made = await mkdir(home, { recursive: true }).catch(fail);
  await mkdir(part).catch((cause: unknown) => {
    if (!isThere(cause)) return fail(cause);
    throw new ModelShrinkError(
      `"${part}" is in the way: another run writes it, or was killed while it did. If none does, delete it.`,
      "io",
    );
  });
  const scratch = join(part, ".source");
  return {
    path: part,
    scratch,
    async commit() {
      try {
        await rm(scratch, { recursive: true, force: true });
        if (await isEmptyFolder(path)) await rmdir(path);
        await rename(part, path);
        await syncFolder(home);
      } catch (cause) {
        fail(cause);
      }
    },
    async abort() {
      await rm(part, { recursive: true, force: true });
      if (made !== undefined) await removeEmpty(home, resolve(made));
    },
  };
}
