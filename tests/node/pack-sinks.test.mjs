// Where packed files and what is unpacked from them can go, and what is left when that fails.
import assert from "node:assert/strict";
import { createWriteStream } from "node:fs";
import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PassThrough, Writable } from "node:stream";
import { after, before, beforeEach, test } from "node:test";
import { pathToFileURL } from "node:url";
import { pack, unpack } from "modelshrink/pack";
import { setDiskFault } from "./disk-faults.mjs";
import { externalModel, wave } from "../support/onnx.mjs";
import { safetensorsShards } from "../support/file-sets.mjs";
import { bytesByName, packed } from "../support/packing.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";
import { collecting, pageFile } from "../support/sinks.mjs";

const count = 700 * 700;
/** Some chunks of weights, in one file. */
const large = {
  "m.safetensors": makeSafetensors([
    { name: "w", dtype: "F32", shape: [700, 700], data: wave(count) },
    { name: "v", dtype: "F32", shape: [700, 700], data: wave(count, 2) },
  ]),
};
const several = safetensorsShards();
let [largeBytes, severalBytes] = [];
let base;
let folder;

before(async () => {
  base = await mkdtemp(join(tmpdir(), "modelshrink-pack-sinks-"));
  [largeBytes, severalBytes] = [await packed(large), await packed(several)];
});
beforeEach(async () => {
  folder = await mkdtemp(join(base, "test-"));
});
after(() => rm(base, { recursive: true }));

/** The two directions, with one output file each: what is done, its input, and the right output. */
const directions = () => [
  {
    what: "pack",
    run: (options, source = large) => pack(source, options),
    input: large["m.safetensors"],
    name: "m.safetensors.mspk",
    expected: largeBytes,
  },
  {
    what: "unpack",
    run: (options, source = largeBytes) => unpack(source, options),
    input: largeBytes,
    name: "m.safetensors",
    expected: large["m.safetensors"],
  },
];

const isEqual = (a, b, message) => assert.equal(Buffer.compare(a, b), 0, message);

test("a path or file: address names the file; an existing folder takes it by its own name", async () => {
  for (const { run, name, expected } of directions()) {
    const path = join(folder, `at/path-of-${name}`);
    for (const sink of [path, pathToFileURL(path), pathToFileURL(path).href]) {
      await run({ sink });
      isEqual(await readFile(path), expected);
      assert.deepEqual(await readdir(dirname(path)), [`path-of-${name}`]);
      await rm(dirname(path), { recursive: true });
    }
    const place = join(folder, `in-${name}`);
    await mkdir(place);
    await run({ sink: place });
    await run({ sink: `${place}/new/` });
    isEqual(await readFile(join(place, name)), expected);
    isEqual(await readFile(join(place, "new", name)), expected);
    assert.deepEqual((await readdir(place)).sort(), [name, "new"].sort());
  }
});

test("a path is the folder of several files, also an existing one", async () => {
  const nested = {
    "a.txt": Buffer.from("a"),
    "b/c.txt": Buffer.from("c"),
    "b/d/e": Buffer.alloc(0),
  };
  const bytes = await packed(nested);
  for (const sink of [join(folder, "new"), join(folder, "new/"), join(folder, "other/")]) {
    await unpack(bytes, { sink });
    for (const [name, content] of Object.entries(nested)) {
      isEqual(await readFile(join(sink, name)), content);
    }
  }
  // What lies there already, and is no output, stays.
  await writeFile(join(folder, "new/own.txt"), "mine");
  await writeFile(join(folder, "new/a.txt"), "old");
  await unpack(bytes, { sink: join(folder, "new") });
  assert.deepEqual((await readdir(join(folder, "new"))).sort(), ["a.txt", "b", "own.txt"]);
  assert.equal(await readFile(join(folder, "new/a.txt"), "utf8"), "a");
});

test("a packed file has a name that says what it is", async () => {
  for (const name of ["small.onnx", "small.gguf", "small.json"]) {
    await assert.rejects(pack(large, { sink: join(folder, name) }), {
      code: "argument",
      message: /would be a packed file: its name has to end in \.mspk/,
    });
  }
  assert.deepEqual(await readdir(folder), []);
  for (const name of ["small.mspk", "small.MSPK", "small.bin", "small"]) {
    await pack(large, { sink: join(folder, name) });
  }
});

test("a WritableStream gets all bytes in order, which a Response can give on", async () => {
  for (const { run, expected } of directions()) {
    const { stream, found, bytes } = collecting();
    const { files } = await run({ sink: stream });
    assert.deepEqual(files, {});
    assert.equal(found.end, "closed");
    isEqual(bytes(), expected);

    const { readable, writable } = new TransformStream();
    const response = new Response(readable);
    const [, body] = await Promise.all([run({ sink: writable }), response.arrayBuffer()]);
    isEqual(Buffer.from(body), expected);
  }
});

test("a stream that is slow makes the work wait", async () => {
  let isFull = false;
  for (const { run, expected } of directions()) {
    const { stream, bytes } = collecting({
      async write() {
        assert.equal(isFull, false);
        isFull = true;
        await new Promise((resolve) => setTimeout(resolve, 2));
        isFull = false;
      },
    });
    await run({ sink: stream });
    isEqual(bytes(), expected);
  }
});

test("a Node.js Writable is drained and ended", async () => {
  for (const { run, name, expected } of directions()) {
    const chunks = [];
    const sink = new Writable({
      highWaterMark: 1,
      write(chunk, _, done) {
        chunks.push(Buffer.from(chunk));
        setTimeout(done, 1);
      },
    });
    await run({ sink });
    isEqual(Buffer.concat(chunks), expected);
    assert.equal(sink.writableFinished, true);
    const path = join(folder, name);
    await run({ sink: createWriteStream(path) });
    isEqual(await readFile(path), expected);
  }
});

/** A Sink of the user's own, and what it was called with, in order. */
function ownSink() {
  const found = { calls: [], size: undefined, bytes: Buffer.alloc(0), reason: undefined };
  const sink = {
    open(size) {
      found.calls.push("open");
      found.size = size;
    },
    write(offset, bytes) {
      if (found.calls.at(-1) !== "write") found.calls.push("write");
      const longer = Buffer.alloc(Math.max(found.bytes.length, offset + bytes.length));
      found.bytes.copy(longer);
      longer.set(bytes, offset);
      found.bytes = longer;
    },
    close: () => void found.calls.push("close"),
    abort(reason) {
      found.calls.push("abort");
      found.reason = reason;
    },
  };
  return { found, sink };
}

test("a Sink gets the size of what is unpacked; of what is packed only the end tells it", async () => {
  for (const { what, run, expected } of directions()) {
    const { sink, found } = ownSink();
    await run({ sink });
    assert.deepEqual(found.calls, ["open", "write", "close"]);
    assert.equal(found.size, what === "pack" ? undefined : expected.length);
    isEqual(found.bytes, expected);
  }
});

test("a FileSystemFileHandle and what it opens are written, and cut to the size", async () => {
  for (const { run, expected } of directions()) {
    for (const take of [({ handle }) => handle, ({ handle }) => handle.createWritable()]) {
      const file = pageFile(Buffer.alloc(2 * expected.length, 9));
      await run({ sink: await take(file) });
      isEqual(file.found.content, expected);
    }
  }
});

test("a function gives a sink for each file, by name and size; pack has one file and takes none", async () => {
  const found = {};
  const sizes = {};
  const sink = (name, size) => {
    sizes[name] = size;
    return (found[name] = collecting()).stream;
  };
  await unpack(severalBytes, { sink });
  const expected = await bytesByName(several);
  assert.deepEqual(Object.keys(found).sort(), Object.keys(expected).sort());
  for (const [name, bytes] of Object.entries(expected)) {
    assert.equal(sizes[name], bytes.length);
    isEqual(found[name].bytes(), bytes);
    assert.equal(found[name].found.end, "closed");
  }
  const one = collecting();
  await assert.rejects(unpack(severalBytes, { sink: one.stream }), /several files .* function/);
  assert.equal(one.found.end.code, "argument");
  await assert.rejects(unpack(severalBytes, { sink: () => "x" }), { code: "argument" });
});

test("the main file becomes visible last", async () => {
  const order = [];
  const sink = (name) =>
    new WritableStream({ close: () => void order.push(name), write: () => undefined });
  await unpack(severalBytes, { sink });
  assert.equal(order.at(-1), "model.safetensors.index.json");
});

test("a signal that has ended ends the work before anything is opened", async () => {
  const reason = new Error("not at all");
  const signal = AbortSignal.abort(reason);
  for (const { run } of directions()) {
    const source = { size: 9, read: () => assert.fail("it was read") };
    const { stream, found } = collecting();
    await assert.rejects(run({ signal, sink: stream }, source), (error) => error === reason);
    assert.equal(found.end, undefined, "nobody has touched the stream");
    await assert.rejects(run({ signal }), (error) => error === reason);
  }
});

test("a signal ends the work under way, and nothing is left", async () => {
  for (const { run, name } of directions()) {
    const reason = new Error("enough");
    const aborting = () => {
      const controller = new AbortController();
      const onProgress = ({ done, total }) => {
        if (done > total / 3) controller.abort(reason);
      };
      return { signal: controller.signal, onProgress };
    };
    const isReason = (error) => error === reason;
    const { stream, found } = collecting();
    await assert.rejects(run({ ...aborting(), sink: stream }), isReason);
    assert.equal(found.end, reason);
    const own = ownSink();
    await assert.rejects(run({ ...aborting(), sink: own.sink }), isReason);
    assert.deepEqual([own.found.calls.at(-1), own.found.reason], ["abort", reason]);
    const file = pageFile("old");
    await assert.rejects(run({ ...aborting(), sink: file.handle }), isReason);
    assert.deepEqual([file.found.content, file.found.aborted], ["old", reason]);
    const pass = new PassThrough().resume();
    await assert.rejects(run({ ...aborting(), sink: pass }), isReason);
    assert.equal(pass.destroyed, true);
    const path = join(folder, `below/${name}`);
    await assert.rejects(run({ ...aborting(), sink: path }), isReason);
    await assert.rejects(run(aborting()), isReason);
    assert.deepEqual(await readdir(folder), []);
  }
});

test("an old file stays until the new one is whole", async () => {
  for (const { run, name } of directions()) {
    const path = join(folder, name);
    await writeFile(path, "old");
    const onProgress = ({ done }) => {
      if (done > 0) throw new Error("the caller's");
    };
    await assert.rejects(run({ sink: path, onProgress }), { message: "the caller's" });
    assert.equal(await readFile(path, "utf8"), "old");
    assert.deepEqual(await readdir(folder), [name]);
    await rm(path);
  }
});

test("a stream's own failure reaches the caller", async () => {
  const failure = new Error("disk torn");
  const isFailure = (error) => error === failure;
  for (const { run } of directions()) {
    const { stream } = collecting({ write: () => Promise.reject(failure) });
    await assert.rejects(run({ sink: stream }), isFailure);
    const sink = new Writable({ write: (_, __, done) => done(failure) });
    await assert.rejects(run({ sink }), isFailure);
    const own = ownSink();
    own.sink.write = () => Promise.reject(failure);
    await assert.rejects(run({ sink: own.sink }), isFailure);
    assert.deepEqual(own.found.calls, ["open", "abort"]);
  }
  const second = (name) =>
    name.endsWith("2.safetensors") ? Promise.reject(failure) : collecting().stream;
  await assert.rejects(unpack(severalBytes, { sink: second }), isFailure);
});

test("a disk that is full or flips a bit leaves nothing behind", async () => {
  try {
    for (const { run, name } of directions()) {
      for (const [fault, code] of [
        ["full", "io"],
        ["flip", "integrity"],
      ]) {
        setDiskFault(fault);
        await assert.rejects(run({ sink: join(folder, "new", name) }), { code });
        assert.deepEqual(await readdir(folder), []);
      }
    }
  } finally {
    setDiskFault();
  }
});

test("what cannot be written is an error of the system, and leaves nothing", async () => {
  await writeFile(join(folder, "file"), "in the way");
  for (const { run, name } of directions()) {
    const sink = join(folder, "file", name);
    await assert.rejects(run({ sink }), ({ code, message }) => {
      assert.equal(code, "io");
      assert.match(message, /^Cannot write ".*file.*": a file of that name exists/);
      return true;
    });
  }
  // A folder lies where a file has to be.
  await mkdir(join(folder, "out/a.txt"), { recursive: true });
  const bytes = await packed({ "b.txt": Buffer.from("b"), "a.txt": Buffer.from("a") });
  await assert.rejects(unpack(bytes, { sink: join(folder, "out") }), { code: /io|argument/ });
  assert.deepEqual(await readdir(join(folder, "out")), ["a.txt"]);
  if (process.getuid?.() === 0) return;
  await chmod(folder, 0o500);
  for (const { run, name } of directions()) {
    await assert.rejects(run({ sink: join(folder, name) }), { code: "io" });
  }
  await chmod(folder, 0o700);
});

test("an output that is an input is refused, by whatever name", async () => {
  const path = join(folder, "m.bin");
  await writeFile(path, large["m.safetensors"]);
  await symlink(path, join(folder, "linked.bin"));
  for (const name of ["m.bin", "linked.bin"]) {
    await assert.rejects(pack(path, { sink: join(folder, name) }), { code: "argument" }, name);
  }
  isEqual(await readFile(path), large["m.safetensors"]);
  // A packed file may have its own name in it.
  const self = join(folder, "self.mspk");
  await writeFile(self, await packed({ "self.mspk": Buffer.from("me") }));
  await assert.rejects(unpack(self, { sink: folder }), { code: "argument" });
});

test("names in a packed file do not meet the hidden files of a run", async () => {
  const others = (await readdir(folder)).length;
  assert.equal(others, 0);
  for (const ending of ["part", "journal", "lock"]) {
    for (const hidden of [`.a.${ending}`, `.a.modelshrink-${ending}`, `.a.modelshrink.${ending}`]) {
      const files = { a: Buffer.from("first"), [hidden]: Buffer.from("second") };
      const sink = join(folder, `${hidden}-out`);
      const outcome = await unpack(await packed(files), { sink }).then(
        () => "done",
        ({ code }) => code,
      );
      if (outcome !== "done") {
        assert.match(outcome, /integrity|argument|io/);
        await assert.rejects(stat(sink), { code: "ENOENT" });
        continue;
      }
      assert.deepEqual((await readdir(sink)).sort(), [hidden, "a"].sort());
      isEqual(await readFile(join(sink, "a")), files.a);
      isEqual(await readFile(join(sink, hidden)), files[hidden]);
    }
  }
});

test("a source that changes while it is read is an IntegrityError, and nothing is seen", async () => {
  const changes = {
    grows: (path) => appendFile(path, "more"),
    "is cut off": (path) => truncate(path, 1000),
    "is written anew": async (path, bytes) => {
      await writeFile(path, Buffer.from(bytes).reverse());
      await utimes(path, new Date(1e12), new Date(1e12));
    },
  };
  for (const { what, run, input, name } of directions()) {
    for (const [how, change] of Object.entries(changes)) {
      const path = join(folder, "source.bin");
      await writeFile(path, input);
      let changed;
      const onProgress = ({ done }) => {
        if (done > 0) changed ??= change(path, input);
      };
      const { stream, found } = collecting();
      for (const sink of [join(folder, "out", name), stream]) {
        changed = undefined;
        await writeFile(path, input);
        const ended = run({ sink, onProgress: ({ done }) => onProgress({ done }) }, path);
        await assert.rejects(ended, ({ code, message }) => {
          assert.ok(code === "integrity" || (what === "unpack" && code === "format"), message);
          return true;
        });
        await changed;
      }
      assert.notEqual(found.end, "closed", `${what}: it ${how}`);
      await rm(path);
      assert.deepEqual(await readdir(folder), [], `${what}: it ${how}`);
    }
  }
});

test("the file's permissions are those of what was packed", async () => {
  const path = join(folder, "secret.onnx");
  const files = externalModel();
  await writeFile(path, files["model.onnx"], { mode: 0o600 });
  await writeFile(join(folder, "model.onnx.data"), files["model.onnx.data"], { mode: 0o640 });
  await pack(path, { sink: join(folder, "secret.mspk") });
  assert.equal((await stat(join(folder, "secret.mspk"))).mode & 0o777, 0o600);
  await unpack(join(folder, "secret.mspk"), { sink: join(folder, "out") });
  const { mode } = await stat(join(folder, "out/secret.onnx"));
  assert.equal(mode & 0o777, 0o600);
});

test("wrong sinks and options are refused before anything is read", async () => {
  const source = { size: 9, read: () => assert.fail("it was read") };
  const locked = collecting().stream;
  locked.getWriter();
  for (const work of [pack, unpack]) {
    for (const [options, pattern] of [
      [{ sink: 7 }, /sink is 7; it may be a path/],
      [{ sink: locked }, /locked/],
      [{ sink: new PassThrough().end() }, /has ended/],
      [{ sink: "https://example.com/x.mspk" }, /only addresses of files/],
      [{ resume: true }, /resume/],
      [{ signal: 1 }, /signal/],
      [{ onProgress: 1 }, /onProgress/],
      [{ timeoutMs: 0 }, /timeoutMs/],
      [{ workers: -1 }, /workers/],
      [7, /options/],
    ]) {
      await assert.rejects(work(source, options), { code: "argument", message: pattern });
    }
    await assert.rejects(work(7), { code: "argument", message: /The source is 7/ });
    await assert.rejects(work(join(folder, "none")), { code: "io" });
  }
  for (const [options, pattern] of [
    [{ sha256: 1 }, /sha256/],
    [{ maxGrowth: 0 }, /maxGrowth/],
  ]) {
    await assert.rejects(unpack(source, options), { code: "argument", message: pattern });
    await assert.rejects(pack(source, options), { code: "argument" });
  }
});

test("a folder without files, and one of too many, cannot be packed", async () => {
  await mkdir(join(folder, "empty"));
  await assert.rejects(pack(join(folder, "empty")), { code: "argument" });
  await assert.rejects(pack({}), { code: "argument" });
  const names = Array.from({ length: 1001 }, (_, i) => [`${i}`, new Uint8Array(1)]);
  await assert.rejects(pack(Object.fromEntries(names)), {
    code: "unsupported",
    message: /1001 files; the most is 1000/,
  });
  const most = Object.fromEntries(names.slice(0, 1000));
  const { files } = await unpack(await packed(most));
  assert.equal(Object.keys(files).length, 1000);
});
