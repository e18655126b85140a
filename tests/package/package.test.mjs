// The package as users get it: packed, and installed in an empty folder.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { verdictOf } from "../support/audit.mjs";
import { installPackage, runInNode } from "../support/installed-package.mjs";
import { root } from "../support/run.mjs";

const exec = promisify(execFile);

let installed;
let folder;
let tarball;
let expected;

before(async () => {
  installed = await installPackage();
  ({ folder, tarball } = installed);
  expected = await runInNode(folder);
});

after(() => installed?.remove());

test("installs alone, without dependencies", async () => {
  assert.deepEqual(
    (await readdir(join(folder, "node_modules"))).filter((name) => !name.startsWith(".")),
    ["modelshrink"],
  );
  const files = await readdir(join(folder, "node_modules/modelshrink"), { recursive: true });
  const texts = ["LICENSE", "THIRD_PARTY_NOTICES", "README.md", "CHANGELOG.md"];
  for (const name of [...texts, "dist/index.d.ts", "dist/index.js"]) {
    assert.ok(files.includes(name), `${name} is in the package`);
  }
  assert.deepEqual(
    files.filter((name) => /tsbuildinfo|\.test\.|^(tests|build)\/|^src\/.*\.(cc|h)$/.test(name)),
    [],
  );
});

test("links of the package's pages lead to files of the package", async () => {
  const home = join(folder, "node_modules/modelshrink");
  const files = await readdir(home, { recursive: true });
  const pages = files.filter((name) => name.endsWith(".md"));
  assert.ok(pages.length > 20);
  const broken = [];
  for (const page of pages) {
    const text = await readFile(join(home, page), "utf8");
    for (const [, link] of text.matchAll(/\]\(([^)\s#]+)[^)\s]*\)/g)) {
      const isOwn = !/^https?:/.test(link);
      if (isOwn && !files.includes(join(dirname(page), link))) broken.push(`${page}: ${link}`);
    }
  }
  assert.deepEqual(broken, []);
});

test("THIRD_PARTY_NOTICES has the licenses of what the package contains", async () => {
  const path = join(folder, "node_modules/modelshrink/THIRD_PARTY_NOTICES");
  const notices = await readFile(path, "utf8");
  const projects = ["Google Highway", "protozero", "RapidJSON", "libc++", "libc++abi", "musl"];
  const others = ["compiler-rt", "hash-wasm", "Emscripten (the JavaScript that loads"];
  for (const name of [...projects, ...others]) {
    const part = notices.split(/^-{80}$/m).find((it) => it.trimStart().startsWith(name));
    assert.match(part, /Copyright/, name);
    assert.match(part, /License: |MIT license/i, name);
  }
  assert.match(notices, /TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION/);
  assert.doesNotMatch(notices, /GNU General Public License as published/);
});

test("no file of the package needs another package, but for the bundlers' plugin", async () => {
  const home = join(folder, "node_modules/modelshrink");
  const names = (await readdir(join(home, "dist"), { recursive: true })).filter((name) =>
    /\.m?js$/.test(name),
  );
  const { metafile } = await build({
    entryPoints: names.map((name) => join(home, "dist", name)),
    ...{ bundle: true, write: false, metafile: true, format: "esm", platform: "node" },
    // An optional peer, which whoever builds with it installs.
    ...{ external: ["unplugin"], outdir: "out", logLevel: "error", absWorkingDir: home },
  });
  assert.ok(names.length > 50);
  for (const name of Object.keys(metafile.inputs)) assert.match(name, /^dist\//);
});

test("modelshrink/hashes has the SHA-256 of each binary, as browsers check it", async () => {
  const home = join(folder, "node_modules/modelshrink/dist");
  const { integrity } = await import(pathToFileURL(join(home, "hashes.js")));
  const names = await readdir(join(home, "wasm"));
  assert.deepEqual(Object.keys(integrity).sort(), names.sort());
  for (const name of names) {
    const bytes = await readFile(join(home, "wasm", name));
    const digest = createHash("sha256").update(bytes).digest("base64");
    assert.equal(integrity[name], `sha256-${digest}`, name);
  }
});

test("no code of the package is made from text: no eval, no new Function, no timer with a text", async () => {
  const home = join(folder, "node_modules/modelshrink");
  const names = await readdir(home, { recursive: true });
  const scripts = names.filter((name) => /\.[cm]?js$/.test(name));
  assert.ok(scripts.length > 50);
  for (const name of scripts) {
    const text = await readFile(join(home, name), "utf8");
    assert.doesNotMatch(
      text,
      /\beval\s*\(|\bFunction\s*\(|\bset(Timeout|Interval)\(\s*["'`]/,
      name,
    );
  }
});

test("npm audit: what it found, and that it found nothing out", () => {
  const metadata = { dependencies: { total: 7 } };
  const audit = (found) => verdictOf(JSON.stringify(found));
  const high = { a: { name: "a", severity: "high" }, b: { name: "b", severity: "low" } };
  assert.deepEqual(audit({ vulnerabilities: high, metadata }), { ok: false, text: "a (high)" });
  assert.equal(audit({ vulnerabilities: { b: high.b }, metadata }).ok, true);
  // A registry without the service, and no network.
  for (const message of ["405 Method Not Allowed", "connect ECONNREFUSED"]) {
    const { ok, text } = audit({ message, error: { summary: "", detail: "" } });
    assert.equal(ok, undefined);
    assert.match(text, new RegExp(`no package was looked at: ${message}`));
  }
  assert.equal(verdictOf("npm error").ok, false);
});

test("runs in Node.js", () => {
  assert.deepEqual(expected.tensors, ["W"]);
  assert.equal(expected.smaller, true);
  assert.equal(expected.refused, true);
});

test("its command answers", async () => {
  const { stdout } = await exec("npx", ["--offline", "modelshrink", "--help"], { cwd: folder });
  assert.match(stdout, /modelshrink shrink/);
  const { tinyModel } = await import("../support/app/tiny-model.mjs");
  await writeFile(join(folder, "tiny.onnx"), tinyModel());
  const args = ["--offline", "modelshrink", "shrink", "tiny.onnx", "-o", "small.onnx", "--json"];
  const { stdout: json } = await exec("npx", args, { cwd: folder });
  const small = await readFile(join(folder, "small.onnx"));
  assert.equal(JSON.parse(json).outputBytes, small.length);
});

test("CommonJS require", async () => {
  const script = `const { init, quantize } = require("modelshrink");
const { calibrate } = require("modelshrink/runtime");
init().then(() => {
  const { data } = quantize(Float32Array.of(-1, 0, 1), { type: "int8" });
  console.log([...data].join(" "), typeof calibrate);
});`;
  await writeFile(join(folder, "user.cjs"), script);
  const { stdout } = await exec(process.execPath, ["--no-warnings", "user.cjs"], { cwd: folder });
  assert.equal(stdout, "-127 0 127 function\n");
});

const nodeTypes = { typeRoots: [join(root, "node_modules/@types")], types: ["node"] };

for (const [name, types] of Object.entries({
  "types without the DOM library": { types: [] },
  "types without the DOM library, with @types/node": nodeTypes,
})) {
  test(name, async () => {
    await cp(join(root, "tests/package/user.ts"), join(folder, "user.ts"));
    for (const resolution of [
      { module: "NodeNext", moduleResolution: "NodeNext" },
      { module: "ESNext", moduleResolution: "Bundler" },
    ]) {
      const compilerOptions = {
        ...{ target: "ES2022", lib: ["ES2022"], strict: true, exactOptionalPropertyTypes: true },
        ...{ skipLibCheck: false, noEmit: true },
        ...resolution,
        ...types,
      };
      const config = JSON.stringify({ compilerOptions, files: ["user.ts"] });
      await writeFile(join(folder, "tsconfig.json"), config);
      const tsc = join(root, "node_modules/typescript/bin/tsc");
      const { stdout } = await exec(process.execPath, [tsc, "-p", folder]).catch((error) => error);
      assert.equal(stdout, "");
    }
  });
}

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
