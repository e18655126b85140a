// What a browser downloads, gzipped, against its budget.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";
import { root } from "../tests/support/run.mjs";

const gzipped = (bytes) => gzipSync(bytes, { level: 9 }).length;
const compressed = (bytes) => brotliCompressSync(bytes).length;
const serviceWorker = join(root, "dist/modelshrink-service-worker.js");
const wasm = (name) => readFile(join(root, "dist/wasm", name));

/** What a page loads with a door of the library: its code with the Embind glue, without what is loaded on demand. */
async function bundle(door) {
  const { outputFiles } = await build({
    entryPoints: [join(root, `dist/${door}.web.js`)],
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    outdir: "out",
    write: false,
    logLevel: "error",
    plugins: [
      {
        name: "on-demand",
        setup: ({ onResolve }) =>
          onResolve({ filter: /./ }, ({ kind }) =>
            kind === "dynamic-import" ? { external: true } : undefined,
          ),
      },
    ],
  });
  return Buffer.concat(outputFiles.map((file) => file.contents));
}

const rows = [
  // 260, and what bounded memory, judged fits, followed weights and blocks along a layer's inputs have earned, reading one
  // tensor, and targets, which look at weights and foresee what the pack makes of them.
  // Emulated vectors are larger, and only engines without SIMD load them.
  ["simd.wasm", await wasm("simd.wasm"), 302],
  ["baseline.wasm", await wasm("baseline.wasm"), 314],
  ["arrays-simd.wasm", await wasm("arrays-simd.wasm"), 65],
  ["arrays-baseline.wasm", await wasm("arrays-baseline.wasm"), 73],
  ["pack-simd.wasm", await wasm("pack-simd.wasm"), 88],
  ["pack-baseline.wasm", await wasm("pack-baseline.wasm"), 123],
  ["glue and JavaScript", await bundle("index"), 42],
  ["glue and JavaScript of pack", await bundle("pack"), 40],
  ["glue and JavaScript of arrays", await bundle("arrays"), 40],
  ["all JavaScript, for service workers", await readFile(serviceWorker), 100],
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

/** The sizes that the documentation names: the page, the number in it, and what it should be. */
const bytesOf = (name) => gzipped(rows.find(([it]) => it === name)[1]);
const named = [
  ["README.md", /about (\d+) KB gzipped/, 10 * Math.round(bytesOf("simd.wasm") / 1e4)],
  ["README.md", /\((\d+) KB for arrays alone\)/, Math.round(bytesOf("arrays-simd.wasm") / 1e3)],
  [
    "docs/cache.md",
    /core of packed files \((\d+) KB\)/,
    Math.round(bytesOf("pack-simd.wasm") / 1e3),
  ],
  ["docs/hosts.md", /Its core \((\d+)\sKB\)/, Math.round(bytesOf("pack-simd.wasm") / 1e3)],
  ["docs/arrays.md", /\((\d+) KiB gzipped\)/, Math.round(bytesOf("arrays-simd.wasm") / 1024)],
];
for (const [page, pattern, size] of named) {
  const [text, number] = pattern.exec(await readFile(join(root, page), "utf8")) ?? [];
  if (Number(number) === size) continue;
  console.log(`✖ ${page}: "${text ?? pattern}" should say ${size}`);
  process.exitCode = 1;
}
