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
const goal = { inspect: 6, plan: 6, shrink: 12 };
/**
 * Where the goal is not met: a graph's nodes and names, and the plan's edits of them, are held whole; of TensorFlow.js a
 * busy machine collects later (12.6 times, 11 on a quiet one).
 */
const multiples = {
  ...{ safetensors: goal, gguf: goal },
  tfjs: { inspect: 6, plan: 7, shrink: 14 },
  onnx: { inspect: 7, plan: 9, shrink: 12 },
};

let folder;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-tensors-"));
});
after(() => rm(folder, { recursive: true }));

for (const format of formatsOfMany) {
  const { inspect, plan, shrink } = multiples[format];
  test(`${format}: 100,000 tensors take 150 MB and ${inspect} times the header at most for inspect, ${plan} for plan, ${shrink} for shrink`, async () => {
    const most = ({ command, headerBytes }) => base + multiples[format][command] * headerBytes;
    const isTooMuch = (it) => it.peakBytes > most(it);
    let found = await measureTensors(format, count, folder);
    // A busy machine collects garbage later: what one of three runs does without is not needed.
    for (let again = 0; again < 2 && found.some(isTooMuch); again++) {
      const commands = found.filter(isTooMuch).map(({ command }) => command);
      found = await measureTensors(format, count, folder, commands);
    }
    for (const it of found) {
      assert.ok(!isTooMuch(it), `${it.command}: ${it.peakBytes} bytes, ${most(it)} at most`);
    }
  });
}
