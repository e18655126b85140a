// What tests/hash prints, and the hashes that are stored of it.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { buildFolder } from "./cmake.mjs";
import { root } from "./run.mjs";

/** Where a preset's program is; Node.js runs that of a WASM preset, with ".cjs" behind it. */
export const hashProgram = (preset) => join(buildFolder(preset), "tests/hash/modelshrink_hash");

/** A line "KERNEL HASH" for each kernel. */
export const storedHashes = join(root, "tests/hash/hashes.txt");

/** Gives a Map of "KERNEL/INPUT" to hash for each target that the program names. */
export function hashesOf(command, ...args) {
  const output = execFileSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26 });
  const targets = new Map();
  let hashes;
  for (const line of output.trim().split("\n")) {
    const target = /^target (.+)$/.exec(line);
    if (target) targets.set(target[1], (hashes = new Map()));
    else hashes.set(...line.split(" "));
  }
  return targets;
}

/** Gives one hash for all inputs of a kernel, by the kernels' names. */
export function hashesByKernel(hashes) {
  const hashers = new Map();
  for (const [key, hash] of hashes) {
    const kernel = key.slice(0, key.indexOf("/"));
    if (!hashers.has(kernel)) hashers.set(kernel, createHash("sha256"));
    hashers.get(kernel).update(`${key} ${hash}\n`);
  }
  return new Map(
    [...hashers].map(([kernel, hasher]) => [kernel, hasher.digest("hex").slice(0, 16)]),
  );
}

export const readStoredHashes = async () =>
  new Map(
    (await readFile(storedHashes, "utf8"))
      .trim()
      .split("\n")
      .map((line) => line.split(" ")),
  );
