// What a browser downloads, gzipped, against its budget.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { root } from "../tests/support/run.mjs";

const gzipped = (bytes) => gzipSync(bytes, { level: 9 }).length;
const wasm = (name) => readFile(join(root, "dist/wasm", name));

/** Everything a page needs of the library: index.js with the Embind glue. */
async function bundle() {
  const { outputFiles } = await build({
    entryPoints: [join(root, "dist/index.web.js")],
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    outdir: "out",
    write: false,
    logLevel: "error",
  });
  return Buffer.concat(outputFiles.map((file) => file.contents));
}

const rows = [
  ["simd.wasm", await wasm("simd.wasm"), 235],
  ["baseline.wasm", await wasm("baseline.wasm"), 248],
  ["glue and JavaScript", await bundle(), 40],
];
for (const [name, bytes, budget] of rows) {
  const kib = gzipped(bytes) / 1024;
  const over = kib > budget;
  console.log(`${over ? "✖" : "✔"} ${name}: ${kib.toFixed(1)} KiB of ${budget} KiB gzipped`);
  if (over) process.exitCode = 1;
}
