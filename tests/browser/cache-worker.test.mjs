// The shrinking cache among real clients in Chromium: behind a service worker, in TensorFlow.js and wllama, and in frames
// without an origin.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { shrink } from "modelshrink";
import { launchWithProfile } from "../support/chromium.mjs";
import { ggufSplits, tfjsShards } from "../support/file-sets.mjs";
import { hostBlock } from "../support/host-blocks.mjs";
import { page, serveRoutes } from "../support/model-server.mjs";
import { chainModel } from "../support/onnx.mjs";

const model = chainModel([{ name: "w", size: 128 }]);
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
/** What was asked for; browsers look at any time whether a service worker's script is the same. */
const lines = () =>
  site.requests.map(({ line }) => line).filter((line) => !line.endsWith("/worker.js"));
const withFolder = (folder, files) =>
  Object.fromEntries(Object.entries(files).map(([name, body]) => [`/${folder}/${name}`, body]));

let site;
let context;
let profile;

before(async () => {
  site = await serveRoutes({ files: true });
  profile = await mkdtemp(join(tmpdir(), "modelshrink-"));
  context = await launchWithProfile(profile);
});
beforeEach(() => {
  site.routes = {};
  site.requests = [];
});
after(async () => {
  await context?.close();
  site?.close();
  await rm(profile, { recursive: true, force: true });
});

async function open() {
  const tab = await context.newPage();
  await tab.goto(`${site.base}/page.html`);
  return tab;
}

/** What the documentation says, with workers, which there are none of. */
const worker = (await hostBlock("service-worker"))
  .replace("/modelshrink/", "/dist/")
  .replace('"int8"', '"int8", workers: 2');
const registration = (await hostBlock("service-worker-page")).replace("/worker.js", "worker.js");

/** Opens a page of a folder of its own, in whose service worker the cache is. */
async function openBehindWorker(folder) {
  const headers = { "content-type": "text/javascript" };
  site.routes[`/${folder}/worker.js`] = { body: worker, headers };
  site.routes[`/${folder}/`] = { body: page, headers: { "content-type": "text/html" } };
  const tab = await context.newPage();
  await tab.goto(`${site.base}/${folder}/`);
  const content = `${registration}\nglobalThis.isReady = true;`;
  await tab.addScriptTag({ type: "module", content });
  await tab.waitForFunction("globalThis.isReady");
  return tab;
}

/** Fetches an address in a page; gives { status, state, sha256 }. */
const load = (tab, address, init = {}) =>
  tab.evaluate(
    async ([url, options]) => {
      const response = await fetch(url, options);
      const digest = await crypto.subtle.digest("SHA-256", await response.arrayBuffer());
      const hex = [...new Uint8Array(digest)].map((it) => it.toString(16).padStart(2, "0"));
      const state = response.headers.get("x-modelshrink");
      return { status: response.status, state, sha256: hex.join("") };
    },
    [address, init],
  );

test("a service worker gives models shrunk, without a network the second time, and other things as they are", async () => {
  const folder = "onnx";
  site.routes[`/${folder}/m.onnx`] = model;
  site.routes[`/${folder}/notes.txt`] = "text";
  const first = await openBehindWorker(folder);
  const small = await (await shrink(model)).bytes();
  assert.deepEqual(await load(first, "m.onnx"), {
    ...{ status: 200, state: "shrunk", sha256: sha256(small) },
  });
  assert.deepEqual(await load(first, "notes.txt"), {
    ...{ status: 200, state: null, sha256: sha256("text") },
  });
  await first.close();
  delete site.routes[`/${folder}/m.onnx`];
  site.requests = [];
  const second = await openBehindWorker(folder);
  assert.deepEqual(await load(second, "m.onnx"), {
    ...{ status: 200, state: "hit", sha256: sha256(small) },
  });
  assert.deepEqual(await load(second, "m.onnx", { headers: { range: "bytes=0-9" } }), {
    ...{ status: 206, state: "hit", sha256: sha256(small.subarray(0, 10)) },
  });
  assert.deepEqual(
    lines().filter((it) => it.includes("m.onnx")),
    [],
  );
  await second.close();
});

test("TensorFlow.js loads a graph model by the cache's fetch: the second visit needs no network", async () => {
  const files = tfjsShards();
  site.routes = withFolder("tfjs", files);
  const visit = async () => {
    const tab = await open();
    await tab.addScriptTag({ url: "/node_modules/@tensorflow/tfjs/dist/tf.min.js" });
    const found = await tab.evaluate(async () => {
      const { createShrinkCache } = await import("modelshrink/cache");
      const { fetch } = createShrinkCache({ name: "tests-tfjs" });
      const sizes = [];
      const fetchFunc = async (url, init) => {
        const response = await fetch(new URL(url, location.href), init);
        sizes.push(Number(response.headers.get("content-length")));
        return response;
      };
      const { tf } = globalThis;
      await tf.setBackend("cpu");
      const graph = await tf.loadGraphModel("/tfjs/model.json", { fetchFunc });
      const output = graph.predict(tf.linspace(-1, 1, 64).reshape([1, 64]));
      return { output: [...output.dataSync()], sizes };
    });
    await tab.close();
    return found;
  };
  const first = await visit();
  assert.deepEqual(
    lines().sort(),
    Object.keys(site.routes)
      .map((path) => `GET ${path}`)
      .sort(),
  );
  site.requests = [];
  const second = await visit();
  assert.deepEqual(lines(), []);
  assert.deepEqual(second, first);
  const { files: small } = await shrink(files);
  const sizeOf = (blobs) => Object.values(blobs).reduce((sum, { size }) => sum + size, 0);
  assert.equal(
    first.sizes.reduce((sum, it) => sum + it, 0),
    sizeOf(small),
  );
});

test("a service worker that was ended knows the shards of a model that it has", async () => {
  const folder = "shards";
  site.routes = withFolder(folder, tfjsShards());
  const tab = await openBehindWorker(folder);
  await load(tab, "model.json");
  const before = await load(tab, "group1-shard1of1.bin");
  const session = await context.newCDPSession(tab);
  await session.send("ServiceWorker.enable");
  await session.send("ServiceWorker.stopAllWorkers");
  site.requests = [];
  assert.deepEqual(await load(tab, "group1-shard1of1.bin"), { ...before, state: "hit" });
  assert.deepEqual(lines(), []);
  await tab.close();
});

test("wllama loads the splits of a GGUF model out of the cache: the second visit needs no network", async () => {
  const files = ggufSplits();
  site.routes = withFolder("gguf", files);
  const [main] = Object.keys(site.routes);
  const visit = async () => {
    const tab = await open();
    const found = await tab.evaluate(async (address) => {
      const { createShrinkCache } = await import("modelshrink/cache");
      const cache = createShrinkCache({ name: "tests-gguf", recipe: "Q8_0" });
      const { files: splits, hit } = await cache.cached(address);
      const home = "/node_modules/@wllama/wllama/esm";
      const { Wllama } = await import(`${home}/index.js`);
      const wllama = new Wllama({ default: `${home}/wasm/wllama.wasm` });
      const options = { embeddings: true, pooling_type: "LLAMA_POOLING_TYPE_MEAN", n_ctx: 64 };
      await wllama.loadModel(Object.values(splits), { ...options, n_threads: 1 });
      const { data } = await wllama.createEmbedding({ input: "w1 w2 w3" });
      await wllama.exit();
      // The second one is found by its own address, too.
      const other = await cache.fetch(address.replace("00001-of", "00002-of"));
      const size = Number(other.headers.get("content-length"));
      const isSame = size === Object.values(splits)[1].size;
      return { hit, count: Object.keys(splits).length, embedding: data[0].embedding, isSame };
    }, site.base + main);
    await tab.close();
    return found;
  };
  const first = await visit();
  assert.deepEqual([first.hit, first.count, first.isSame], [false, 2, true]);
  assert.deepEqual(
    lines(),
    Object.keys(site.routes).map((path) => `GET ${path}`),
  );
  site.requests = [];
  assert.deepEqual(await visit(), { ...first, hit: true });
  assert.deepEqual(lines(), []);
});

test("a frame in a sandbox has no locks and no store: it gets the model, with a warning", async () => {
  const headers = { "access-control-allow-origin": "*" };
  site.routes["/m.onnx"] = { body: model, headers };
  const tab = await open();
  const found = await tab.evaluate(async (address) => {
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts";
    frame.srcdoc = `<script type="module">
      import { createShrinkCache } from "${new URL("/dist/cache.web.js", location.href)}";
      const warnings = [];
      const cache = createShrinkCache({ onWarning: ({ code }) => warnings.push(code) });
      const sizes = [];
      try {
        for (let i = 0; i < 2; i++) {
          const { files } = await cache.cached("${address}");
          sizes.push(files["m.onnx"].size);
        }
        parent.postMessage({ warnings, sizes }, "*");
      } catch (error) {
        parent.postMessage({ warnings, error: String(error) }, "*");
      }
    </script>`;
    const message = new Promise((resolve) => addEventListener("message", resolve, { once: true }));
    document.body.append(frame);
    return (await message).data;
  }, `${site.base}/m.onnx`);
  const { length } = await (await shrink(model)).bytes();
  assert.deepEqual(found, { warnings: ["uncached", "uncached"], sizes: [length, length] });
  await tab.close();
});
