// Calibration and verification in a page, with onnxruntime-web.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as ort from "onnxruntime-node";
import { init, shrink } from "modelshrink";
import { calibrate } from "modelshrink/runtime";
import { batches, calibrationImages, fashionPaths } from "../support/fashion.mjs";
import { launch, serve } from "../support/chromium.mjs";

let browser;
let site;
before(async () => {
  await init();
  site = await serve(fileURLToPath(new URL("../../", import.meta.url)));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await site?.close();
});

const page = `<!doctype html><script type="importmap">{"imports": {
  "modelshrink": "/dist/index.web.js",
  "modelshrink/runtime": "/dist/runtime.web.js",
  "onnxruntime-web": "/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs"
}}</script>`;

test("a page calibrates, prunes and verifies as Node.js does", async () => {
  const model = await readFile(fashionPaths.cnn);
  const [{ data, dims }] = [...batches(calibrationImages(2), 20)];
  const recipe = { prune: { method: "sparsegpt", n: 2, m: 4 } };
  const tab = await browser.newPage();
  await tab.route("**/page.html", (route) =>
    route.fulfill({ body: page, contentType: "text/html" }),
  );
  await tab.route("**/model.onnx", (route) => route.fulfill({ body: model }));
  await tab.goto(`${site.url}page.html`);
  const found = await tab.evaluate(
    async ({ values, dims, recipe }) => {
      const ort = await import("onnxruntime-web");
      ort.env.wasm.wasmPaths = "/node_modules/onnxruntime-web/dist/";
      ort.env.wasm.numThreads = 1;
      const { shrink } = await import("modelshrink");
      const { calibrate, verify } = await import("modelshrink/runtime");
      const bytes = new Uint8Array(await (await fetch("/model.onnx")).arrayBuffer());
      const inputs = [{ input: { data: Float32Array.from(values), dims } }];
      const calibration = await calibrate(bytes, { ort, inputs });
      const result = await shrink(bytes, recipe, { calibration });
      const { worst } = await verify(bytes, await result.bytes(), { ort, inputs });
      const gram = calibration["9.expand.weight"];
      return { worst, rows: gram.rows, norms: [...gram.norms()], layers: Object.keys(calibration) };
    },
    { values: [...data], dims, recipe },
  );
  await tab.close();
  const inputs = [{ input: { data, dims } }];
  const calibration = await calibrate(model, { ort, inputs });
  assert.deepEqual(found.layers, Object.keys(calibration));
  const norms = calibration["9.expand.weight"].norms();
  assert.equal(found.rows, calibration["9.expand.weight"].rows);
  // The runtimes round otherwise.
  for (const [j, norm] of norms.entries()) {
    assert.ok(Math.abs(found.norms[j] - norm) <= 1e-3 * norm + 1e-4, `${j}`);
  }
  const { report } = await shrink(model, recipe, { calibration });
  assert.ok(report.tensors.some(({ method }) => method === "sparsegpt 2:4"));
  assert.ok(found.worst.cosine > 0.9 && found.worst.cosine < 1, `${found.worst.cosine}`);
});
