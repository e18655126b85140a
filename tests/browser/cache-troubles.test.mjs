// What may befall a cache in a page, each caused for real in Chromium: downloads that break, servers that say a wrong length
// or refuse, no network, storage that is full or was cleared.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { gzipSync } from "node:zlib";
import { shrink } from "modelshrink";
import { launchWithProfile } from "../support/chromium.mjs";
import { serveRoutes } from "../support/model-server.mjs";
import { chainModel, externalModel } from "../support/onnx.mjs";

const model = chainModel([{ name: "w", size: 512 }]);
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const smallBy = async (recipe, of = model) => (await shrink(of, recipe)).bytes();
let context;
let profile;
let site;
let foreign;
let tab;
let session;

before(async () => {
  site = await serveRoutes({ files: true });
  foreign = await serveRoutes();
  profile = await mkdtemp(join(tmpdir(), "modelshrink-"));
  context = await launchWithProfile(profile);
  tab = await context.newPage();
  session = await context.newCDPSession(tab);
  await tab.goto(`${site.base}/page.html`);
});
beforeEach(() => {
  site.routes = { "/m.onnx": { body: model, headers: { etag: '"1"' } } };
  site.requests = [];
});
after(async () => {
  await context?.close();
  site?.close();
  foreign?.close();
  await rm(profile, { recursive: true, force: true });
});

/** Loads a model in the page; gives { hit, sha256, names, warnings }, or { code, warnings }. */
const load = (options, address = `${site.base}/m.onnx`) =>
  tab.evaluate(
    async ([url, given]) => {
      const { createShrinkCache } = await import("modelshrink/cache");
      const warnings = [];
      const cache = createShrinkCache({ ...given, onWarning: ({ code }) => warnings.push(code) });
      try {
        const { files, hit } = await cache.cached(url);
        const digests = [];
        for (const file of Object.values(files)) {
          const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
          digests.push([...new Uint8Array(digest)].map((it) => it.toString(16).padStart(2, "0")));
        }
        return { hit, sha256: digests[0].join(""), names: Object.keys(files), warnings };
      } catch ({ code }) {
        return { code, warnings };
      }
    },
    [address, options],
  );

const given = async ({ hit = false, recipe = "int8", warnings = [] } = {}) => {
  return { hit, sha256: sha256(await smallBy(recipe)), names: ["m.onnx"], warnings };
};

const setQuota = (quotaSize) =>
  session.send("Storage.overrideQuotaForOrigin", {
    origin: site.base,
    ...(quotaSize === undefined ? {} : { quotaSize: Math.round(quotaSize) }),
  });

const usage = () => tab.evaluate(async () => (await navigator.storage.estimate()).usage);

/** A server that answers each request by these bytes, and closes the connection cleanly. */
async function serveRaw(head, body) {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      socket.write(
        `HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\nconnection: close\r\n${head}\r\n`,
      );
      socket.end(body);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = `http://127.0.0.1:${server.address().port}/m.onnx`;
  return { address, close: () => server.close() };
}

test("a partial download is an error of code io, and the next load goes on or begins anew", async () => {
  const options = { name: "tests-partial" };
  site.routes["/m.onnx"] = { body: model, headers: { etag: '"1"' }, end: 300_000 };
  assert.deepEqual(await load(options), { code: "io", warnings: [] });
  site.routes["/m.onnx"] = { body: model, headers: { etag: '"1"' } };
  assert.deepEqual(await load(options), await given());
});

for (const [what, head, body] of [
  ["a cleanly closed short body", "", model.subarray(0, 300_000)],
  ["a Content-Length of more bytes", `content-length: ${model.length + 5}\r\n`, model],
  ["a Content-Length of fewer bytes", `content-length: ${model.length - 9}\r\n`, model],
]) {
  test(`${what} is a typed error, and nothing is kept`, async () => {
    const options = { name: `tests-${what}` };
    const raw = await serveRaw(head, body);
    const { code } = await load(options, raw.address);
    raw.close();
    assert.match(code, /^(io|format|integrity)$/);
    const keys = await tab.evaluate(
      async (name) => (await (await caches.open(name)).keys()).length,
      options.name,
    );
    assert.equal(keys, 0);
  });
}

test("offline: what is kept is given, and what is not is an error of code io", async () => {
  const options = { name: "tests-offline" };
  await load(options);
  await load({ ...options, name: "tests-other" });
  await context.setOffline(true);
  assert.deepEqual(await load(options), await given({ hit: true }));
  const stale = await load({ ...options, revalidate: true });
  assert.deepEqual(stale, await given({ hit: true, warnings: ["stale"] }));
  assert.deepEqual(await load({ name: "tests-nothing" }), { code: "io", warnings: [] });
  await context.setOffline(false);
});

test("eviction: what the browser has cleared is made anew, also by a page that has given it before", async () => {
  for (const store of ["cache", "opfs", "indexeddb"]) {
    const options = { name: `tests-evicted-${store}`, store };
    await load(options);
    assert.equal((await load(options)).hit, true);
    const storageTypes = "all";
    await session.send("Storage.clearDataForOrigin", { origin: site.base, storageTypes });
    assert.deepEqual(await load(options), await given());
    assert.equal((await load(options)).hit, true);
  }
});

test("QuotaExceededError: the oldest own entries are evicted", async () => {
  const options = { name: "tests-evicts" };
  site.routes["/old.onnx"] = site.routes["/m.onnx"];
  const old = `${site.base}/old.onnx`;
  await load(options, old);
  assert.equal((await load(options, old)).hit, true);
  const { length } = await smallBy("int8");
  await setQuota((await usage()) + length / 2);
  assert.deepEqual(await load(options), await given());
  assert.deepEqual(await load(options), await given({ hit: true }));
  await setQuota();
  assert.equal((await load(options, old)).hit, false);
});

test("QuotaExceededError: a smaller recipe is taken where it is allowed, else the model is given uncached", async () => {
  const options = { name: "tests-smaller", recipe: "fp16" };
  await setQuota((await usage()) + model.length * 0.4);
  const uncached = await load(options);
  assert.deepEqual(uncached, await given({ recipe: "fp16", warnings: ["uncached"] }));
  const allowed = { ...options, smaller: ["int8"] };
  assert.deepEqual(await load(allowed), await given({ warnings: ["uncached"] }));
  assert.deepEqual(await load(allowed), await given({ hit: true }));
  await setQuota();
});

test("CORS rules are respected: a model that the page may not read is an error of code io", async () => {
  const options = { name: "tests-cors" };
  foreign.routes["/m.onnx"] = { body: model };
  const address = `${foreign.base}/m.onnx`;
  assert.deepEqual(await load(options, address), { code: "io", warnings: [] });
  foreign.routes["/m.onnx"] = { body: model, headers: { "access-control-allow-origin": "*" } };
  assert.deepEqual(await load(options, address), await given());
  // Neither of them was asked for with the page's cookies.
  for (const { headers } of foreign.requests) assert.equal(headers.cookie, undefined);
});

test("a body that another origin's server has packed, which a page cannot see, has not the size that was announced", async () => {
  const headers = { "access-control-allow-origin": "*", "content-encoding": "gzip" };
  foreign.routes["/m.onnx"] = { body: gzipSync(model), headers };
  assert.deepEqual(await load({ name: "tests-packed" }, `${foreign.base}/m.onnx`), await given());
});

test("nothing is fetched that the caller did not name, but the files that the model names", async () => {
  const files = externalModel();
  for (const [name, body] of Object.entries(files)) site.routes[`/${name}`] = body;
  const { names } = await load({ name: "tests-named" }, `${site.base}/model.onnx`);
  await load({ name: "tests-named" }, `${site.base}/model.onnx`);
  assert.deepEqual(names, Object.keys(files));
  assert.deepEqual(
    site.requests.map(({ line }) => line),
    Object.keys(files).map((name) => `GET /${name}`),
  );
});
