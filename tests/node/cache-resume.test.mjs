// Downloads that are interrupted: the next call goes on where the last one ended, when the file is the same.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ModelShrinkError, shrink } from "modelshrink";
import { createShrinkCache, folderStore } from "modelshrink/cache";
import { bytesOf, folder, later, onWarning, site, warnings } from "../support/cache-site.mjs";
import { ranged } from "../support/model-server.mjs";
import { chainModel, externalModel } from "../support/onnx.mjs";

// More than a part of a download has.
const model = chainModel([{ name: "w", size: 1600 }]);
const other = chainModel([{ name: "v", size: 1600 }]);
const cut = 9_000_000;
const etag = { etag: '"1"' };
const url = `${site.base}/m.onnx`;

const cacheOf = (options = {}) =>
  createShrinkCache({ store: folderStore(folder), onWarning, ...options });
const small = async (source) => (await shrink(source)).bytes();
const ranges = () => site.requests.map(({ headers }) => headers.range);
const draftKeys = async (kind) =>
  (await readdir(folder)).filter((name) => name.startsWith(`${kind}-`));

/** Loads a model whose download breaks, then once more as `route` gives it; expects the small one of `source`. */
async function loadTwice(first, route, source = model) {
  site.routes["/m.onnx"] = first;
  await assert.rejects(cacheOf().cached(url), ModelShrinkError);
  site.routes["/m.onnx"] = route;
  const seen = [];
  const { hit, files } = await cacheOf({ onProgress: (it) => seen.push(it) }).cached(url);
  assert.equal(hit, false);
  assert.deepEqual(await bytesOf(files["m.onnx"]), await small(source));
  for (const kind of ["draft", "part"]) assert.deepEqual(await draftKeys(kind), []);
  assert.deepEqual(warnings, []);
  return seen;
}

test("a download that broke goes on where it was, and asks whether the file is the same", async () => {
  const seen = await loadTwice(ranged(model, etag, cut), ranged(model, etag));
  const [first, second] = site.requests.map(({ headers }) => headers);
  assert.equal(first.range, undefined);
  assert.deepEqual([second.range, second["if-range"]], [`bytes=${cut}-`, '"1"']);
  const loaded = seen.filter((it) => it.loaded !== undefined);
  assert.ok(loaded[0].loaded > cut);
  assert.deepEqual([loaded.at(-1).loaded, loaded.at(-1).progress], [model.length, 100]);
});

test("it goes on by a date, too, and breaks as often as the server likes", async () => {
  const date = { "last-modified": "Sun, 29 Nov 2020 00:00:00 GMT" };
  site.routes["/m.onnx"] = ranged(model, date, 3_000_000);
  for (let i = 0; i < 3; i++) await assert.rejects(cacheOf().cached(url), ModelShrinkError);
  await loadTwice(ranged(model, date, 100_000), ranged(model, date));
  assert.deepEqual(ranges(), [
    undefined,
    ...[3_000_000, 6_000_000, 9_000_000, 9_100_000].map((begin) => `bytes=${begin}-`),
  ]);
});

test("a call that was aborted is gone on with, and so is one that the app's own function ended", async () => {
  const stops = [
    (controller) => controller.abort(new Error("enough")),
    () => {
      throw new Error("enough");
    },
  ];
  for (const stop of stops) {
    site.routes["/m.onnx"] = ranged(model, etag);
    site.requests = [];
    const controller = new AbortController();
    const onProgress = ({ loaded }) => loaded > cut && stop(controller);
    const { signal } = controller;
    await assert.rejects(cacheOf({ onProgress }).cached(url, "fp16", { signal }), /enough/);
    const { files } = await cacheOf().cached(url, "fp16");
    const expected = await (await shrink(model, "fp16")).bytes();
    assert.deepEqual(await bytesOf(files["m.onnx"]), expected);
    assert.ok(Number(/\d+/.exec(ranges().at(-1))[0]) >= cut);
    await cacheOf().delete(url);
  }
});

for (const [what, first, second] of [
  ["another ETag", etag, { etag: '"2"' }],
  ["another date", { "last-modified": "Sun, 29 Nov 2020 00:00:00 GMT" }, { "last-modified": "x" }],
]) {
  test(`${what}: the file comes anew`, async () => {
    await loadTwice(ranged(model, first, cut), ranged(other, second), other);
    assert.equal(site.requests.length, 2);
  });
}

const chunked = { "transfer-encoding": "chunked", "content-length": [] };

/** What is announced as the rest of the model, with so many bytes more. */
function restOf(more, headers = {}) {
  const rest = ranged(model, etag)({ headers: { range: `bytes=${cut}-` } });
  const body = Buffer.concat([rest.body, Buffer.alloc(100, 0x12)]).subarray(
    0,
    more - 100 || undefined,
  );
  return { ...rest, body, headers: { ...rest.headers, ...headers } };
}

/** What servers may answer to a request for the rest. */
const answers = {
  "the whole": () => ({ body: other, headers: etag }),
  "the rest of another file, although asked by If-Range": () =>
    ranged(other, { etag: '"2"' })({ headers: { range: `bytes=${cut}-` } }),
  "another range": () => ranged(other, etag)({ headers: { range: `bytes=${cut - 1}-` } }),
  "a range of another size": () =>
    ranged(other.subarray(0, -1), etag)({ headers: { range: `bytes=${cut}-` } }),
  "a range without bounds": () => ({ status: 206, body: other.subarray(cut), headers: etag }),
  "a range without validators": () => ranged(other, {})({ headers: { range: `bytes=${cut}-` } }),
  "too few bytes of the range": () => restOf(-1000),
  "too few bytes of the range, without their number": () => restOf(-1000, chunked),
  "too many bytes for the range": () => restOf(100),
  "too many bytes for the range, without their number": () => restOf(100, chunked),
  "a status without a body": () => ({ status: 204 }),
  "a status for what the asker has": () => ({ status: 304 }),
  "a refusal of ranges": () => ({ status: 400 }),
  "no such range": () => ({ status: 416, headers: { "content-range": "bytes */7" } }),
};
for (const [what, answer] of Object.entries(answers)) {
  test(`a server that gives ${what}: the file comes anew`, async () => {
    const route = ({ headers }) => (headers.range ? answer() : { body: other, headers: etag });
    await loadTwice(ranged(model, etag, cut), route, other);
  });
}

for (const [what, headersOfNow] of [
  ["a weak ETag", () => ({ etag: 'W/"1"' })],
  ["nothing", () => ({})],
  ["a date of this minute", () => ({ "last-modified": new Date().toUTCString() })],
]) {
  test(`${what} does not tell that a file is the same: it comes anew`, async () => {
    const headers = headersOfNow();
    await loadTwice(ranged(model, headers, cut), ranged(model, headers));
    assert.deepEqual(ranges(), [undefined, undefined]);
  });
}

test("a refusal is an error of that status, and what came stays for a later call", async () => {
  site.routes["/m.onnx"] = ranged(model, etag, cut);
  await assert.rejects(cacheOf().cached(url), ModelShrinkError);
  site.routes["/m.onnx"] = { status: 503 };
  await assert.rejects(cacheOf().cached(url), /HTTP status 503/);
  await loadTwice({ status: 503 }, ranged(model, etag));
  assert.equal(ranges().at(-1), `bytes=${cut}-`);
});

test("where the file cannot be had anew either, what came stays", async () => {
  site.routes["/m.onnx"] = ranged(model, etag, cut);
  await assert.rejects(cacheOf().cached(url), ModelShrinkError);
  site.routes["/m.onnx"] = { status: 403 };
  await assert.rejects(cacheOf().cached(url), /HTTP status 403/);
  assert.deepEqual(ranges().slice(1), [`bytes=${cut}-`, undefined]);
  await loadTwice({ status: 503 }, ranged(model, etag));
  assert.equal(ranges().at(-1), `bytes=${cut}-`);
});

/** Does `work` where all who have a store know of each other, as the pages of an origin do. */
async function amongPages(work) {
  const own = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  const locks = { request: (_name, _options, hold) => Promise.resolve(hold({})) };
  Object.defineProperty(globalThis, "navigator", { configurable: true, value: { locks } });
  globalThis.document = {};
  try {
    await work();
  } finally {
    delete globalThis.navigator;
    if (own) Object.defineProperty(globalThis, "navigator", own);
    delete globalThis.document;
  }
}

/** A store that never lets go of what has come. */
function greedyStore() {
  const store = folderStore(folder);
  const remove = store.delete;
  store.delete = (key) =>
    key.startsWith("part-") ? Promise.reject(new Error("It cannot be deleted.")) : remove(key);
  return store;
}

test("what is of no use is gone on with once, also where the store does not let go of it", async () => {
  await amongPages(async () => {
    site.routes["/m.onnx"] = ranged(model, etag, cut);
    await assert.rejects(cacheOf({ store: greedyStore() }).cached(url), ModelShrinkError);
    site.routes["/m.onnx"] = ({ headers }) => {
      // Whoever comes again and again would come forever.
      if (site.requests.length > 9) return { status: 500 };
      return headers.range ? restOf(-1000, chunked) : { body: model, headers: etag };
    };
    const { files } = await cacheOf({ store: greedyStore() }).cached(url);
    assert.deepEqual(await bytesOf(files["m.onnx"]), await small(model));
    assert.deepEqual(ranges(), [undefined, `bytes=${cut}-`, undefined]);
  });
});

test("a store that does not let go of a broken download hides neither why it broke nor what can be gone on with", async () => {
  const { "model.onnx": main, "weights.bin": data } = externalModel("weights.bin");
  site.routes["/m.onnx"] = { body: main, headers: {} };
  site.routes["/weights.bin"] = ranged(data, etag, data.length >> 1);
  await assert.rejects(cacheOf({ store: greedyStore() }).cached(url), {
    code: "io",
    message: /weights\.bin/,
  });
  site.routes["/weights.bin"] = ranged(data, etag);
  await cacheOf({ store: greedyStore() }).cached(url);
  assert.deepEqual(ranges().slice(2), [undefined, `bytes=${data.length >> 1}-`]);
});

test("two that go on with one download have each its own parts", async () => {
  site.routes["/m.onnx"] = ranged(model, etag, cut);
  await assert.rejects(cacheOf().cached(url), ModelShrinkError);
  site.routes["/m.onnx"] = ranged(model, etag);
  const bothHaveRead = later();
  const firstIsDone = later();
  let readers = 0;
  /** A store for one of them: both read the note before one takes it, and one keeps the rest when the other is done. */
  const storeOf = (isLast) => {
    const store = folderStore(folder);
    const own = { ...store };
    // Downloads go into what folderStore has made.
    return Object.assign(store, {
      async get(key) {
        const value = await own.get(key);
        if (key.startsWith("draft-") && ++readers === 2) bothHaveRead.resolve();
        return value;
      },
      async set(key, value) {
        if (isLast && key.includes(`-${cut}-`)) await firstIsDone.promise;
        await own.set(key, value);
      },
      async delete(key) {
        if (key.startsWith("draft-")) await bothHaveRead.promise;
        await own.delete(key);
      },
    });
  };
  // Caches of two names have locks of their own, as two processes have.
  const load = async (name, isLast) => {
    const { files } = await cacheOf({ name, store: storeOf(isLast) }).cached(url);
    return bytesOf(files["m.onnx"]);
  };
  const expected = await small(model);
  const first = load("first", false).finally(firstIsDone.resolve);
  assert.deepEqual(await Promise.all([first, load("last", true)]), [expected, expected]);
  for (const kind of ["draft", "part"]) assert.deepEqual(await draftKeys(kind), []);
});

test("parts that cannot be read any more are none", async () => {
  site.routes["/m.onnx"] = ranged(model, etag, cut);
  await assert.rejects(cacheOf().cached(url), ModelShrinkError);
  site.routes["/m.onnx"] = ranged(model, etag);
  const store = folderStore(folder);
  const own = { ...store };
  let hasFound = false;
  store.get = async (key) => {
    const value = await own.get(key);
    // What it gives is a view of a file, which goes away.
    if (!hasFound && key.includes(`-${2 ** 23}-`)) await own.delete(key);
    return value;
  };
  const onProgress = ({ status }) => (hasFound ||= status === "download");
  const { files } = await cacheOf({ store, onProgress }).cached(url);
  assert.deepEqual(await bytesOf(files["m.onnx"]), await small(model));
  assert.equal(ranges().at(-1), `bytes=${2 ** 23}-`);
});

test("parts that are not what came are none", async () => {
  const damages = [
    (bytes) => bytes.subarray(0, 100),
    (bytes) => ((bytes[bytes.length >> 1] ^= 1), bytes),
  ];
  for (const damage of damages) {
    await rm(folder, { recursive: true });
    site.requests = [];
    site.routes["/m.onnx"] = ranged(model, etag, cut);
    await assert.rejects(cacheOf().cached(url), ModelShrinkError);
    const parts = await draftKeys("part");
    assert.equal(parts.length, 2);
    const later = join(
      folder,
      parts.find((name) => !/-0-[\da-f]+$/.test(name)),
    );
    await writeFile(later, damage(await readFile(later)));
    site.routes["/m.onnx"] = ranged(model, etag);
    const { files } = await cacheOf().cached(url);
    assert.deepEqual(await bytesOf(files["m.onnx"]), await small(model));
    assert.equal(ranges().at(-1), `bytes=${2 ** 23}-`);
  }
});

test("a part that somebody has moved to another place of its file is none", async () => {
  site.routes["/m.onnx"] = ranged(model, etag, cut);
  await assert.rejects(cacheOf().cached(url), ModelShrinkError);
  const parts = await draftKeys("part");
  const first = parts.find((name) => name.includes("-0-"));
  const later = parts.find((name) => name !== first);
  await rm(join(folder, first));
  await rename(join(folder, later), join(folder, later.replace(`-${2 ** 23}-`, "-0-")));
  site.routes["/m.onnx"] = ranged(model, etag);
  const { files } = await cacheOf().cached(url);
  assert.deepEqual(await bytesOf(files["m.onnx"]), await small(model));
  assert.deepEqual(ranges(), [undefined, undefined]);
});

test("parts whose note somebody has exchanged for another file's are none", async () => {
  const files = externalModel("m.onnx_data");
  const [graph, data] = [files["model.onnx"], files["m.onnx_data"]].map((it) => Buffer.from(it));
  site.routes = {
    "/m.onnx": ranged(graph, etag),
    "/m.onnx_data": ranged(data, etag, data.length >> 1),
  };
  await assert.rejects(cacheOf().cached(url), ModelShrinkError);
  const [one, other] = await draftKeys("draft");
  await rename(join(folder, one), join(folder, "kept"));
  await rename(join(folder, other), join(folder, one));
  await rename(join(folder, "kept"), join(folder, other));
  site.routes["/m.onnx_data"] = ranged(data, etag);
  const { files: made } = await cacheOf().cached(url);
  const { files: expected } = await shrink(files);
  for (const [i, name] of ["m.onnx", "m.onnx_data"].entries())
    assert.deepEqual(await bytesOf(made[name]), await bytesOf(Object.values(expected)[i]));
});

test("a note of wrong validators, whose digest is right, is none", async () => {
  for (const validators of [null, { etag: 5 }, { etag: "a\nb" }, { lastModified: "\u2028" }]) {
    await rm(folder, { recursive: true });
    site.requests = [];
    site.routes["/m.onnx"] = ranged(model, etag, cut);
    await assert.rejects(cacheOf().cached(url), ModelShrinkError);
    const [note] = await draftKeys("draft");
    const content = JSON.parse((await readFile(join(folder, note), "utf8")).slice(65));
    const json = JSON.stringify({ ...content, validators });
    const digest = createHash("sha256").update(json).digest("hex");
    await writeFile(join(folder, note), `${digest}\n${json}`);
    site.routes["/m.onnx"] = ranged(model, etag);
    const { files } = await cacheOf().cached(url);
    assert.deepEqual(await bytesOf(files["m.onnx"]), await small(model));
    assert.deepEqual(ranges(), [undefined, undefined]);
  }
});

test("of a model of several files only what is missing comes", async () => {
  const files = externalModel("m.onnx_data");
  const data = Buffer.from(files["m.onnx_data"]);
  const graph = Buffer.from(files["model.onnx"]);
  const half = data.length >> 1;
  site.routes = {
    "/m.onnx": ranged(graph, etag),
    "/m.onnx_data": ranged(data, etag, half),
  };
  await assert.rejects(cacheOf().cached(url), ModelShrinkError);
  site.routes["/m.onnx_data"] = ranged(data, etag);
  const { files: made } = await cacheOf().cached(url);
  const { files: expected } = await shrink(files);
  assert.deepEqual(await bytesOf(made["m.onnx_data"]), await bytesOf(Object.values(expected)[1]));
  // The last byte of what is there tells that it is the same.
  assert.deepEqual(ranges().slice(2), [`bytes=${graph.length - 1}-`, `bytes=${half}-`]);
});

test("without a folder an interrupted download goes on in memory, as long as the cache object lives", async () => {
  const cache = cacheOf({ store: "memory" });
  site.routes["/m.onnx"] = ranged(model, etag, cut);
  await assert.rejects(cache.cached(url), ModelShrinkError);
  site.routes["/m.onnx"] = ranged(model, etag);
  const { files } = await cache.cached(url);
  assert.deepEqual(await bytesOf(files["m.onnx"]), await small(model));
  assert.equal(ranges().at(-1), `bytes=${cut}-`);
});

test("the week of an interrupted download begins anew when a call goes on with it", async () => {
  site.routes["/m.onnx"] = ranged(model, etag, cut);
  await assert.rejects(cacheOf().cached(url), ModelShrinkError);
  for (const name of await readdir(folder)) {
    const aged = name.replace(/-(\d{13})-/, (_, begin) => `-${begin - 6 * 86_400_000}-`);
    await rename(join(folder, name), join(folder, aged));
  }
  const whileItComes = [];
  const onProgress = ({ loaded }) => loaded && whileItComes.push(...readdirSync(folder));
  site.routes["/m.onnx"] = ranged(model, etag, 100_000);
  await assert.rejects(cacheOf({ onProgress }).cached(url), ModelShrinkError);
  assert.equal(ranges().at(-1), `bytes=${cut}-`);
  const names = [...whileItComes, ...(await readdir(folder))];
  assert.ok(names.length > 4);
  for (const name of names) assert.ok(Date.now() - /-(\d{13})-/.exec(name)[1] < 86_400_000, name);
});

test("an interrupted download is swept after a week, and what no note is of after a day", async () => {
  site.routes["/m.onnx"] = ranged(model, etag, cut);
  await assert.rejects(cacheOf().cached(url), ModelShrinkError);
  const [note] = await draftKeys("draft");
  const parts = await draftKeys("part");
  const aged = (name, days) =>
    name.replace(/-(\d{13})-/, (_, begin) => `-${begin - days * 86_400_000}-`);
  const bytes = { draft: await readFile(join(folder, note)), part: Buffer.from("x") };
  const make = async (days, withNote) => {
    const id = String(Math.random()).slice(2).padEnd(64, "0").slice(0, 64);
    const names = [...(withNote ? [note] : []), ...parts].map((it) =>
      aged(it, days).replace(/[\da-f]{64}/, id),
    );
    for (const name of names) await writeFile(join(folder, name), bytes[name.split("-")[0]]);
    return names;
  };
  const kept = [...(await make(0.5, false)), ...(await make(6, true))];
  const swept = [...(await make(2, false)), ...(await make(8, true))];
  site.routes["/n.onnx"] = model;
  await cacheOf().cached(`${site.base}/n.onnx`);
  const names = await readdir(folder);
  for (const name of kept) assert.ok(names.includes(name), name);
  for (const name of swept) assert.ok(!names.includes(name), name);
  assert.ok(names.includes(note));
});
