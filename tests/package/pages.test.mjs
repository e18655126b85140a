// Pages without a bundler, and pages with restrictions.
import assert from "node:assert/strict";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as esbuild from "esbuild";
import { launch, serve } from "../support/chromium.mjs";
import { tinyModel } from "../support/app/tiny-model.mjs";
import { hostBlock } from "../support/host-blocks.mjs";
import {
  copyBeside,
  emptySite,
  installPackage,
  onOneThread,
  runInNode,
  runSite,
} from "../support/installed-package.mjs";

let folder;
let installed;
let browser;
let expected;
/** A site with the app as one file, and beside it what that file loads. */
let bundled;

before(async () => {
  installed = await installPackage();
  folder = installed.folder;
  expected = await runInNode(folder);
  browser = await launch();
  bundled = await emptySite(folder, "bundled");
  await esbuild.build({
    absWorkingDir: folder,
    entryPoints: { bundle: "page.mjs" },
    bundle: true,
    format: "esm",
    outdir: bundled,
    logLevel: "error",
  });
  await copyBeside(installed, bundled, "wasm", "modelshrink-worker.js");
});

after(async () => {
  await browser?.close();
  await installed?.remove();
});

const pageWith = (imports) =>
  `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script>
<script type="module" src="./page.mjs"></script>`;

test("import map", async () => {
  const imports = { modelshrink: "./node_modules/modelshrink/dist/index.web.js" };
  await writeFile(join(folder, "index.html"), pageWith(imports));
  assert.deepEqual(await runSite(browser, folder), expected);
});

test("plain script", async () => {
  const path = await emptySite(folder, "plain");
  const app = await readFile(join(folder, "app.mjs"), "utf8");
  const plain = app.replace(/from "modelshrink"/, `from "./modelshrink/index.web.js"`);
  assert.notEqual(plain, app);
  await writeFile(join(path, "app.mjs"), plain);
  for (const name of ["tiny-model.mjs", "wide-model.mjs"]) {
    await cp(join(folder, name), join(path, name));
  }
  await cp(join(folder, "page.mjs"), join(path, "bundle.js"));
  await cp(join(folder, "node_modules/modelshrink/dist"), join(path, "modelshrink"), {
    recursive: true,
  });
  assert.deepEqual(await runSite(browser, path), expected);
});

test("CDN of another origin", async () => {
  const cdn = await serve(join(folder, "node_modules"), { "access-control-allow-origin": "*" });
  try {
    const imports = { modelshrink: `${cdn.url}modelshrink/dist/index.web.js` };
    await writeFile(join(folder, "index.html"), pageWith(imports));
    assert.deepEqual(await runSite(browser, folder), expected);
  } finally {
    await cdn.close();
  }
});

test("a page that keeps a small model, with everything of ours from a CDN", async (t) => {
  const cdn = await serve(join(folder, "node_modules"), { "access-control-allow-origin": "*" });
  t.after(() => cdn.close());
  const path = await emptySite(folder, "from-cdn");
  const address = /https:\/\/cdn\.example\/modelshrink@[\d.]+\//g;
  const html = (await hostBlock("cdn")).replaceAll(address, `${cdn.url}modelshrink/`);
  await writeFile(join(path, "index.html"), html);
  await writeFile(join(path, "model.onnx"), tinyModel());
  const site = await serve(path);
  t.after(() => site.close());
  const context = await browser.newContext();
  t.after(() => context.close());
  const page = await context.newPage();
  for (const expected of [/^[\d.]+ kB → [\d.]+ kB$/, /^[\d.]+ kB → [\d.]+ kB, kept$/]) {
    await page.goto(site.url);
    await page.locator("#result", { hasText: expected }).waitFor();
  }
});

test("strict CSP", async () => {
  const headers = { "content-security-policy": (await hostBlock("csp")).trim() };
  assert.deepEqual(await runSite(browser, bundled, {}, headers), expected);
});

test("CSP without workers: one warning, and this thread does the work", async () => {
  const policy = "script-src 'self' 'wasm-unsafe-eval'; worker-src 'none'";
  const headers = { "content-security-policy": policy };
  const result = await runSite(browser, bundled, { hasWorkers: false }, headers);
  assert.match(result.large.warnings[0], /\/modelshrink-worker\.js/);
  assert.deepEqual(result, onOneThread(expected, result.large.warnings[0]));
});

test("module service worker", async () => {
  const path = await emptySite(folder, "service-worker");
  await cp(join(bundled, "bundle.js"), join(path, "app.js"));
  await copyBeside(installed, path, "wasm");
  await writeFile(join(path, "options.js"), "globalThis.appOptions = { hasWorkers: false };");
  await writeFile(
    join(path, "service-worker.js"),
    `import "./options.js";
import "./app.js";
addEventListener("message", ({ source }) => globalThis.result.then((it) => source.postMessage(it)));`,
  );
  await writeFile(
    join(path, "bundle.js"),
    `globalThis.result = new Promise((resolve) => {
  navigator.serviceWorker.onmessage = ({ data }) => resolve(data);
});
await navigator.serviceWorker.register("./service-worker.js", { type: "module" });
const { active } = await navigator.serviceWorker.ready;
active.postMessage("run");`,
  );
  const result = await runSite(browser, path);
  assert.match(result.large.warnings[0], /this host has no Worker/);
  assert.deepEqual(result, onOneThread(expected, result.large.warnings[0]));
});

test("cross-origin iframe", async () => {
  const frame = await serve(bundled);
  const path = await emptySite(folder, "embedding");
  const url = frame.url.replace("127.0.0.1", "localhost");
  await writeFile(join(path, "index.html"), `<!doctype html><iframe src="${url}"></iframe>`);
  const site = await serve(path);
  const page = await browser.newPage();
  try {
    await page.goto(site.url);
    const inner = page.frames().find((candidate) => candidate.url() === url);
    await inner.waitForFunction(() => "result" in globalThis);
    assert.deepEqual(await inner.evaluate(() => globalThis.result), expected);
  } finally {
    await page.close();
    await site.close();
    await frame.close();
  }
});
