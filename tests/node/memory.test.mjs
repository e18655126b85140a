// Memory does not grow with the model: the same bounds as scripts/large-models.mjs, on smaller files.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  checkLarge,
  maxGrowth,
  maxHeap,
  measurePacking,
  measurePruning,
} from "../support/large-in-node.mjs";

let folder;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-memory-"));
});
after(() => rm(folder, { recursive: true }));

for (const [format, recipe] of [
  ["safetensors", "int8"],
  ["gguf", "Q8_0"],
  ["onnx", "int8"],
]) {
  test(`${format}: 400 MB within 64 MiB of heap and 200 MB of process`, async () => {
    const { growth, heap } = await checkLarge({ format, recipe, folder, size: 4e8 });
    assert.ok(heap <= maxHeap, `${heap} bytes of heap`);
    assert.ok(growth <= maxGrowth, `${growth} bytes of growth`);
  });
}

test("pruning with one threshold for all, and without zeros: the same bounds", async () => {
  const prune = { method: "magnitude", sparsity: 0.5, allocation: "global" };
  const recipe = { prune, sparse: true };
  const { growth, heap, outputBytes } = await measurePruning({ recipe, folder, size: 4e8 });
  assert.ok(heap <= maxHeap, `${heap} bytes of heap`);
  assert.ok(growth <= maxGrowth, `${growth} bytes of growth`);
  assert.ok(outputBytes < 0.2 * 4e8, `${outputBytes} bytes written`);
});

test("packing and unpacking: the same bounds, and every byte comes back", async () => {
  const { packing, unpacking } = await measurePacking({ folder, size: 4e8 });
  for (const [what, { growth, heap }] of Object.entries({ packing, unpacking })) {
    assert.ok(heap <= maxHeap, `${heap} bytes of heap, ${what}`);
    assert.ok(growth <= maxGrowth, `${growth} bytes of growth, ${what}`);
  }
  assert.ok(packing.outputBytes < 0.9 * packing.inputBytes, `${packing.outputBytes} bytes`);
});
