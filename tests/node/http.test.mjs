// Models on a web server: how much is read, and servers that misbehave.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { gzipSync } from "node:zlib";
import { IntegrityError, inspect, plan, shrink } from "modelshrink";
import { makeGguf, tinyLlama, weights } from "../support/gguf.mjs";
import { bytes, chainModel, number, string, valueInfo } from "../support/onnx.mjs";

let server;
let base;
/** path → what answers it. */
let routes;
let sent;
let requests;

/** Answers ranges as RFC 9110 has it; `size` may be more than what `content` gives. */
function ranged(content, { etag = '"1"', size = content.length } = {}) {
  return (request, response) => {
    const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    if (!match) return whole(content)(request, response);
    const begin = Number(match[1]);
    const end = Math.min(Number(match[2]) + 1, size);
    if (begin >= size) return response.writeHead(416, { "content-range": `bytes */${size}` }).end();
    const part = content.subarray(begin, end);
    const padded = Buffer.concat([part, Buffer.alloc(end - begin - part.length)]);
    sent += padded.length;
    response.writeHead(206, { "content-range": `bytes ${begin}-${end - 1}/${size}`, etag });
    return response.end(padded);
  };
}

function whole(content, headers = {}) {
  return (request, response) => {
    sent += content.length;
    response.writeHead(200, headers).end(content);
  };
}

before(async () => {
  server = createServer((request, response) => {
    requests++;
    const route = routes[decodeURIComponent(request.url.slice(1))];
    if (route) route(request, response);
    else response.writeHead(404, { "content-type": "text/html" }).end("<html>not here</html>");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${server.address().port}`;
});
beforeEach(() => {
  routes = {};
  sent = 0;
  requests = 0;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

const large = 64 << 20;

function safetensorsHeader(size) {
  const header = JSON.stringify({
    w: { dtype: "F32", shape: [size / 4096, 1024], data_offsets: [0, size] },
  });
  const text = header.padEnd(Math.ceil(header.length / 8) * 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, Buffer.from(text)]);
}

function ggufHeader(size) {
  const tensor = {
    name: "w.weight",
    dims: [1024, size / 4096],
    type: "F32",
    data: Buffer.alloc(0),
  };
  return makeGguf({ keys: tinyLlama().keys, tensors: [tensor] });
}

function externalHeader(size) {
  const entry = (key, value) => bytes(13, Buffer.concat([string(1, key), string(2, value)]));
  const tensor = Buffer.concat([
    number(1, 1024),
    number(1, size / 4096),
    number(2, 1),
    string(8, "w"),
    entry("location", "model.onnx_data"),
    number(14, 1),
  ]);
  const node = Buffer.concat([string(1, "X"), string(1, "w"), string(2, "Y"), string(4, "MatMul")]);
  const graph = Buffer.concat([
    bytes(1, node),
    string(2, "g"),
    bytes(5, tensor),
    bytes(11, valueInfo("X", [1, 1024])),
    bytes(12, valueInfo("Y", [1, size / 4096])),
  ]);
  return Buffer.concat([number(1, 8), bytes(7, graph), bytes(8, number(2, 13))]);
}

test("inspect and plan read less than 1 % of a file", async () => {
  const safetensors = safetensorsHeader(large);
  const gguf = ggufHeader(large);
  routes["m.safetensors"] = ranged(safetensors, { size: safetensors.length + large });
  routes["m.gguf"] = ranged(gguf, { size: gguf.length + large });
  routes["model.onnx"] = ranged(externalHeader(large));
  routes["model.onnx_data"] = ranged(Buffer.alloc(0), { size: large });
  for (const name of ["m.safetensors", "m.gguf", "model.onnx"]) {
    for (const work of [inspect, (url) => plan(url, "int8")]) {
      sent = 0;
      requests = 0;
      const { inputBytes } = await work(`${base}/${name}`);
      assert.ok(inputBytes > large, name);
      assert.ok(sent < large / 100, `${name}: ${sent} bytes`);
      assert.ok(requests <= 4, `${name}: ${requests} requests`);
    }
  }
});

test("a header of many tensors takes few requests", async () => {
  const tensors = Array.from({ length: 10_000 }, (_, i) => ({
    name: `blk.${i}.ffn_down.weight`,
    dims: [32],
    type: "F32",
    data: new Uint8Array(128),
  }));
  const model = makeGguf({ keys: [], tensors });
  routes["many.gguf"] = ranged(model);
  assert.equal((await inspect(`${base}/many.gguf`)).tensors.length, 10_000);
  assert.ok(requests <= 6, `${requests} requests`);
});

test("a model in two files is shrunk over HTTP to the bytes of the local one", async () => {
  const header = externalHeader(1 << 20);
  const data = Buffer.from(weights((1 << 20) / 4, "F32", 1));
  routes["some folder/model.onnx"] = ranged(header);
  routes["some folder/model.onnx_data"] = ranged(data);
  const remote = await shrink(`${base}/some%20folder/model.onnx`, "int8");
  const local = await shrink({ "model.onnx": header, "model.onnx_data": data }, "int8");
  assert.deepEqual(Object.keys(remote.files), Object.keys(local.files));
  for (const [name, blob] of Object.entries(local.files)) {
    assert.deepEqual(await remote.files[name].arrayBuffer(), await blob.arrayBuffer());
  }
});

const model = chainModel([{ name: "w", size: 200 }]);

test("servers without ranges, with compression or redirects give the same", async () => {
  const expected = await (await shrink(model, "int8")).bytes();
  routes.plain = whole(model);
  routes.gzip = whole(gzipSync(model), { "content-encoding": "gzip" });
  routes["gzip-range"] = (request, response) => {
    const body = gzipSync(model);
    if (!request.headers.range)
      return whole(body, { "content-encoding": "gzip" })(request, response);
    const range = `bytes 0-${body.length - 1}/${body.length}`;
    const headers = { "content-encoding": "gzip", "content-range": range };
    return response.writeHead(206, headers).end(body);
  };
  routes["no-total"] = (request, response) => {
    if (!request.headers.range) return whole(model)(request, response);
    return response.writeHead(206, { "content-range": "bytes 0-9/*" }).end(model.subarray(0, 10));
  };
  routes.moved = (_, response) => response.writeHead(302, { location: "/signed" }).end();
  let uses = 0;
  const serve = ranged(Buffer.from(model));
  routes.signed = (request, response) =>
    // A signed address that expires after its second use.
    uses++ === 2 ? response.writeHead(403).end() : serve(request, response);
  for (const name of ["plain", "gzip", "gzip-range", "no-total", "moved"]) {
    const small = await shrink(`${base}/${name}`, "int8");
    assert.deepEqual(await small.bytes(), expected, name);
  }
  assert.ok(uses > 3);
});

test("servers that lie about lengths or change meanwhile are found out", async () => {
  const content = Buffer.from(model);
  routes.short = (request, response) => {
    const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range);
    const range = `bytes ${match[1]}-${Math.min(Number(match[2]), model.length - 1)}/${model.length}`;
    response.writeHead(206, { "content-range": range }).end(content.subarray(0, 10));
  };
  let version = 0;
  routes.changing = (request, response) =>
    ranged(content, { etag: `"${version++}"` })(request, response);
  routes.other = (request, response) => {
    const first = request.headers.range === "bytes=0-65535";
    const range = first ? `bytes 0-65535/${model.length}` : `bytes 5-9/${model.length}`;
    const body = first ? content.subarray(0, 65536) : content.subarray(5, 10);
    response.writeHead(206, { "content-range": range }).end(body);
  };
  let count = 0;
  routes.stops = (request, response) =>
    (count++ === 0 ? ranged(content) : whole(content))(request, response);
  for (const [name, pattern] of [
    ["short", /gave 10 bytes/],
    ["changing", /changed while it was read/],
    ["other", /gave bytes 5-9/],
    ["stops", /changed while it was read/],
  ]) {
    await assert.rejects(shrink(`${base}/${name}`, "int8"), (error) => {
      assert.ok(error instanceof IntegrityError, `${name}: ${error}`);
      assert.match(error.message, pattern);
      return true;
    });
  }
});

test("what is not there is said by its address", async () => {
  await assert.rejects(inspect(`${base}/none.onnx`), { code: "io", message: /none\.onnx.*404/ });
  routes["model.onnx"] = ranged(externalHeader(4096));
  const { tensors } = await inspect(`${base}/model.onnx`);
  assert.match(tensors[0].note, /which is not there/);
  routes["empty.onnx"] = ranged(Buffer.alloc(0));
  await assert.rejects(inspect(`${base}/empty.onnx`), { code: "format", message: /empty/ });
  routes["broken.onnx"] = (_, response) => response.writeHead(500).end();
  await assert.rejects(inspect(`${base}/broken.onnx`), { code: "io", message: /500/ });
});
