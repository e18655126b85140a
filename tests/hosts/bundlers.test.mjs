// Bundlers that tests/package does not have, or has in another version.
import assert from "node:assert/strict";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as vite7 from "vite";
import { launch } from "../support/chromium.mjs";
import { hostBlock } from "../support/host-blocks.mjs";
import {
  emptySite,
  runCommands,
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

/** Builds index.html into a folder of this name and runs it. */
async function runByParcel(name) {
  const out = join(folder, name);
  const cache = join(folder, `${name}-cache`);
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
  return runSite(browser, out);
}

test("Parcel 2", async () => {
  assert.deepEqual(await runByParcel("parcel"), expected);
});

test("Parcel 2, modelshrink/runtime", async (t) => {
  const paths = [join(folder, "package.json"), join(folder, "page.mjs")];
  const kept = await Promise.all(paths.map((path) => readFile(path, "utf8")));
  t.after(() => Promise.all(paths.map((path, i) => writeFile(path, kept[i]))));
  const documented = JSON.parse(await hostBlock("parcel"));
  await writeFile(paths[0], JSON.stringify({ ...JSON.parse(kept[0]), ...documented }));
  const page = `import { calibrate } from "modelshrink/runtime";
globalThis.result = typeof calibrate;`;
  await writeFile(paths[1], page);
  assert.equal(await runByParcel("parcel-runtime"), "function");
});

test("Rollup", async () => {
  await writeFile(join(folder, "rollup.config.mjs"), await hostBlock("rollup.config.mjs"));
  const { stderr } = await runCommands(folder, await hostBlock("rollup"), import.meta.dirname);
  assert.doesNotMatch(stderr, /\(!\)/, "Rollup warns");
  const path = await emptySite(folder, "rollup");
  await cp(join(folder, "out"), path, { recursive: true });
  assert.deepEqual(await runSite(browser, path), expected);
});

test("Vite 7, build", async () => {
  const outDir = join(folder, "vite");
  await vite7.build({ root: folder, base: "./", logLevel: "error", build: { outDir } });
  assert.deepEqual(await runSite(browser, outDir), expected);
});

test("Vite 7, dev", async () => {
  await writeFile(join(folder, "vite.config.js"), await hostBlock("vite.config.js"));
  const server = await vite7.createServer({
    root: folder,
    logLevel: "error",
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
