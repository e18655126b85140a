// The package in the bundlers that are quick to start. The others are in tests/hosts.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import * as esbuild from "esbuild";
import * as vite from "vite";
import webpack from "webpack";
import { launch } from "../support/chromium.mjs";
import {
  copyBeside,
  emptySite,
  installPackage,
  onOneThread,
  runInNode,
  runInPage,
  runSite,
} from "../support/installed-package.mjs";

let folder;
let installed;
let browser;
let expected;

before(async () => {
  installed = await installPackage();
  folder = installed.folder;
  await writeFile(
    join(folder, "index.html"),
    `<!doctype html><script type="module" src="./page.mjs"></script>`,
  );
  expected = await runInNode(folder);
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await installed?.remove();
});

test("Vite 8, build", async () => {
  const outDir = join(folder, "vite");
  await vite.build({ root: folder, base: "./", logLevel: "error", build: { outDir } });
  assert.deepEqual(await runSite(browser, outDir), expected);
});

test("Vite 8, dev", async () => {
  const server = await vite.createServer({
    root: folder,
    logLevel: "error",
    configFile: false,
    server: { port: 0, host: "127.0.0.1" },
  });
  try {
    await server.listen();
    const url = `http://127.0.0.1:${server.httpServer.address().port}/`;
    assert.deepEqual(await runInPage(browser, url), expected);
  } finally {
    await server.close();
  }
});

test("webpack 5", async () => {
  const path = await emptySite(folder, "webpack");
  const compiler = webpack({
    mode: "production",
    context: folder,
    entry: "./page.mjs",
    output: { path, filename: "bundle.js" },
    // It recommends smaller assets than a SIMD core's.
    performance: false,
  });
  const stats = await promisify(compiler.run.bind(compiler))();
  await promisify(compiler.close.bind(compiler))();
  const { errors, warnings } = stats.toJson({ errors: true, warnings: true });
  assert.deepEqual(errors, []);
  assert.deepEqual(warnings, []);
  assert.deepEqual(await runSite(browser, path), expected);
});

/** esbuild leaves `new URL(…, import.meta.url)` alone: what it names goes beside the bundle. */
async function bundleByEsbuild(name) {
  const path = await emptySite(folder, name);
  const { warnings } = await esbuild.build({
    absWorkingDir: folder,
    entryPoints: { bundle: "page.mjs" },
    bundle: true,
    format: "esm",
    outdir: path,
    logLevel: "silent",
  });
  assert.deepEqual(warnings, []);
  await copyBeside(installed, path, "wasm");
  return path;
}

test("esbuild", async () => {
  const path = await bundleByEsbuild("esbuild");
  await copyBeside(installed, path, "modelshrink-worker.js");
  assert.deepEqual(await runSite(browser, path), expected);
});

test("esbuild without the worker file: one warning with its URL, and this thread does the work", async () => {
  const path = await bundleByEsbuild("esbuild-alone");
  const result = await runSite(browser, path, { hasWorkers: false });
  const [warning, ...others] = result.large.warnings;
  assert.match(warning, /http:\/\/127\.0\.0\.1:\d+\/modelshrink-worker\.js/);
  assert.deepEqual(others, []);
  assert.deepEqual(result, onOneThread(expected, warning));
});
