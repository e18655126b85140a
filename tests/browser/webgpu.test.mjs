// verify in a page whose onnxruntime-web runs models with WebGPU.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { shrink } from "modelshrink";
import { launchWithWebGpu, serve } from "../support/chromium.mjs";
import { chainModel, wave } from "../support/onnx.mjs";

const size = 64;
const weights = wave(size * size, 1);
const model = chainModel([{ name: "w", size, values: weights }]);
let browser;
let site;
let tab;

const page = `<!doctype html><script type="importmap">{"imports": {
  "modelshrink": "/dist/index.web.js",
  "modelshrink/runtime": "/dist/runtime.web.js",
  "onnxruntime-web/webgpu": "/node_modules/onnxruntime-web/dist/ort.webgpu.min.mjs"
}}</script>`;

before(async () => {
  site = await serve(fileURLToPath(new URL("../../", import.meta.url)));
  browser = await launchWithWebGpu();
  tab = await browser.newPage();
  await tab.route("**/page.html", (route) =>
    route.fulfill({ body: page, contentType: "text/html" }),
  );
  await tab.goto(`${site.url}page.html`);
});
after(async () => {
  await browser?.close();
  await site?.close();
});

/** What the page finds, and how often the models had the GPU compute something. */
const verifyInPage = (shrunk) =>
  tab.evaluate(
    async ({ model, shrunk, x, size }) => {
      let numDispatches = 0;
      const dispatch = GPUComputePassEncoder.prototype.dispatchWorkgroups;
      GPUComputePassEncoder.prototype.dispatchWorkgroups = function (...counts) {
        numDispatches++;
        return dispatch.apply(this, counts);
      };
      const ort = await import("onnxruntime-web/webgpu");
      ort.env.wasm.wasmPaths = "/node_modules/onnxruntime-web/dist/";
      ort.env.wasm.numThreads = 1;
      const { verify } = await import("modelshrink/runtime");
      const inputs = [{ X: { data: Float32Array.from(x), dims: [1, size] } }];
      const session = { executionProviders: ["webgpu"] };
      const bytes = (list) => Uint8Array.from(list);
      const found = await verify(bytes(model), bytes(shrunk), { ort, inputs, session });
      GPUComputePassEncoder.prototype.dispatchWorkgroups = dispatch;
      return { ...found, numDispatches };
    },
    { model: [...model], shrunk: [...shrunk], x: [...wave(size, 5)], size },
  );

test("a page with WebGPU sees that a right model is right", async () => {
  const small = await (await shrink(model, "int8")).bytes();
  const { worst, samples, numDispatches } = await verifyInPage(small);
  assert.equal(samples, 1);
  assert.ok(numDispatches >= 2, `${numDispatches} dispatches`);
  assert.ok(worst.cosine > 0.999 && worst.cosine < 1, `${worst.cosine}`);
});

test("a page with WebGPU sees that a wrong model is wrong", async () => {
  const values = weights.slice();
  for (let i = 0; i < values.length; i += 3) values[i] = -values[i];
  const wrong = chainModel([{ name: "w", size, values }]);
  const { worst, numDispatches } = await verifyInPage(wrong);
  assert.ok(numDispatches >= 2, `${numDispatches} dispatches`);
  assert.ok(worst.cosine < 0.9, `${worst.cosine}`);
});
