// One program, tests/hash, run natively on every SIMD target of this machine and in both WASM builds: all must
// give the same bytes.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const build = fileURLToPath(new URL("../../build", import.meta.url));
const program = (preset) => join(build, preset, "tests/hash/modelshrink_hash");

/** Lines "target NAME", each followed by lines "KERNEL/INPUT HASH". */
function hashesOf(command, ...args) {
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

test("every kernel gives the same bytes natively, in WASM SIMD and in WASM baseline", () => {
  const targets = new Map([
    ...hashesOf(program("native")),
    ...hashesOf(process.execPath, `${program("wasm-simd-package")}.cjs`),
    ...hashesOf(process.execPath, `${program("wasm-baseline-package")}.cjs`),
  ]);
  assert.ok(targets.has("WASM SIMD") && targets.has("WASM baseline"), "both WASM builds ran");
  assert.ok(targets.size >= 4, `only ${[...targets.keys()]} ran`);

  const [[firstName, first], ...others] = targets;
  const kernels = new Set([...first.keys()].map((name) => name.split("/")[0]));
  assert.ok(kernels.size >= 200, `only ${kernels.size} kernels are listed`);
  for (const [name, hashes] of others) {
    assert.deepEqual([...hashes.keys()], [...first.keys()], `${name} runs what ${firstName} runs`);
    const different = [...first].filter(([key, hash]) => hashes.get(key) !== hash);
    assert.deepEqual(
      different.map(([key]) => key),
      [],
      `${name} and ${firstName} differ`,
    );
  }
});
