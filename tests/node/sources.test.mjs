import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { mkdir, mkdtemp, open, rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import {
  ArgumentError,
  compare,
  inspect,
  IntegrityError,
  ModelShrinkError,
  restore,
  shrink,
} from "modelshrink";
import { openSource, reusable } from "../../dist/files/open.js";
import { makeGguf, tinyLlama } from "../support/gguf.mjs";
import { chainModel } from "../support/onnx.mjs";
import { makeSafetensors } from "../support/safetensors.mjs";

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
  const shared = new Uint8Array(100_000);
  const { main: source } = await openSource({
    size: 200_000,
    read: (offset, length) => shared.fill(offset === 0 ? 1 : 2).subarray(0, length),
  });
  assert.equal((await source.read(0, 4))[0], 1);
  await source.read(100_000, 100_000);
  assert.equal((await source.read(4, 4))[0], 1);
});

/** A stream that gives these chunks. */
const streamOf = (chunks, type) =>
  new ReadableStream({
    ...(type ? { type } : {}),
    pull(controller) {
      const chunk = chunks.shift();
      if (chunk) controller.enqueue(chunk);
      else controller.close();
    },
  });

test("every kind of source gives the same", async (t) => {
  const handle = await open(path);
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
    request: new Request(`${base}/remote.onnx`),
    responseBody: new Response(model).body,
    byteStream: streamOf([model.slice(0, 10), model.slice(10)], "bytes"),
    otherStream: streamOf([model.slice(0, 10), model.slice(10).buffer]),
    readable: createReadStream(path),
    readableOfChunks: Readable.from([Buffer.from(model.slice(0, 3)), model.slice(3)]),
    iterable: (async function* () {
      yield model.slice(0, 1);
      yield model.slice(1);
    })(),
    fileHandle: handle,
    record: { "model.onnx": new Blob([model]) },
    recordOfPath: { "model.onnx": path },
  };
  t.after(() => handle.close());
  for (const [kind, source] of Object.entries(kinds)) {
    const { files, ...found } = await inspect(source);
    assert.deepEqual({ ...found, files: expected.files }, expected, kind);
    const names = { file: "my.onnx", path: "chain.onnx", fileUrl: "chain.onnx" };
    const remote = kind.startsWith("url") || kind === "request" ? "remote.onnx" : "model.onnx";
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

test("a source without a name is named by its format, as its output and errors are", async () => {
  const gguf = makeGguf(tinyLlama());
  const shape = [32, 32];
  const tensor = { name: "w", dtype: "F32", shape, data: new Float32Array(1024).fill(0.5) };
  for (const [name, bytes] of [
    ["model.onnx", model],
    ["model.gguf", gguf],
    ["model.safetensors", makeSafetensors([tensor])],
  ]) {
    for (const source of [bytes, new Blob([bytes]), new Response(bytes), randomAccess(bytes)]) {
      assert.deepEqual(Object.keys((await shrink(source, "fp16")).files), [name]);
    }
  }
  const ends = (bytes, name) =>
    assert.rejects(inspect(bytes), ({ message }) => message.startsWith(`"${name}": `));
  // 123 tensors: "{" is where a safetensors file has one.
  await ends(Uint8Array.of(...Buffer.from("GGUF"), 3, 0, 0, 0, 123, 0, 0, 0), "model.gguf");
  await ends(Buffer.from(' {"format": {'), "model.json");
  await ends(Buffer.from('{"abcde":{'), "model.json");
  await ends(new Uint8Array(0), "model.onnx");
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
    [undefined, /The source is undefined/],
    [7, /The source is 7/],
    [null, /can be read from a Blob or File, .* a ReadableStream, .* a record/],
    [{}, /The source is {}; .*Wrap what else .* in \{ size, read \}/],
    [[], /The source is \[\]/],
    [new Float32Array(1), /The source is Float32Array/],
    [() => model, /The source is \(\)/],
    [{ size: -1, read: () => model }, /size is -1/],
    [{ size: 1.5, read: () => model }, /size is 1.5/],
    [{ "model.onnx": 7 }, /The source's "model.onnx" is 7/],
    [{ "model.onnx": model, other: { a: model } }, /The source's "other" is {/],
    ["http://[", /"http:\/\/\[" is no address/],
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

test("a FileHandle stays open, and is read at any place", async (t) => {
  const handle = await open(path);
  t.after(() => handle.close());
  const { files } = await shrink(handle, "int8");
  assert.deepEqual(
    files["model.onnx"].size,
    (await shrink(model, "int8")).files["model.onnx"].size,
  );
  assert.equal((await handle.stat()).size, model.length);
  const folderHandle = await open(folder);
  t.after(() => folderHandle.close());
  await assert.rejects(inspect(folderHandle), { code: "argument", message: /not a regular file/ });
});

test("a stream that is locked, was read, gives no bytes or fails", async () => {
  const locked = new Response(model).body;
  locked.getReader();
  await assert.rejects(inspect(locked), { code: "argument", message: /locked: another reader/ });
  const lockedResponse = new Response(model);
  lockedResponse.body.getReader();
  await assert.rejects(inspect(lockedResponse), { code: "argument", message: /locked/ });
  await assert.rejects(inspect(streamOf([])), { code: "argument", message: /gave no bytes/ });
  await assert.rejects(inspect(Readable.from(["text"])), {
    code: "argument",
    message: /gives "text"; its chunks must be bytes/,
  });
  const failure = new Error("line cut");
  const failing = new ReadableStream({ pull: () => Promise.reject(failure) });
  await assert.rejects(inspect(failing), (error) => error === failure);
});

test("a Node.js stream that fails before it is read is the caller's error, and ends no process", async () => {
  const torn = () => createReadStream("/none/model.onnx");
  const missing = { code: "ENOENT" };
  await assert.rejects(inspect(torn()), missing);
  await assert.rejects(inspect({ "model.onnx": torn() }), missing);
  await assert.rejects(compare(model, torn()), missing);
  const other = { "model.onnx": Readable.from([model]), "model.onnx_data": torn() };
  assert.equal((await inspect(other)).format, "onnx");
});

test("options that are no signals or functions are refused", async () => {
  for (const [options, message] of [
    [{ signal: 5 }, /signal is 5; it must be an AbortSignal/],
    [{ onProgress: true }, /onProgress is true; it must be a function/],
    [{ onprogress: () => undefined }, /unknown key "onprogress".*Did you mean "onProgress"/],
  ]) {
    await assert.rejects(inspect(model, options), { code: "argument", message });
  }
});

/** An endless stream, and what it was cancelled with. */
function endless(headers) {
  const found = {};
  const body = new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(1000)),
    cancel: (reason) => {
      found.reason = reason;
    },
  });
  return { found, response: new Response(body, { headers }) };
}

test("restore() refuses a calibration, which nothing would use", async () => {
  await assert.rejects(restore(model, { calibration: {} }), /unknown key "calibration"/);
});

test("a body is held against the length that was announced, while it comes", async () => {
  const { response, found } = endless({ "content-length": "5000" });
  await assert.rejects(inspect(response), (error) => {
    assert.ok(error instanceof IntegrityError, String(error));
    assert.match(error.message, /more than the 5000 bytes/);
    return true;
  });
  assert.ok(found.reason instanceof IntegrityError);
  const short = new Response(model, { headers: { "content-length": String(model.length + 1) } });
  await assert.rejects(inspect(short), { code: "integrity", message: /instead of/ });
  const encoded = { "content-length": "5", "content-encoding": "gzip" };
  const { format } = await inspect(new Response(model, { headers: encoded }));
  assert.equal(format, "onnx");
  const message = Object.assign(Readable.from([model]), { headers: { "content-length": "7" } });
  await assert.rejects(inspect(message), { code: "integrity", message: /more than the 7 bytes/ });
});

test("an abort cancels a stream", async () => {
  const { response, found } = endless();
  const reason = new Error("enough");
  const controller = new AbortController();
  const running = inspect(response.body, { signal: controller.signal });
  setTimeout(() => controller.abort(reason), 20);
  await assert.rejects(running, (error) => error === reason);
  assert.equal(found.reason, reason);
});

test("a Request is repeated with its headers, for neighbours too, and never beyond a redirect", async (t) => {
  const seen = [];
  const big = chainModel([{ name: "w", size: 256 }]);
  const other = createServer((request, response) => {
    seen.push(["other", request.headers.authorization]);
    answer(request, response);
  });
  const answer = (request, response) => {
    const [, begin, last] = /bytes=(\d+)-(\d+)/.exec(request.headers.range);
    const end = Math.min(Number(last) + 1, big.length);
    const range = `bytes ${begin}-${end - 1}/${big.length}`;
    response.writeHead(206, { "content-range": range }).end(big.subarray(Number(begin), end));
  };
  const guarded = createServer((request, response) => {
    seen.push([request.url, request.headers.authorization]);
    if (request.url === "/moved.onnx") {
      response.writeHead(302, { location: `http://localhost:${other.address().port}/x` }).end();
    } else {
      answer(request, response);
    }
  });
  for (const it of [other, guarded]) {
    await new Promise((resolve) => it.listen(0, "127.0.0.1", resolve));
    t.after(() => it.close());
  }
  const headers = { authorization: "Bearer key" };
  const address = `http://127.0.0.1:${guarded.address().port}`;
  await shrink(new Request(`${address}/a.onnx`, { headers }), "int8");
  assert.ok(seen.length >= 2, `${seen.length} requests`);
  assert.ok(seen.every(([, key]) => key === "Bearer key"));
  seen.length = 0;
  await shrink(new Request(`${address}/moved.onnx`, { headers }), "int8");
  const atOther = seen.filter(([where]) => where === "other");
  assert.ok(atOther.length >= 2 && atOther.every(([, key]) => key === undefined));
  const post = new Request(address, { method: "POST", body: "x" });
  await assert.rejects(inspect(post), { code: "argument", message: /method is POST/ });
});

test("a folder's model may lie in its folder onnx, in several number types", async (t) => {
  const home = await mkdtemp(join(tmpdir(), "modelshrink-onnx-"));
  t.after(() => rm(home, { recursive: true }));
  await mkdir(join(home, "onnx"));
  const put = (name, bytes) => writeFile(join(home, name), bytes);
  await put("config.json", "{}");
  await put("tokenizer.json", "{}");
  for (const suffix of ["", "_quantized", "_q4f16", "_fp16"]) {
    await put(`onnx/model${suffix}.onnx`, suffix === "" ? model : "");
  }
  const nameOf = async (source) => (await inspect(source)).files[0].name;
  assert.equal(await nameOf(home), "model.onnx");
  await put("onnx/decoder_model.onnx", model);
  await assert.rejects(inspect(home), (error) => {
    assert.equal(error.code, "argument");
    assert.match(error.message, /several models .*onnx\/decoder_model\.onnx, onnx\/model\.onnx/);
    assert.match(error.message, /pass the path of one of them instead of the folder/);
    return true;
  });
  await put("model.json", "{}");
  await assert.rejects(inspect(home), { code: "format", message: /^"model\.json"/ });
  const record = { "config.json": model, "onnx/model.onnx": model, "onnx/model_q4.onnx": model };
  assert.equal(await nameOf(record), "model.onnx");
  await assert.rejects(inspect({ "a.onnx": model, "a_b.onnx": model }), { code: "argument" });
});

test("links of Hugging Face's cache are followed at any depth, others are not", async (t) => {
  const home = await mkdtemp(join(tmpdir(), "modelshrink-hub-"));
  t.after(() => rm(home, { recursive: true }));
  const repository = join(home, "models--a--b");
  const snapshot = join(repository, "snapshots/rev/unet");
  await mkdir(join(repository, "blobs"), { recursive: true });
  await mkdir(snapshot, { recursive: true });
  const index = { weight_map: { a: "m-1.safetensors" } };
  const shard = makeSafetensors([
    { name: "a", dtype: "F32", shape: [64, 64], data: new Float32Array(4096).fill(1) },
  ]);
  await writeFile(join(repository, "blobs/1"), JSON.stringify(index));
  await writeFile(join(repository, "blobs/2"), shard);
  await symlink("../../../blobs/1", join(snapshot, "m.safetensors.index.json"));
  await symlink("../../../blobs/2", join(snapshot, "m-1.safetensors"));
  assert.equal((await inspect(snapshot)).tensors.length, 1);
  await rename(join(repository, "blobs/2"), join(home, "outside"));
  await rm(join(snapshot, "m-1.safetensors"));
  await symlink(join(home, "outside"), join(snapshot, "m-1.safetensors"));
  await assert.rejects(inspect(snapshot), { code: "argument", message: /is a link to/ });
});

test("what can be read only once serves those who read twice", async () => {
  for (const once of [() => new Response(model), () => Readable.from([model])]) {
    const source = await reusable(once());
    for (let i = 0; i < 2; i++) assert.equal((await inspect(source)).inputBytes, model.length);
    const record = await reusable({ "m.onnx": once() });
    for (let i = 0; i < 2; i++) assert.equal((await inspect(record)).files[0].name, "m.onnx");
  }
  const blob = new Blob([model]);
  assert.equal(await reusable(blob), blob);
});

test("data: and blob: addresses are read, and other schemes are refused by name", async () => {
  const expected = await inspect(model);
  const data = `data:application/octet-stream;base64,${Buffer.from(model).toString("base64")}`;
  const blob = URL.createObjectURL(new Blob([model]));
  for (const source of [data, new URL(data), blob]) {
    assert.deepEqual((await inspect(source)).tensors, expected.tensors);
  }
  await assert.rejects(inspect("data:,%E0%A4%A;base64,="), ModelShrinkError);
  await assert.rejects(inspect("blob:nodedata:none"), { code: "io", message: /blob: address/ });
  await assert.rejects(inspect("ftp://example.com/model.onnx"), {
    code: "argument",
    message: /begins with ftp: it may be an http/,
  });
});
