import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { ArgumentError, inspect, IntegrityError, ModelShrinkError, shrink } from "modelshrink";
import { openSource } from "../../dist/files/open.js";
import { chainModel } from "../support/onnx.mjs";

const model = chainModel([{ name: "w", size: 64 }]);
let folder;
let path;
let server;
let base;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-sources-"));
  path = join(folder, "chain.onnx");
  await writeFile(path, model);
  server = createServer((request, response) => {
    if (request.url === "/missing.onnx") response.writeHead(404).end("<html>");
    else if (request.url === "/never.onnx") response.writeHead(200).write("x");
    else response.end(model);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${server.address().port}`;
});

after(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

const randomAccess = (bytes, read) => ({
  size: bytes.length,
  read: read ?? ((offset, length) => bytes.slice(offset, offset + length)),
});

test("a source may read into the same buffer again and again", async () => {
  const { main: source } = await openSource({
    size: 200_000,
    read: (offset, length) => shared.fill(offset === 0 ? 1 : 2).subarray(0, length),
  });
  const shared = new Uint8Array(100_000);
  assert.equal((await source.read(0, 4))[0], 1);
  await source.read(100_000, 100_000);
  assert.equal((await source.read(4, 4))[0], 1);
});

test("every kind of source gives the same", async () => {
  const expected = await inspect(model);
  assert.equal(expected.inputBytes, model.length);
  const kinds = {
    arrayBuffer: model.buffer.slice(0),
    view: new Uint8Array([0, 0, ...model]).subarray(2),
    buffer: Buffer.from(model),
    blob: new Blob([model]),
    file: new File([model], "my.onnx"),
    response: new Response(model),
    path,
    fileUrl: pathToFileURL(path),
    url: new URL(`${base}/remote.onnx`),
    urlText: `${base}/remote.onnx`,
    synchronous: randomAccess(model),
    asynchronous: randomAccess(model, async (offset, length) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return model.slice(offset, offset + length);
    }),
    record: { "model.onnx": new Blob([model]) },
    recordOfPath: { "model.onnx": path },
  };
  for (const [kind, source] of Object.entries(kinds)) {
    const { files, ...found } = await inspect(source);
    assert.deepEqual({ ...found, files: expected.files }, expected, kind);
    const names = { file: "my.onnx", path: "chain.onnx", fileUrl: "chain.onnx" };
    const remote = kind.startsWith("url") ? "remote.onnx" : "model.onnx";
    assert.deepEqual(files, [{ name: names[kind] ?? remote, bytes: model.length }], kind);
  }
});

test("the output has the source's name", async () => {
  const nameOf = async (source) => Object.keys((await shrink(source, "int8")).files)[0];
  assert.equal(await nameOf(path), "chain.onnx");
  assert.equal(await nameOf(model), "model.onnx");
  assert.equal(await nameOf(new File([model], "my.onnx")), "my.onnx");
  assert.equal(await nameOf({ "other.onnx": model }), "other.onnx");
  assert.equal(await nameOf(`${base}/remote.onnx?x=1`), "remote.onnx");
});

test("many small tensors take few reads", async () => {
  const many = chainModel(Array.from({ length: 40 }, (_, i) => ({ name: `w${i}`, size: 64 })));
  let reads = 0;
  const source = randomAccess(many, (offset, length) => {
    reads++;
    return many.slice(offset, offset + length);
  });
  await inspect(source);
  assert.ok(reads <= 12, `${reads} reads to inspect`);
  reads = 0;
  await shrink(source, "int8");
  // Twice through 0.67 MB in windows of 64 KiB.
  assert.ok(reads <= 30, `${reads} reads to shrink`);
});

test("reads stay within the file", async () => {
  const source = randomAccess(model, (offset, length) => {
    assert.ok(offset >= 0 && length >= 0 && offset + length <= model.length);
    return model.slice(offset, offset + length);
  });
  await shrink(source, "int8");
});

test("a source that gives fewer bytes than it promised is an IntegrityError with the place", async () => {
  for (const bytes of [
    randomAccess(model, (offset, length) => model.slice(offset, offset + length - 1)),
    { size: model.length + 1000, read: randomAccess(model).read },
  ]) {
    await assert.rejects(inspect(bytes), (error) => {
      assert.ok(error instanceof IntegrityError, String(error));
      assert.equal(error.offset, 0);
      assert.match(error.message, /bytes where \d+ were asked at byte 0/);
      return true;
    });
  }
  const wrongKind = randomAccess(model, () => "text");
  await assert.rejects(inspect(wrongKind), /Uint8Array/);
});

test("an error of the source's own reaches the caller", async () => {
  const failure = new Error("tape torn");
  const source = randomAccess(model, () => Promise.reject(failure));
  await assert.rejects(inspect(source), (error) => error === failure);
});

test("what no model can be read from is refused", async () => {
  for (const [source, pattern] of [
    [undefined, /undefined/],
    [7, /number/],
    [null, /may be a Blob/],
    [{}, /neither/],
    [[], /neither/],
    [{ size: -1, read: () => model }, /size is -1/],
    [{ size: 1.5, read: () => model }, /size is 1.5/],
    [{ "model.onnx": 7 }, /number/],
  ]) {
    await assert.rejects(inspect(source), (error) => {
      assert.ok(error instanceof ArgumentError, String(error));
      assert.match(error.message, pattern);
      return true;
    });
  }
  const two = { "a.onnx": model, "b.onnx": model };
  await assert.rejects(inspect(two), { code: "argument", message: /several models/ });
});

test("files and addresses that are not there", async () => {
  for (const [source, pattern] of [
    [join(folder, "missing.onnx"), /missing\.onnx": no such file/],
    [new URL(`${base}/missing.onnx`), /HTTP status 404/],
    [new Response("", { status: 500 }), /HTTP status 500/],
    ["http://127.0.0.1:1/model.onnx", /Cannot fetch http:\/\/127\.0\.0\.1:1\/model\.onnx/],
  ]) {
    await assert.rejects(inspect(source), (error) => {
      assert.ok(error instanceof ModelShrinkError, String(error));
      assert.equal(error.code, "io");
      assert.match(error.message, pattern);
      return true;
    });
  }
  const used = new Response(model);
  await used.arrayBuffer();
  await assert.rejects(inspect(used), /already used/);
});

test("an abort ends a download", async () => {
  const signal = AbortSignal.timeout(30);
  await assert.rejects(inspect(`${base}/never.onnx`, { signal }), { name: "TimeoutError" });
});
