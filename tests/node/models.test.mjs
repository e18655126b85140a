import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import {
  ArgumentError,
  compare,
  FormatError,
  inspect,
  IntegrityError,
  ModelShrinkError,
  OutOfMemoryError,
  plan,
  presets,
  shrink,
} from "modelshrink";
import { CheckedSink } from "../../dist/files/target.js";
import { setDiskFault } from "./disk-faults.mjs";
import { chainModel, wave } from "../support/onnx.mjs";

const model = chainModel([
  { name: "first", size: 64 },
  { name: "second", size: 64 },
]);
const large = chainModel(Array.from({ length: 8 }, (_, i) => ({ name: `w${i}`, size: 512 })));
let folder;
let output;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-models-"));
  output = join(folder, "small.onnx");
});

after(() => rm(folder, { recursive: true }));

afterEach(async () => {
  setDiskFault(undefined);
  for (const name of await readdir(folder)) await rm(join(folder, name));
});

const weightsOf = (report) => report.tensors.filter(({ from, to }) => from !== to);

test("inspect() lists every tensor", async () => {
  const info = await inspect(model);
  assert.equal(info.format, "onnx");
  assert.equal(info.inputBytes, model.length);
  assert.deepEqual(
    info.tensors.map(({ name, shape, type }) => ({ name, shape, type })),
    ["first", "second"].flatMap((name) => [
      { name, shape: [64, 64], type: "float32" },
      { name: `${name}.bias`, shape: [64], type: "float32" },
    ]),
  );
  assert.deepEqual(structuredClone(info), info);
});

test("plan() promises what shrink() writes, for every preset", async () => {
  for (const [recipe, { recipe: words }] of Object.entries(presets)) {
    // Only weights tell whether one scale fits all rows of a tensor.
    const survey = words.target !== undefined;
    const planned = await plan(model, recipe, { survey });
    const { outputBytes: most } = survey ? await plan(model, recipe) : planned;
    assert.ok(planned.outputBytes <= most, recipe);
    const { report, bytes } = await shrink(model, recipe);
    const written = await bytes();
    assert.equal(written.length, planned.outputBytes, recipe);
    assert.equal(report.outputBytes, planned.outputBytes, recipe);
    assert.equal(planned.inputBytes, model.length);
    assert.ok(written.length <= model.length, recipe);
    const outline = ({ name, from, to, outputBytes }) => ({ name, from, to, outputBytes });
    assert.deepEqual(report.tensors.map(outline), planned.tensors.map(outline), recipe);
  }
});

test("int8 is about a quarter, with its errors reported", async () => {
  const { report, files, bytes } = await shrink(model, "int8");
  assert.ok(report.outputBytes < model.length * 0.35, String(report.outputBytes));
  assert.deepEqual(
    weightsOf(report).map(({ name }) => name),
    ["first", "second"],
  );
  for (const { sqnr, maxAbsError, cosine } of weightsOf(report)) {
    assert.ok(sqnr > 35 && sqnr < 60);
    assert.ok(maxAbsError > 0 && maxAbsError < 0.01);
    assert.ok(cosine > 0.999);
  }
  assert.deepEqual(Object.keys(files), ["model.onnx"]);
  assert.equal(files["model.onnx"].size, report.outputBytes);
  assert.deepEqual(new Uint8Array(await files["model.onnx"].arrayBuffer()), await bytes());
  assert.deepEqual(structuredClone(report), report);
});

test("rules choose by name", async () => {
  const rules = [{ match: "sec*", keep: true }];
  const { tensors } = await plan(model, { weights: "float16", rules });
  assert.deepEqual(
    tensors.map(({ to }) => to),
    ["float16", "float32", "float32", "float32"],
  );
});

test("the same model and recipe give the same bytes, also when runs overlap", async () => {
  const runs = await Promise.all([1, 2, 3].map(() => shrink(large, "int8")));
  const [first, ...others] = await Promise.all(runs.map(({ bytes }) => bytes()));
  for (const other of others) assert.ok(Buffer.from(first).equals(other));
});

test("progress never goes back and arrives", async () => {
  const seen = [];
  await shrink(large, "int8", { onProgress: (progress) => seen.push(progress) });
  const { outputBytes } = await plan(large, "int8");
  for (const [phase, total] of [
    ["read", large.length],
    ["write", outputBytes],
  ]) {
    const dones = seen.filter((it) => it.phase === phase);
    assert.ok(dones.length > 1, phase);
    assert.ok(dones.every((it) => it.total === total));
    assert.ok(dones.every(({ done }, i) => i === 0 || done >= dones[i - 1].done));
    assert.equal(dones.at(-1).done, total);
  }
  const named = new Set(seen.map(({ tensor }) => tensor).filter(Boolean));
  for (let i = 0; i < 8; i++) assert.ok(named.has(`w${i}`));
});

test("an abort rejects with the signal's reason, before, during and from another task", async () => {
  await assert.rejects(shrink(model, "int8", { signal: AbortSignal.abort() }), {
    name: "AbortError",
  });
  const during = new AbortController();
  const onProgress = ({ phase }) => {
    if (phase === "write") during.abort();
  };
  const aborted = shrink(large, "int8", { sink: output, signal: during.signal, onProgress });
  await assert.rejects(aborted, { name: "AbortError" });
  assert.deepEqual(await readdir(folder), []);
  const reason = new Error("changed my mind");
  const task = new AbortController();
  // Only a run that yields to the event loop sees this in time.
  setTimeout(() => task.abort(reason), 5);
  const huge = chainModel(Array.from({ length: 12 }, (_, i) => ({ name: `w${i}`, size: 1024 })));
  await assert.rejects(shrink(huge, "int8", { signal: task.signal }), (error) => error === reason);
});

test("a file appears whole, under its name only", async () => {
  await writeFile(output, "the old file");
  const result = await shrink(model, "int8", { sink: output });
  assert.deepEqual(result.files, {});
  await assert.rejects(result.bytes(), /sink/);
  const expected = await (await shrink(model, "int8")).bytes();
  assert.ok(Buffer.from(expected).equals(await readFile(output)));
  assert.deepEqual(await readdir(folder), ["small.onnx"]);
});

test("a full disk is a clear error; the old file stays, the temporary one goes", async () => {
  await writeFile(output, "the old file");
  setDiskFault("full");
  await assert.rejects(shrink(model, "int8", { sink: output }), (error) => {
    assert.ok(error instanceof ModelShrinkError);
    assert.equal(error.code, "io");
    assert.equal(error.cause.code, "ENOSPC");
    assert.match(error.message, /small\.onnx": the disk is full/);
    return true;
  });
  assert.deepEqual(await readdir(folder), ["small.onnx"]);
  assert.equal(await readFile(output, "utf8"), "the old file");
});

test("bytes that the disk got wrong are found before the file gets its name", async () => {
  setDiskFault("flip");
  await assert.rejects(shrink(model, "int8", { sink: output }), IntegrityError);
  assert.deepEqual(await readdir(folder), []);
});

test("a killed run leaves the old file", async () => {
  await writeFile(output, "the old file");
  const input = join(folder, "large.onnx");
  await writeFile(input, large);
  const code = `import { shrink } from "modelshrink";
    const onProgress = ({ phase }) => { if (phase === "write") process.kill(process.pid, "SIGKILL"); };
    await shrink(${JSON.stringify(input)}, "int8", { sink: ${JSON.stringify(output)}, onProgress });`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    cwd: new URL("../../", import.meta.url),
  });
  const [, signal] = await once(child, "exit");
  assert.equal(signal, "SIGKILL");
  assert.equal(await readFile(output, "utf8"), "the old file");
  const others = (await readdir(folder)).filter((name) => !/^(large|small)\.onnx$/.test(name));
  const [lock, ...rest] = others;
  assert.ok(lock.endsWith(`-${child.pid}.lock`), lock);
  assert.deepEqual(rest, [".small.onnx.journal", ".small.onnx.part"]);
  // The next run without `resume` starts anew and leaves nothing of it.
  await shrink(input, "int8", { sink: output });
  const left = (await readdir(folder)).filter((name) => name.startsWith("."));
  assert.deepEqual(left, []);
});

/** A sink in memory that records what is asked of it. */
function recordingSink(fail = () => undefined) {
  const calls = [];
  const sink = { calls };
  sink.open = (size) => {
    calls.push("open");
    sink.bytes = new Uint8Array(size);
    return fail("open");
  };
  sink.write = async (offset, bytes) => {
    if (calls.at(-1) !== "write") calls.push("write");
    sink.bytes.set(bytes, offset);
    await fail("write");
  };
  sink.close = () => {
    calls.push("close");
    return fail("close");
  };
  sink.abort = (reason) => {
    calls.push("abort");
    sink.reason = reason;
  };
  return sink;
}

test("a sink of one's own gets every byte, then close", async () => {
  const sink = recordingSink();
  await shrink(model, "int8", { sink });
  assert.deepEqual(sink.calls, ["open", "write", "close"]);
  assert.deepEqual(sink.bytes, await (await shrink(model, "int8")).bytes());
});

test("a sink that fails is aborted with its own error", async () => {
  for (const moment of ["open", "write", "close"]) {
    const failure = new Error(`no ${moment}`);
    const sink = recordingSink((now) => (now === moment ? Promise.reject(failure) : undefined));
    await assert.rejects(shrink(model, "int8", { sink }), (error) => error === failure);
    assert.equal(sink.calls.at(-1), "abort");
    assert.equal(sink.reason, failure);
  }
});

test("a failed abort does not hide why the run failed", async () => {
  const failure = new Error("no write");
  const sink = recordingSink((now) => (now === "write" ? Promise.reject(failure) : undefined));
  sink.abort = () => {
    throw new Error("no abort");
  };
  await assert.rejects(shrink(model, "int8", { sink }), (error) => error === failure);
});

test("a sink may transfer what it gets: neither the source nor the output suffers", async () => {
  const source = model.slice();
  const sink = recordingSink();
  const write = sink.write;
  sink.write = (offset, bytes) =>
    write(offset, structuredClone(bytes, { transfer: [bytes.buffer] }));
  await shrink(source, "int8", { sink });
  assert.deepEqual(source, model);
  assert.deepEqual(sink.bytes, await (await shrink(model, "int8")).bytes());
});

test("only a regular file is replaced, whatever its name's length", async () => {
  const refused = { code: "io", message: /it is not a regular file/ };
  // A pipe of our own: a real device would be lost if this test ever failed.
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  await assert.rejects(shrink(model, "int8", { sink: pipe }), refused);
  assert.ok((await stat(pipe)).isFIFO());
  await rm(pipe);
  const longest = join(folder, "é".repeat(127));
  await shrink(model, "int8", { sink: longest });
  await rm(longest);
});

test("a folder takes the files by their own names; missing folders are made", async () => {
  const target = join(folder, "new", "folder") + "/";
  await shrink(model, "int8", { sink: target });
  assert.deepEqual(await readdir(target), ["model.onnx"]);
  await rm(join(folder, "new"), { recursive: true });
  await shrink(model, "int8", { sink: join(folder, "new", "x.onnx") });
  assert.deepEqual(await readdir(join(folder, "new")), ["x.onnx"]);
  await rm(join(folder, "new"), { recursive: true });
});

test("too few bytes are never committed, bytes outside the plan never written", async () => {
  const calls = [];
  const record = (name) => () => calls.push(name);
  const sink = { open: record("open"), write: record("write"), close: record("close") };
  const checked = new CheckedSink(sink, { files: [{ name: "m", sizeBytes: 10 }] });
  const piece = (offset, size) => ({ unit: 0, file: 0, offset, bytes: new Uint8Array(size) });
  await checked.open();
  await checked.write(piece(0, 9));
  await assert.rejects(checked.close(), IntegrityError);
  await assert.rejects(checked.write(piece(9, 2)), IntegrityError);
  await assert.rejects(checked.write({ ...piece(0, 1), file: 1 }), IntegrityError);
  assert.deepEqual(calls, ["open", "write"]);
});

test("an output that no memory can hold asks for a sink", async () => {
  const { Uint8Array: Original } = globalThis;
  globalThis.Uint8Array = new Proxy(Original, {
    construct(target, args) {
      if (typeof args[0] === "number" && args[0] > 2_000_000) throw new RangeError("too long");
      return Reflect.construct(target, args);
    },
  });
  try {
    await assert.rejects(shrink(large, "int8"), (error) => {
      assert.ok(error instanceof OutOfMemoryError, String(error));
      assert.match(error.message, /sink/);
      return true;
    });
  } finally {
    globalThis.Uint8Array = Original;
  }
});

test("NaN and infinite weights name their tensor; nothing is written", async () => {
  for (const bad of [NaN, Infinity, -Infinity]) {
    const values = wave(64 * 64);
    values[777] = bad;
    const broken = chainModel([{ name: "broken", size: 64, values }]);
    await assert.rejects(shrink(broken, "int8", { sink: output }), (error) => {
      assert.ok(error instanceof ArgumentError, String(error));
      assert.equal(error.tensor, "broken");
      assert.match(error.message, /broken/);
      assert.match(error.message, /777/);
      return true;
    });
    assert.deepEqual(await readdir(folder), []);
    for (const weights of ["int8", "int4", "float16"]) {
      const { report } = await shrink(broken, { weights, nonFinite: "zero" });
      assert.deepEqual(
        weightsOf(report).map(({ name, note }) => [name, note]),
        [["broken", "1 value not finite, written as 0"]],
      );
    }
  }
});

test("what is no model is a FormatError, and nothing is written", async () => {
  const text = new TextEncoder();
  for (const bytes of [
    new Uint8Array(0),
    text.encode("<!doctype html><html><body>Not found</body></html>"),
    text.encode("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 10\n"),
    wave(1000).map(() => NaN).buffer,
  ]) {
    await assert.rejects(shrink(bytes, "int8", { sink: output }), (error) => {
      assert.ok(error instanceof ModelShrinkError, String(error));
      assert.ok(error.message.length > 10);
      return true;
    });
  }
  assert.deepEqual(await readdir(folder), []);
});

test("a model cut off anywhere never gives an output", async () => {
  const small = chainModel([{ name: "w", size: 32 }]);
  let refused = 0;
  for (let length = 0; length < small.length; length += 7) {
    const cut = small.subarray(0, length);
    const error = await shrink(cut, "int8", { sink: output }).catch((failure) => failure);
    if (error instanceof ModelShrinkError) {
      refused++;
      if (error instanceof FormatError) assert.ok(error.message.length > 10);
    } else {
      // A cut between two top-level fields is a valid, if useless, protobuf message.
      assert.ok(error.report, String(error));
      await rm(output);
    }
  }
  assert.ok(refused >= Math.floor(small.length / 7) - 2, `${refused} refused`);
});

test("compare() of models measures by name", async () => {
  const { bytes, report } = await shrink(model, "int8");
  const compared = await compare(model, await bytes());
  const first = compared.tensors.find(({ name }) => name === "first");
  const reported = report.tensors.find(({ name }) => name === "first");
  assert.ok(Math.abs(first.sqnr - reported.sqnr) < 0.1, `${first.sqnr} ${reported.sqnr}`);
  const same = await compare(model, model);
  assert.ok(same.tensors.every(({ sqnr }) => sqnr === Infinity));
  const seen = [];
  await compare(large, large, { onProgress: ({ done, total }) => seen.push(done / total) });
  assert.ok(seen.every((part, i) => i === 0 || part >= seen[i - 1]));
  assert.equal(seen.at(-1), 1);
});

test("wrong options are refused before anything is opened", async () => {
  const never = {
    size: 10,
    read: () => assert.fail("was read"),
  };
  for (const [call, pattern] of [
    [() => shrink(never, "int9"), /"int9"/],
    [() => plan(never, { weights: "int8", mode: "x" }), /mode is "x"/],
    [() => shrink(never, "int8", { sinks: output }), /"sinks"/],
    [() => shrink(never, "int8", { sink: 7 }), /sink is 7; it may be/],
    [() => inspect(never, { workers: 2 }), /"workers"/],
  ]) {
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof ArgumentError, String(error));
      assert.match(error.message, pattern);
      return true;
    });
  }
});

test("int8 is the recipe of those who name none", async () => {
  assert.deepEqual(await plan(model), await plan(model, "int8"));
  const { bytes } = await shrink(model);
  assert.deepEqual(await bytes(), await (await shrink(model, "int8")).bytes());
});

test("a rule that matches no weight is a warning; what the recipe keeps says why", async () => {
  const recipe = { weights: "int8", minElements: 1e9, rules: [{ match: "nowhere*", keep: true }] };
  const planned = await plan(model, recipe);
  assert.deepEqual(planned.warnings, [
    'The rule "nowhere*" matches no weight.',
    "No weight is changed (2 × fewer than 1000000000 elements). A recipe's minElements says how small " +
      "they may be.",
  ]);
  assert.ok(planned.tensors.some(({ note }) => note === "fewer than 1000000000 elements"));
  const { report } = await shrink(model, recipe);
  assert.deepEqual(report.warnings, planned.warnings);
  const kept = await plan(model, { weights: "int8", rules: [{ match: "*", keep: true }] });
  assert.deepEqual(kept.warnings, ["No weight is changed (2 × kept by a rule)."]);
  const quantized = await (await shrink(model, "int8")).bytes();
  for (const requantize of [false, true]) {
    const { warnings } = await plan(quantized, { weights: "int4", requantize });
    assert.match(warnings.join(), /is not undone: take the model as it was before/);
  }
  assert.equal((await plan(model, "int8")).warnings, undefined);
});
