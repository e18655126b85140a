// What a browser downloads, gzipped, against its budget.
import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";
import { root } from "../tests/support/run.mjs";

const gzipped = (bytes) => gzipSync(bytes, { level: 9 }).length;
const compressed = (bytes) => brotliCompressSync(bytes).length;
const wasm = (name) => readFile(join(root, "dist/wasm", name));

/** What a page loads with a door of the library: its code with the Embind glue, without what is loaded on demand. */
async function bundle(door) {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(root, `dist/${door}.web.js`)],
    bundle: true,
    splitting: true,
    minify: true,
    metafile: true,
    absWorkingDir: root,
    format: "esm",
    platform: "browser",
    outdir: "out",
    write: false,
    logLevel: "error",
  });
  const loaded = new Set();
  const load = (path) => {
    if (loaded.has(path)) return;
    loaded.add(path);
    for (const it of metafile.outputs[path].imports) {
      if (it.kind === "import-statement" && !it.external) load(it.path);
    }
  };
  load(`out/${door}.web.js`);
  const files = outputFiles.filter(({ path }) => loaded.has(relative(root, path)));
  return Buffer.concat(files.map((file) => file.contents));
}

const rows = [
  ["simd.wasm", await wasm("simd.wasm"), 260],
  ["baseline.wasm", await wasm("baseline.wasm"), 260],
  ["arrays-simd.wasm", await wasm("arrays-simd.wasm"), 70],
  ["arrays-baseline.wasm", await wasm("arrays-baseline.wasm"), 70],
  ["glue and JavaScript", await bundle("index"), 40],
  ["glue and JavaScript of arrays", await bundle("arrays"), 40],
];
for (const [name, bytes, budget] of rows) {
  const kib = gzipped(bytes) / 1024;
  const over = kib > budget;
  const brotli = (compressed(bytes) / 1024).toFixed(1);
  console.log(
    `${over ? "✖" : "✔"} ${name}: ${kib.toFixed(1)} KiB of ${budget} KiB gzipped, ${brotli} KiB with brotli`,
  );
  if (over) process.exitCode = 1;
}
