/** The bound on what a model of few bytes may become: tensors may share the same bytes, or store almost nothing. */
import { formatBytes } from "../base/bytes.js";
import { UnsupportedError } from "../base/errors.js";
import type { OpenFile } from "../files/source.js";

/** The most output bytes for each input byte, unless `maxGrowth` says another number: 4 bits restored are 8 times. */
export const defaultGrowth = 10;

/** Outputs of fewer bytes do no harm, however small their input is. */
const harmlessBytes = 1 << 20;

/** The bytes of the files, counting once a file of the system that has several names. */
function distinctBytes(files: readonly OpenFile[]): number {
  const sizes = new Map<unknown, number>();
  for (const file of files) {
    // The version of a file with a path tells its inode.
    sizes.set((file.path !== undefined && file.version) || file, file.size);
  }
  return [...sizes.values()].reduce((all, size) => all + size, 0);
}

/** Throws an UnsupportedError where `outputBytes` are more than `maxGrowth` times the bytes of the input's files. */
export function checkGrowth(
  files: readonly OpenFile[],
  outputBytes: number,
  maxGrowth: number,
): void {
  const inputBytes = distinctBytes(files);
  const growth = outputBytes / inputBytes;
  if (outputBytes <= harmlessBytes || growth <= maxGrowth) return;
  throw new UnsupportedError(
    `The output would have ${formatBytes(outputBytes)}, ${Math.ceil(growth)} times the input's ` +
      `${formatBytes(inputBytes)}, where ${maxGrowth} times are allowed: tensors share bytes of a file, or are stored ` +
      "in very few. If that is right, allow more (maxGrowth, --max-growth).",
  );
}
