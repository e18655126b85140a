// Writes the seeds of corpus/gguf_reader: a valid file of each kind, and one for each broken rule.
import { mkdir, writeFile } from "node:fs/promises";
import { makeGguf, tinyLlama, weights, Writer } from "../support/gguf.mjs";

const folder = new URL("./corpus/gguf_reader/", import.meta.url);
const small = { name: "a.weight", dims: [32, 2], type: "F32", data: weights(64, "F32", 1) };
const half = { name: "b.weight", dims: [64, 1], type: "F16", data: weights(64, "F16", 2) };
const start = (tensors, keys, version = 3) =>
  new Writer()
    .bytes(Buffer.from("GGUF"))
    .number("uint32", version)
    .number("uint64", tensors)
    .number("uint64", keys);
const key = (name, type) => start(0, 1).string(name).number("uint32", type);
const info = (name, dims, type, offset) => {
  const writer = start(1, 0).string(name).number("uint32", dims.length);
  for (const dim of dims) writer.number("uint64", dim);
  return writer.number("uint32", type).number("uint64", offset).pad(32).bytes(small.data).done();
};
const wrap = 2n ** 64n - 1n;
const split = (number) => [
  ["split.no", "uint16", number],
  ["split.count", "uint16", 2],
  ["split.tensors.count", "int32", 2],
];
const tiny = tinyLlama({ embedding: 32, layers: 1 });
const tokens = tiny.keys.map(([name, kind, value]) =>
  kind === "array" ? [name, kind, [value[0], value[1].slice(0, 4)]] : [name, kind, value],
);
const two = {
  "valid-float": makeGguf({ keys: tokens, tensors: [small, half] }),
  "valid-v2": makeGguf({ keys: [], tensors: [small], version: 2 }),
  "valid-empty": makeGguf({ keys: [], tensors: [] }),
  "valid-alignment": makeGguf({
    keys: [["general.alignment", "uint32", 64]],
    tensors: [small, half],
    alignment: 64,
  }),
  "valid-q8": makeGguf({
    keys: [["general.file_type", "uint32", 7]],
    tensors: [{ ...small, type: "Q8_0", data: weights(17, "F32", 3) }],
  }),
  "valid-k": makeGguf({
    keys: [["deep", "array", ["array", [["bool", [1, 0]]]]]],
    tensors: [{ name: "k.weight", dims: [256], type: "Q4_K", data: weights(36, "F32", 3) }],
  }),
  magic: Buffer.from("GGML".padEnd(24, "\0")),
  version: start(0, 0, 1).done(),
  "big-endian": start(0, 0, 0x03000000).done(),
  "tensors-wrap": start(wrap, 0).done(),
  "keys-wrap": start(0, wrap).done(),
  "key-length": start(0, 1).number("uint64", wrap).done(),
  "key-truncated": start(0, 1).number("uint64", 10).bytes(Buffer.from("abc")).done(),
  "string-length": key("k", 8).number("uint64", wrap).done(),
  "string-past-end": key("k", 8).number("uint64", 100).done(),
  "array-wrap": key("k", 9).number("uint32", 4).number("uint64", wrap).done(),
  "array-type": key("k", 9).number("uint32", 13).number("uint64", 0).done(),
  "value-type": key("k", 13).done(),
  "arrays-nested": Array.from({ length: 6 })
    .reduce((writer) => writer.number("uint32", 9).number("uint64", 1), key("k", 9))
    .done(),
  "arrays-of-nothing": key("k", 9)
    .number("uint32", 9)
    .number("uint64", 2)
    .bytes(new Uint8Array(24))
    .done(),
  "bool-2": key("k", 7).number("uint8", 2).done(),
  "key-twice": start(0, 2).key("k", "uint8", 1).key("k", "uint8", 1).done(),
  "tensor-twice": makeGguf({ keys: [], tensors: [small, small] }),
  "rank-0": info("t", [], 0, 0),
  "rank-5": info("t", [1, 1, 1, 1, 1], 0, 0),
  "dim-0": info("t", [32, 0], 0, 0),
  "dim-huge": info("t", [2n ** 33n], 0, 0),
  "size-wrap": info("t", [2n ** 32n, 2n ** 32n], 0, 0),
  "type-unknown": info("t", [32, 2], 99, 0),
  "type-removed": info("t", [32, 2], 4, 0),
  "row-block": info("t", [24, 2], 2, 0),
  "alignment-0": start(0, 1).key("general.alignment", "uint32", 0).done(),
  "alignment-3": start(0, 1).key("general.alignment", "uint32", 3).done(),
  "alignment-huge": start(0, 1)
    .key("general.alignment", "uint32", 2 ** 31)
    .done(),
  "alignment-type": start(0, 1).key("general.alignment", "uint64", 32).done(),
  "known-key-type": start(0, 1).key("general.architecture", "uint32", 1).done(),
  "known-array-type": start(0, 1)
    .key("tokenizer.ggml.tokens", "array", ["int32", [1]])
    .done(),
  "offset-unaligned": info("t", [32, 2], 0, 8),
  "offset-hole": info("t", [32, 2], 0, 32),
  "offset-past-end": info("t", [32, 200], 0, 0),
  "offset-overlap": start(2, 0)
    .string("t")
    .number("uint32", 1)
    .number("uint64", 32)
    .number("uint32", 0)
    .number("uint64", 0)
    .string("u")
    .number("uint32", 1)
    .number("uint64", 32)
    .number("uint32", 0)
    .number("uint64", 0)
    .pad(32)
    .bytes(small.data)
    .done(),
  "offset-wrap": info("t", [32, 2], 0, wrap - 31n),
  "end-wrap": ["t", "u"]
    .reduce(
      (writer, name, i) =>
        writer
          .string(name)
          .number("uint32", 2)
          .number("uint64", 2n ** 32n)
          .number("uint64", 2n ** 29n)
          .number("uint32", 0)
          .number("uint64", BigInt(i) << 63n),
      start(2, 0),
    )
    .done(),
  "name-long": info("n".repeat(64), [32, 2], 0, 0),
  "name-empty": info("", [32, 2], 0, 0),
  "nan-scales": makeGguf({
    keys: [],
    tensors: [{ ...small, type: "Q8_0", data: new Uint8Array(68).fill(0xff) }],
  }),
  short: start(1, 1)
    .number("uint64", 2 ** 32)
    .bytes(new Uint8Array(11))
    .done(),
};
const splits = {
  "valid-splits": [0, 1].map((it) => makeGguf({ keys: split(it), tensors: [it ? half : small] })),
  "split-count": [0, 1].map((it) =>
    makeGguf({
      keys: it ? [["split.count", "uint16", 3]] : split(0),
      tensors: [it ? half : small],
    }),
  ),
  "split-alone": [makeGguf({ keys: split(0), tensors: [small] })],
  "split-second": [makeGguf({ keys: split(1), tensors: [small] })],
  "split-tensors": [0, 1].map((it) => makeGguf({ keys: split(it), tensors: it ? [] : [small] })),
};
await mkdir(folder, { recursive: true });
for (const [name, file] of Object.entries(two)) {
  await writeFile(new URL(name, folder), Buffer.concat([Buffer.from([3]), file]));
}
for (const [name, files] of Object.entries(splits)) {
  const parts = files.flatMap((file, i) => (i === 0 ? [file] : [Buffer.from("~~~~"), file]));
  await writeFile(new URL(name, folder), Buffer.concat([Buffer.from([0x80]), ...parts]));
}
