// transformers.js in Chromium with the shrinking cache as its own: the first load gets the small model, the second visit
// needs no network.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { shrink } from "../../dist/index.js";
import { launchWithProfile } from "../support/chromium.mjs";
import { hostBlock } from "../support/host-blocks.mjs";
import { serveRoutes } from "../support/model-server.mjs";
import { sentenceModel } from "../support/sentence-model.mjs";

const modules = "/tests/hosts/node_modules";
const imports = {
  "modelshrink/cache": "/dist/cache.web.js",
  "@huggingface/transformers": `${modules}/@huggingface/transformers/dist/transformers.web.js`,
  "onnxruntime-web/webgpu": `${modules}/onnxruntime-web/dist/ort.webgpu.bundle.min.mjs`,
  "onnxruntime-common": `${modules}/onnxruntime-common/dist/esm/index.js`,
};
const page = `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script>`;
const files = sentenceModel();

let site;
let profile;
let context;

const requests = () => site.requests.map(({ line }) => line.split(" ")[1]);

before(async () => {
  site = await serveRoutes({ files: true });
  site.routes["/"] = { body: page, headers: { "content-type": "text/html" } };
  for (const [name, body] of Object.entries(files)) site.routes[`/models/tiny/${name}`] = body;
  profile = await mkdtemp(join(tmpdir(), "modelshrink-"));
  context = await launchWithProfile(profile);
});
after(async () => {
  await context?.close();
  site?.close();
  await rm(profile, { recursive: true, force: true });
});

const block = (await hostBlock("transformers")).replace(/"Xenova\/[^"]+"/, '"tiny"');
/** What the documentation's code is without the cache. */
const plain = block.replace(/^env\.\w*[cC]ustomCache = .*$/gm, "");

/** Visits the page, where `code` makes the pipeline; gives an embedding, and the size of the model in the cache. */
async function visit(code) {
  const tab = await context.newPage();
  await tab.goto(site.base);
  const settings = { remoteHost: `${site.base}/models/`, remotePathTemplate: "{model}/" };
  await tab.evaluate(
    async ([given, wasmPaths]) => {
      const { env } = await import("@huggingface/transformers");
      Object.assign(env, { allowLocalModels: false, useBrowserCache: false, ...given });
      Object.assign(env.backends.onnx.wasm, { wasmPaths, numThreads: 1 });
    },
    [settings, `${site.base}${modules}/onnxruntime-web/dist/`],
  );
  await tab.addScriptTag({ type: "module", content: `${code}\nglobalThis.extract = extract;` });
  await tab.waitForFunction("globalThis.extract");
  const found = await tab.evaluate(async () => {
    const { env } = await import("@huggingface/transformers");
    const { data } = await globalThis.extract("small models load faster", { pooling: "mean" });
    const address = new URL("/models/tiny/onnx/model.onnx", location.href).href;
    const kept = await env.customCache?.match(address);
    return { embedding: [...data], size: Number(kept?.headers.get("content-length")) };
  });
  await tab.close();
  return found;
}

test("transformers.js: the first load gets the small model, the second visit needs no network", async () => {
  const whole = await visit(plain);
  site.requests = [];
  const first = await visit(block);
  assert.equal(requests().filter((path) => path.endsWith(".onnx")).length, 1);
  site.requests = [];
  const second = await visit(block);
  assert.deepEqual(
    requests().filter((path) => path.startsWith("/models/")),
    [],
  );
  const small = await (await shrink(files["onnx/model.onnx"])).bytes();
  for (const { size, embedding } of [first, second]) {
    assert.equal(size, small.length);
    assert.deepEqual(embedding, first.embedding);
  }
  const dot = (a, b) => a.reduce((sum, it, i) => sum + it * b[i], 0);
  const cosine =
    dot(whole.embedding, first.embedding) /
    Math.sqrt(dot(whole.embedding, whole.embedding) * dot(first.embedding, first.embedding));
  assert.ok(cosine > 0.999 && cosine < 1 - 1e-9, `${cosine}`);
});
