// One program, tests/hash, run natively on every SIMD target of this machine and in both WASM builds: all must
// give the same bytes, and those that are stored.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hashProgram, hashesByKernel, hashesOf, readStoredHashes } from "../support/hashes.mjs";

const native = hashesOf(hashProgram("native"));

test("every kernel gives the same bytes natively, in WASM SIMD and in WASM baseline", () => {
  const targets = new Map([
    ...native,
    ...hashesOf(process.execPath, `${hashProgram("wasm-simd-package")}.cjs`),
    ...hashesOf(process.execPath, `${hashProgram("wasm-baseline-package")}.cjs`),
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

test("every kernel gives the bytes that tests/hash/hashes.txt has", async () => {
  const [hashes] = native.values();
  const now = hashesByKernel(hashes);
  const stored = await readStoredHashes();
  const changed = [...new Set([...now.keys(), ...stored.keys()])].filter(
    (kernel) => now.get(kernel) !== stored.get(kernel),
  );
  assert.deepEqual(changed, [], "if that is meant: node tests/hash/store.mjs, and CHANGELOG.md");
});
