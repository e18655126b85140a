// Writes the seeds of corpus/masks: each method of masks_fuzz.cc on vectors, matrices and higher ranks.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { bytesOf } from "./random-bytes.mjs";

const folder = new URL("./corpus/masks/", import.meta.url);
const methods = ["magnitude", "smallest", "runs", "channels", "blocks", "lamp", "select"];
/** Ranks less 1, and dimensions less 1. */
const shapes = [
  [0, 8],
  [1, 7, 8],
  [2, 3, 4, 5],
  [3, 2, 1, 3, 4],
];

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
let number = 0;
for (const [method, name] of methods.entries()) {
  for (const [i, shape] of [...shapes, ...shapes].entries()) {
    // CheckBlocks()'s rows, sizes of blocks, pooling, "SAME", zeros, ties and count.
    const blocks = name === "blocks" ? [5, 2, 3, i, i % 2, i % 4, i >> 1, 2] : [];
    // 128: numbers of about 1.
    const bytes = [method, ...shape, 128, ...blocks, ...bytesOf(++number, 64)];
    await writeFile(new URL(`${name}-${i}`, folder), Buffer.from(bytes));
  }
}
