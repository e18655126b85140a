/**
 * The run's own files: outputs under their temporary names, journals and locks. Their names can be guessed, so whoever
 * made the folder may have put anything there: nothing but a regular file of this name is ever opened, and links are
 * followed nowhere.
 */
import type { BigIntStats } from "node:fs";
import { type FileHandle, lstat, open, rename, rm } from "node:fs/promises";
import { IntegrityError, ModelShrinkError } from "../../base/errors.js";
import { isMissing } from "./io-error.js";
import { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } from "./open-flags.js";
import { readFully } from "./read-fully.js";

/** Gives the description of what is at `path`, a link itself where it is one; undefined where nothing is. */
async function entryAt(path: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function kindOf(entry: BigIntStats): string {
  if (entry.isSymbolicLink()) return "it is a link";
  return entry.isDirectory() ? "it is a folder" : "it is not a regular file";
}

/** Gives the entry at `path` where it is a regular file; throws where it is anything else. */
async function ownEntry(path: string): Promise<BigIntStats | undefined> {
  const entry = await entryAt(path);
  if (!entry || entry.isFile()) return entry;
  throw new ModelShrinkError(
    `"${path}" is in the way of a file of this run, and ${kindOf(entry)}: delete it.`,
    "io",
  );
}

/** Opens a regular file that is there; throws where it has become another one since `entry`. */
async function openAsFound(path: string, entry: BigIntStats, flags: number): Promise<FileHandle> {
  const handle = await open(path, flags | O_NOFOLLOW | O_NONBLOCK);
  const opened = await handle.stat({ bigint: true });
  // A second name of the file would let this run write somewhere else.
  if (opened.ino === entry.ino && opened.dev === entry.dev && opened.nlink === 1n) return handle;
  await handle.close();
  throw notOwn(path);
}

/** Makes a file that was not there; fails where one is. */
export function makeNew(path: string, mode = 0o600): Promise<FileHandle> {
  return open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
}

const notOwn = (path: string) =>
  new IntegrityError(`"${path}" is no file of an earlier run: move it, or name another output.`);

/**
 * Makes an empty file for reading and writing in the place of what an earlier run has left: a file without bytes, or,
 * where `isLeft`, any regular one. Throws where another file is.
 */
export async function makeOwn(path: string, isLeft: boolean, mode?: number): Promise<FileHandle> {
  const entry = await ownEntry(path);
  if (entry && !isLeft && entry.size > 0n) throw notOwn(path);
  if (entry) await rm(path);
  return makeNew(path, mode);
}

/**
 * Tells whether an earlier run has left the file, which then begins with `text` or ends within it. Throws where another
 * file is.
 */
export async function isLeft(path: string, text: string): Promise<boolean> {
  const entry = await ownEntry(path);
  if (!entry) return false;
  const handle = await openAsFound(path, entry, O_RDONLY);
  try {
    const length = Math.min(Number(entry.size), text.length);
    const found = Buffer.from(await readFully(handle, 0, length)).toString("latin1");
    if (text.startsWith(found)) return true;
  } finally {
    await handle.close();
  }
  throw notOwn(path);
}

/** Opens what an earlier run has left, for reading and writing; undefined where there is nothing, or more than `maxBytes`. */
export async function reopenOwn(path: string, maxBytes: number): Promise<FileHandle | undefined> {
  const entry = await ownEntry(path);
  if (!entry || entry.size > BigInt(maxBytes)) return undefined;
  return openAsFound(path, entry, O_RDWR);
}

/** Reads what an earlier run has left; undefined where there is nothing, or more than `maxBytes`. */
export async function readOwn(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  const entry = await ownEntry(path);
  if (!entry || entry.size > BigInt(maxBytes)) return undefined;
  const handle = await openAsFound(path, entry, O_RDONLY);
  try {
    return await readFully(handle, 0, Number(entry.size));
  } finally {
    await handle.close();
  }
}

/** Removes a regular file that a run has made, if it is there. */
export async function removeOwn(path: string): Promise<void> {
  const entry = await entryAt(path);
  if (entry?.isFile()) await rm(path, { force: true });
}

/** Removes a regular file without bytes, if it is there. */
export async function removeEmptyFile(path: string): Promise<void> {
  const entry = await entryAt(path);
  if (entry?.isFile() && entry.size === 0n) await rm(path, { force: true });
}

/**
 * Throws unless the path of an output is free or a regular file's: a rename would replace a link or a device, or fail
 * on a folder after all the work.
 */
export async function checkReplaceable(path: string): Promise<void> {
  const entry = await entryAt(path);
  if (!entry || entry.isFile()) return;
  throw new ModelShrinkError(`Cannot write "${path}": ${kindOf(entry)}.`, "io");
}

/** Gives a file its final name. */
export async function renameOwn(from: string, to: string): Promise<void> {
  await checkReplaceable(to);
  await rename(from, to);
}

/** Gives a finished file its temporary name again, where nothing has that. */
export async function takeBack(path: string, part: string): Promise<void> {
  const isFinished = (await entryAt(path))?.isFile() === true;
  if (isFinished && !(await entryAt(part))) await rename(path, part);
}
