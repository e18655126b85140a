// A page under the strict Content-Security-Policy of docs/hosts.md: workers, the cache and layouts work, and nothing is
// refused by the browser.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../support/chromium.mjs";
import { hostBlock } from "../support/host-blocks.mjs";
import { serveRoutes } from "../support/model-server.mjs";
import { chainModel } from "../support/onnx.mjs";
import { sentenceModel } from "../support/sentence-model.mjs";

let browser;
let site;

before(async () => {
  site = await serveRoutes({ files: true });
  // Large enough for workers.
  site.routes["/m.onnx"] = chainModel([{ name: "w", size: 2200 }]);
  const policy = (await hostBlock("csp")).trim();
  const headers = { "content-type": "text/html", "content-security-policy": policy };
  site.routes["/strict.html"] = { body: "<!doctype html>", headers };
  browser = await launch();
});
after(async () => {
  await browser?.close();
  site?.close();
});

test("strict CSP: workers, the cache and layouts work, and no rule is broken", async () => {
  const tab = await browser.newPage();
  const warnings = [];
  tab.on("console", (message) => {
    if (message.type() === "warning") warnings.push(message.text());
  });
  await tab.goto(`${site.base}/strict.html`);
  const files = Object.entries(sentenceModel()).map(([name, bytes]) => [name, [...bytes]]);
  const found = await tab.evaluate(async (given) => {
    const refused = [];
    document.addEventListener("securitypolicyviolation", (event) => refused.push(event.blockedURI));
    const { shrink } = await import("/dist/index.web.js");
    const { createShrinkCache } = await import("/dist/cache.web.js");
    const address = new URL("/m.onnx", location.href);
    const byWorkers = await shrink(address, "int8", { workers: 2 });
    const cache = createShrinkCache({ workers: 2 });
    const hits = [(await cache.cached(address)).hit, (await cache.cached(address)).hit];
    const repository = Object.fromEntries(given.map(([name, it]) => [name, Uint8Array.from(it)]));
    const layout = await shrink(repository, undefined, { layout: "transformers" });
    await new Promise((resolve) => setTimeout(resolve, 50));
    const bytes = (await byWorkers.bytes()).length;
    return { refused, hits, bytes, names: Object.keys(layout.files) };
  }, files);
  assert.deepEqual(found.refused, []);
  assert.deepEqual(found.hits, [false, true]);
  assert.ok(found.bytes < 2200 * 2200 * 1.1);
  assert.ok(found.names.includes("onnx/model_quantized.onnx"), found.names.join());
  // Where no worker may start, there is a warning.
  assert.deepEqual(warnings, []);
  await tab.close();
});
