// Where an output can go, besides memory and paths (resume.test.mjs, models.test.mjs).
import assert from "node:assert/strict";
import { createWriteStream } from "node:fs";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { shrink } from "modelshrink";
import { HeldBytes, InOrder } from "../../dist/files/in-order.js";
import { chainModel, wave } from "../support/onnx.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";
import { collecting, pageFile } from "../support/sinks.mjs";

const model = chainModel([
  { name: "a", size: 128 },
  { name: "b", size: 128 },
]);
let folder;
let expected;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-sinks-"));
  expected = await (await shrink(model, "int8")).bytes();
});
after(() => rm(folder, { recursive: true }));

test("a WritableStream gets all bytes in order, and is closed", async () => {
  const { stream, found, bytes } = collecting();
  const { files, report } = await shrink(model, "int8", { sink: stream });
  assert.deepEqual(files, {});
  assert.equal(found.end, "closed");
  assert.deepEqual(bytes(), expected);
  assert.equal(report.outputBytes, expected.length);
});

test("a stream that is slow makes the run wait", async () => {
  let isFull = false;
  const { stream, bytes } = collecting({
    async write() {
      assert.equal(isFull, false);
      isFull = true;
      await new Promise((resolve) => setTimeout(resolve, 2));
      isFull = false;
    },
  });
  await shrink(model, "int8", { sink: stream });
  assert.deepEqual(bytes(), expected);
});

test("a Node.js Writable is drained and ended", async () => {
  const chunks = [];
  let pending = 0;
  let most = 0;
  const sink = new Writable({
    highWaterMark: 1,
    write(chunk, _, done) {
      chunks.push(Buffer.from(chunk));
      setTimeout(done, 1);
    },
  });
  const write = sink.write.bind(sink);
  sink.write = (chunk) => {
    pending = sink.writableLength + chunk.length;
    most = Math.max(most, pending / chunk.length);
    return write(chunk);
  };
  await shrink(model, "int8", { sink });
  assert.deepEqual(new Uint8Array(Buffer.concat(chunks)), expected);
  assert.equal(sink.writableFinished, true);
  assert.ok(most <= 1, `${most} chunks were waiting`);

  const path = join(folder, "stream.onnx");
  await shrink(model, "int8", { sink: createWriteStream(path) });
  assert.deepEqual(new Uint8Array(await readFile(path)), expected);
});

test("a file: address is a path", async () => {
  for (const [name, toSink] of Object.entries({ url: (it) => it, text: (it) => it.href })) {
    const path = join(folder, `at ${name}.onnx`);
    await shrink(model, "int8", { sink: toSink(pathToFileURL(path)) });
    assert.deepEqual(new Uint8Array(await readFile(path)), expected);
  }
});

test("a FileSystemFileHandle and what it opens are written at any place", async () => {
  for (const take of [({ handle }) => handle, ({ handle }) => handle.createWritable()]) {
    const file = pageFile("old");
    await shrink(model, "int8", { sink: await take(file) });
    assert.equal(file.found.opened, 1);
    assert.deepEqual(file.found.content, expected);
  }
});

test("a run that fails aborts what it writes to, and an old file stays", async () => {
  const data = wave(64 * 64);
  data[4000] = NaN;
  const bad = makeSafetensors([{ name: "w", dtype: "F32", shape: [64, 64], data }]);
  const ended = { code: "argument", message: /nan|NaN/ };
  const { stream, found } = collecting();
  await assert.rejects(shrink(bad, "int8", { sink: stream }), ended);
  assert.equal(found.end.code, "argument");
  const file = pageFile("old");
  await assert.rejects(shrink(bad, "int8", { sink: file.handle }), ended);
  assert.equal(file.found.content, "old");
  assert.equal(file.found.aborted.code, "argument");
  const pass = new PassThrough();
  await assert.rejects(shrink(bad, "int8", { sink: pass }), ended);
  assert.equal(pass.destroyed, true);
  assert.equal(pass.errored.code, "argument");
});

test("a stream is aborted where the model cannot even be read", async () => {
  const { stream, found } = collecting();
  await assert.rejects(shrink(new Uint8Array(9), "int8", { sink: stream }), /9|onnx/i);
  assert.equal(found.end.name, "FormatError");
  const guard = { ort: { InferenceSession: {}, Tensor: class {} }, inputs: [], minCosine: 0.9 };
  const guarded = collecting();
  await assert.rejects(shrink(new Uint8Array(9), "int8", { sink: guarded.stream, guard }));
  assert.equal(guarded.found.end.name, "FormatError");
});

test("an abort reaches the stream", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  const { stream, found } = collecting({ write: () => controller.abort(reason) });
  const running = shrink(model, "int8", { sink: stream, signal: controller.signal });
  await assert.rejects(running, (error) => error === reason);
  assert.equal(found.end, reason);
});

test("a stream's own failure reaches the caller", async () => {
  const failure = new Error("disk torn");
  const { stream } = collecting({ write: () => Promise.reject(failure) });
  await assert.rejects(shrink(model, "int8", { sink: stream }), (error) => error === failure);
  const writable = new Writable({ write: (_, __, done) => done(failure) });
  await assert.rejects(shrink(model, "int8", { sink: writable }), (error) => error === failure);
  const closing = new Writable({
    write(_, __, done) {
      done();
      this.destroy();
    },
  });
  await assert.rejects(shrink(model, "int8", { sink: closing }), { message: /closed before all/ });
});

test("a Node.js stream that fails before it is written is the caller's error, and ends no process", async () => {
  const sink = createWriteStream(join(folder, "none", "model.onnx"));
  await assert.rejects(shrink(model, "int8", { sink }), { code: "ENOENT" });
});

/** Half a million weights in files whose codes come long before they can be written. */
const manyLayers = (count, size) =>
  makeSafetensors(
    Array.from({ length: count }, (_, i) => ({
      name: `l${i}.weight`,
      dtype: "F32",
      shape: [size, size],
      data: wave(size * size, i + 1),
    })),
  );

test("with workers the bytes and the report are the same", async () => {
  const large = manyLayers(12, 700);
  const whole = await shrink(large, "int8", { workers: 3 });
  const { stream, bytes } = collecting();
  const { report } = await shrink(large, "int8", { sink: stream, workers: 3 });
  assert.deepEqual(bytes(), await whole.bytes());
  assert.deepEqual(report, whole.report);
});

test("more than is held back is computed again", async () => {
  // Scales come first in the file: all codes, 19 MB, come before their turn.
  const large = manyLayers(6, 1800);
  const whole = await shrink(large, "int8");
  for (const workers of [0, 2]) {
    const { stream, bytes } = collecting();
    const { report } = await shrink(large, "int8", { sink: stream, workers });
    assert.ok(Buffer.compare(bytes(), await whole.bytes()) === 0);
    assert.deepEqual(report, whole.report);
  }
});

test("pieces that come early are held back as far as there is room, others are wanted again", async () => {
  const written = [];
  const file = { append: async (bytes) => void written.push(...bytes) };
  const held = new HeldBytes(4);
  const inOrder = new InOrder(file, held);
  const piece = (...bytes) => Uint8Array.from(bytes);
  await inOrder.write(1, 4, piece(4, 5, 6));
  assert.equal(inOrder.write(1, 7, piece(7, 8)), "ignored");
  assert.equal(inOrder.write(2, 9, piece(9, 10)), "ignored");
  assert.equal(inOrder.wanted(), undefined);
  await inOrder.write(0, 0, piece(0, 1, 2, 3));
  assert.deepEqual(written, [0, 1, 2, 3, 4, 5, 6]);
  assert.equal(inOrder.wanted(), 1);
  assert.equal(inOrder.wanted(), undefined);
  assert.equal(inOrder.write(1, 4, piece(4, 5, 6)), "ignored");
  await inOrder.write(1, 7, piece(7, 8));
  assert.equal(inOrder.wanted(), 2);
  assert.ok(held.take(4), "what was held back is free again");
  await inOrder.write(2, 9, piece(9, 10));
  assert.equal(written.length, 11);
});

test("an output of several files takes a stream for each", async () => {
  const bytes = wave(64 * 64);
  const shard = (name) => makeSafetensors([{ name, dtype: "F32", shape: [64, 64], data: bytes }]);
  const index = { weight_map: { a: "1.safetensors", b: "2.safetensors" } };
  const source = {
    "m.safetensors.index.json": new TextEncoder().encode(JSON.stringify(index)),
    "1.safetensors": shard("a"),
    "2.safetensors": shard("b"),
  };
  const whole = await shrink(source, "int8");
  const found = {};
  const sink = (name) => (found[name] = collecting()).stream;
  await shrink(source, "int8", { sink });
  assert.deepEqual(Object.keys(found), Object.keys(whole.files));
  for (const [name, blob] of Object.entries(whole.files)) {
    assert.deepEqual(found[name].bytes(), new Uint8Array(await blob.arrayBuffer()), name);
  }
  const one = collecting();
  await assert.rejects(shrink(source, "int8", { sink: one.stream }), /several files .* function/);
  assert.equal(one.found.end.code, "argument");
});

test("what nothing can be written to is refused before anything is read", async () => {
  const source = {
    size: 9,
    read: () => assert.fail("the source was read"),
  };
  const locked = collecting().stream;
  locked.getWriter();
  const ended = new PassThrough().end();
  for (const [sink, pattern] of [
    [
      7,
      /sink is 7; it may be a path or file: address \(Node\.js\), a FileSystemFileHandle, .*Wrap/,
    ],
    [{ write: () => undefined }, /WritableStream/],
    [new Uint8Array(4), /sink is Uint8Array/],
    [locked, /locked/],
    [ended, /has ended/],
    [new URL("https://example.com/x.onnx"), /only addresses of files/],
    ["https://example.com/x.onnx", /only addresses of files/],
  ]) {
    await assert.rejects(shrink(source, "int8", { sink }), { code: "argument", message: pattern });
  }
  const { stream } = collecting();
  await assert.rejects(
    shrink(source, "int8", { sink: stream, resume: true }),
    /resume needs a path/,
  );
  await assert.rejects(shrink(model, "int8", { sink: () => "x.onnx" }), {
    code: "argument",
    message: /sink\("model\.onnx"\) gave "x\.onnx"; it must give a FileSystemFileHandle/,
  });
  await assert.rejects(stat("x.onnx"));
});
