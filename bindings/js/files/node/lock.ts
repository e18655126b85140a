/** One run at a time for an output file, in whatever process or thread. */
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { ModelShrinkError } from "../../base/errors.js";
import { hidden, suffixes } from "./hidden.js";
import { makeNew, removeEmptyFile } from "./own-file.js";

const lockName = /^(\d+)-(\d+)\.lock$/;

interface Lock {
  path: string;
  /** When it was made, in nanoseconds since the system's start. */
  time: bigint;
  pid: number;
}

function isRunning({ time, pid }: Lock): boolean {
  if (pid === process.pid) {
    // Containers number their processes anew: it may be of an earlier one.
    const now = process.hrtime.bigint();
    return time > now - BigInt(Math.floor(process.uptime() * 1e9)) && time <= now;
  }
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** The locks of other runs on `path`; those that ended processes have left are removed. A lock has no bytes. */
async function othersOn(path: string, own: Lock): Promise<Lock[]> {
  const folder = dirname(path);
  const prefix = basename(hidden(path, ""));
  const others = [];
  for (const name of await readdir(folder)) {
    const match = name.startsWith(prefix) ? lockName.exec(name.slice(prefix.length)) : undefined;
    if (!match) continue;
    const lock = { path: join(folder, name), time: BigInt(match[1]!), pid: Number(match[2]) };
    if (lock.path === own.path) continue;
    if (isRunning(lock)) others.push(lock);
    else await removeEmptyFile(lock.path);
  }
  return others;
}

const maxAttempts = 5;
const waitMilliseconds = 20;

/**
 * Gives the lock's own path, a hidden file beside `path`. Its name alone says whose it is, so that there is
 * no moment at which it says nothing. Of runs that begin together the first one stays.
 */
export async function takeLock(path: string): Promise<string> {
  const time = process.hrtime.bigint();
  const { pid } = process;
  const own = { path: hidden(path, suffixes.lock(time, pid)), time, pid };
  await (await makeNew(own.path)).close();
  try {
    for (let attempt = 1; ; attempt++) {
      const [other] = (await othersOn(path, own)).sort((a, b) => (a.time < b.time ? -1 : 1));
      if (!other) return own.path;
      if (other.time < time || attempt === maxAttempts) {
        throw new ModelShrinkError(
          `Cannot write "${path}": process ${other.pid} is writing it. ` +
            `If it is not, delete "${other.path}".`,
          "io",
        );
      }
      await setTimeout(waitMilliseconds);
    }
  } catch (error) {
    await releaseLock(own.path);
    throw error;
  }
}

/** Removes a lock by the path that takeLock() gave. */
export async function releaseLock(lock: string): Promise<void> {
  await removeEmptyFile(lock);
}
