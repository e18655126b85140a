// transformers.js in Chromium with the shrinking cache as its own: the first load gets the small model, the second visit
// needs no network.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { after, before, test } from "node:test";
import { shrink } from "../../dist/index.js";
import { launchWithProfile } from "../support/chromium.mjs";
import { hostBlock } from "../support/host-blocks.mjs";
import { root } from "../support/run.mjs";
import { sentenceModel } from "../support/sentence-model.mjs";

const modules = "/tests/hosts/node_modules";
const imports = {
  "modelshrink/cache": "/dist/cache.web.js",
  "@huggingface/transformers": `${modules}/@huggingface/transformers/dist/transformers.web.js`,
  "onnxruntime-web/webgpu": `${modules}/onnxruntime-web/dist/ort.webgpu.bundle.min.mjs`,
  "onnxruntime-common": `${modules}/onnxruntime-common/dist/esm/index.js`,
};
const page = `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script>`;
const types = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const files = sentenceModel();

let server;
let origin;
let requests = [];
let profile;
let context;

async function answer({ url }, response) {
  const path = new URL(url, origin).pathname;
  const isModels = path.startsWith("/models/");
  if (isModels) requests.push(path);
  const file = isModels ? files[path.slice("/models/tiny/".length)] : undefined;
  const body =
    path === "/" ? page : isModels ? file : await readFile(join(root, path)).catch(() => undefined);
  const type = path === "/" ? "text/html" : (types[extname(path)] ?? "application/octet-stream");
  const status = body === undefined ? 404 : 200;
  response.writeHead(status, { "content-type": type, "content-length": body?.length ?? 0 });
  response.end(body);
}

before(async () => {
  server = createServer((request, response) => void answer(request, response));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${server.address().port}`;
  profile = await mkdtemp(join(tmpdir(), "modelshrink-"));
  context = await launchWithProfile(profile);
});
after(async () => {
  await context?.close();
  server?.closeAllConnections();
  server?.close();
  await rm(profile, { recursive: true, force: true });
});

const block = (await hostBlock("transformers")).replace(/"Xenova\/[^"]+"/, '"tiny"');
/** What the documentation's code is without the cache. */
const plain = block.replace(/^env\.\w*[cC]ustomCache = .*$/gm, "");

/** Visits the page, where `code` makes the pipeline; gives an embedding, and the size of the model in the cache. */
async function visit(code) {
  const tab = await context.newPage();
  await tab.goto(origin);
  const settings = { remoteHost: `${origin}/models/`, remotePathTemplate: "{model}/" };
  await tab.evaluate(
    async ([given, wasmPaths]) => {
      const { env } = await import("@huggingface/transformers");
      Object.assign(env, { allowLocalModels: false, useBrowserCache: false, ...given });
      Object.assign(env.backends.onnx.wasm, { wasmPaths, numThreads: 1 });
    },
    [settings, `${origin}${modules}/onnxruntime-web/dist/`],
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
  requests = [];
  const first = await visit(block);
  assert.equal(requests.filter((path) => path.endsWith(".onnx")).length, 1);
  requests = [];
  const second = await visit(block);
  assert.deepEqual(requests, []);
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
