import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { compare, shrink } from "modelshrink";
import { makeGguf, tinyLlama, weights } from "../support/gguf.mjs";
import { chainModel } from "../support/onnx.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

let folder;
let model;
let expected;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-workers-"));
  model = makeGguf(tinyLlama({ embedding: 512, layers: 3 }));
  expected = await shrink(model, "Q8_0", { workers: 0 });
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
  const alone = await shrink(small, "int8", { workers: 0 });
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
    for (const workers of [undefined, 1, 2, 5]) {
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
  const alone = await failure({ workers: 0 });
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

test("nothing keeps the process alive after a run that ends early", async () => {
  const timers = () => process.getActiveResourcesInfo().filter((it) => it === "Timeout").length;
  const before = timers();
  const open = () => undefined;
  for (const milliseconds of [0, 30, 100, 200]) {
    const controller = new AbortController();
    const { signal } = controller;
    const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
    // Without an abort no write would end.
    const sink = { open, write: () => aborted, close: open, abort: open };
    const run = shrink(model, "Q8_0", { workers: 2, signal, sink });
    setTimeout(() => controller.abort(), milliseconds);
    await assert.rejects(run, { name: "AbortError" });
    assert.equal(timers(), before, `aborted after ${milliseconds} ms`);
  }
  const sink = { open, write: () => Promise.reject(new Error("full")), close: open, abort: open };
  await assert.rejects(shrink(model, "Q8_0", { workers: 2, sink }), /full/);
  assert.equal(timers(), before);
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

/** What `work` gives, and how many workers were started meanwhile. */
async function counting(work) {
  let started = 0;
  const count = () => started++;
  process.on("worker", count);
  try {
    return { result: await work(), started };
  } finally {
    process.off("worker", count);
  }
}

/** A model of so many tensors, of more than 4 MiB in float16 together. */
function sliced(count) {
  const elements = count < 100 ? 1 << 20 : 600;
  const data = new Float32Array(elements).fill(0.5);
  return makeSafetensors(
    Array.from({ length: count }, (_, i) => ({
      name: `t${i}`,
      dtype: "F32",
      shape: [2, elements / 2],
      data,
    })),
  );
}

test("by default each core but two has a worker, up to 8, but not for little work or very many tensors", async () => {
  const cores = Math.max(0, Math.min(availableParallelism() - 2, 8));
  const rules = { minElements: 1, rules: [{ match: "*", weights: "float16" }] };
  for (const [file, options, wanted] of [
    [sliced(6), {}, cores],
    [sliced(6), { workers: 0 }, 0],
    [sliced(6), { workers: 1 }, 1],
    [sliced(6), { workers: 30 }, 7],
    [sliced(5_001), {}, 0],
    [sliced(5_001), { workers: 1 }, 1],
    [makeGguf(tinyLlama({ layers: 1 })), { workers: 2 }, 0],
  ]) {
    const recipe = wanted === 0 && file.length < 1 << 20 ? "Q8_0" : rules;
    const { started } = await counting(() => shrink(file, recipe, options));
    assert.equal(started, wanted, JSON.stringify(options));
  }
});

const largeChain = () =>
  chainModel(["first", "second", "third"].map((name) => ({ name, size: 800 })));

for (const [name, work, wanted] of [
  ["compare", (workers) => compare(largeChain(), largeChain(), { workers }), 1],
  ...["global", "lamp"].map((allocation) => [
    `a survey of shares (${allocation})`,
    (workers) =>
      shrink(
        largeChain(),
        { prune: { method: "magnitude", sparsity: 0.5, allocation } },
        { workers },
      ),
    4,
  ]),
  [
    "a survey of channels",
    (workers) =>
      shrink(largeChain(), { prune: { method: "structured", sparsity: 0.25 } }, { workers }),
    4,
  ],
]) {
  test(`${name} in workers gives what this thread does`, async () => {
    const alone = await counting(() => work(0));
    const beside = await counting(() => work(3));
    assert.deepEqual([alone.started, beside.started], [0, wanted]);
    assert.deepEqual(beside.result.report ?? beside.result, alone.result.report ?? alone.result);
    if (!alone.result.bytes) return;
    const bytes = await beside.result.bytes();
    assert.equal(Buffer.compare(bytes, await alone.result.bytes()), 0);
  });
}

test("compare in a worker tells how far it is, and may be aborted", async () => {
  const file = largeChain();
  const seen = [];
  const onProgress = (it) => seen.push(it);
  await compare(file, file, { onProgress });
  const compared = seen.filter(({ phase }) => phase === "compare");
  assert.deepEqual(compared.at(-1), {
    phase: "compare",
    done: 2 * file.length,
    total: 2 * file.length,
  });
  const tensors = compared.flatMap(({ tensor }) => tensor ?? []);
  assert.ok(["first", "second", "third"].every((name) => tensors.includes(name)));
  const done = compared.map((it) => it.done);
  assert.deepEqual(
    done,
    [...done].sort((a, b) => a - b),
  );
  const controller = new AbortController();
  const abort = ({ phase }) => phase === "compare" && controller.abort();
  const { signal } = controller;
  await assert.rejects(compare(file, file, { signal, onProgress: abort }), { name: "AbortError" });
});
