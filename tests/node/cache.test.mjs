// The shrinking cache: what it asks the server for, what it keeps, and what it does when things go wrong.
import assert from "node:assert/strict";
import { readdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, test } from "node:test";
import { ArgumentError, ModelShrinkError, shrink } from "modelshrink";
import { createShrinkCache, folderStore } from "modelshrink/cache";
import { bytesOf, folder, onWarning, site, warnings } from "../support/cache-site.mjs";
import { chainModel, externalModel } from "../support/onnx.mjs";

const model = chainModel([{ name: "w", size: 64 }]);
const other = chainModel([{ name: "v", size: 64 }]);
const { base } = site;
let store;

beforeEach(() => {
  store = folderStore(folder);
  site.routes["/m.onnx"] = { body: model, headers: { etag: '"1"' } };
});

const cacheOf = (options = {}) => createShrinkCache({ store, onWarning, ...options });
const lines = () => site.requests.map(({ line }) => line);
const small = async (recipe = "int8", source = model) => (await shrink(source, recipe)).bytes();
const keysOf = async (prefix) =>
  (await readdir(folder)).filter((name) => name.startsWith(prefix)).sort();

test("the first load downloads once and gives what shrink gives; the next needs no network", async () => {
  const first = await cacheOf().cached(`${base}/m.onnx`);
  const second = await cacheOf().cached(`${base}/m.onnx`);
  assert.deepEqual([first.hit, second.hit], [false, true]);
  assert.deepEqual(lines(), ["GET /m.onnx"]);
  for (const { files } of [first, second]) {
    assert.deepEqual(Object.keys(files), ["m.onnx"]);
    assert.deepEqual(await bytesOf(files["m.onnx"]), await small());
  }
  assert.deepEqual(second.report, JSON.parse(JSON.stringify(first.report)));
});

test("another recipe, revision or name is another entry", async () => {
  const url = `${base}/m.onnx`;
  await cacheOf().cached(url);
  const float = await cacheOf().cached(url, "fp16");
  assert.deepEqual(await bytesOf(float.files["m.onnx"]), await small("fp16"));
  assert.equal((await cacheOf({ recipe: "fp16" }).cached(url)).hit, true);
  assert.equal((await cacheOf({ revision: "2" }).cached(url)).hit, false);
  assert.equal(site.requests.length, 3);
});

test("list tells what is kept, and what it gives can be loaded and removed one by one", async () => {
  const url = `${base}/m.onnx`;
  const begin = Date.now();
  await cacheOf().cached(url);
  const half = { weights: "float16" };
  const { report } = await cacheOf().cached(url, half);
  await cacheOf().put(`${base}/config.json`, new Response("{}"));
  await writeFile(join(folder, `record-${"0".repeat(64)}`), "no record");
  const [newest, oldest, ...others] = await cacheOf().list();
  assert.deepEqual(others, []);
  assert.deepEqual([newest.recipe, oldest.recipe], [half, "int8"]);
  assert.deepEqual(newest.files, [{ name: "m.onnx", bytes: report.outputBytes }]);
  assert.ok(begin <= oldest.keptAt && oldest.keptAt <= newest.keptAt);
  assert.ok(newest.keptAt <= Date.now());
  assert.equal((await cacheOf().cached(newest.url, newest.recipe)).hit, true);
  assert.deepEqual(await cacheOf({ revision: "2" }).list(), [], "it would be made anew for that");
  assert.equal(await cacheOf().delete(newest), true);
  assert.equal(await cacheOf().delete(newest), false);
  assert.deepEqual(await cacheOf().list(), [oldest]);
  assert.equal(await cacheOf().delete(url), true);
  assert.deepEqual(await cacheOf().list(), []);
  assert.equal(site.requests.length, 2);
});

test("with revalidate a changed model is noticed, by ETag, date or size", async () => {
  const url = `${base}/m.onnx`;
  for (const [before, now] of [
    [{ etag: '"1"' }, { etag: '"2"' }],
    [
      { "last-modified": "Sun, 29 Nov 2026 00:00:00 GMT" },
      { "last-modified": "Sun, 29 Nov 2026 00:00:01 GMT" },
    ],
  ]) {
    const cache = cacheOf({ revalidate: true, store: "memory" });
    site.routes["/m.onnx"] = { body: model, headers: before };
    assert.equal((await cache.cached(url)).hit, false);
    assert.equal((await cache.cached(url)).hit, true);
    site.routes["/m.onnx"] = { body: other, headers: now };
    const changed = await cache.cached(url);
    assert.equal(changed.hit, false);
    assert.deepEqual(await bytesOf(changed.files["m.onnx"]), await small("int8", other));
  }
  const cache = cacheOf({ revalidate: true, store: "memory" });
  site.routes["/m.onnx"] = { body: model };
  await cache.cached(url);
  site.routes["/m.onnx"] = { body: chainModel([{ name: "longer", size: 64 }]) };
  assert.equal((await cache.cached(url)).hit, false);
});

test("what cannot be asked whether it changed is given, with a warning", async () => {
  const cache = cacheOf({ revalidate: true });
  await cache.cached(`${base}/m.onnx`);
  site.routes = {};
  assert.equal((await cache.cached(`${base}/m.onnx`)).hit, true);
  assert.deepEqual(warnings, ["stale"]);
});

test("loads at once of one address are one download", async () => {
  const cache = cacheOf();
  const all = await Promise.all([1, 2, 3].map(() => cache.cached(`${base}/m.onnx`)));
  const { signal } = new AbortController();
  all.push(await cache.cached(`${base}/m.onnx`, undefined, { signal }));
  assert.deepEqual(lines(), ["GET /m.onnx"]);
  for (const { files } of all) assert.deepEqual(await bytesOf(files["m.onnx"]), await small());
});

test("external data is kept with its model, and served by its own address", async () => {
  const files = externalModel("m.onnx_data");
  site.routes["/m.onnx"] = { body: files["model.onnx"] };
  site.routes["/m.onnx_data"] = { body: files["m.onnx_data"] };
  const { files: made } = await cacheOf().cached(`${base}/m.onnx`);
  assert.deepEqual(Object.keys(made), ["m.onnx", "m.onnx_data"]);
  site.requests = [];
  for (const cache of [cacheOf(), cacheOf()]) {
    const response = await cache.fetch(`${base}/m.onnx_data`);
    assert.deepEqual(await bytesOf(await response.blob()), await bytesOf(made["m.onnx_data"]));
  }
  assert.deepEqual(lines(), []);
});

test("match gives models shrunk, and other files when they were put", async () => {
  const cache = cacheOf();
  site.routes["/config.json"] = { body: "{}", headers: { "content-type": "application/json" } };
  assert.equal(await cache.match(`${base}/config.json`), undefined);
  assert.equal(await cache.match("/models/m.onnx"), undefined);
  await cache.put(`${base}/config.json`, await fetch(`${base}/config.json`));
  const config = await cache.match(new Request(`${base}/config.json`));
  assert.equal(config.headers.get("content-type"), "application/json");
  assert.equal(await config.text(), "{}");
  const response = await cache.match(`${base}/m.onnx`);
  assert.equal(response.headers.get("content-length"), String((await small()).length));
  assert.deepEqual(await bytesOf(await response.blob()), await small());
  assert.deepEqual(lines(), ["GET /config.json", "GET /m.onnx"]);
  assert.equal(await cache.delete(`${base}/m.onnx`), true);
  assert.equal(await cache.delete(`${base}/m.onnx`), false);
  assert.equal((await keysOf("file-")).length, 1);
});

test("fetch does for other requests what fetch does", async () => {
  const cache = cacheOf();
  site.routes["/a.txt"] = { body: "text" };
  assert.equal(await (await cache.fetch(`${base}/a.txt`)).text(), "text");
  assert.equal((await cache.fetch(`${base}/none`)).status, 404);
  await cache.fetch(`${base}/m.onnx`, { method: "POST", body: "x" });
  assert.equal(lines().at(-1), "POST /m.onnx");
});

test("HEAD and ranges are of the small model, like GET", async () => {
  const cache = cacheOf();
  const url = `${base}/m.onnx`;
  const expected = await small();
  const head = await cache.fetch(new Request(url, { method: "HEAD" }));
  assert.equal(head.headers.get("content-length"), String(expected.length));
  assert.equal((await head.blob()).size, 0);
  const size = expected.length;
  for (const [range, begin, end] of [
    ["bytes=0-9", 0, 10],
    ["bytes=10-", 10, size],
    [`bytes=${size - 1}-${size + 100}`, size - 1, size],
  ]) {
    const part = await cache.fetch(url, { headers: { range } });
    assert.equal(part.status, 206);
    assert.equal(part.headers.get("content-range"), `bytes ${begin}-${end - 1}/${size}`);
    assert.deepEqual(await bytesOf(await part.blob()), expected.slice(begin, end));
  }
  assert.equal((await cache.fetch(url, { headers: { range: `bytes=${size}-` } })).status, 416);
});

test("an entry that was checked is not checked again, however often it is asked for", async () => {
  let streamed = 0;
  const values = new Map();
  /** Counts how often all bytes of a value are read. */
  const counted = (blob) =>
    Object.assign(blob, {
      stream: () => {
        streamed += blob.size;
        return Blob.prototype.stream.call(blob);
      },
    });
  const own = {
    get: async (key) => values.get(key),
    set: async (key, value) =>
      values.set(key, key.startsWith("file-") ? counted(value.slice()) : value),
    delete: async (key) => values.delete(key),
    keys: async () => values.keys(),
  };
  const url = `${base}/m.onnx`;
  await cacheOf({ store: own }).cached(url);
  streamed = 0;
  const cache = cacheOf({ store: own });
  for (let i = 0; i < 3; i++) {
    await cache.fetch(url, { method: "HEAD" });
    await (await cache.fetch(url, { headers: { range: "bytes=0-9" } })).arrayBuffer();
    assert.equal((await cache.cached(url)).hit, true);
  }
  assert.equal(streamed, (await small()).length);
});

test("an entry that changes after it was checked is made anew by the same object", async () => {
  const url = `${base}/m.onnx`;
  const cache = cacheOf();
  await cache.cached(url);
  const [key] = await keysOf("file-");
  const bytes = await readFile(join(folder, key));
  bytes[bytes.length >> 1] ^= 1;
  await writeFile(join(folder, key), bytes);
  const anew = await cache.cached(url);
  assert.equal(anew.hit, false);
  assert.deepEqual(await bytesOf(anew.files["m.onnx"]), await small());
  assert.deepEqual(warnings, ["damaged"]);
});

test("headers reach the server, for every file of a model", async () => {
  const files = externalModel("m.onnx_data");
  const gated = (body) => (request) =>
    request.headers.authorization === "Bearer token" ? body : { status: 401 };
  site.routes["/m.onnx"] = gated(files["model.onnx"]);
  site.routes["/m.onnx_data"] = gated(files["m.onnx_data"]);
  const headers = { authorization: "Bearer token" };
  await assert.rejects(cacheOf().cached(`${base}/m.onnx`), /HTTP status 401/);
  assert.equal((await cacheOf().fetch(`${base}/m.onnx`, { headers })).status, 200);
  assert.equal((await cacheOf().cached(`${base}/m.onnx`, undefined, { headers })).hit, true);
});

test("a file that is no model in spite of its name is given as it came, with a warning", async () => {
  site.routes["/m.onnx"] = { body: Buffer.from("<html>no model here</html>") };
  const cache = cacheOf();
  const response = await cache.fetch(`${base}/m.onnx`);
  assert.equal(await response.text(), "<html>no model here</html>");
  assert.deepEqual(warnings, ["unshrunk"]);
  assert.deepEqual(await keysOf("record-"), []);
  await assert.rejects(cache.cached(`${base}/m.onnx`), ModelShrinkError);
});

test("a failed download is an error of code io, and nothing is kept", async () => {
  for (const [route, code] of [
    [{ body: "", status: 404 }, "io"],
    [{ body: "", status: 503 }, "io"],
    [{ body: model.subarray(0, 100), headers: { "content-length": model.length } }, "io"],
  ]) {
    site.routes["/m.onnx"] = route;
    const failure = cacheOf({ timeoutMs: 300 }).cached(`${base}/m.onnx`);
    await assert.rejects(
      failure,
      (error) => error instanceof ModelShrinkError && error.code === code,
    );
  }
  assert.deepEqual(await readdir(folder), []);
});

/** What may happen to the files of an entry. */
const damages = {
  "a truncated file": async (path) => truncate(path, 100),
  "a file with another bit": async (path) => {
    const bytes = await readFile(path);
    bytes[bytes.length >> 1] ^= 1;
    await writeFile(path, bytes);
  },
  "a file that is gone": (path) => rm(path),
  "a link to another file": async (path) => {
    await rm(path);
    await symlink("/etc/passwd", path);
  },
};
for (const [what, damage] of Object.entries(damages)) {
  for (const prefix of ["file-", "record-"]) {
    test(`${what} is made anew (${prefix})`, async () => {
      await cacheOf().cached(`${base}/m.onnx`);
      const [key] = await keysOf(prefix);
      await damage(join(folder, key));
      const anew = await cacheOf().cached(`${base}/m.onnx`);
      assert.equal(anew.hit, false);
      assert.deepEqual(await bytesOf(anew.files["m.onnx"]), await small());
      assert.deepEqual(warnings, prefix === "record-" && /gone|link/.test(what) ? [] : ["damaged"]);
      assert.equal((await cacheOf().cached(`${base}/m.onnx`)).hit, true);
      assert.equal((await keysOf("file-")).length, 1);
    });
  }
}

test("leftovers of killed writings are swept after a day, and other files of the folder never", async () => {
  const id = "0".repeat(64);
  const part = "00000000-0000-4000-8000-000000000000";
  const now = Date.now();
  const old = `file-${id}-${now - 100_000_000}-${part}-0`;
  const young = `file-${id}-${now}-${part}-0`;
  for (const name of [old, `${old}.${part}.part`, young, "notes.txt", `file-${id}.txt`]) {
    await writeFile(join(folder, name), "x");
  }
  await cacheOf().cached(`${base}/m.onnx`);
  const left = (await readdir(folder)).filter((it) => /notes|0{64}/.test(it)).sort();
  assert.deepEqual(left, [`file-${id}.txt`, young, "notes.txt"].sort());
});

/** A store of so many bytes; `used` says how many it has. */
function tinyStore(limit) {
  const values = new Map();
  const used = () => [...values.values()].reduce((sum, { size }) => sum + size, 0);
  return {
    used,
    get: async (key) => values.get(key),
    set: async (key, value) => {
      if (used() + value.size > limit) throw new DOMException("full", "QuotaExceededError");
      values.set(key, value);
    },
    delete: async (key) => values.delete(key),
    keys: async () => values.keys(),
  };
}

test("when the store is full the oldest entries go, then a smaller recipe is taken, then nothing is kept", async () => {
  const wide = chainModel([{ name: "w", size: 128 }]);
  const [m, n] = [`${base}/m.onnx`, `${base}/n.onnx`];
  site.routes = { "/m.onnx": { body: wide }, "/n.onnx": { body: wide } };
  const entryBytes = async (recipe) => {
    const roomy = tinyStore(Infinity);
    await cacheOf({ store: roomy }).cached(m, recipe);
    return roomy.used();
  };
  const [int8, int4] = [await entryBytes("int8"), await entryBytes("int4")];

  const one = cacheOf({ store: tinyStore(1.5 * int8) });
  await one.cached(m);
  await one.cached(n);
  assert.equal((await one.cached(n)).hit, true);
  assert.equal((await one.cached(m)).hit, false);
  assert.deepEqual(warnings, []);

  const narrow = cacheOf({ store: tinyStore((int8 + int4) / 2), smaller: ["int4"] });
  const made = await narrow.cached(m);
  assert.deepEqual(await bytesOf(made.files["m.onnx"]), await small("int4", wide));
  assert.equal((await narrow.cached(m)).hit, true);
  assert.deepEqual(warnings, ["uncached"]);

  const none = cacheOf({ store: tinyStore(10) });
  const given = await none.cached(m);
  assert.deepEqual(await bytesOf(given.files["m.onnx"]), await small("int8", wide));
  assert.equal((await none.cached(m)).hit, false);
});

test("a store that fails is a warning, and the model is given", async () => {
  const fail = () => Promise.reject(new Error("no disk"));
  const cache = cacheOf({ store: { get: fail, set: fail, delete: fail, keys: fail } });
  assert.deepEqual(
    await bytesOf((await cache.cached(`${base}/m.onnx`)).files["m.onnx"]),
    await small(),
  );
  assert.deepEqual(warnings, ["uncached"]);
});

test("an abort ends a load with its reason and keeps nothing", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  const cache = cacheOf({ onProgress: () => controller.abort(reason) });
  const load = cache.cached(`${base}/m.onnx`, undefined, { signal: controller.signal });
  await assert.rejects(load, (error) => error === reason);
  assert.deepEqual(await keysOf("record-"), []);
});

test("progress has transformers.js's shape and never goes back", async () => {
  const seen = [];
  await cacheOf({ onProgress: (it) => seen.push(it) }).cached(`${base}/m.onnx`);
  const statuses = seen.map(({ status }) => status);
  assert.deepEqual([...new Set(statuses)], ["initiate", "download", "progress", "shrink", "done"]);
  for (const status of ["progress", "shrink"]) {
    const values = seen.filter((it) => it.status === status).map(({ progress }) => progress);
    assert.deepEqual(
      values,
      [...values].sort((a, b) => a - b),
    );
    assert.equal(values.at(-1), 100);
  }
});

test("wrong options are refused", async () => {
  for (const options of [
    ...[{ recipe: "int7" }, { store: "disk" }, { name: "" }, { smaller: "int4" }, { workers: -1 }],
    ...[{ revalidate: 1 }, { revision: 2 }, { onProgress: 5 }, { onWarning: 5 }, { timeoutMs: 0 }],
    ...[{ cache: true }, { store: { get() {} } }],
  ]) {
    assert.throws(() => createShrinkCache(options), ArgumentError, JSON.stringify(options));
  }
  await assert.rejects(cacheOf().cached("file:///m.onnx"), ArgumentError);
  await assert.rejects(cacheOf().cached(`${base}/m.onnx`, "int7"), ArgumentError);
});
