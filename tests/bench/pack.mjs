// How fast weights are packed and unpacked, on one thread: the pack's chunks natively and in WebAssembly, with their
// checksums, beside memcpy, gzip, brotli-11 and zstd, in interleaved rounds. The weights are the largest layers of the
// text recognizer. Prints two tables: GB/s, of the fastest of five rounds, and sizes.
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as zlib from "node:zlib";
import { readTensor } from "modelshrink";
import { buildFolder, buildPresetOrExit } from "../support/cmake.mjs";
import { machineName } from "../support/docs.mjs";
import { markdownTable } from "../support/markdown-table.mjs";
import { modelPaths } from "../support/models.mjs";

const rounds = 5;
const columns = 480;
const layers = ["conv2d_180.w_0", "conv2d_182.w_0", "conv2d_184.w_0"];
/** How often the layers follow each other: 8.3 M weights. */
const copies = 12;

async function loadWeights() {
  const values = [];
  for (const layer of layers) {
    values.push((await readTensor(modelPaths.recognition, layer)).values);
  }
  const all = new Float32Array(copies * layers.length * columns * columns);
  for (let i = 0, at = 0; i < copies; ++i) {
    for (const layer of values) {
      all.set(layer, at);
      at += layer.length;
    }
  }
  return all;
}

/** Signed codes of so many steps on either side of 0, whose scale is each row's own. */
function codesOf(values, steps) {
  const codes = new Int8Array(values.length);
  for (let begin = 0; begin < values.length; begin += columns) {
    const row = values.subarray(begin, begin + columns);
    const scale = steps / row.reduce((most, it) => Math.max(most, Math.abs(it)), 0);
    for (const [i, value] of row.entries()) codes[begin + i] = Math.round(value * scale);
  }
  return codes;
}

function withZeros(values, share) {
  const sorted = values.map(Math.abs).sort();
  const least = sorted[Math.floor(share * values.length)];
  return values.map((it) => (Math.abs(it) < least ? 0 : it));
}

function nibblesOf(values) {
  const codes = codesOf(values, 7);
  const bytes = new Uint8Array(codes.length / 2);
  for (const i of bytes.keys()) bytes[i] = (codes[2 * i] & 15) | (codes[2 * i + 1] << 4);
  return bytes;
}

/** The upper half of each number, as bfloat16 has it. */
const upperHalves = (values) => new Uint16Array(values.buffer).filter((_, i) => i % 2 === 1);

/** The numbers of kinds are those of src/pack/elements.def. */
function makeCases(values) {
  const one = (name, kind, row, array) => ({
    ...{ name, kind, row },
    bytes: Buffer.from(array.buffer, array.byteOffset, array.byteLength),
  });
  return [
    one("int8", 2, columns, codesOf(values, 127)),
    one("int4", 21, columns, nibblesOf(values)),
    one("int8, 80 % zeros", 2, columns, codesOf(withZeros(values, 0.8), 127)),
    one("bf16", 4, 0, upperHalves(values)),
    one("fp32", 5, 0, values.slice(0, values.length / 2)),
  ];
}

async function wasmPack() {
  // Optimized as the package is.
  const preset = "wasm-simd-package";
  const target = "modelshrink_wasm_pack_bench";
  await buildPresetOrExit(preset, { targets: [target], settings: ["-DMODELSHRINK_BENCH=ON"] });
  const folder = join(buildFolder(preset), "tests/bench");
  const { default: createModule } = await import(pathToFileURL(join(folder, `${target}.mjs`)).href);
  const wasmBinary = await readFile(join(folder, `${target}.wasm`));
  return async ({ kind, row, bytes }) => {
    const module = await createModule({ wasmBinary });
    const at = module._malloc(bytes.length) >>> 0;
    module.HEAPU8.set(bytes, at);
    module._PreparePack(kind, row, at, bytes.length);
    return {
      encode: module._EncodeChunks,
      decode: module._DecodeChunks,
      copy: module._CopyWeights,
    };
  };
}

function seconds(run) {
  const start = performance.now();
  if (run() === 0) throw new Error("the pack fails");
  return (performance.now() - start) / 1000;
}

const compressors = {
  "gzip -9": {
    encode: (bytes) => zlib.gzipSync(bytes, { level: 9 }),
    decode: zlib.gunzipSync,
  },
  "brotli-11": {
    // A window that does not reach the layer's next copy.
    encode: (bytes) =>
      zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_LGWIN]: 17 } }),
    decode: zlib.brotliDecompressSync,
  },
};
if (zlib.zstdCompressSync) {
  const params = {
    [zlib.constants.ZSTD_c_compressionLevel]: 19,
    [zlib.constants.ZSTD_c_windowLog]: 17,
  };
  compressors["zstd -19"] = {
    encode: (bytes) => zlib.zstdCompressSync(bytes, { params }),
    decode: zlib.zstdDecompressSync,
  };
}

const folder = await mkdtemp(join(tmpdir(), "pack-bench-"));
await buildPresetOrExit("native", { targets: ["modelshrink_pack_bench"] });
const program = join(buildFolder("native"), "tests/native/modelshrink_pack_bench");
const createPack = await wasmPack();

async function measure(it) {
  const path = join(folder, "weights");
  await writeFile(path, it.bytes);
  const wasm = await createPack(it);
  const others = Object.entries(compressors).map(([name, { encode, decode }]) => {
    const coded = encode(it.bytes);
    return { name, size: coded.length, decode: () => decode(coded).length };
  });
  const times = {};
  const add = (name, value) => (times[name] ??= []).push(value);
  let packed;
  for (let round = 0; round < rounds; ++round) {
    const args = [String(it.kind), String(it.row), path];
    const native = execFileSync(program, args, { encoding: "utf8" }).split(" ").map(Number);
    packed = native[0];
    ["pack, native", "unpack, native", "memcpy, native"].forEach((name, i) =>
      add(name, native[i + 1]),
    );
    add("pack, WASM", seconds(wasm.encode));
    add("unpack, WASM", seconds(wasm.decode));
    add("memory.copy", seconds(wasm.copy));
    for (const { name, decode } of others) add(`un${name}`, seconds(decode));
  }
  const speeds = Object.fromEntries(
    Object.entries(times).map(([name, list]) => [name, it.bytes.length / Math.min(...list) / 1e9]),
  );
  const sizes = { packed, ...Object.fromEntries(others.map(({ name, size }) => [name, size])) };
  return { name: it.name, bytes: it.bytes.length, speeds, sizes };
}

const results = [];
for (const it of makeCases(await loadWeights())) results.push(await measure(it));
await rm(folder, { recursive: true });
const columnsOf = (part) => Object.keys(results[0][part]);
const speedTable = markdownTable(
  ["GB/s", ...columnsOf("speeds"), "unpack / gunzip, WASM"],
  results.map(({ name, speeds }) => [
    name,
    ...Object.values(speeds).map((it) => it.toPrecision(3)),
    `${(speeds["unpack, WASM"] / speeds["ungzip -9"]).toFixed(1)} ×`,
  ]),
);
const sizeTable = markdownTable(
  ["% of the bytes", ...columnsOf("sizes")],
  results.map(({ name, bytes, sizes }) => [
    name,
    ...Object.values(sizes).map((it) => ((100 * it) / bytes).toFixed(1)),
  ]),
);
console.log(`Measured on ${machineName()}.\n\n${speedTable}\n\n${sizeTable}`);
