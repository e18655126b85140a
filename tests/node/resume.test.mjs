import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { shrink } from "modelshrink";
import { makeGguf, tinyLlama } from "../support/gguf.mjs";
import { formatsOfMany, manyTensors } from "../support/many-tensors.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

const script = fileURLToPath(new URL("./interrupted.mjs", import.meta.url));
let folder;
let source;
let output;
let expected;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-resume-"));
  source = join(folder, "in.gguf");
  await writeFile(source, makeGguf(tinyLlama({ layers: 1 })));
  const { report, bytes } = await shrink(source, "Q8_0");
  expected = { report, bytes: Buffer.from(await bytes()) };
});
beforeEach(async () => {
  await rm(join(folder, "out"), { recursive: true, force: true });
  await mkdir(join(folder, "out"));
  output = join(folder, "out", "small.gguf");
});
after(() => rm(folder, { recursive: true }));

/** Whether a run ended before it came to write number `last`, in which it is killed. */
async function runUntil(last) {
  const all = { source, recipe: "Q8_0", sink: output };
  const child = spawn(process.execPath, [script, JSON.stringify(all), String(last)], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [code, signal] = await once(child, "close");
  if (signal !== null) assert.equal(signal, "SIGKILL");
  else assert.equal(code, 0);
  return signal === null;
}

test("a run killed at any write is resumed to the same bytes and report", async () => {
  // How many writes the journal takes depends on how fast the disk is, so the loop ends at the first run that ends.
  let last = 1;
  for (; !(await runUntil(last)); last++) {
    const names = await readdir(join(folder, "out"));
    assert.ok(!names.includes("small.gguf"), `write ${last}`);
    const { report } = await shrink(source, "Q8_0", { sink: output, resume: true });
    assert.equal(Buffer.compare(await readFile(output), expected.bytes), 0, `write ${last}`);
    assert.deepEqual({ ...report, files: expected.report.files }, expected.report);
    assert.deepEqual(await readdir(join(folder, "out")), ["small.gguf"]);
    await rm(output);
  }
  assert.ok(last > 20, String(last));
});

/** Of uint8 weights TensorFlow.js keeps the scales as numbers in its JSON. */
const runsOfMany = [...formatsOfMany.map((it) => [it, "float16"]), ["tfjs", "uint8"]];
for (const [format, weights] of runsOfMany) {
  test(`${format} in ${weights}: a run of 2,000 small tensors goes on in the middle, to the same bytes, report and progress`, async () => {
    const { files, main } = manyTensors(format, 2000);
    for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
    const recipe = { rules: [{ match: "*", weights }] };
    const model = join(folder, main);
    const whole = await shrink(model, recipe);
    const finished = [];
    const controller = new AbortController();
    const onProgress = ({ phase, done, total, tensor }) => {
      if (phase !== "write" || tensor === undefined) return;
      finished.push(tensor);
      if (done > total / 3) controller.abort();
    };
    const sink = join(folder, "out", main);
    const options = { sink, resume: true, onProgress };
    const run = () => shrink(model, recipe, { ...options, signal: controller.signal });
    await assert.rejects(run(), { name: "AbortError" });
    assert.ok(finished.length > 0 && finished.length < 2000, String(finished.length));
    finished.length = 0;
    const { report } = await shrink(model, recipe, options);
    assert.deepEqual({ ...report, files: whole.report.files }, whole.report);
    const changed = report.tensors.filter(({ sqnr }) => sqnr !== undefined);
    assert.deepEqual(finished.sort(), changed.map(({ name }) => name).sort());
    assert.ok(changed.length > 1000);
    for (const [name, blob] of Object.entries(whole.files)) {
      const written = await readFile(join(folder, "out", name));
      assert.ok(written.equals(Buffer.from(await blob.arrayBuffer())), name);
    }
  });
}

test("what was done is not done again", async () => {
  const handle = await open(source);
  const prototype = Object.getPrototypeOf(handle);
  await handle.close();
  const { write } = prototype;
  let written = 0;
  prototype.write = function (...args) {
    written += args[2];
    return write.apply(this, args);
  };
  try {
    assert.equal(await runUntil(20), false);
    await shrink(source, "Q8_0", { sink: output, resume: true });
    assert.ok(written > 0 && written < expected.bytes.length / 2, String(written));
    written = 0;
    await shrink(source, "Q8_0", { sink: output, resume: true });
    assert.equal(written, expected.bytes.length);
  } finally {
    prototype.write = write;
  }
});

test("a run without resume starts anew after one that was killed", async () => {
  assert.equal(await runUntil(12), false);
  await shrink(source, "Q4_0", { sink: output });
  const fresh = await (await shrink(source, "Q4_0")).bytes();
  assert.equal(Buffer.compare(await readFile(output), Buffer.from(fresh)), 0);
  assert.deepEqual(await readdir(join(folder, "out")), ["small.gguf"]);
});

test("another model or another recipe is refused", async () => {
  assert.equal(await runUntil(12), false);
  const resumed = (recipe) => shrink(source, recipe, { sink: output, resume: true });
  await assert.rejects(resumed("Q4_0"), { code: "argument", message: /recipe/ });
  const model = await readFile(source);
  const changed = Buffer.from(model);
  changed[changed.length - 100] ^= 1;
  await writeFile(source, changed);
  // Setting the time back does not hide it.
  await utimes(source, 1, 1);
  await assert.rejects(resumed("Q8_0"), { code: "argument", message: /the model changed/ });
  await writeFile(source, model);
});

test("a source without a path is known by its content", async () => {
  const model = await readFile(source);
  const other = Buffer.from(model);
  other[other.length - 100] ^= 1;
  const options = { sink: output, resume: true };
  const kinds = [
    (bytes) => bytes,
    (bytes) => new Blob([bytes]),
    (bytes) => new File([bytes], "in.gguf", { lastModified: 1 }),
  ];
  for (const sourceOf of kinds) {
    const controller = new AbortController();
    const onProgress = ({ phase, done }) => {
      if (phase === "write" && done > 50_000) controller.abort();
    };
    const { signal } = controller;
    const run = shrink(sourceOf(model), "Q8_0", { ...options, signal, onProgress });
    await assert.rejects(run, { name: "AbortError" });
    const changed = shrink(sourceOf(other), "Q8_0", options);
    await assert.rejects(changed, { message: /the model changed/ });
    await shrink(sourceOf(model), "Q8_0", options);
    assert.equal(Buffer.compare(await readFile(output), expected.bytes), 0);
  }
});

test("an aborted run leaves nothing, unless it is to be resumed", async () => {
  for (const resume of [false, true]) {
    const controller = new AbortController();
    const onProgress = ({ phase }) => phase === "write" && controller.abort();
    const { signal } = controller;
    const run = shrink(source, "Q8_0", { sink: output, resume, signal, onProgress });
    await assert.rejects(run, { name: "AbortError" });
    const left = await readdir(join(folder, "out"));
    assert.deepEqual(left, resume ? [".small.gguf.journal", ".small.gguf.part"] : []);
  }
});

test("two runs to one file: the second is refused, through a link too", async () => {
  const link = join(folder, "link");
  await rm(link, { force: true });
  await symlink(join(folder, "out"), link);
  for (const other of [output, join(link, "small.gguf")]) {
    const runs = [output, other].map((sink) => shrink(source, "Q8_0", { sink }));
    const results = await Promise.allSettled(runs);
    const statuses = results.map(({ status }) => status);
    assert.deepEqual(statuses.sort(), ["fulfilled", "rejected"]);
    const { reason } = results.find(({ status }) => status === "rejected");
    assert.match(reason.message, /is writing it/);
    assert.equal(Buffer.compare(await readFile(output), expected.bytes), 0);
    assert.deepEqual(await readdir(join(folder, "out")), ["small.gguf"]);
  }
});

test("a lock holds while its process runs", async (t) => {
  const lockOf = (time, pid) => join(folder, "out", `.small.gguf.${time}-${pid}.lock`);
  const now = process.hrtime.bigint();
  const child = spawn(process.execPath, ["-e", "setInterval(() => 0, 1000)"]);
  t.after(() => child.kill());
  const held = lockOf(now, child.pid);
  await writeFile(held, "");
  await assert.rejects(shrink(source, "Q8_0", { sink: output }), (error) => {
    assert.ok(error.message.includes(`process ${child.pid}`) && error.message.includes(held));
    return true;
  });
  assert.deepEqual(await readdir(join(folder, "out")), [basename(held)]);
  child.kill();
  await once(child, "close");
  // An earlier process had this one's number.
  await writeFile(lockOf(1, process.pid), "");
  await shrink(source, "Q8_0", { sink: output });
  assert.deepEqual(await readdir(join(folder, "out")), ["small.gguf"]);
});

test("what the disk reports only once fails the run", async () => {
  const handle = await open(source);
  const prototype = Object.getPrototypeOf(handle);
  await handle.close();
  const { datasync } = prototype;
  prototype.datasync = () =>
    Promise.reject(Object.assign(new Error("EIO: i/o error"), { code: "EIO" }));
  try {
    const shape = [4096, 4608];
    const data = new Uint8Array(4 * shape[0] * shape[1]);
    const large = makeSafetensors([{ name: "w", dtype: "F32", shape, data }]);
    await assert.rejects(shrink(large, "fp16", { sink: join(folder, "out", "w.safetensors") }), {
      code: "io",
    });
    assert.deepEqual(await readdir(join(folder, "out")), []);
  } finally {
    prototype.datasync = datasync;
  }
});

test("resume needs a path", async () => {
  await assert.rejects(shrink(source, "Q8_0", { resume: true }), /needs a path/);
});
