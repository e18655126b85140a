/** The names of the run's own files, which lie hidden beside the outputs. */
import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";

/** The longest name in UTF-16 units, of at most three bytes each: a file name may have 255 bytes. */
const maxNameLength = 56;

/** Gives the path of a hidden neighbour of a file. */
export function hidden(path: string, suffix: string): string {
  const name = basename(path);
  const short =
    name.length <= maxNameLength
      ? name
      : `${name.slice(0, maxNameLength)}-${createHash("sha256").update(name).digest("hex").slice(0, 8)}`;
  return join(dirname(path), `.${short}.${suffix}`);
}

/** The last parts of all hidden names. */
export const suffixes = {
  part: "part",
  journal: "journal",
  nextJournal: "journal.new",
  lock: (time: bigint, pid: number) => `${time}-${pid}.lock`,
} as const;

const ownName = /^\..*\.(part|journal|journal\.new|\d+-\d+\.lock)$/i;

/** Tells whether a run may give this name to a file of its own. */
export const isOwnName = (name: string): boolean => ownName.test(name);
