// modelshrink/service-worker in Chromium, in a service worker that nobody has bundled: all that the library loads on
// demand elsewhere works there, and models are there when the network is not.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as onNode from "modelshrink/service-worker";
import { launchWithProfile } from "../support/chromium.mjs";
import { hostBlock } from "../support/host-blocks.mjs";
import { commit, listing } from "../support/hub.mjs";
import { page, serveRoutes } from "../support/model-server.mjs";
import { chainModel, externalModel } from "../support/onnx.mjs";
import { sentenceModel } from "../support/sentence-model.mjs";

const model = chainModel(["v", "w"].map((name) => ({ name, size: 256 })));
const script = { "content-type": "text/javascript" };
const file = (await hostBlock("service-worker")).replace("/modelshrink/", "/dist/");
const registration = await hostBlock("service-worker-page");
let site;
let context;
let profile;

before(async () => {
  site = await serveRoutes({ files: true });
  profile = await mkdtemp(join(tmpdir(), "modelshrink-"));
  context = await launchWithProfile(profile);
});
after(async () => {
  await context?.close();
  site?.close();
  await rm(profile, { recursive: true, force: true });
});

/** Opens a page in a folder of its own, whose service worker has this script. */
async function openBehind(server, folder, body) {
  server.routes[`/${folder}/worker.js`] = { body, headers: script };
  server.routes[`/${folder}/`] = { body: page, headers: { "content-type": "text/html" } };
  const tab = await context.newPage();
  await tab.goto(`${server.base}/${folder}/`);
  const content = `${registration.replace("/worker.js", "worker.js")}\nglobalThis.isReady = true;`;
  await tab.addScriptTag({ type: "module", content });
  await tab.waitForFunction("globalThis.isReady");
  return tab;
}

/** What is asked of the library, by names; `at` is the address of a model. Runs here and in the service worker. */
function worksOf(library, at) {
  const { shrink, inspect, plan, compare, restore, readTensor, pack, unpack } = library;
  const filesOf = ({ files }) => Promise.all(Object.values(files).map((it) => it.arrayBuffer()));
  const made = async (source, recipe, options) => filesOf(await shrink(source, recipe, options));
  const prune = (options) => ({ prune: { method: "magnitude", sparsity: 0.5, ...options } });
  const model = `${at}/m.onnx`;
  return {
    "an address": () => made(model, "int8"),
    "an address whose data is beside it": () => made(`${at}/model.onnx`, "fp16"),
    "a Request": () => made(new Request(model), "int8"),
    "rules with patterns": () =>
      made(model, { weights: "int8", rules: [{ match: "*w*", weights: "float16" }] }),
    "an amount that tensors share": () => made(model, prune({ allocation: "global" })),
    channels: () => made(model, { prune: { method: "structured", sparsity: 0.3 } }),
    "weights without their zeros": () => made(model, { ...prune(), sparse: true }),
    inspect: async () => JSON.stringify(await inspect(model)),
    plan: async () => JSON.stringify(await plan(model, "int8")),
    compare: async () => JSON.stringify(await compare(model, `${at}/other.onnx`)),
    restore: async () => filesOf(await restore(await (await shrink(model, "int8")).bytes())),
    "the values of a tensor": async () => (await readTensor(model, "w")).values.slice().buffer,
    "packed files": async () => {
      const [packed] = await filesOf(await pack(model));
      return [packed, ...(await filesOf(await unpack(new Uint8Array(packed))))];
    },
    "a repository on a hub": () =>
      made(`${at}/me/tiny`, undefined, { layout: "transformers", dtypes: ["q8"] }),
    "a cache with a recipe of patterns": async () => {
      const recipe = { weights: "int8", rules: [{ match: "*w*", weights: "float16" }] };
      const cache = library.createShrinkCache({ recipe, store: "memory" });
      return filesOf(await cache.cached(model));
    },
  };
}

/** Does one work; gives a text that stands for its result, or its error. */
async function outcomeOf(works, name) {
  try {
    const result = await works[name]();
    const parts = typeof result === "string" ? [result] : [result].flat();
    const bytes = await new Blob(parts).arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return `${bytes.byteLength} ${[...digest].join(" ")}`;
  } catch (error) {
    return String(error);
  }
}

const asking = `import * as library from "/dist/modelshrink-service-worker.js";
${worksOf}
${outcomeOf}
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("message", (event) => {
  const work = outcomeOf(worksOf(library, location.origin), event.data);
  event.waitUntil(work.then((text) => event.source.postMessage(text)));
});`;

test("what is loaded on demand elsewhere is there", async (t) => {
  const repository = sentenceModel();
  const { "model.onnx": graph, "weights.bin": data } = externalModel("weights.bin");
  const hub = Object.entries(repository).map(([name, body]) => [
    `/me/tiny/resolve/${commit}/${name}`,
    body,
  ]);
  site.routes = {
    ...{ "/m.onnx": model, "/model.onnx": graph, "/weights.bin": data },
    "/other.onnx": chainModel(["v", "w"].map((name) => ({ name, size: 256 }))),
    "/api/models/me/tiny/revision/main": listing(Object.keys(repository)),
    ...Object.fromEntries(hub),
  };
  const tab = await openBehind(site, "asking", asking);
  const works = worksOf(onNode, site.base);
  for (const name of Object.keys(works)) {
    await t.test(name, async () => {
      const found = await tab.evaluate(
        (it) =>
          new Promise((resolve) => {
            const { serviceWorker } = navigator;
            serviceWorker.addEventListener("message", ({ data }) => resolve(data), { once: true });
            serviceWorker.controller.postMessage(it);
          }),
        name,
      );
      const expected = await outcomeOf(works, name);
      assert.match(expected, /^\d/);
      assert.equal(found, expected);
    });
  }
  await tab.close();
});

test("the second visit needs no network, for a recipe that loads on demand elsewhere", async () => {
  const own = await serveRoutes({ files: true });
  const recipe = { weights: "int8", rules: [{ match: "*w*", weights: "float16" }] };
  let isClosed = false;
  try {
    own.routes["/offline/m.onnx"] = model;
    const body = file.replace('"int8"', JSON.stringify(recipe));
    assert.notEqual(body, file);
    const tab = await openBehind(own, "offline", body);
    const load = () =>
      tab.evaluate(async () => {
        const response = await fetch("m.onnx");
        const bytes = [...new Uint8Array(await response.arrayBuffer())];
        return { state: response.headers.get("x-modelshrink"), bytes };
      });
    const first = await load();
    const small = await (await onNode.shrink(model, recipe)).bytes();
    assert.deepEqual(first, { state: "shrunk", bytes: [...small] });
    const session = await context.newCDPSession(tab);
    await session.send("ServiceWorker.enable");
    await session.send("ServiceWorker.stopAllWorkers");
    own.close();
    isClosed = true;
    assert.deepEqual(await load(), { ...first, state: "hit" });
    await tab.close();
  } finally {
    if (!isClosed) own.close();
  }
});

test("its exports are those of modelshrink and modelshrink/cache", async () => {
  const [index, cache] = await Promise.all([import("modelshrink"), import("modelshrink/cache")]);
  const bundled = await import("../../dist/modelshrink-service-worker.js");
  const expected = Object.keys({ ...index, ...cache }).sort();
  assert.deepEqual(Object.keys(bundled).sort(), expected);
  assert.deepEqual(Object.keys(onNode).sort(), expected);
});
