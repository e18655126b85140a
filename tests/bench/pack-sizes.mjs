// How small the pack makes the real models, as they are and quantized, beside what compresses any file: bytes of each.
// Nothing here takes a time. Writes the table of docs/benchmarks.md; with names ("recognizer int8" …) prints only
// those rows.
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import * as zlib from "node:zlib";
import { shrink } from "modelshrink";
import { buildFolder, buildPresetOrExit } from "../support/cmake.mjs";
import { writePart } from "../support/docs.mjs";
import { markdownTable } from "../support/markdown-table.mjs";
import { modelPaths } from "../support/models.mjs";

const models = { recognizer: modelPaths.recognition, Silero: modelPaths.speech };
const pruned = (sparsity) => ({ weights: "int8", prune: { method: "magnitude", sparsity } });
const recipes = {
  fp32: undefined,
  fp16: "fp16",
  int8: "int8",
  q4: "q4",
  "int8, 50 % zeros": pruned(0.5),
  "int8, 80 % zeros": pruned(0.8),
};

/** Node.js has it since 22.15; before, the system's program may. */
function zstd(path, bytes) {
  if (zlib.zstdCompressSync) {
    const params = { [zlib.constants.ZSTD_c_compressionLevel]: 19 };
    return zlib.zstdCompressSync(bytes, { params }).length;
  }
  try {
    return execFileSync("zstd", ["-19", "-c", "-q", path], { maxBuffer: 1 << 30 }).length;
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

const brotli = (bytes) =>
  zlib.brotliCompressSync(bytes, {
    params: {
      [zlib.constants.BROTLI_PARAM_LGWIN]: 24,
      [zlib.constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  }).length;

const folder = await mkdtemp(join(tmpdir(), "pack-sizes-"));
const program = join(buildFolder("native"), "tests/native/modelshrink_pack_files");

/** What the pack makes of a file, which it unpacks to see that it comes back. */
const packed = (path) => Number(execFileSync(program, [path], { encoding: "utf8" }).split(" ")[0]);

async function row(name, model, recipe) {
  const path = join(folder, basename(model));
  const bytes = recipe ? await (await shrink(model, recipe)).bytes() : await readFile(model);
  await writeFile(path, bytes);
  const gzip = zlib.gzipSync(bytes, { level: 9 }).length;
  const [ours, brotli11, zstd19] = [packed(path), brotli(bytes), zstd(path, bytes)];
  const share = `${((100 * ours) / brotli11).toFixed(1)} %`;
  const sizes = [bytes.length, ours, brotli11, zstd19, gzip];
  return [name, ...sizes.map((it) => it?.toLocaleString("en") ?? "–"), share];
}

await buildPresetOrExit("native", { targets: ["modelshrink_pack_files"] });
const wanted = process.argv.slice(2);
const rows = [];
for (const [model, path] of Object.entries(models)) {
  for (const [recipe, value] of Object.entries(recipes)) {
    const name = `${model} ${recipe}`;
    if (wanted.length === 0 || wanted.includes(name)) rows.push(await row(name, path, value));
  }
}
await rm(folder, { recursive: true });
const header = ["", "file", "packed", "brotli-11", "zstd-19", "gzip-9", "packed / brotli-11"];
const table = markdownTable(header, rows);
console.log(table);
if (wanted.length === 0) await writePart("bench-pack-sizes", table);
