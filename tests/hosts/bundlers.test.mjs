// Bundlers that tests/package does not have, or has in another version.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import { rollup } from "rollup";
import * as vite7 from "vite";
import { launch } from "../support/chromium.mjs";
import {
  copyBeside,
  emptySite,
  runInNode,
  runInPage,
  runSite,
} from "../support/installed-package.mjs";
import { installBesideTools, run, tool } from "./tools.mjs";

let folder;
let installed;
let browser;
let expected;

before(async () => {
  installed = await installBesideTools();
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

test("Parcel 2", async () => {
  const out = join(folder, "parcel");
  const cache = join(folder, "parcel-cache");
  const args = [
    "build",
    "index.html",
    "--dist-dir",
    out,
    "--cache-dir",
    cache,
    "--public-url",
    ".",
  ];
  await run(folder, process.execPath, tool("parcel/lib/bin.js"), ...args);
  assert.deepEqual(await runSite(browser, out), expected);
});

test("Rollup", async () => {
  const path = await emptySite(folder, "rollup");
  const bundle = await rollup({
    input: join(folder, "page.mjs"),
    plugins: [nodeResolve({ browser: true })],
    onwarn: (warning) => assert.fail(warning.message),
  });
  await bundle.write({ file: join(path, "bundle.js"), format: "es" });
  await copyBeside(installed, path, "wasm", "modelshrink-worker.js");
  assert.deepEqual(await runSite(browser, path), expected);
});

test("Vite 7, build", async () => {
  const outDir = join(folder, "vite");
  await vite7.build({ root: folder, base: "./", logLevel: "error", build: { outDir } });
  assert.deepEqual(await runSite(browser, outDir), expected);
});

test("Vite 7, dev", async () => {
  const server = await vite7.createServer({
    root: folder,
    logLevel: "error",
    configFile: false,
    optimizeDeps: { exclude: ["modelshrink"] },
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
