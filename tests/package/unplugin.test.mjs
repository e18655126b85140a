// modelshrink/unplugin: a model that a page imports is small in what its bundler writes, and loads there.
import assert from "node:assert/strict";
import {
  cp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import * as esbuild from "esbuild";
import { shrink } from "modelshrink";
import { rollup } from "rollup";
import * as vite from "vite";
import webpack from "webpack";
import { launch } from "../support/chromium.mjs";
import { hostBlock } from "../support/host-blocks.mjs";
import {
  copyBeside,
  emptySite,
  installPackage,
  runInPage,
  runSite,
} from "../support/installed-package.mjs";
import { chainModel, externalModel } from "../support/onnx.mjs";
import { root } from "../support/run.mjs";

const page = `import small, { files } from "./model.onnx?shrink=int8";
import tiny from "./model.onnx?shrink=tiny";
import whole, { files as both } from "./split.onnx?shrink=fp16";

const bytes = async (url) => Array.from(new Uint8Array(await (await fetch(url)).arrayBuffer()));
globalThis.result = (async () => ({
  ...{ small: await bytes(small), tiny: await bytes(tiny), whole: await bytes(whole) },
  names: [Object.keys(files), Object.keys(both)],
}))();`;

/** A page that imports a packed model. */
const packedPage = `import address, { load } from "./split.onnx?shrink=fp16&packed";
import { load as loadSmall } from "./model.onnx?shrink=small&packed";
globalThis.result = (async () => {
  const { files, report } = await load();
  const entries = Object.entries(files).map(async ([name, blob]) => [
    name,
    Array.from(new Uint8Array(await blob.arrayBuffer())),
  ]);
  const { size } = await (await fetch(address)).blob();
  // What a runtime's session is made of.
  const small = Array.from(await (await loadSmall()).bytes());
  return { files: await Promise.all(entries), isPacked: size === report.inputBytes, small };
})();`;

const recipes = { tiny: { weights: "int4", blockSize: 32 } };
let installed;
let folder;
let browser;
let expected;
let expectedUnpacked;
let plugin;

before(async () => {
  installed = await installPackage();
  folder = installed.folder;
  const modules = join(folder, "node_modules");
  for (const name of await dependenciesOf("unplugin")) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(root, "node_modules", name), join(modules, name));
  }
  const model = chainModel(["a", "b"].map((name) => ({ name, size: 128 })));
  const split = externalModel("split.onnx_data");
  const files = { "model.onnx": model, "split.onnx": split["model.onnx"] };
  files["split.onnx_data"] = split["split.onnx_data"];
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
  await writeFile(join(folder, "page.mjs"), page);
  await writeFile(join(folder, "packed.mjs"), packedPage);
  await writeFile(
    join(folder, "index.html"),
    `<!doctype html><script type="module" src="./page.mjs"></script>`,
  );
  const bytesOf = async (path, recipe) => {
    const { files } = await shrink(join(folder, path), recipe);
    return Array.from(new Uint8Array(await files[path].arrayBuffer()));
  };
  const filesOf = async (path, recipe) => {
    const { files } = await shrink(join(folder, path), recipe);
    const entries = Object.entries(files).map(async ([name, blob]) => [
      name,
      Array.from(new Uint8Array(await blob.arrayBuffer())),
    ]);
    return Promise.all(entries);
  };
  expectedUnpacked = {
    files: await filesOf("split.onnx", "fp16"),
    isPacked: true,
    small: await bytesOf("model.onnx", "small"),
  };
  expected = {
    small: await bytesOf("model.onnx", "int8"),
    tiny: await bytesOf("model.onnx", recipes.tiny),
    whole: await bytesOf("split.onnx", "fp16"),
    names: [["model.onnx"], ["split.onnx", "split.onnx_data"]],
  };
  const door = join(modules, "modelshrink/dist/unplugin.js");
  const { shrinkPlugin } = await import(pathToFileURL(door));
  const cacheDir = join(folder, "cache");
  plugin = (bundler) => shrinkPlugin[bundler]({ recipes, cacheDir });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await installed?.remove();
});

/** A package of the root and all that it depends on. */
async function dependenciesOf(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  const path = join(root, "node_modules", name, "package.json");
  const { dependencies = {} } = JSON.parse(await readFile(path, "utf8"));
  for (const it of Object.keys(dependencies)) await dependenciesOf(it, found);
  return found;
}

/** The models of a built folder have hashed names, and are small. */
async function checkBuilt(path) {
  const names = await readdir(path, { recursive: true });
  const models = names.filter((name) => /-[\w-]{8}\.onnx(_data)?$/.test(name));
  assert.equal(models.length, 4, names.join());
  const { size } = await stat(join(folder, "model.onnx"));
  for (const name of models) assert.ok((await stat(join(path, name))).size < size / 2, name);
}

test("Vite, build", async () => {
  const outDir = join(folder, "vite");
  const options = { root: folder, base: "./", logLevel: "error", configFile: false };
  await vite.build({
    ...options,
    plugins: [plugin("vite")],
    build: { outDir, assetsInlineLimit: 0 },
  });
  await checkBuilt(outDir);
  assert.deepEqual(await runSite(browser, outDir), expected);
});

test("Vite, dev", async () => {
  const server = await vite.createServer({
    ...{ root: folder, logLevel: "error", configFile: false, plugins: [plugin("vite")] },
    server: { port: 0, host: "127.0.0.1" },
  });
  try {
    await server.listen();
    assert.deepEqual(await runInPage(browser, server.resolvedUrls.local[0]), expected);
  } finally {
    await server.close();
  }
});

test("Rollup", async () => {
  const path = await emptySite(folder, "rollup");
  const warnings = [];
  const bundle = await rollup({
    ...{ input: join(folder, "page.mjs"), plugins: [plugin("rollup")] },
    onwarn: ({ message }) => warnings.push(message),
  });
  await bundle.write({ dir: path, entryFileNames: "bundle.js", format: "es" });
  // Whoever builds anew on changes watches these.
  const models = ["model.onnx", "split.onnx", "split.onnx_data"];
  for (const name of models) assert.ok(bundle.watchFiles.includes(join(folder, name)), name);
  await bundle.close();
  assert.deepEqual(warnings, []);
  await checkBuilt(path);
  assert.deepEqual(await runSite(browser, path), expected);
});

test("webpack", async () => {
  const path = await emptySite(folder, "webpack");
  const compiler = webpack({
    ...{ mode: "production", context: folder, entry: "./page.mjs", target: "web" },
    output: { path, filename: "bundle.js", publicPath: "" },
    plugins: [plugin("webpack")],
  });
  const stats = await promisify(compiler.run.bind(compiler))();
  assert.deepEqual(stats.toJson({ errors: true }).errors, []);
  await promisify(compiler.close.bind(compiler))();
  await checkBuilt(path);
  assert.deepEqual(await runSite(browser, path), expected);
});

test("esbuild", async () => {
  const path = await emptySite(folder, "esbuild");
  await esbuild.build({
    ...{ absWorkingDir: folder, entryPoints: ["page.mjs"], bundle: true, format: "esm" },
    ...{ outdir: path, entryNames: "bundle", logLevel: "error", plugins: [plugin("esbuild")] },
  });
  await checkBuilt(path);
  assert.deepEqual(await runSite(browser, path), expected);
});

test("a packed model is unpacked in the page: Vite", async () => {
  const outDir = join(folder, "vite-packed");
  await writeFile(
    join(folder, "packed.html"),
    `<!doctype html><script type="module" src="./packed.mjs"></script>`,
  );
  await vite.build({
    ...{
      root: folder,
      base: "./",
      logLevel: "error",
      configFile: false,
      plugins: [plugin("vite")],
    },
    build: { outDir, rollupOptions: { input: join(folder, "packed.html") } },
  });
  await rename(join(outDir, "packed.html"), join(outDir, "index.html"));
  assert.deepEqual(await runSite(browser, outDir), expectedUnpacked);
});

test("a packed model is unpacked in the page: Vite, dev", async () => {
  const server = await vite.createServer({
    ...{ root: folder, logLevel: "error", configFile: false, plugins: [plugin("vite")] },
    ...{ server: { port: 0, host: "127.0.0.1" }, optimizeDeps: { exclude: ["modelshrink"] } },
  });
  try {
    await server.listen();
    const url = `${server.resolvedUrls.local[0]}packed.html`;
    assert.deepEqual(await runInPage(browser, url), expectedUnpacked);
  } finally {
    await server.close();
  }
});

test("a packed model is unpacked in the page: Rollup", async () => {
  const path = await emptySite(folder, "rollup-packed");
  const door = join(folder, "node_modules/modelshrink/dist/pack.web.js");
  // Rollup finds packages by a plugin alone.
  const resolver = { resolveId: (id) => (id === "modelshrink/pack" ? door : undefined) };
  const bundle = await rollup({
    ...{ input: join(folder, "packed.mjs"), plugins: [plugin("rollup"), resolver] },
    onwarn: () => undefined,
  });
  await bundle.write({ dir: path, entryFileNames: "bundle.js", chunkFileNames: "[name].js" });
  await bundle.close();
  await copyBeside(installed, path, "wasm");
  assert.deepEqual(await runSite(browser, path), expectedUnpacked);
});

test("a packed model is unpacked in the page: webpack", async () => {
  const path = await emptySite(folder, "webpack-packed");
  const compiler = webpack({
    ...{ mode: "production", context: folder, entry: "./packed.mjs", target: "web" },
    output: { path, filename: "bundle.js", publicPath: "" },
    plugins: [plugin("webpack")],
  });
  const stats = await promisify(compiler.run.bind(compiler))();
  assert.deepEqual(stats.toJson({ errors: true }).errors, []);
  await promisify(compiler.close.bind(compiler))();
  const models = (await readdir(path)).filter((name) => name.includes(".onnx"));
  assert.match(models.sort().join(), /^model\.onnx-[\da-f]{8}\.mspk,split\.onnx-[\da-f]{8}\.mspk$/);
  assert.deepEqual(await runSite(browser, path), expectedUnpacked);
});

test("a packed model is unpacked in the page: esbuild", async () => {
  const path = await emptySite(folder, "esbuild-packed");
  await esbuild.build({
    ...{ absWorkingDir: folder, entryPoints: ["packed.mjs"], bundle: true, format: "esm" },
    ...{ outdir: path, entryNames: "bundle", logLevel: "error", plugins: [plugin("esbuild")] },
  });
  await copyBeside(installed, path, "wasm");
  assert.deepEqual(await runSite(browser, path), expectedUnpacked);
});

test("the examples of the documentation build", async () => {
  await writeFile(join(folder, "vite.config.js"), await hostBlock("unplugin.config.js"));
  await cp(join(folder, "page.mjs"), join(folder, "kept.mjs"));
  for (const [code, ending] of [
    [await hostBlock("unplugin.page.mjs"), ".onnx"],
    [await hostBlock("unplugin.packed.mjs"), ".mspk"],
  ]) {
    const outDir = join(folder, `example${ending}`);
    await writeFile(join(folder, "page.mjs"), code);
    await vite.build({ root: folder, base: "./", logLevel: "error", build: { outDir } });
    const names = await readdir(outDir, { recursive: true });
    const models = names.filter((name) => /\.(onnx|mspk)$/.test(name));
    assert.deepEqual(
      models.map((name) => extname(name)),
      [ending],
    );
  }
  await cp(join(folder, "kept.mjs"), join(folder, "page.mjs"));
});

test("a second build takes what the first has kept, and a changed model is shrunk anew", async () => {
  const cacheDir = join(folder, "kept");
  const { shrinkPlugin } = await import(
    pathToFileURL(join(folder, "node_modules/modelshrink/dist/unplugin.js"))
  );
  const build = () =>
    esbuild.build({
      ...{ absWorkingDir: folder, entryPoints: ["page.mjs"], bundle: true, format: "esm" },
      ...{ outdir: join(folder, "again"), logLevel: "silent" },
      plugins: [shrinkPlugin.esbuild({ recipes, cacheDir })],
    });
  await build();
  const kept = async () =>
    Promise.all(
      (await readdir(cacheDir))
        .sort()
        .map(async (name) => [name, (await stat(join(cacheDir, name))).ino]),
    );
  const first = await kept();
  assert.equal(first.length, 3);
  await build();
  assert.deepEqual(await kept(), first);
  // What is kept is held against what it was.
  const entries = await readdir(cacheDir, { recursive: true });
  const data = join(
    cacheDir,
    entries.find((it) => it.endsWith("split.onnx_data")),
  );
  const bytes = await readFile(data);
  for (const damaged of [bytes.subarray(1), bytes.map((it, i) => (i === 5 ? it ^ 1 : it))]) {
    await writeFile(data, damaged);
    await build();
    assert.deepEqual(await readFile(data), bytes);
    assert.deepEqual(
      (await readdir(cacheDir)).sort(),
      first.map(([name]) => name),
    );
  }
  const path = join(folder, "model.onnx");
  const model = await readFile(path);
  try {
    await writeFile(path, chainModel(["c", "d"].map((name) => ({ name, size: 128 }))));
    await build();
    assert.equal((await kept()).length, 5);
    // A model that is none leaves nothing.
    await writeFile(path, "no model");
    await assert.rejects(build(), /format of "model\.onnx"|not a model|no ONNX model/i);
    assert.equal((await kept()).length, 5);
  } finally {
    await writeFile(path, model);
    await rm(cacheDir, { recursive: true });
  }
});

test("an unknown recipe, and a main file that is JSON, say so", async () => {
  const build = (id) => {
    const contents = `import ${JSON.stringify(id)};`;
    return esbuild.build({
      ...{ stdin: { contents, resolveDir: folder, sourcefile: join(folder, "in.mjs") } },
      ...{ bundle: true, write: false, outdir: "out", logLevel: "silent" },
      plugins: [plugin("esbuild")],
    });
  };
  await assert.rejects(build("./model.onnx?shrink=int7"), /recipe "int7"; there are tiny, /);
  await assert.rejects(build("./model.json?shrink"), /main file is JSON/);
});
