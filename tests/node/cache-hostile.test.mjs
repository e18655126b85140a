// The shrinking cache among servers, stores, addresses and callers that are not as one would wish.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { pathToFileURL } from "node:url";
import { ArgumentError, ModelShrinkError, shrink } from "modelshrink";
import { createShrinkCache, folderStore, serveFromCache } from "modelshrink/cache";
import { serveRoutes } from "../support/model-server.mjs";
import { chainModel, externalModel } from "../support/onnx.mjs";

const model = chainModel([{ name: "w", size: 64 }]);
let site;
let base;
let warnings;
let values;

before(async () => {
  site = await serveRoutes();
  ({ base } = site);
});
beforeEach(() => {
  site.routes = { "/m.onnx": model };
  site.requests = [];
  warnings = [];
  values = new Map();
});
after(() => site.close());

/** A user's store. */
const store = () => ({
  get: async (key) => values.get(key),
  set: async (key, value) => values.set(key, value),
  delete: async (key) => values.delete(key),
  keys: async () => [...values.keys()],
});
const cacheOf = (options = {}) =>
  createShrinkCache({ store: store(), onWarning: ({ code }) => warnings.push(code), ...options });
const bytesOf = async (body) => new Uint8Array(await body.arrayBuffer());
const lines = () => site.requests.map(({ line }) => line);
const small = async (source = model, recipe = "int8") => {
  const { files } = await shrink(source, recipe);
  return Promise.all(Object.values(files).map(bytesOf));
};

// A model's data next to another version of its graph would be read as wrong weights.
for (const [main, data, location] of [
  ["/m@1.onnx", "/m@1.onnx_data", "m@1.onnx_data"],
  ["/m,1.onnx", "/m,1.onnx_data", "m,1.onnx_data"],
  ["/m.onnx?v=1", "/m.onnx_data?v=1", "m.onnx_data"],
  ["/m.onnx", "/m.onnx_data?download=true", "m.onnx_data"],
  ["/m.onnx", "/w/x.bin", "w/x.bin"],
]) {
  test(`${main} and ${data} are of one model`, async () => {
    const files = externalModel(location);
    site.routes = {
      [decodeURIComponent(main)]: files["model.onnx"],
      [data.replace(/\?.*/, "")]: files[location],
    };
    site.routes[data] = files[location];
    const [graph, weights] = await small(files);
    const cache = cacheOf();
    assert.deepEqual(await bytesOf(await cache.fetch(base + main)), graph);
    assert.deepEqual(await bytesOf(await cache.fetch(base + data)), weights);
    assert.deepEqual(warnings, []);
  });
}

test("a model that could not be shrunk once stays as it is, with its data, and is not downloaded again and again", async () => {
  const files = externalModel("m.onnx_data");
  let count = 0;
  site.routes["/m.onnx"] = files["model.onnx"];
  site.routes["/m.onnx_data"] = () => (count++ === 0 ? { status: 503 } : files["m.onnx_data"]);
  const cache = cacheOf();
  const main = await bytesOf(await cache.fetch(`${base}/m.onnx`));
  const data = await bytesOf(await cache.fetch(`${base}/m.onnx_data`));
  assert.deepEqual(main, new Uint8Array(files["model.onnx"]));
  assert.deepEqual(data, files["m.onnx_data"]);
  assert.deepEqual(warnings, ["unshrunk"]);
  assert.deepEqual(lines(), ["GET /m.onnx", "GET /m.onnx_data", "GET /m.onnx_data"]);
});

test("a load that fails and one that would not, at once, give files of one model", async () => {
  const files = externalModel("m.onnx_data");
  let count = 0;
  site.routes["/m.onnx"] = files["model.onnx"];
  site.routes["/m.onnx_data"] = () => (count++ === 0 ? { status: 503 } : files["m.onnx_data"]);
  const cache = cacheOf();
  // Loads that may be aborted are not shared.
  const { signal } = new AbortController();
  const [main, data] = await Promise.all(
    ["m.onnx", "m.onnx_data"].map(async (name) =>
      bytesOf(await cache.fetch(`${base}/${name}`, { signal })),
    ),
  );
  assert.deepEqual(main, new Uint8Array(files["model.onnx"]));
  assert.deepEqual(data, files["m.onnx_data"]);
});

test("with revalidate changed data of a graph that is the same is noticed", async () => {
  const files = externalModel("m.onnx_data");
  site.routes["/m.onnx"] = { body: files["model.onnx"], headers: { etag: '"1"' } };
  site.routes["/m.onnx_data"] = { body: files["m.onnx_data"], headers: { etag: '"1"' } };
  const cache = cacheOf({ revalidate: true });
  await cache.cached(`${base}/m.onnx`);
  assert.equal((await cache.cached(`${base}/m.onnx`)).hit, true);
  const data = files["m.onnx_data"];
  const changed = Uint8Array.from([...data.subarray(4), ...data.subarray(0, 4)]);
  site.routes["/m.onnx_data"] = { body: changed, headers: { etag: '"2"' } };
  const { hit, files: made } = await cache.cached(`${base}/m.onnx`);
  assert.equal(hit, false);
  const [, weights] = await small({ ...files, "m.onnx_data": changed });
  assert.deepEqual(await bytesOf(made["m.onnx_data"]), weights);
});

test("a server that refuses HEAD is asked by GET, and an ETag is the same when it is weak", async () => {
  let etag = '"1"';
  site.routes["/m.onnx"] = ({ method }) =>
    method === "HEAD" ? { status: 405 } : { body: model, headers: { etag } };
  const cache = cacheOf({ revalidate: true });
  await cache.cached(`${base}/m.onnx`);
  etag = 'W/"1"';
  assert.equal((await cache.cached(`${base}/m.onnx`)).hit, true);
  etag = '"2"';
  assert.equal((await cache.cached(`${base}/m.onnx`)).hit, false);
  assert.deepEqual(warnings, []);
});

/** Writes a record as a cache does, of any content. */
async function forge(key, content) {
  const json = JSON.stringify(content);
  const digest = createHash("sha256").update(json).digest("hex");
  values.set(key, new Blob([digest, "\n", json]));
}
const recordOf = async () => {
  const key = [...values.keys()].find((it) => it.startsWith("record-"));
  const content = JSON.parse((await values.get(key).text()).slice(65));
  return { key, content };
};

test("records of wrong types, whose digest is right, are damaged ones", async () => {
  const cache = cacheOf();
  await cache.cached(`${base}/m.onnx`);
  const { key, content } = await recordOf();
  const [file] = content.files;
  const [part] = file.parts;
  const forgeries = [
    ...[null, 5, "x", [], {}],
    ...[null, {}, [], [null], [5], "x"].map((files) => ({ ...content, files })),
    ...[null, 5, {}, { ...content.facts, url: 5 }].map((facts) => ({ ...content, facts })),
    ...[null, { etag: 5 }, { lastModified: null }].map((validators) => ({
      ...content,
      facts: { ...content.facts, came: [{ ...content.facts.came[0], validators }] },
    })),
    ...[{ name: 5 }, { type: {} }, { parts: null }, { parts: [null] }, { parts: [5] }].map(
      (it) => ({
        ...content,
        files: [{ ...file, ...it }],
      }),
    ),
    ...[
      ...[{ size: "9" }, { sha256: null }, { key: "../../secret" }],
      { key: part.key.replace(/[\da-f]{64}/, "0".repeat(64)) },
    ].map((it) => ({ ...content, files: [{ ...file, parts: [{ ...part, ...it }] }] })),
    { ...content, keptAt: "x" },
  ];
  const whole = [...values];
  for (const forgery of forgeries) {
    // What is made anew has taken the parts away.
    values = new Map(whole);
    await forge(key, forgery);
    warnings = [];
    const { files } = await cacheOf().cached(`${base}/m.onnx`);
    assert.deepEqual(await bytesOf(files["m.onnx"]), (await small())[0]);
    assert.deepEqual(warnings, ["damaged"], JSON.stringify(forgery));
    assert.equal((await cacheOf().cached(`${base}/m.onnx`)).hit, true);
  }
});

test("a record's address gets no headers: only the one that was asked for does", async () => {
  site.routes["/other.onnx"] = model;
  await cacheOf().cached(`${base}/m.onnx`);
  const { key, content } = await recordOf();
  await forge(key, { ...content, facts: { ...content.facts, url: `${base}/other.onnx` } });
  site.requests = [];
  const headers = { authorization: "Bearer token" };
  await cacheOf({ revalidate: true }).cached(`${base}/m.onnx`, undefined, { headers });
  assert.deepEqual(
    lines().filter((it) => it.includes("other")),
    [],
  );
});

test("names such as __proto__ are names", async () => {
  const cache = cacheOf();
  await cache.put(`${base}/__proto__`, new Response("text"));
  assert.equal(await (await cache.match(`${base}/__proto__`)).text(), "text");
});

test("a record's file names lead to no other server", async () => {
  await cacheOf().cached(`${base}/m.onnx`);
  const { key, content } = await recordOf();
  const { fetch } = globalThis;
  const asked = [];
  globalThis.fetch = (input, init) => {
    asked.push(new URL(input).origin);
    return fetch(input, init);
  };
  try {
    for (const name of ["//localhost/x", "http://localhost/x", "\\\\localhost\\x"]) {
      const came = [...content.facts.came, { name, validators: {}, size: 1 }];
      await forge(key, { ...content, facts: { ...content.facts, came } });
      await cacheOf({ revalidate: true }).cached(`${base}/m.onnx`);
    }
  } finally {
    globalThis.fetch = fetch;
  }
  assert.deepEqual([...new Set(asked)], [base]);
});

test("delete, put and loads at once leave whole entries", async () => {
  const [one, two] = [cacheOf(), cacheOf()];
  const url = `${base}/m.onnx`;
  const config = `${base}/config.json`;
  for (let i = 0; i < 5; i++) {
    await Promise.all([
      ...[one.cached(url), two.cached(url), one.delete(url), two.delete(url), one.cached(url)],
      ...[one.put(config, new Response("{}")), two.put(config, new Response("[]"))],
      ...[one.delete(config), one.put(config, new Response("{}"))],
    ]);
    for (const cache of [cacheOf(), cacheOf()]) {
      await cache.cached(url);
      assert.match((await (await cache.match(config))?.text()) ?? "{}", /^(\{\}|\[\])$/);
    }
    assert.deepEqual(warnings, []);
    const [files, records] = ["file-", "record-"].map(
      (prefix) => [...values.keys()].filter((it) => it.startsWith(prefix)).length,
    );
    assert.equal(files, records);
  }
});

test("whoever has other headers, or may abort, does not share another's fate", async () => {
  let release;
  const held = new Promise((resolve) => (release = resolve));
  const slow = { ...store(), set: (key, value) => held.then(() => values.set(key, value)) };
  site.routes["/m.onnx"] = ({ headers }) =>
    headers.authorization ? model : { body: "", status: 401 };
  const cache = cacheOf({ store: slow });
  const headers = { authorization: "Bearer token" };
  const refused = cache.cached(`${base}/m.onnx`);
  const allowed = cache.cached(`${base}/m.onnx`, undefined, { headers });
  await assert.rejects(refused, /401/);
  const controller = new AbortController();
  const { signal } = controller;
  const waiting = cache.cached(`${base}/m.onnx`, undefined, { signal });
  setTimeout(() => controller.abort("enough"), 50);
  await assert.rejects(waiting, (reason) => reason === "enough");
  release();
  assert.equal((await allowed).hit, false);
});

test("fetch gives the server's refusal as a response, and passes on what has no model of its own", async () => {
  const cache = cacheOf();
  site.routes["/e.onnx"] = { body: "busy", status: 503, headers: { "retry-after": "5" } };
  assert.equal((await cache.fetch(`${base}/none.onnx`)).status, 404);
  const refused = await cache.fetch(`${base}/e.onnx`);
  assert.equal(refused.status, 503);
  assert.equal(refused.headers.get("retry-after"), "5");
  for (const path of ["/alone.onnx_data", "/s-00002-of-00003.gguf"]) {
    site.routes[path] = "as it is";
    assert.equal(await (await cache.fetch(base + path)).text(), "as it is");
    assert.equal(await cache.match(base + path), undefined);
  }
  await assert.rejects(cache.match(`${base}/e.onnx`), ModelShrinkError);
  site.routes["/e.onnx"] = { body: "", status: 204 };
  await assert.rejects(cache.fetch(`${base}/e.onnx`), ModelShrinkError);
});

test("fetch keeps a request's options, but for conditions and ranges", async () => {
  const cache = cacheOf();
  const seen = [];
  const { fetch } = globalThis;
  globalThis.fetch = (input, init) => {
    seen.push(init);
    return fetch(input, init);
  };
  try {
    const headers = { "if-none-match": "x", "if-range": "x", range: "bytes=0-9", "x-own": "1" };
    const options = { credentials: "include", redirect: "error", cache: "no-store" };
    await cache.fetch(`${base}/m.onnx`, { ...options, headers });
    const { credentials, redirect, cache: how } = seen[0];
    assert.deepEqual({ credentials, redirect, cache: how }, options);
    assert.deepEqual({ ...seen[0].headers }, { "x-own": "1" });
    site.routes["/n.onnx"] = model;
    const opaque = { mode: "no-cors" };
    assert.equal((await cache.fetch(`${base}/n.onnx`, opaque)).headers.get("x-modelshrink"), null);
    assert.equal((await cache.fetch(`${base}/m.onnx`, null)).status, 200);
  } finally {
    globalThis.fetch = fetch;
  }
});

test("put keeps whole bodies only: no parts, no short ones, no failed ones", async () => {
  const cache = cacheOf();
  const failing = new ReadableStream({
    start: (it) => it.enqueue(new Uint8Array(3)),
    pull: (it) => it.error(new Error("cut")),
  });
  for (const [body, init] of [
    ["part", { status: 206 }],
    [null, { status: 204 }],
    ["short", { headers: { "content-length": "6" } }],
    [failing, {}],
  ]) {
    await assert.rejects(cache.put(`${base}/a.bin`, new Response(body, init)), ModelShrinkError);
  }
  assert.equal(values.size, 0);
  // A page cannot see that another origin's body was packed, and apps make responses of its headers.
  await cache.put(
    `${base}/a.bin`,
    new Response("unpacked", { headers: { "content-length": "5" } }),
  );
  assert.equal(await (await cache.match(`${base}/a.bin`)).text(), "unpacked");
});

test("put makes room, and a store that never removes anything is asked once", async () => {
  let isFull = true;
  let removed = 0;
  const full = {
    ...store(),
    set: async (key, value) => {
      if (isFull && values.size >= 2) throw new DOMException("full", "QuotaExceededError");
      values.set(key, value);
    },
  };
  const cache = cacheOf({ store: full });
  await cache.put(`${base}/a.txt`, new Response("a"));
  await cache.put(`${base}/b.txt`, new Response("b"));
  assert.equal(await (await cache.match(`${base}/b.txt`)).text(), "b");
  assert.equal(await cache.match(`${base}/a.txt`), undefined);
  const stubborn = cacheOf({ store: { ...full, delete: async () => void removed++ } });
  await stubborn.cached(`${base}/m.onnx`);
  assert.deepEqual(warnings, ["uncached"]);
  assert.ok(removed < 20, `${removed}`);
});

test("a wrong smaller recipe is refused before anything is downloaded", async () => {
  const wrong = { weights: "int4", rules: [{ match: "/(/", keep: true }] };
  await assert.rejects(cacheOf({ smaller: [wrong] }).cached(`${base}/m.onnx`), ArgumentError);
  assert.deepEqual(site.requests, []);
});

test("a store that gives garbage is no store", async () => {
  for (const garbage of [
    5,
    "text",
    {},
    [],
    true,
    new Date(),
    new ArrayBuffer(8),
    new Uint8Array(8),
  ]) {
    warnings = [];
    const cache = cacheOf({ store: { ...store(), get: async () => garbage } });
    const { files } = await cache.cached(`${base}/m.onnx`);
    assert.deepEqual(await bytesOf(files["m.onnx"]), (await small())[0]);
    assert.deepEqual(warnings, ["damaged", "uncached"], String(garbage));
  }
  for (const keys of [null, 5, [5, null]]) {
    const cache = cacheOf({ store: { ...store(), keys: async () => keys } });
    const { files } = await cache.cached(`${base}/m.onnx`);
    assert.deepEqual(await bytesOf(files["m.onnx"]), (await small())[0]);
  }
});

for (const silent of ["get", "set", "delete", "keys"]) {
  test(`a store whose ${silent}() never answers holds nobody up, and is not asked again and again`, async () => {
    let asked = 0;
    const never = () => {
      asked++;
      return new Promise(() => undefined);
    };
    const cache = cacheOf({ store: { ...store(), [silent]: never }, timeoutMs: 1000 });
    for (let i = 0; i < 3; i++) {
      const { files } = await cache.cached(`${base}/m.onnx`, "int8");
      assert.deepEqual(await bytesOf(files["m.onnx"]), (await small())[0]);
    }
    // Only an entry that replaces another one removes that.
    assert.deepEqual(warnings, silent === "delete" ? [] : Array(3).fill("uncached"));
    assert.equal(asked, silent === "delete" ? 0 : 1);
  });
}

test("an entry that cannot be removed in time is an error of code io", async () => {
  const cache = cacheOf({
    store: { ...store(), delete: () => new Promise(() => undefined) },
    timeoutMs: 1000,
  });
  await cache.cached(`${base}/m.onnx`);
  await assert.rejects(cache.delete(`${base}/m.onnx`), (error) => error.code === "io");
});

test("serveFromCache refuses what is no service worker and no cache, and answers only loads", () => {
  const listeners = [];
  const scope = { addEventListener: (type, listener) => listeners.push([type, listener]) };
  const wrong = [undefined, null, 5, {}];
  for (const it of wrong) {
    assert.throws(() => serveFromCache(it, cacheOf()), ArgumentError);
    assert.throws(() => serveFromCache(scope, it), ArgumentError);
  }
  serveFromCache(scope, { fetch: ({ url }) => url });
  const [[type, listener]] = listeners;
  assert.equal(type, "fetch");
  const answered = (request) => {
    let answer;
    const headers = new Headers(request.headers);
    const given = { method: "GET", destination: "", url: `${base}/m.onnx`, ...request, headers };
    listener({ request: given, respondWith: (it) => (answer = it) });
    return answer !== undefined;
  };
  assert.equal(answered({}), true);
  assert.equal(answered({ method: "HEAD" }), true);
  for (const it of [
    ...[{ method: "POST" }, { destination: "document" }, { destination: "image" }],
    ...[{ url: "chrome-extension://x/m.onnx" }, { headers: { accept: "text/event-stream" } }],
  ]) {
    assert.equal(answered(it), false, JSON.stringify(it));
  }
});

test("a wrong recipe is refused before anything is downloaded; one that changes later is taken as it was", async () => {
  const bad = { weights: "int8", rules: [{ match: "/(/", keep: true }] };
  await assert.rejects(cacheOf().cached(`${base}/m.onnx`, bad), ArgumentError);
  await assert.rejects(cacheOf({ recipe: bad }).fetch(`${base}/m.onnx`), ArgumentError);
  assert.deepEqual(site.requests, []);
  const recipe = { weights: "int8" };
  const load = cacheOf().cached(`${base}/m.onnx`, recipe);
  recipe.weights = "float16";
  const { files } = await load;
  assert.deepEqual(await bytesOf(files["m.onnx"]), (await small())[0]);
});

test("what the app's own functions throw leaves as it is", async () => {
  const own = new TypeError("mine");
  for (const status of ["initiate", "download", "progress", "shrink", "done"]) {
    const onProgress = (it) => {
      if (it.status === status) throw own;
    };
    const cache = cacheOf({ onProgress, store: "memory" });
    await assert.rejects(cache.cached(`${base}/m.onnx`), (error) => error === own, status);
  }
  site.routes["/m.onnx"] = "no model";
  const onWarning = () => {
    throw own;
  };
  await assert.rejects(cacheOf({ onWarning }).fetch(`${base}/m.onnx`), (error) => error === own);
});

test("no message has a password", async () => {
  const url = `${base.replace("//", "//user:secret@")}/m.onnx`;
  const cache = cacheOf();
  for (const work of [
    () => cache.cached(url),
    () => cache.cached("ftp://user:secret@host/m.onnx"),
    () => cache.put(url, new Response("x")),
  ]) {
    await assert.rejects(work, (error) => {
      assert.ok(error instanceof ArgumentError);
      assert.doesNotMatch(`${error.message} ${error.cause}`, /secret/);
      return true;
    });
  }
});

test("pages without a secure context have no randomUUID, and memory for a store", async () => {
  const { randomUUID } = crypto;
  Object.defineProperty(crypto, "randomUUID", { value: undefined, configurable: true });
  try {
    const cache = cacheOf();
    await cache.cached(`${base}/m.onnx`);
    assert.equal((await cache.cached(`${base}/m.onnx`)).hit, true);
  } finally {
    Object.defineProperty(crypto, "randomUUID", { value: randomUUID, configurable: true });
  }
});

test("folderStore takes paths and file: addresses, and stays where it was made", async () => {
  const folder = await mkdtemp(join(tmpdir(), "modelshrink-"));
  const before = process.cwd();
  try {
    const { href } = pathToFileURL(folder);
    for (const it of [5, undefined, null, "", {}, new URL("http://host/x"), "http://host/x"]) {
      assert.throws(() => folderStore(it), ArgumentError, String(it));
    }
    process.chdir(folder);
    const stores = ["x", `${href}/x`, new URL(`${href}/x`)].map((it) => folderStore(it));
    process.chdir(before);
    await stores[0].set("a", new Blob(["text"]));
    for (const it of stores) assert.equal(await (await it.get("a"))?.text(), "text");
    assert.deepEqual(await readdir(folder), ["x"]);
    await writeFile(join(folder, "file"), "x");
    const cache = cacheOf({ store: folderStore(join(folder, "file")) });
    assert.equal((await cache.cached(`${base}/m.onnx`)).hit, false);
    assert.deepEqual(warnings, ["uncached"]);
  } finally {
    process.chdir(before);
    await rm(folder, { recursive: true, force: true });
  }
});
