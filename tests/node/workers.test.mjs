import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { shrink } from "modelshrink";
import { makeGguf, tinyLlama, weights } from "../support/gguf.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

let folder;
let model;
let expected;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-workers-"));
  model = makeGguf(tinyLlama({ embedding: 512, layers: 3 }));
  expected = await shrink(model, "Q8_0");
});
after(() => rm(folder, { recursive: true }));

// The first one: a process warns once.
test("a run that fails before its workers have started does not warn of them", async (t) => {
  const warn = t.mock.method(console, "warn", () => undefined);
  const write = () => Promise.reject(new Error("full"));
  const [open, abort] = [() => undefined, () => undefined];
  const sink = { open, write, close: () => assert.fail("closed"), abort };
  await assert.rejects(shrink(model, "Q8_0", { sink, workers: 4 }), /full/);
  // Terminated workers say so later.
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(warn.mock.callCount(), 0);
});

test("workers give the same bytes and the same report of 4,000 small tensors", async () => {
  const tensors = Array.from({ length: 4000 }, (_, i) => {
    const data = Float32Array.from({ length: 1024 }, (_, k) => Math.sin(i + k));
    return { name: `layers.${i}`, dtype: "F32", shape: [32, 32], data };
  });
  const small = makeSafetensors(tensors);
  const alone = await shrink(small, "int8");
  const together = await shrink(small, "int8", { workers: 3 });
  assert.deepEqual(together.report, alone.report);
  assert.equal(alone.report.tensors.filter(({ sqnr }) => sqnr > 30).length, 4000);
  assert.ok(Buffer.from(await together.bytes()).equals(Buffer.from(await alone.bytes())));
});

test("workers give the same bytes and the same report", async () => {
  const bytes = await expected.bytes();
  assert.ok(bytes.length > 1 << 22);
  const path = join(folder, "model.gguf");
  await writeFile(path, model);
  const sources = {
    bytes: model,
    blob: new Blob([model]),
    path,
    access: { size: model.length, read: (offset, size) => model.subarray(offset, offset + size) },
  };
  for (const [kind, source] of Object.entries(sources)) {
    for (const workers of [2, 5]) {
      const result = await shrink(source, "Q8_0", { workers });
      assert.deepEqual(await result.bytes(), bytes, `${kind}, ${workers}`);
      assert.deepEqual({ ...result.report, files: expected.report.files }, expected.report);
    }
  }
});

test("a source may read into the same buffer again, later than it was asked", async () => {
  const buffer = new Uint8Array(1 << 23);
  const read = async (offset, size) => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    buffer.set(model.subarray(offset, offset + size));
    await new Promise((resolve) => setTimeout(resolve, 1));
    return buffer.subarray(0, size);
  };
  for (const workers of [0, 2]) {
    const result = await shrink({ size: model.length, read }, "Q8_0", { workers });
    const [bytes, wanted] = [await result.bytes(), await expected.bytes()];
    assert.equal(Buffer.compare(bytes, wanted), 0, `${workers} workers`);
  }
});

test("a sink hears of the end when all its writes are done", async () => {
  const failure = new Error("full");
  let writes = 0;
  let pending = 0;
  let ended;
  const sink = {
    open: () => undefined,
    async write() {
      assert.equal(ended, undefined, "a write after the end");
      if (++writes === 6) throw failure;
      pending++;
      await new Promise((resolve) => setTimeout(resolve, 30));
      pending--;
    },
    close: () => assert.fail("closed"),
    abort: () => (ended = pending),
  };
  await assert.rejects(shrink(model, "Q8_0", { sink, workers: 4 }), (error) => error === failure);
  assert.equal(ended, 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
});

test("the source's own bytes are not taken away", async () => {
  const copy = Uint8Array.from(model);
  await shrink(copy, "Q8_0", { workers: 2 });
  assert.equal(Buffer.compare(copy, model), 0);
});

test("an error in a worker is the same error, and nothing is left", async () => {
  const { keys, tensors } = tinyLlama({ embedding: 512, layers: 3 });
  const broken = tensors.map((tensor) => ({ ...tensor }));
  const data = weights(512 * 1024, "F32", 1);
  new Float32Array(data.buffer)[1000] = NaN;
  Object.assign(broken[2], { data });
  const source = makeGguf({ keys, tensors: broken });
  const failure = (options) =>
    shrink(source, "Q8_0", { sink: join(folder, "broken.gguf"), ...options }).then(
      () => assert.fail("no error"),
      ({ code, tensor, offset, message }) => ({ code, tensor, offset, message }),
    );
  const alone = await failure({});
  assert.equal(alone.tensor, "blk.0.ffn_down.weight");
  assert.deepEqual(await failure({ workers: 2 }), alone);
  assert.ok(!(await readdir(folder)).some((name) => name.includes("broken")));
});

test("a source that fails ends the run with its own error", async () => {
  let reads = 0;
  const failure = new Error("gone");
  const source = {
    size: model.length,
    read(offset, size) {
      if (offset > 100_000 && ++reads > 5) throw failure;
      return model.subarray(offset, offset + size);
    },
  };
  await assert.rejects(shrink(source, "Q8_0", { workers: 2 }), (error) => error === failure);
});

test("an abort reaches the workers", async () => {
  const controller = new AbortController();
  const onProgress = ({ phase }) => phase === "write" && controller.abort();
  const { signal } = controller;
  const sink = join(folder, "aborted.gguf");
  await assert.rejects(shrink(model, "Q8_0", { workers: 2, signal, onProgress, sink }), {
    name: "AbortError",
  });
  assert.ok(!(await readdir(folder)).some((name) => name.includes("aborted")));
});

test("a resumed run may have workers", async () => {
  const sink = join(folder, "resumed.gguf");
  const controller = new AbortController();
  const onProgress = ({ phase, done }) => phase === "write" && done > 1e6 && controller.abort();
  const { signal } = controller;
  const options = { sink, workers: 2, resume: true };
  await assert.rejects(shrink(model, "Q8_0", { ...options, signal, onProgress }), {
    name: "AbortError",
  });
  const { report } = await shrink(model, "Q8_0", options);
  assert.deepEqual(await readFile(sink), Buffer.from(await expected.bytes()));
  assert.deepEqual(report.tensors, expected.report.tensors);
});
