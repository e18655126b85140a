// Servers that send without end, or nothing at all, and passwords in addresses.
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, get } from "node:http";
import { pipeline, Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import {
  compare,
  inspect,
  IntegrityError,
  ModelShrinkError,
  plan,
  restore,
  shrink,
} from "modelshrink";
import * as ort from "onnxruntime-node";
import { calibrate, refitLayers, verify } from "modelshrink/runtime";
import { announcedBy, waitFor } from "../../dist/files/stream.js";
import { chainModel } from "../support/onnx.mjs";
import { commandFolder, finish } from "./cli.mjs";

const model = Buffer.from(chainModel([{ name: "w", size: 200 }]));
/** 64 MiB of zeros, and more where several follow one another. */
const bomb = gzipSync(Buffer.alloc(1 << 26));
const { path, run, start } = commandFolder();
/** The options of what runs models. */
const onSamples = { ort, inputs: [{ X: { data: new Float32Array(200), dims: [1, 200] } }] };
const sent = { bytes: 0 };
let server;
let base;

/** Sends pieces until the other side has enough. */
function writeForever(response, piece = Buffer.alloc(1 << 20)) {
  const read = function () {
    sent.bytes += piece.length;
    this.push(piece);
  };
  pipeline(new Readable({ read }), response, () => undefined);
}

const rangeOf = ({ headers }) => {
  const [, begin, last] = /bytes=(\d+)-(\d+)/.exec(headers.range) ?? [];
  return [Number(begin), Math.min(Number(last), model.length - 1)];
};

function sendRange(request, response) {
  const [begin, last] = rangeOf(request);
  const headers = { "content-range": `bytes ${begin}-${last}/${model.length}`, etag: '"1"' };
  response.writeHead(206, headers).end(model.subarray(begin, last + 1));
}

let changed = 0;
const routes = {
  "/endless-206": (request, response) => {
    const [begin, last] = rangeOf(request);
    response.writeHead(206, { "content-range": `bytes ${begin}-${last}/${model.length}` });
    writeForever(response);
  },
  "/endless-late-206": (request, response) => {
    if (rangeOf(request)[0] === 0) sendRange(request, response);
    else routes["/endless-206"](request, response);
  },
  "/wide-206": (_, response) => {
    response.writeHead(206, { "content-range": `bytes 0-${2 ** 40 - 1}/${2 ** 40}` });
    writeForever(response);
  },
  "/endless-200": (_, response) => writeForever(response.writeHead(200)),
  "/huge-200": (_, response) =>
    writeForever(response.writeHead(200, { "content-length": String(2 ** 40) })),
  "/bomb": (_, response) => {
    writeForever(response.writeHead(200, { "content-encoding": "gzip" }), bomb);
  },
  "/announced-bomb": (_, response) => {
    const five = Buffer.concat(Array.from({ length: 5 }, () => bomb));
    const headers = { "content-encoding": "gzip", "content-length": String(five.length) };
    response.writeHead(200, headers).end(five);
  },
  "/endless-404": (_, response) => writeForever(response.writeHead(404)),
  "/endless-500": (_, response) => writeForever(response.writeHead(500)),
  "/silent": () => undefined,
  "/silent-body": (_, response) => response.writeHead(200).write(model.subarray(0, 100)),
  "/silent-range": (request, response) => {
    const [begin, last] = rangeOf(request);
    if (begin === 0) return sendRange(request, response);
    const headers = { "content-range": `bytes ${begin}-${last}/${model.length}` };
    return response.writeHead(206, headers).write(model.subarray(begin, begin + 5));
  },
  "/model.onnx": sendRange,
  "/changes": (request, response) => {
    const isLast = request.headers.range === "bytes=0-0";
    if (!isLast) return sendRange(request, response);
    changed++;
    return response
      .writeHead(206, { "content-range": `bytes 0-0/${model.length}`, etag: '"2"' })
      .end(model.subarray(0, 1));
  },
  "/guarded/model.onnx": (request, response) => {
    const expected = `Basic ${Buffer.from("us er:pä:ss@w").toString("base64")}`;
    if (request.headers.authorization === expected) sendRange(request, response);
    else response.writeHead(401).end();
  },
};

before(async () => {
  server = createServer((request, response) => {
    response.on("error", () => undefined);
    routes[request.url.split("?")[0]](request, response);
  });
  // A server that closes what is read slowly would be another failure.
  server.keepAliveTimeout = 0;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  base = `http://127.0.0.1:${server.address().port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

describe("at most what was asked for or announced is read", () => {
  for (const [route, message, mostBytes] of [
    ["endless-206", /gave more than the 65536 bytes/, 1 << 26],
    ["endless-late-206", /gave more than the \d+ bytes/, 1 << 26],
    ["wide-206", /where 0-65535 were asked/, 1 << 26],
    ["endless-200", /has more than 268 MB, the most that is held in memory/, 2 ** 29],
    ["huge-200", /has more than 4\.29 GB/, 1 << 26],
    ["bomb", /has more than 268 MB/, 1 << 26],
    ["announced-bomb", /has more than 268 MB/, 1 << 26],
    ["endless-404", /HTTP status 404/, 1 << 26],
    ["endless-500", /HTTP status 500/, 1 << 26],
  ]) {
    test(route, async () => {
      sent.bytes = 0;
      await assert.rejects(shrink(`${base}/${route}`, "int8"), (error) => {
        assert.ok(error instanceof ModelShrinkError, String(error));
        assert.match(error.message, message);
        return true;
      });
      assert.ok(sent.bytes < mostBytes, `${sent.bytes} bytes were sent`);
    });
  }

  test("of a response that was fetched, too", async () => {
    await assert.rejects(inspect(await fetch(`${base}/endless-200`)), /more than 268 MB/);
    const message = await new Promise((resolve) => get(`${base}/endless-200`, resolve));
    await assert.rejects(inspect(message), /more than 268 MB/);
  });

  test("a packed body may be several times what is announced, and no more than is held", () => {
    const of = (headers, mayBePacked) => announcedBy((name) => headers[name], mayBePacked);
    const length = 2 ** 26;
    const headers = { "content-length": String(length) };
    assert.equal(of(headers).size, length);
    assert.deepEqual(of({ ...headers, "content-encoding": "br" }), { maxBytes: 16 * length });
    assert.deepEqual(of(headers, true), { maxBytes: 16 * length });
    assert.deepEqual(of({ "content-length": "1e9" }), { maxBytes: 2 ** 28 });
    assert.deepEqual(of({ "content-length": String(2 ** 40) }, true), { maxBytes: 2 ** 32 });
  });
});

describe("silent servers time out: timeoutMs, 30 s without a byte by default", () => {
  for (const route of ["silent", "silent-body", "silent-range"]) {
    for (const [name, read] of Object.entries({
      inspect: (source, options) => inspect(source, options),
      plan: (source, options) => plan(source, "int8", options),
      shrink: (source, options) => shrink(source, "int8", options),
      compare: (source, options) => compare(source, model, options),
      restore: (source, options) => restore(source, options),
      "the guard": (source, options) => {
        const { timeoutMs } = options;
        return shrink(source, "int8", { guard: { ...onSamples, minCosine: 0.9, timeoutMs } });
      },
      calibrate: (source, options) => calibrate(source, { ...onSamples, ...options }),
      verify: (source, options) => verify(model, source, { ...onSamples, ...options }),
      refitLayers: (source, options) => refitLayers(model, source, { ...onSamples, ...options }),
    })) {
      // Headers alone lie within the first range.
      if (route === "silent-range" && ["inspect", "plan"].includes(name)) continue;
      test(`${name} of ${route}`, async () => {
        await assert.rejects(read(`${base}/${route}`, { timeoutMs: 50 }), (error) => {
          assert.equal(error.code, "io");
          assert.match(error.message, /gave nothing for 0\.05 s \(timeoutMs\)/);
          return true;
        });
      });
    }
  }

  test("every command that reads has --timeout-ms", async () => {
    const address = `${base}/silent`;
    await writeFile(path("sample.json"), "[]");
    const limit = ["--timeout-ms", "50"];
    for (const words of [
      ["inspect", address],
      ["plan", address],
      ["shrink", address, "-o", path("out.onnx")],
      ["restore", address, "-o", path("out.onnx")],
      ["compare", "model.onnx", address],
      ["verify", address, "model.onnx", "--inputs", "sample.json"],
    ]) {
      const { code, stderr } = await run(...words, ...limit);
      assert.match(stderr, /gave nothing for 0\.05 s/);
      assert.equal(code, 1, words[0]);
    }
    for (const wrong of ["0", "1.5", "x", String(2 ** 31)]) {
      const { code, stderr } = await run("inspect", "model.onnx", "--timeout-ms", wrong);
      assert.match(stderr, /--timeout-ms is ".*"; it must be a whole number from 1 to 2147483647/);
      assert.equal(code, 2);
    }
  });

  test("an interrupt ends commands that write nothing, which give no advice on what was written", async () => {
    const silent = createServer(() => children.at(-1).kill("SIGINT")).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const address = `http://127.0.0.1:${silent.address().port}/m.onnx`;
    const children = [];
    for (const words of [
      ["inspect", address],
      ["compare", address, "model.onnx"],
      ["shrink", address, "--dry-run"],
    ]) {
      children.push(start(words));
      const { code, stderr } = await finish(children.at(-1));
      assert.deepEqual([code, stderr], [130, "modelshrink: interrupted.\n"], words[0]);
    }
    silent.closeAllConnections();
    silent.close();
  });

  test("a response whose body stops", async () => {
    const response = await fetch(`${base}/silent-body`);
    await assert.rejects(inspect(response, { timeoutMs: 50 }), /gave nothing for 0\.05 s/);
  });

  test("an abort ends the waiting with its reason", async () => {
    const reason = new TypeError("enough");
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 20);
    const running = inspect(`${base}/silent`, { signal: controller.signal });
    await assert.rejects(running, (error) => error === reason);
  });

  test("30 s are the default", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const waiting = waitFor("x", {}, new Promise(() => undefined));
    t.mock.timers.tick(29_999);
    const early = await Promise.race([waiting.catch(() => "late"), Promise.resolve("waits")]);
    assert.equal(early, "waits");
    t.mock.timers.tick(1);
    await assert.rejects(waiting, { code: "io", message: "x gave nothing for 30 s (timeoutMs)." });
  });

  test("what is no time is refused", async () => {
    for (const timeoutMs of [0, -1, 1.5, "5", NaN, 2 ** 31]) {
      const refused = { code: "argument", message: /timeoutMs/ };
      await assert.rejects(inspect(model, { timeoutMs }), refused);
      await assert.rejects(calibrate(model, { ...onSamples, timeoutMs }), refused);
      await assert.rejects(verify(model, model, { ...onSamples, timeoutMs }), refused);
      await assert.rejects(refitLayers(model, model, { ...onSamples, timeoutMs }), refused);
      const guard = { ...onSamples, minCosine: 0.9, timeoutMs };
      await assert.rejects(shrink(model, "int8", { guard }), refused);
    }
  });
});

test("a file on a server that changes during a run is an IntegrityError", async () => {
  await assert.rejects(shrink(`${base}/changes`, "int8"), (error) => {
    assert.ok(error instanceof IntegrityError, String(error));
    return true;
  });
  assert.equal(changed, 1);
  assert.equal((await shrink(`${base}/model.onnx`, "int8")).report.format, "onnx");
});

describe("passwords in addresses never appear in messages", () => {
  const password = "pass-w0rd";
  const address = (path, host = base.slice("http://".length)) =>
    `http://user:${password}@${host}/${path}`;

  test("and are sent as a header", async () => {
    const { host } = new URL(base);
    const { files } = await inspect(`http://us%20er:p%C3%A4:ss%40w@${host}/guarded/model.onnx`);
    assert.deepEqual(files, [{ name: "model.onnx", bytes: model.length }]);
  });

  for (const source of [
    () => address("guarded/model.onnx"),
    () => new URL(address("endless-404")),
    () => address("endless-206"),
    () => address("wide-206"),
    () => `${address("endless-500")}?token=${password}`,
    () => address("model.onnx", "127.0.0.1:1"),
    () => address("x", "[::1"),
    () => `http://user:${password}/x@host:80:80/`,
    () => `http://user:${password}@a@[::1/`,
  ]) {
    test(source.toString().slice(6), async () => {
      await assert.rejects(inspect(source()), (error) => {
        assert.ok(error instanceof ModelShrinkError, String(error));
        assert.ok(!error.message.includes(password), error.message);
        assert.ok(!JSON.stringify(error).includes(password));
        return true;
      });
    });
  }

  test("nor in what the command prints", async () => {
    for (const words of [
      ["inspect", address("endless-404")],
      ["inspect", address("endless-404"), address("guarded/model.onnx")],
      ["shrink", address("x", "[::1")],
      ["shrink", address("endless-404"), address("endless-404"), "-o", "out/"],
      ["inspect", "--json", address("endless-404"), address("endless-404")],
    ]) {
      const { code, stdout, stderr } = await run(...words);
      assert.notEqual(code, 0);
      assert.ok(!`${stdout}${stderr}`.includes(password), stdout + stderr);
      assert.ok(!/ at .*\.js/.test(stderr), stderr);
    }
  });
});
