// Memory is bounded also in the number of tensors. The goal is 150 MB and 6 times the header for reading, and 12 times for
// shrinking (docs/benchmarks.md says where it is met); here is held what is reached.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { formatsOfMany } from "../support/many-tensors.mjs";
import { measureTensors } from "../support/tensors-in-node.mjs";

const count = 100_000;
/** The bytes of a process without a model, and the most that 100,000 tensors add, in times their header. */
const base = 150e6;
const multiples = { inspect: 7, plan: 20 };

let folder;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-tensors-"));
});
after(() => rm(folder, { recursive: true }));

for (const format of formatsOfMany) {
  test(`${format}: inspect of 100,000 tensors takes 150 MB and 7 times the header at most, plan 20 times`, async () => {
    const found = await measureTensors(format, count, folder, Object.keys(multiples));
    for (const { command, headerBytes, peakBytes } of found) {
      const most = base + multiples[command] * headerBytes;
      assert.ok(peakBytes <= most, `${command}: ${peakBytes} bytes, ${most} at most`);
    }
  });
}
