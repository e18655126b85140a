// The package as users get it: packed, installed in an empty folder, run in Node.js, and bundled by the
// common bundlers and run in a browser.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import * as esbuild from "esbuild";
import * as vite from "vite";
import webpack from "webpack";
import { launch, serve } from "../support/chromium.mjs";

const exec = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));
const sources = fileURLToPath(new URL(".", import.meta.url));

let folder;
let tarball;
let browser;
let expected;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "modelshrink-package-"));
  const { stdout } = await exec("npm", ["pack", "--json", "--pack-destination", folder], {
    cwd: root,
  });
  tarball = join(folder, JSON.parse(stdout)[0].filename);
  const manifest = { name: "app", private: true, type: "module", sideEffects: ["*"] };
  await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
  await exec("npm", ["install", "--offline", "--no-audit", "--no-fund", tarball], { cwd: folder });
  for (const name of ["app.mjs", "page.mjs", "tiny-model.mjs"]) {
    await cp(join(sources, name), join(folder, name));
  }
  await writeFile(
    join(folder, "index.html"),
    `<!doctype html><script type="module" src="./page.mjs"></script>`,
  );
  expected = await import(pathToFileURL(join(folder, "app.mjs"))).then(({ run }) => run());
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

/** What the app gives in a page that a folder's index.html loads. */
async function runInBrowser(site) {
  const server = await serve(site);
  const page = await browser.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("requestfailed", (request) => problems.push(`not loaded: ${request.url()}`));
  try {
    await page.goto(server.url);
    await page.waitForFunction(() => "result" in globalThis, undefined, { timeout: 20000 });
    return await page.evaluate(() => globalThis.result);
  } catch (error) {
    throw new Error([...problems, error.message].join("\n"), { cause: error });
  } finally {
    await page.close();
    await server.close();
  }
}

async function site(name) {
  const path = join(folder, name);
  await mkdir(path);
  await writeFile(
    join(path, "index.html"),
    `<!doctype html><script type="module" src="./bundle.js"></script>`,
  );
  return path;
}

test("installs alone, without dependencies", async () => {
  assert.deepEqual(
    (await readdir(join(folder, "node_modules"))).filter((name) => !name.startsWith(".")),
    ["modelshrink"],
  );
  const files = await readdir(join(folder, "node_modules/modelshrink"), { recursive: true });
  for (const name of ["LICENSE", "README.md", "CHANGELOG.md", "dist/index.d.ts", "dist/index.js"]) {
    assert.ok(files.includes(name), `${name} is in the package`);
  }
  assert.deepEqual(
    files.filter((name) => /tsbuildinfo|\.test\.|^(src|tests|build)\//.test(name)),
    [],
  );
});

test("runs in Node.js", () => {
  assert.deepEqual(expected.tensors, ["W"]);
  assert.equal(expected.smaller, true);
  assert.equal(expected.refused, true);
});

test("its command answers", async () => {
  const { stdout } = await exec("npx", ["--offline", "modelshrink", "--help"], { cwd: folder });
  assert.match(stdout, /modelshrink shrink/);
  const { tinyModel } = await import("./tiny-model.mjs");
  await writeFile(join(folder, "tiny.onnx"), tinyModel());
  const args = ["--offline", "modelshrink", "shrink", "tiny.onnx", "-o", "small.onnx", "--json"];
  const { stdout: json } = await exec("npx", args, { cwd: folder });
  const small = await readFile(join(folder, "small.onnx"));
  assert.equal(JSON.parse(json).outputBytes, small.length);
});

test("bundled by Vite, the same bytes in a browser", async () => {
  const outDir = join(folder, "vite");
  await vite.build({ root: folder, base: "./", logLevel: "error", build: { outDir } });
  assert.deepEqual(await runInBrowser(outDir), expected);
});

test("bundled by webpack, the same bytes in a browser", async () => {
  const path = await site("webpack");
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
  assert.deepEqual(await runInBrowser(path), expected);
});

test("bundled by esbuild for browsers, the same bytes in a browser", async () => {
  const path = await site("esbuild");
  const { warnings } = await esbuild.build({
    absWorkingDir: folder,
    entryPoints: ["page.mjs"],
    bundle: true,
    format: "esm",
    platform: "browser",
    outfile: join(path, "bundle.js"),
    logLevel: "silent",
  });
  assert.deepEqual(warnings, []);
  // esbuild leaves `new URL(…, import.meta.url)` alone: the binaries go beside the bundle.
  await cp(join(folder, "node_modules/modelshrink/dist/wasm"), join(path, "wasm"), {
    recursive: true,
  });
  assert.deepEqual(await runInBrowser(path), expected);
});

test("publint finds nothing", async () => {
  const { publint } = await import("publint");
  const { messages } = await publint({ pkgDir: join(folder, "node_modules/modelshrink") });
  assert.deepEqual(messages, []);
});

test("the types resolve in every mode", async () => {
  // An ESM-only package: require() gives the ES module (Node.js ≥ 20.19). Node.js 10 knows no subpaths.
  const attw = join(root, "node_modules/@arethetypeswrong/cli/dist/index.js");
  await exec(process.execPath, [
    attw,
    tarball,
    "--profile",
    "node16",
    "--ignore-rules",
    "cjs-resolves-to-esm",
  ]);
});
