// What runs outside Node.js, made of the modules in dist/: each entry as <name>.web.js with the code that entries share
// in a file of its own, and in one file each the worker and what service workers have. They import nothing but each other, so a page can load them as they
// are; binaries and worker are named by `new URL(…, import.meta.url)`, which bundlers follow. build.mjs calls it.
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { root } from "../tests/support/run.mjs";

const dist = join(root, "dist");
const ending = ".web.js";

const options = {
  bundle: true,
  format: "esm",
  platform: "browser",
  target: "es2022",
  outdir: dist,
  // Names stay readable; whoever bundles this shortens them.
  minifySyntax: true,
  minifyWhitespace: true,
  logLevel: "warning",
};

/** The entries' names: what `exports` of package.json gives where it is not Node.js that asks. */
async function entries() {
  const { exports } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  return Object.values(exports)
    .map((conditions) => conditions.default ?? "")
    .filter((path) => path.endsWith(ending))
    .map((path) => path.slice("./dist/".length, -ending.length));
}

/** The module that uses a package of npm, which becomes part of it: whoever installs modelshrink gets nothing else. */
const withPackages = join(dist, "cache/digest-web.js");

export async function bundle() {
  const outdir = join(dist, "cache");
  await build({ ...options, entryPoints: [withPackages], outdir, allowOverwrite: true });
  for (const name of await readdir(dist)) {
    if (name.endsWith(ending)) await rm(join(dist, name));
  }
  await build({
    ...options,
    entryPoints: (await entries()).map((name) => join(dist, `${name}.js`)),
    splitting: true,
    chunkNames: "shared-[hash]",
    outExtension: { ".js": ending },
  });
  const oneFile = (name) => ({ [`modelshrink-${name}`]: join(dist, `${name}.js`) });
  await build({ ...options, entryPoints: oneFile("worker") });
  // Who bundles a service worker takes the other doors.
  await build({ ...options, minifyIdentifiers: true, entryPoints: oneFile("service-worker") });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await bundle();
