// unpack() in workers: the same bytes by any number of them, in any sink, and the same refusals.
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ArgumentError, FormatError, IntegrityError, pack, unpack } from "modelshrink";
import { weights } from "../support/gguf.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

const size = 2048;
/** Two files, of which the larger one ends within a group of others. */
const files = {
  "a.safetensors": makeSafetensors([
    { name: "w", dtype: "F32", shape: [size, size], data: weights(size * size, "F32", 3) },
  ]),
  "empty.bin": new Uint8Array(0),
  "z.safetensors": makeSafetensors([
    { name: "w", dtype: "F32", shape: [size, 900], data: weights(size * 900, "F32", 4) },
  ]),
};
let folder;
let packed;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "unpack-workers-"));
  packed = Buffer.from(await (await pack(files)).bytes());
});
after(() => rm(folder, { recursive: true }));

const checkFiles = async (found) => {
  assert.deepEqual(Object.keys(found).sort(), Object.keys(files).sort());
  for (const [name, bytes] of Object.entries(files)) {
    assert.ok(Buffer.from(found[name]).equals(Buffer.from(bytes)), name);
  }
};

/** A stream that takes its time, so that workers wait for each other. */
function collecting(milliseconds) {
  const pieces = [];
  const stream = new WritableStream({
    async write(bytes) {
      pieces.push(Buffer.from(bytes));
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
    },
  });
  return { stream, bytes: () => Buffer.concat(pieces) };
}

for (const workers of [0, 1, 2, 3]) {
  test(`${workers} workers give the same bytes, in memory, streams and a folder`, async () => {
    let done = 0;
    const onProgress = (progress) => {
      assert.ok(progress.done >= done);
      done = progress.done;
    };
    const { files: found, report } = await unpack(packed, { workers, onProgress });
    const inMemory = {};
    for (const [name, it] of Object.entries(found)) inMemory[name] = await it.arrayBuffer();
    await checkFiles(inMemory);
    const total = Object.values(files).reduce((sum, it) => sum + it.length, 0);
    assert.equal(done, total);
    assert.deepEqual(
      [report.inputBytes, report.outputBytes, report.files.length],
      [packed.length, total, 3],
    );

    const taken = {};
    const sink = (name) => (taken[name] = collecting(name.startsWith("a") ? 2 : 0)).stream;
    await unpack(packed, { workers, sink });
    await checkFiles(Object.fromEntries(Object.entries(taken).map(([n, it]) => [n, it.bytes()])));

    const path = join(folder, `in-${workers}.mspk`);
    await writeFile(path, packed);
    const out = join(folder, `out-${workers}/`);
    await unpack(path, { workers, sink: out });
    const read = {};
    for (const name of await readdir(out)) read[name] = await readFile(join(out, name));
    await checkFiles(read);
  });
}

test("damage is found by workers, too, and leaves nothing behind", async () => {
  const below = Math.floor(packed.length / 2);
  const damages = [
    ...[20, below, packed.length - 200, packed.length - 40, packed.length - 12].map((at) => {
      const bytes = Buffer.from(packed);
      bytes[at] ^= 16;
      return bytes;
    }),
    packed.subarray(0, packed.length - 1),
    packed.subarray(0, below),
    Buffer.concat([packed, Buffer.from([0])]),
  ];
  const out = join(folder, "damaged/");
  for (const [i, damaged] of damages.entries()) {
    for (const sink of [undefined, out]) {
      await assert.rejects(
        unpack(damaged, { workers: 2, sink }),
        (error) => error instanceof IntegrityError || error instanceof FormatError,
        `${i}`,
      );
    }
  }
  assert.ok(!(await readdir(folder)).includes("damaged"));
});

test("an abort ends the workers, and wrong numbers of them are refused", async () => {
  const reason = new Error("enough");
  const controller = new AbortController();
  const onProgress = () => {
    controller.abort(reason);
  };
  const { signal } = controller;
  await assert.rejects(unpack(packed, { workers: 2, signal, onProgress }), (it) => it === reason);
  for (const workers of [-1, 1.5, 65, "2"]) {
    await assert.rejects(unpack(packed, { workers }), ArgumentError);
  }
});
