// A user's own Request as a model's address: what of it every download keeps, and that its signal ends the work.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, beforeEach, test } from "node:test";
import { inspect, pack, plan, shrink, unpack } from "modelshrink";
import { createShrinkCache } from "modelshrink/cache";
import { serveRoutes } from "../support/model-server.mjs";
import { chainModel, externalModel } from "../support/onnx.mjs";

const model = chainModel([{ name: "w", size: 256 }]);
const digest = `sha256-${createHash("sha256").update(model).digest("base64")}`;
let packed;
let site;
let base;

/** A route that gives ranges, and after the first of them only the head of what is asked, where `stops`. */
function inRanges(body, { stops = false } = {}) {
  let count = 0;
  return ({ headers: { range } }) => {
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
    if (first === undefined) return body;
    const part = body.subarray(Number(first), Number(last) + 1);
    const end = Number(first) + part.length - 1;
    return {
      ...{ status: 206, body: part },
      headers: { "content-range": `bytes ${first}-${end}/${body.length}` },
      ...(stops && count++ > 0 ? { stop: 1 } : {}),
    };
  };
}

before(async () => {
  packed = Buffer.from(await (await pack({ "m.onnx": model })).bytes());
  site = await serveRoutes();
  ({ base } = site);
});
beforeEach(() => {
  site.requests = [];
  site.routes = {
    "/m.onnx": model,
    "/ranges.onnx": inRanges(model),
    "/silent.onnx": { body: model, stop: 0 },
    "/stopped.onnx": { body: model, stop: 1000 },
    "/stopped.mspk": { body: packed, stop: 1000 },
    "/stopped-range.onnx": inRanges(model, { stops: true }),
    "/api/models/me/tiny/revision/main": { body: model, stop: 0 },
  };
});
after(() => site.close());

const cacheOf = (options) => createShrinkCache({ store: "memory", ...options });
const transformers = { layout: "transformers" };
const lines = () => site.requests.map(({ line }) => line);

/** Whatever takes a Request, by the path that it asks for. */
const takers = {
  "inspect, of a server that is silent": ["/silent.onnx", (it) => inspect(it)],
  "inspect, with a signal in its options, too": [
    "/silent.onnx",
    (it) => inspect(it, { signal: new AbortController().signal }),
  ],
  "plan, of a body that stops": ["/stopped.onnx", (it) => plan(it, "int8")],
  "shrink, of a range that stops": ["/stopped-range.onnx", (it) => shrink(it, "int8")],
  "shrink, of a record of files": ["/silent.onnx", (it) => shrink({ "m.onnx": it }, "int8")],
  "unpack, of a server that is silent": ["/silent.onnx", (it) => unpack(it)],
  "unpack, of a body that stops": ["/stopped.mspk", (it) => unpack(it)],
  "a layout, of a hub that is silent": ["/me/tiny", (it) => shrink(it, undefined, transformers)],
  "cached, of a server that is silent": ["/silent.onnx", (it) => cacheOf().cached(it)],
  "cached, of a body that stops": ["/stopped.onnx", (it) => cacheOf().cached(it)],
  "match, of a body that stops": ["/stopped.onnx", (it) => cacheOf().match(it)],
  "fetch, of a body that stops": ["/stopped.onnx", (it) => cacheOf().fetch(it)],
};

for (const [what, [path, take]] of Object.entries(takers)) {
  test(
    `${what}: the request's own signal ends it, by its reason`,
    { timeout: 20_000 },
    async () => {
      const controller = new AbortController();
      // A reason that is an error of the language is the user's nevertheless.
      const reason = new TypeError("enough");
      const taking = take(new Request(base + path, { signal: controller.signal }));
      setTimeout(() => controller.abort(reason), 100);
      await assert.rejects(taking, (error) => error === reason);
      // What was under way may reach the server still; a request that has ended before it began never does.
      await assert.rejects(
        take(new Request(`${base}${path}?ended`, { signal: AbortSignal.abort(reason) })),
        (error) => error === reason,
      );
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.doesNotMatch(lines().join(), /\?ended/);
    },
  );
}

test("the signal ends also what is made of bytes that have come", async () => {
  for (const path of ["/m.onnx", "/ranges.onnx"]) {
    const controller = new AbortController();
    const asked = new Request(base + path, { signal: controller.signal });
    const onProgress = () => controller.abort("enough");
    await assert.rejects(shrink(asked, "int8", { onProgress }), (it) => it === "enough", path);
  }
});

test("a Response whose own signal is aborted ends by the platform's error for that", async () => {
  const controller = new AbortController();
  const response = await fetch(`${base}/stopped.onnx`, { signal: controller.signal });
  setTimeout(() => controller.abort(), 50);
  await assert.rejects(inspect(response), { name: "AbortError" });
});

test("the digest of a request is that of the whole file, which is held against it", async () => {
  const expected = await (await shrink(model, "int8")).bytes();
  const asked = (integrity) => new Request(`${base}/ranges.onnx`, { integrity });
  assert.deepEqual(await (await shrink(asked(digest), "int8")).bytes(), expected);
  const wrong = asked(`sha256-${"A".repeat(43)}=`);
  await assert.rejects(shrink(wrong, "int8"), { code: "io", message: /integrity/i });
});

test("a model's other files are of other digests", async () => {
  const files = externalModel([{ name: "w", size: 64 }]);
  const [[main, graph], ...others] = Object.entries(files);
  site.routes[`/${main}`] = graph;
  for (const [name, data] of others) site.routes[`/${name}`] = inRanges(Buffer.from(data));
  const integrity = `sha256-${createHash("sha256").update(graph).digest("base64")}`;
  const { report } = await shrink(new Request(`${base}/${main}`, { integrity }), "int8");
  assert.ok(report.outputBytes < report.inputBytes);
});

test("ranges and conditions of a request are not its download's, and other headers are", async () => {
  const headers = { range: "bytes=0-9", "if-none-match": "x", "if-range": "x", "x-own": "1" };
  // Such a server gives no range that says its place, and so the whole is asked for.
  site.routes["/m.onnx"] = ({ headers: { range } }) =>
    range === undefined ? model : { status: 206, body: model.subarray(0, 10) };
  const { format } = await inspect(new Request(`${base}/m.onnx`, { headers }));
  assert.equal(format, "onnx");
  await cacheOf().cached(new Request(`${base}/m.onnx`, { headers }));
  assert.deepEqual(lines(), ["GET /m.onnx", "GET /m.onnx", "GET /m.onnx"]);
  for (const { headers: sent } of site.requests) {
    const conditions = Object.keys(sent).filter((name) => name.startsWith("if-"));
    assert.deepEqual([conditions, sent["x-own"]], [[], "1"]);
  }
  assert.deepEqual(
    site.requests.map((it) => it.headers.range),
    ["bytes=0-65535", undefined, undefined],
  );
});

test("every download is asked for as the request says", async () => {
  const seen = [];
  const { fetch } = globalThis;
  globalThis.fetch = (input, init) => {
    seen.push(init);
    return fetch(input, init);
  };
  const way = {
    ...{ mode: "same-origin", credentials: "include", cache: "no-store", redirect: "error" },
    ...{ referrer: "http://app.example/page", referrerPolicy: "unsafe-url", keepalive: true },
  };
  const headers = { authorization: "Bearer token" };
  const asked = () => new Request(`${base}/ranges.onnx`, { ...way, mode: "cors", headers });
  const expected = { ...way, mode: "cors" };
  try {
    for (const take of [
      () => shrink(asked(), "int8"),
      () => cacheOf().cached(asked()),
      () => cacheOf().match(asked()),
      () => cacheOf().fetch(asked()),
    ]) {
      seen.length = 0;
      site.requests = [];
      await take();
      assert.ok(seen.length > 0);
      for (const init of seen) {
        const same = Object.fromEntries(Object.keys(way).map((name) => [name, init[name]]));
        assert.deepEqual(same, expected);
        assert.equal(new Headers(init.headers).get("authorization"), "Bearer token");
      }
      for (const { headers: sent } of site.requests) assert.equal(sent.referer, way.referrer);
    }
    seen.length = 0;
    await cacheOf().fetch(`${base}/m.onnx`, { priority: "low" });
    assert.equal(seen[0].priority, "low");
  } finally {
    globalThis.fetch = fetch;
  }
});

test("cached sets the headers of its options besides the request's, in whatever form they are", async () => {
  const asked = new Request(`${base}/m.onnx`, { headers: { authorization: "a", "x-own": "1" } });
  await cacheOf().cached(asked, "int8", { headers: { Authorization: "b" } });
  const [{ headers }] = site.requests;
  assert.deepEqual([headers.authorization, headers["x-own"]], ["b", "1"]);
  site.requests = [];
  site.routes["/m.onnx"] = ({ headers: sent }) =>
    sent.authorization === "yes" ? model : { body: "", status: 401 };
  const cache = cacheOf();
  const by = (token) =>
    cache.cached(`${base}/m.onnx`, "int8", { headers: new Headers({ authorization: token }) });
  const [refused, allowed] = await Promise.allSettled([by("no"), by("yes")]);
  assert.match(refused.reason.message, /401/);
  assert.equal(allowed.status, "fulfilled");
  await assert.rejects(cache.cached(`${base}/m.onnx`, "int8", { headers: { "a b": "" } }), {
    code: "argument",
    message: /headers cannot be sent/,
  });
});

test("a request that is no download is refused", async () => {
  for (const [options, message] of [
    [{ method: "POST", body: "x" }, /method is POST/],
    [{ method: "HEAD" }, /method is HEAD/],
    [{ mode: "no-cors" }, /mode is "no-cors".*nobody may read/],
    [{ redirect: "manual" }, /redirect "manual": nobody may read/],
  ]) {
    const asked = () => new Request(`${base}/m.onnx`, options);
    const wrong = { code: "argument", message };
    await assert.rejects(inspect(asked()), wrong);
    await assert.rejects(cacheOf().cached(asked()), wrong);
    const hub = new Request(`${base}/me/tiny`, options);
    await assert.rejects(shrink(hub, undefined, transformers), wrong);
  }
  const opaque = new Request(`${base}/m.onnx`, { mode: "no-cors" });
  assert.equal(await cacheOf().match(opaque), undefined);
  assert.deepEqual(lines(), []);
});
