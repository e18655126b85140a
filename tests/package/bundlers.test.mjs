// The package in the bundlers that are quick to start. The others are in tests/hosts.
import assert from "node:assert/strict";
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import * as esbuild from "esbuild";
import * as vite from "vite";
import webpack from "webpack";
import { version } from "modelshrink";
import { launch } from "../support/chromium.mjs";
import { hostBlock } from "../support/host-blocks.mjs";
import {
  copyBeside,
  emptySite,
  installPackage,
  onOneThread,
  runCommands,
  runInNode,
  runInPage,
  runSite,
} from "../support/installed-package.mjs";
import { root } from "../support/run.mjs";

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

/** The folder that the documentation's commands for esbuild make, with a page. */
async function bundleByEsbuild(name) {
  await runCommands(folder, await hostBlock("esbuild"), root);
  const path = await emptySite(folder, name);
  await cp(join(folder, "out"), path, { recursive: true });
  return path;
}

test("esbuild", async () => {
  assert.deepEqual(await runSite(browser, await bundleByEsbuild("esbuild")), expected);
});

test("esbuild with the worker as an entry", async () => {
  const path = await emptySite(folder, "esbuild-entries");
  const { warnings } = await esbuild.build({
    absWorkingDir: folder,
    entryPoints: { bundle: "page.mjs", "modelshrink-worker": "modelshrink/worker" },
    bundle: true,
    format: "esm",
    outdir: path,
    logLevel: "silent",
  });
  assert.deepEqual(warnings, []);
  await copyBeside(installed, path, "wasm");
  assert.deepEqual(await runSite(browser, path), expected);
});

/** The site gives the same bytes on one thread, and one warning, which is returned. */
async function fallsBack(path) {
  const result = await runSite(browser, path, { hasWorkers: false });
  const [warning] = result.large.warnings;
  assert.deepEqual(result, onOneThread(expected, warning));
  return warning;
}

test("esbuild without the worker file: one warning with its URL, and this thread does the work", async () => {
  const path = await bundleByEsbuild("esbuild-alone");
  await rm(join(path, "modelshrink-worker.js"));
  assert.match(await fallsBack(path), /http:\/\/127\.0\.0\.1:\d+\/modelshrink-worker\.js/);
});

test("a worker file of another version is treated like a missing one", async () => {
  const path = await bundleByEsbuild("esbuild-stale");
  const worker = join(path, "modelshrink-worker.js");
  const code = await readFile(worker, "utf8");
  const stale = code.replaceAll(`"${version}"`, '"0.0.1"');
  assert.notEqual(stale, code);
  await writeFile(worker, stale);
  assert.match(await fallsBack(path), /\/modelshrink-worker\.js is of version 0\.0\.1/);
});

test("esbuild without the binaries: the error says where they belong", async () => {
  const path = await bundleByEsbuild("esbuild-no-binaries");
  await rm(join(path, "wasm"), { recursive: true });
  const { error } = await runSite(browser, path);
  assert.match(error, /\/wasm\/simd\.wasm.*dist\/wasm beside the bundle.*404/s);
});

test("a server's bundle of one file: the error says what to leave out", async () => {
  const outfile = join(folder, "server/bundle.mjs");
  await esbuild.build({
    absWorkingDir: folder,
    entryPoints: ["app.mjs"],
    bundle: true,
    format: "esm",
    platform: "node",
    outfile,
    logLevel: "error",
  });
  const { run } = await import(pathToFileURL(outfile));
  await assert.rejects(run(), /wasm\/simd\.wasm.*serverExternalPackages.*ENOENT/s);
});
