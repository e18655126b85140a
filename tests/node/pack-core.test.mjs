// The module of packed files: its own functions called in any order, and what happens when it fails. Neither ends it, nor the
// module of models.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import {
  init as initModels,
  ModelShrinkError,
  OutOfMemoryError,
  quantize,
  shrink,
} from "modelshrink";
import { init, pack, unpack } from "modelshrink/pack";
import { loadCore } from "../../dist/core/load.js";
import { packCore } from "../../dist/core/packs.js";
import { chainModel, wave } from "../support/onnx.mjs";
import { bytesByName, packed } from "../support/packing.mjs";
import { trappable } from "../support/traps.mjs";

const model = chainModel([{ name: "w", size: 300 }]);
const small = Buffer.from("some bytes of which nobody knows anything ".repeat(40));
const none = new Float64Array(0);
const modules = {
  pack: await trappable("pack-simd.wasm"),
  models: await trappable("simd.wasm"),
};
let core;

before(async () => {
  await init({ wasm: modules.pack.wasm });
  await initModels({ wasm: modules.models.wasm });
  core = await loadCore(packCore);
});

function refused(result, pattern = /./) {
  assert.equal(result?.error, "ArgumentError", JSON.stringify(result));
  assert.match(result.message, pattern);
}

function accepted(result) {
  assert.equal(result.error, undefined, result.message);
  return result;
}

function feed(steps, bytes) {
  const { ptr } = accepted(steps.input(bytes.length));
  core.HEAPU8.set(bytes, ptr);
  return steps.feed(bytes.length);
}

/** Answers what steps read, until they are done; gives what they write. */
function finish(steps, source) {
  const parts = [];
  for (;;) {
    const step = accepted(steps.next());
    if (step.kind === "done") return Buffer.concat(parts);
    if (step.kind === "read")
      accepted(feed(steps, source.subarray(step.offset, step.offset + step.size)));
    if (step.kind === "write") {
      const { ptr, size } = step.bytes;
      parts.push(Buffer.from(core.HEAPU8.subarray(ptr, ptr + size)));
    }
  }
}

const file = (sizeBytes = small.length, name = "a") => ({ name, sizeBytes });
const packing = () => accepted(core.createPack([file()], none));
const unpacking = (size) => accepted(core.createUnpack(size, true, false));

test("packing answers calls in any order", () => {
  const expected = finish(packing(), small);
  const steps = packing();
  refused(steps.input(4), /no bytes were asked for/);
  refused(steps.feed(4), /no bytes were asked for/);
  const parts = [];
  let step = accepted(steps.next());
  for (; step.kind === "write"; step = accepted(steps.next())) {
    const { ptr, size } = step.bytes;
    parts.push(Buffer.from(core.HEAPU8.subarray(ptr, ptr + size)));
    refused(steps.feed(4), /no bytes were asked for/);
  }
  assert.equal(step.kind, "read");
  refused(steps.next(), /have not come/);
  for (const wrong of [0, step.size - 1, step.size + 1, -1, NaN, 2 ** 53]) {
    refused(steps.input(wrong), /size must be/);
    refused(steps.feed(wrong), /size must be/);
  }
  refused(steps.feed(step.size), /feed comes after input/);
  accepted(feed(steps, small));
  refused(steps.feed(step.size), /no bytes were asked for/);
  assert.deepEqual(Buffer.concat([...parts, finish(steps, small)]), expected);
  assert.equal(accepted(steps.next()).kind, "done");
  refused(steps.input(4), /no bytes were asked for/);
});

test("unpacking answers calls in any order, and tells its files in time", () => {
  const bytes = finish(packing(), small);
  const steps = unpacking(bytes.length);
  assert.deepEqual(steps.files(), []);
  refused(steps.feed(12), /no bytes were asked for/);
  const first = accepted(steps.next());
  assert.deepEqual(accepted(steps.next()), first, "the same is asked for until it comes");
  for (const wrong of [0, 11, 13, -1, NaN, 2 ** 53]) refused(steps.input(wrong), /size must be/);
  refused(steps.feed(12), /feed comes after input/);
  accepted(feed(steps, bytes.subarray(0, 12)));
  assert.deepEqual(steps.files(), []);
  assert.deepEqual(finish(steps, bytes), small);
  assert.deepEqual(steps.files(), [file()]);
  refused(steps.input(4), /no bytes were asked for/);
});

test("what has failed keeps saying so", () => {
  const bytes = finish(packing(), small);
  bytes[14] ^= 1;
  const steps = unpacking(bytes.length);
  accepted(steps.next());
  accepted(feed(steps, bytes.subarray(0, 12)));
  const { size } = accepted(steps.next());
  const { error, message } = feed(steps, bytes.subarray(12, 12 + size));
  assert.equal(error, "IntegrityError");
  for (let i = 0; i < 3; i++) assert.equal(steps.next().message, message);
  refused(steps.feed(4), /no bytes were asked for/);
});

test("values that make no sense are refused", () => {
  const hostile = [undefined, null, -1, 0.5, NaN, Infinity, 2 ** 60, "x", {}, [], () => 0];
  for (const wrong of hostile) {
    if (!Array.isArray(wrong)) refused(core.createPack(wrong, none), /files/);
    refused(core.createPack([file()], wrong), /extents/);
    if (wrong !== "x") refused(core.createPack([{ name: wrong, sizeBytes: 4 }], none), /name/);
    refused(core.createPack([{ name: "a", sizeBytes: wrong }], none), /sizeBytes/);
    refused(core.createPack([wrong], none));
    // A number's place takes these for 0; -1 is the size that nobody knows.
    if (wrong === null || Array.isArray(wrong) || wrong === -1) continue;
    refused(core.createUnpack(wrong, true, false), /sizeBytes/);
  }
  const one = [file(100)];
  for (const numbers of [
    [0, 4, 0],
    [0, 4, 0, 256],
    [0, 4, 0, 99],
    [0, 101, 0, 1],
    [-1, 4, 0, 1],
    [0.5, 4, 0, 1],
    [NaN, 4, 0, 1],
    [0, 2 ** 53, 0, 1],
    [2 ** 52, 2 ** 52, 0, 1],
    [0, 4, 2 ** 32, 1],
    [4, 4, 0, 1, 0, 4, 0, 1],
    [0, 8, 0, 1, 4, 4, 0, 1],
  ]) {
    refused(core.createPack(one, Float64Array.from(numbers)));
  }
  refused(core.createPack([], none));
  assert.deepEqual(
    finish(unpacking(finish(packing(), small).length), finish(packing(), small)),
    small,
  );
});

test("steps may be deleted at any time, many at once", () => {
  const bytes = finish(packing(), small);
  for (let i = 0; i < 20; i++) {
    const both = [packing(), unpacking(bytes.length)];
    for (const steps of both) {
      for (let n = 0; n < i; n++) {
        const step = steps.next();
        if (step.error !== undefined || step.kind === "done") break;
        const source = steps === both[0] ? small : bytes;
        if (step.kind === "read")
          accepted(feed(steps, source.subarray(step.offset, step.offset + step.size)));
      }
      steps.delete();
      assert.throws(() => steps.next());
    }
  }
  assert.deepEqual(finish(packing(), small), bytes);
});

test("init tells what was loaded, and refuses wrong options", async () => {
  assert.deepEqual(await init(), { simd: true });
  await assert.rejects(init({ wasm: 7 }), { code: "argument" });
  await assert.rejects(init({ other: 7 }), { code: "argument", message: /other/ });
});

/** Does work during which the next call into `which` module traps, when it first tells of progress. */
async function trapped(which, work) {
  let isDone = false;
  const onProgress = ({ done }) => {
    if (isDone || done === 0) return;
    isDone = true;
    modules[which].trapNext("memory access out of bounds");
  };
  await assert.rejects(work({ onProgress }), { code: "internal" });
  assert.ok(isDone);
}

test("a trap rejects what was under way; the next call finds a new module", async () => {
  const expected = await packed({ "m.onnx": model });
  await trapped("pack", (options) => pack({ "m.onnx": model }, options));
  assert.deepEqual(await packed({ "m.onnx": model }), expected);
  await trapped("pack", (options) => unpack(expected, options));
  assert.deepEqual(await (await unpack(expected)).bytes(), model);
  modules.pack.trapNext("Aborted(OOM)");
  await assert.rejects(unpack(expected), OutOfMemoryError);
  assert.deepEqual(await (await unpack(expected)).bytes(), model);
});

test("a trap of one module does not end what runs in the other", async () => {
  const expected = await (await shrink(model, "int8")).bytes();
  const codes = quantize(wave(100), { type: "int8" });
  const file = await packed({ "m.onnx": model });
  let isDone = false;
  const shrunk = await shrink(model, "int8", {
    workers: 0,
    async onProgress({ phase }) {
      if (phase !== "write" || isDone) return;
      isDone = true;
      modules.pack.trapNext("unreachable");
      await assert.rejects(unpack(file), ModelShrinkError);
    },
  });
  assert.deepEqual(await shrunk.bytes(), expected);
  assert.deepEqual(quantize(wave(100), { type: "int8" }), codes);
  isDone = false;
  const unpacked = await unpack(file, {
    onProgress() {
      if (isDone) return;
      isDone = true;
      modules.models.trapNext("unreachable");
      assert.throws(() => quantize(wave(10), { type: "int8" }), { code: "internal" });
    },
  });
  assert.ok(isDone);
  assert.deepEqual(await bytesByName(unpacked.files), { "m.onnx": Buffer.from(model) });
  assert.deepEqual(quantize(wave(100), { type: "int8" }), codes);
});

test("a trap while a model is read fails the packing, and the next one works", async () => {
  const expected = await packed({ "m.onnx": model });
  modules.models.trapNext("unreachable");
  await assert.rejects(pack({ "m.onnx": model }), { code: "internal" });
  assert.deepEqual(await packed({ "m.onnx": model }), expected);
});

test("work that another's trap cut off says so", async () => {
  const file = await packed({ "m.onnx": model });
  let other;
  const onProgress = ({ done }) => {
    if (other || done === 0) return;
    modules.pack.trapNext("unreachable");
    other = assert.rejects(unpack(file), ModelShrinkError);
  };
  const first = pack({ "m.onnx": model }, { onProgress });
  await assert.rejects(first, ({ message }) => /restarted after a failure|stopped/.test(message));
  await other;
  assert.deepEqual(await (await unpack(file)).bytes(), model);
});
