// The shrinking cache in Chromium: every store, and what befalls pages: no network, tabs that are killed or load at once,
// damaged entries, a full disk.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { shrink } from "modelshrink";
import { launchWithProfile } from "../support/chromium.mjs";
import { ranged, serveRoutes } from "../support/model-server.mjs";
import { chainModel } from "../support/onnx.mjs";
import { numbersBelow, seedFor } from "../support/random.mjs";

const model = chainModel([{ name: "w", size: 512 }]);
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
let context;
let profile;
let site;
let origin;
let modelUrl;
let small;
let requests = 0;

/** Gives the model slowly, so that something can happen meanwhile. */
function giveSlowly() {
  requests++;
  return { body: model, headers: { etag: '"1"' }, pause: 5 };
}

/** More than a part of a download has, and how it was asked for; the first request never gets the end. */
const largeModel = chainModel([{ name: "w", size: 1600 }]);
const rangesOfLarge = [];

function giveLarge(request) {
  const isFirst = rangesOfLarge.push(request.headers.range) === 1;
  return {
    ...ranged(largeModel, { etag: '"1"' })(request),
    ...(isFirst ? { stop: 9_000_000 } : {}),
  };
}

before(async () => {
  site = await serveRoutes({ files: true });
  origin = site.base;
  site.routes["/m.onnx"] = giveSlowly;
  site.routes["/large.onnx"] = giveLarge;
  modelUrl = `${origin}/m.onnx`;
  small = sha256(await (await shrink(model)).bytes());
  profile = await mkdtemp(join(tmpdir(), "modelshrink-"));
  context = await launchWithProfile(profile);
});
after(async () => {
  await context?.close();
  site?.close();
  await rm(profile, { recursive: true, force: true });
});

async function open() {
  const tab = await context.newPage();
  await tab.goto(`${origin}/page.html`);
  return tab;
}

/** Loads the model in a page; gives { hit, sha256, warnings }. */
const load = (tab, options, address = modelUrl) =>
  tab.evaluate(
    async ([url, given]) => {
      const { createShrinkCache } = await import("modelshrink/cache");
      const warnings = [];
      const onWarning = ({ code }) => warnings.push(code);
      const cache = createShrinkCache({ ...given, onWarning });
      const { files, hit } = await cache.cached(url);
      const bytes = await Object.values(files)[0].arrayBuffer();
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      const hex = [...digest].map((it) => it.toString(16).padStart(2, "0")).join("");
      return { hit, sha256: hex, warnings };
    },
    [address, options],
  );

/** Ends the process of a page, which can do nothing any more. */
async function crash(tab) {
  const session = await context.newCDPSession(tab);
  const isOver = new Promise((resolve) => tab.once("crash", resolve));
  // Nobody answers.
  session.send("Page.crash").catch(() => undefined);
  await isOver;
}

/** Lists what a store of this name has. */
const keysOf = (tab, { store, name }) =>
  tab.evaluate(
    async ([kind, it]) => {
      if (kind === "cache") return (await (await caches.open(it)).keys()).map(({ url }) => url);
      if (kind === "opfs") {
        const root = await navigator.storage.getDirectory();
        const folder = await root.getDirectoryHandle(it, { create: true });
        const keys = [];
        for await (const key of folder.keys()) keys.push(key);
        return keys;
      }
      return new Promise((resolve) => {
        const request = indexedDB.open(it);
        request.onsuccess = () => {
          const keys = request.result.transaction("values").objectStore("values").getAllKeys();
          keys.onsuccess = () => {
            request.result.close();
            resolve(keys.result);
          };
        };
      });
    },
    [store, name],
  );

// Comes first: Chromium's IndexedDB remembers for a while how much room there was when it last wrote.
test("a disk that is full: the model is given and not kept, and kept again when there is room", async () => {
  const tab = await open();
  const session = await context.newCDPSession(tab);
  for (const store of ["cache", "opfs", "indexeddb"]) {
    const options = { store, name: `tests-full-${store}` };
    await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 1 });
    const full = await load(tab, options);
    assert.deepEqual(full, { hit: false, sha256: small, warnings: ["uncached"] });
    await session.send("Storage.overrideQuotaForOrigin", { origin });
    assert.equal((await load(tab, options)).hit, false);
    assert.deepEqual(await load(tab, options), { hit: true, sha256: small, warnings: [] });
  }
  await tab.close();
});

for (const store of ["cache", "opfs", "indexeddb"]) {
  const options = { store, name: `tests-${store}` };

  test(`${store}: a second visit has the small model without a network`, async () => {
    const first = await open();
    assert.deepEqual(await load(first, options), { hit: false, sha256: small, warnings: [] });
    await first.close();
    const before = requests;
    const second = await open();
    await second.evaluate(() => import("modelshrink/cache"));
    // The library's code is the app's to keep; its binary is not needed.
    await second.route(/\.(onnx|wasm)$/, (route) => route.abort());
    assert.deepEqual(await load(second, options), { hit: true, sha256: small, warnings: [] });
    assert.equal(requests, before);
    await second.close();
  });

  test(`${store}: two tabs at once download once`, async () => {
    const name = `${options.name}-tabs`;
    const tabs = await Promise.all([open(), open()]);
    const before = requests;
    const found = await Promise.all(tabs.map((tab) => load(tab, { ...options, name })));
    assert.equal(requests, before + 1);
    assert.deepEqual(found.map(({ hit }) => hit).sort(), [false, true]);
    for (const { sha256: digest } of found) assert.equal(digest, small);
    await Promise.all(tabs.map((tab) => tab.close()));
  });

  test(`${store}: a tab that is killed leaves nothing wrong, at any of 20 random moments`, async (t) => {
    const below = numbersBelow(seedFor(t));
    const name = `${options.name}-killed`;
    const first = await open();
    const start = performance.now();
    await load(first, { ...options, name: `${name}-whole` });
    const whole = performance.now() - start;
    await first.close();
    for (let i = 0; i < 20; ++i) {
      const tab = await open();
      void load(tab, { ...options, name, revision: `${i}` }).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, below(1 + Math.ceil(whole))));
      if (below(2) === 1) await crash(tab);
      await tab.close();
    }
    const tab = await open();
    for (let i = 0; i < 20; ++i) {
      const { sha256: digest } = await load(tab, { ...options, name, revision: `${i}` });
      assert.equal(digest, small);
    }
    // A record and a file for each revision.
    assert.equal((await keysOf(tab, { store, name })).length, 40);
    await tab.close();
  });
}

test("a tab that is killed while a model comes: the next one goes on where it was", async () => {
  const options = { name: "tests-resumed" };
  const large = `${origin}/large.onnx`;
  const first = await open();
  void load(first, options, large).catch(() => undefined);
  await first.evaluate(async (name) => {
    const home = await navigator.storage.getDirectory();
    const folder = await home.getDirectoryHandle(name, { create: true });
    for (;;) {
      for await (const [key, handle] of folder.entries()) {
        if (/^part-[^.]*$/.test(key) && (await handle.getFile()).size > 0) return;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }, options.name);
  await first.close();
  const second = await open();
  const expected = sha256(await (await shrink(largeModel)).bytes());
  const found = await load(second, options, large);
  assert.deepEqual(found, { hit: false, sha256: expected, warnings: [] });
  assert.deepEqual(rangesOfLarge, [undefined, `bytes=${2 ** 23}-`]);
  // The small model is in the store by default, and nothing is left of the download.
  assert.deepEqual(await keysOf(second, { store: "opfs", name: options.name }), []);
  await second.close();
});

test("damaged entries are made anew: truncated, or with another bit", async () => {
  const options = { store: "cache", name: "tests-damaged" };
  const tab = await open();
  await load(tab, options);
  for (const damage of ["truncated", "bit"]) {
    await tab.evaluate(
      async ([name, how]) => {
        const cache = await caches.open(name);
        const request = (await cache.keys()).find(({ url }) => url.includes("/file-"));
        const bytes = new Uint8Array(await (await cache.match(request)).arrayBuffer());
        bytes[bytes.length >> 1] ^= 1;
        await cache.put(request, new Response(how === "bit" ? bytes : bytes.subarray(0, 100)));
      },
      [options.name, damage],
    );
    const found = await load(tab, options);
    assert.deepEqual(found, { hit: false, sha256: small, warnings: ["damaged"] });
  }
  assert.equal((await load(tab, options)).hit, true);
  await tab.close();
});

test("persist asks the browser once, and tells what it said", async () => {
  const tab = await open();
  const told = await tab.evaluate(async () => {
    const { createShrinkCache } = await import("modelshrink/cache");
    const { storage } = navigator;
    const ask = storage.persist.bind(storage);
    let asked = 0;
    storage.persist = () => {
      asked++;
      return ask();
    };
    const cache = createShrinkCache();
    const atOnce = await Promise.all([cache.persist(), cache.persist()]);
    return { asked, said: [...atOnce, await cache.persist()], is: await storage.persisted() };
  });
  assert.equal(told.asked, 1);
  assert.deepEqual(told.said, [told.is, told.is, told.is]);
  await tab.close();
});
