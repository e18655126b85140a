import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";

/** The longest name in UTF-16 units, of at most three bytes each: a file name may have 255 bytes. */
const maxNameLength = 56;

/** A hidden neighbour of a file. */
export function hidden(path: string, suffix: string): string {
  const name = basename(path);
  const short =
    name.length <= maxNameLength
      ? name
      : `${name.slice(0, maxNameLength)}-${createHash("sha256").update(name).digest("hex").slice(0, 8)}`;
  return join(dirname(path), `.${short}.${suffix}`);
}
