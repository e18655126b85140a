/** The fuzz targets' seeds as sources of models: each target says in its first comment how it takes bytes. */
import { readdirSync, readFileSync } from "node:fs";

const corpus = new URL("../fuzz/corpus/", import.meta.url);

export const seedNames = (target) => readdirSync(new URL(`${target}/`, corpus)).sort();

/** [before, after] the first `mark`, or only the whole. */
function cut(bytes, mark) {
  const at = bytes.indexOf(mark);
  return at < 0 ? [bytes] : [bytes.subarray(0, at), bytes.subarray(at + mark.length)];
}

/** Every file that the text may name. */
function neighboursOf(json, size) {
  const bytes = Uint8Array.from({ length: size }, (_, i) => (i % 7 === 0 ? i * 37 : 0));
  const names = [...json.toString("latin1").matchAll(/"([^"\\]*)"/g)].map(([, name]) => name);
  return Object.fromEntries(names.filter((name) => name !== "").map((name) => [name, bytes]));
}

const takers = {
  onnx_reader(seed) {
    const values = Uint8Array.from({ length: 4096 }, (_, i) => (i * 37) >> 3);
    return { "m.onnx": seed.subarray(1), d: values };
  },
  safetensors_reader(seed) {
    if (seed[0] < 128) return { "x.safetensors": seed.subarray(1) };
    const [index, shards] = cut(seed.subarray(1), "\0");
    if (!shards) return { "x.index.json": index };
    const [a, b] = cut(shards, "~~~~");
    return { "x.index.json": index, a, ...(b ? { b } : {}) };
  },
  gguf_reader(seed) {
    if (seed[0] < 128) return { "m.gguf": seed.subarray(1) };
    const [first, second] = cut(seed.subarray(1), "~~~~");
    const name = (i) => `m-0000${i}-of-00002.gguf`;
    return { [name(1)]: first, ...(second ? { [name(2)]: second } : {}) };
  },
  tfjs_reader(seed) {
    const json = seed.subarray(3);
    return { ...neighboursOf(json, seed[1] + seed[2] * 64), "model.json": json };
  },
};

/** The files of a seed, as a source. */
export function seedFiles(target, name) {
  const seed = readFileSync(new URL(`${target}/${name}`, corpus));
  const files = takers[target](seed);
  // A Buffer is a view of a pool; a source is bytes of its own.
  return Object.fromEntries(Object.entries(files).map(([key, it]) => [key, new Uint8Array(it)]));
}
