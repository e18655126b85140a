// `node scripts/build.mjs [--simd] [--package]`: the WASM binaries, TypeScript and the bundles for browsers, into
// dist/. Ninja and tsc are incremental, so an unchanged tree costs seconds.
// --simd: only the binary for engines with SIMD, which all current ones are.
// --package: optimized when they are linked, as the package ships them; that takes longer.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { minify } from "terser";
import { buildFolder, buildPresetOrExit } from "../tests/support/cmake.mjs";
import { root, runOrExit } from "../tests/support/run.mjs";
import { bundle } from "./bundle.mjs";

const { values: options } = parseArgs({
  options: { simd: { type: "boolean" }, package: { type: "boolean" } },
});
const variants = options.simd ? ["simd"] : ["simd", "baseline"];
const dist = join(root, "dist");

/** Writes only what changed, so that what is built from dist stays up to date too. */
async function install(bytes, name) {
  const to = join(dist, name);
  if (existsSync(to) && bytes.equals(await readFile(to))) return;
  await writeFile(to, bytes);
}

/** Ends the build: something is as this script does not expect it. */
function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/**
 * The glue names a default binary, which no package holds: the loader brings its own. Bundlers would look
 * for that file.
 */
function withoutDefaultBinary(glue) {
  const url = /new URL\((["'])(\w+\.wasm)\1, ?import\.meta\.url\)\.(toString\(\)|href)/g;
  const changed = glue.replace(url, '"$2"');
  if (/new URL\(["']\w+\.wasm/.test(changed)) {
    fail("Emscripten's glue names its binary in a way that build.mjs does not know.");
  }
  return changed;
}

/**
 * The glue without what nothing in it uses: Emscripten keeps whole groups of functions, and bundlers do not look inside
 * the one function that holds them. A page downloads 0.6 KiB less, gzipped.
 */
async function withoutUnused(glue) {
  const { code } = await minify(glue, { module: true, compress: { passes: 3 }, mangle: true });
  return code;
}

/** What "modelshrink/hashes" is: a page can have the browser check a binary before it is compiled. */
async function writeHashes(hashes) {
  const comment =
    "/** The SHA-256 of each binary in dist/wasm, as `fetch` takes it for `integrity`. */";
  const names = Object.keys(hashes).map((name) => `"${name}"`);
  const type = `Readonly<Record<${names.join(" | ")}, string>>`;
  const value = JSON.stringify(hashes, undefined, 2);
  await install(Buffer.from(`${comment}\nexport const integrity = ${value};\n`), "hashes.js");
  await install(
    Buffer.from(`${comment}\nexport declare const integrity: ${type};\n`),
    "hashes.d.ts",
  );
}

/** The modules that CMake makes, and the names of their binaries. */
const modules = {
  modelshrink: (variant) => `${variant}.wasm`,
  arrays: (variant) => `arrays-${variant}.wasm`,
  pack: (variant) => `pack-${variant}.wasm`,
};

const presetOf = (variant) => `wasm-${variant}${options.package ? "-package" : ""}`;
for (const variant of variants) {
  console.log(`WebAssembly, ${variant} (the first build takes a minute)`);
  await buildPresetOrExit(presetOf(variant), { targets: Object.keys(modules) });
}
await mkdir(join(dist, "wasm"), { recursive: true });
await mkdir(join(dist, "core"), { recursive: true });
const names = [];
const hashes = {};
for (const [module, nameOf] of Object.entries(modules)) {
  const built = (variant, ending) =>
    readFile(join(buildFolder(presetOf(variant)), `${module}.${ending}`));
  const glues = await Promise.all(variants.map(async (it) => String(await built(it, "mjs"))));
  if (glues.some((glue) => glue !== glues[0])) {
    fail("The SIMD and the baseline build need different glue; dist/ ships one for both.");
  }
  await install(
    Buffer.from(await withoutUnused(withoutDefaultBinary(glues[0]))),
    `core/${module}.mjs`,
  );
  for (const variant of variants) {
    const [name, bytes] = [nameOf(variant), await built(variant, "wasm")];
    names.push(name);
    hashes[name] = `sha256-${createHash("sha256").update(bytes).digest("base64")}`;
    await install(bytes, `wasm/${name}`);
  }
}
await writeHashes(hashes);
// A binary of an earlier build does not fit this build's glue.
for (const name of await readdir(join(dist, "wasm"))) {
  if (!names.includes(name)) await rm(join(dist, "wasm", name));
}

// tsc trusts its build info even when the files it wrote are gone.
const stamp = existsSync(join(dist, "index.js")) ? [] : ["--force"];
await runOrExit(process.execPath, ["node_modules/typescript/bin/tsc", "--build", ...stamp]);
await bundle();
