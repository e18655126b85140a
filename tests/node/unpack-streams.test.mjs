// unpack() of what comes from front to end: it is unpacked while it comes, and not held.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { FormatError, IntegrityError, ModelShrinkError, pack, unpack } from "modelshrink";
import { makeSafetensors } from "../support/safetensors.mjs";
import { weights } from "../support/gguf.mjs";

const size = 1024;
const data = weights(size * size, "F32", 7);
const model = makeSafetensors([{ name: "w", dtype: "F32", shape: [size, size], data }]);
let packed;
let server;
let answer;
let base;
before(async () => {
  packed = Buffer.from(await (await pack({ "m.safetensors": model })).bytes());
  server = createServer((request, response) => answer(request, response)).listen(0, "127.0.0.1");
  await once(server, "listening");
  base = `http://127.0.0.1:${server.address().port}/m.mspk`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

/** Gives the bytes in pieces of odd sizes; `asked` counts them. */
function streamOf(bytes, asked = { pieces: 0 }) {
  let at = 0;
  return new ReadableStream(
    {
      pull(controller) {
        asked.pieces++;
        if (at === bytes.length) return controller.close();
        const end = Math.min(bytes.length, at + 65537);
        controller.enqueue(new Uint8Array(bytes.subarray(at, end)));
        at = end;
      },
    },
    { highWaterMark: 0 },
  );
}
const filesOf = async (source, options) => {
  const { files, report } = await unpack(source, options);
  assert.deepEqual(Object.keys(files), ["m.safetensors"]);
  assert.equal(report.inputBytes, packed.length);
  return Buffer.from(await files["m.safetensors"].arrayBuffer());
};

test("streams, responses, requests and addresses give what bytes give", async () => {
  let requests = 0;
  answer = ({ headers }, response) => {
    requests++;
    assert.equal(headers.range, undefined);
    response.writeHead(200, { "content-length": packed.length }).end(packed);
  };
  for (const source of [
    packed,
    streamOf(packed),
    Readable.from([packed.subarray(0, 5), packed.subarray(5)]),
    new Response(packed),
    base,
    new URL(base),
    new Request(base),
    await fetch(base),
  ]) {
    assert.ok((await filesOf(source)).equals(model), String(source));
  }
  assert.equal(requests, 4, "one request each, and no ranges");
});

test("what comes is unpacked before all has come, and waits for the sink", async () => {
  const asked = { pieces: 0 };
  let firstAt;
  const sink = {
    open: () => undefined,
    write: () => void (firstAt ??= asked.pieces),
    close: () => undefined,
    abort: () => undefined,
  };
  await unpack(streamOf(packed, asked), { sink });
  assert.ok(asked.pieces > 30, `${asked.pieces} pieces`);
  assert.ok(firstAt < asked.pieces / 2, `first written after ${firstAt} of ${asked.pieces}`);
});

test("a stream that ends early, goes on or fails leaves nothing", async () => {
  const failing = new ReadableStream({
    start(controller) {
      controller.enqueue(new Uint8Array(packed.subarray(0, 100_000)));
    },
    pull(controller) {
      controller.error(new Error("the line is cut"));
    },
  });
  const longer = Buffer.concat([packed, Buffer.from([0])]);
  for (const [source, kind] of [
    [streamOf(packed.subarray(0, -1)), FormatError],
    [streamOf(packed.subarray(0, 5)), FormatError],
    [streamOf(Buffer.alloc(0)), FormatError],
    [streamOf(longer), FormatError],
    [failing, /the line is cut/],
  ]) {
    const calls = [];
    const note = (name) => () => void calls.push(name);
    const sink = {
      open: note("open"),
      write: () => undefined,
      close: note("close"),
      abort: note("abort"),
    };
    await assert.rejects(unpack(source, { sink }), kind);
    assert.ok(!calls.includes("close"), calls.join());
  }
});

test("a server that sends less than it announced, or another status, is told of", async () => {
  answer = (_, response) => {
    response.writeHead(200, { "content-length": packed.length });
    response.write(packed.subarray(0, 70_000), () => response.destroy());
  };
  await assert.rejects(unpack(base), ModelShrinkError);
  answer = (_, response) => response.writeHead(404).end();
  await assert.rejects(unpack(base), { code: "io", message: /404/ });
  answer = (_, response) => {
    const spoilt = Buffer.from(packed);
    spoilt[packed.length >> 1] ^= 4;
    response.end(spoilt);
  };
  await assert.rejects(
    unpack(base),
    (it) => it instanceof IntegrityError || it instanceof FormatError,
  );
});

test("an abort ends a stream that never ends, and cancels it", async () => {
  for (const when of ["while it waits", "while it comes"]) {
    let reason;
    const controller = new AbortController();
    const stream = new ReadableStream({
      start: (it) => it.enqueue(new Uint8Array(packed.subarray(0, 100_000))),
      pull: () => (when === "while it waits" ? new Promise(() => {}) : undefined),
      cancel: (why) => void (reason = why),
    });
    const running = unpack(stream, { signal: controller.signal, sink: () => new WritableStream() });
    setTimeout(() => controller.abort(new Error("enough")), 100);
    await assert.rejects(running, /enough/);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.match(String(reason), /enough/, when);
  }
});
