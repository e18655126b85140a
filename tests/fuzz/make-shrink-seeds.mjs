// Writes the seeds of corpus/shrink_roundtrip: for each format every method in every mode, and every type; and the
// other corpora's valid files, each with another method. shrinking.cc and choices.h say what the bytes mean.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { bytesOf } from "./random-bytes.mjs";

const corpus = new URL("./corpus/", import.meta.url);
const folder = new URL("shrink_roundtrip/", corpus);
const numChoices = 64;
const source = (path) => readFile(new URL(`../../src/${path}`, import.meta.url), "utf8");

/** The enumerators of an enum of layout.h, in order. */
async function enumerators(name) {
  const layout = await source("formats/layout.h");
  const [, body] = new RegExp(`enum class ${name} : uint8_t \\{([^}]*)\\}`).exec(layout);
  return [...body.matchAll(/^ *k(\w+),/gm)].map(([, it]) => it.toLowerCase());
}

const methods = await enumerators("Method");
const modes = await enumerators("Mode");
const table = await source("base/number_types.def");
const rows = [...table.matchAll(/^NUMBER_TYPE\((\w+), "(\w+)", (\w+),/gm)];
/** As StoredTypes() has them. */
const types = ["float32", ...rows.filter((row) => row[3] !== "kPlain").map(([, , name]) => name)];
/** What the first byte of the grammar's has to be. */
const formats = { onnx: 0, safetensors: 3, gguf: 4, tfjs: 5 };

/** TakeTensorSpec()'s bytes. */
function spec({ type, method, mode, number }) {
  const granularity = number % 3;
  const scheme = [type, granularity + (number % 2 ? 0x30 : 0), 0, number % 5];
  const isCalibrated = method === 0 || method >= 5;
  const flags = (number % 4) + (isCalibrated && method < 8 && number % 3 === 0 ? 32 : 0);
  const refit = isCalibrated && number % 3 === 1 ? 16 : 0;
  const runs = method === 4 ? [2, 1] : [];
  const heldOut = isCalibrated && number % 5 === 1 ? 128 : 0;
  return [
    ...scheme,
    mode,
    method,
    flags + refit + heldOut,
    0,
    ...runs,
    number % 33,
    0,
    0,
    number,
    0,
  ];
}

function grammarSeed({ format, type, method, mode, number, wishes = [0, 0] }) {
  const one = spec({ type, method, mode, number });
  const choices = [...wishes, ...one, ...one, ...spec({ type, method, mode, number: number + 1 })];
  const padded = [...choices, ...Array(numChoices).fill(0)].slice(0, numChoices);
  return Buffer.from([0xff, ...padded, formats[format], ...bytesOf(number + 1, 72)]);
}

function fileSeed({ name, size, body, number }) {
  const method = number % methods.length;
  const choices = spec({
    type: 1 + (number % (types.length - 1)),
    method,
    mode: number % 3,
    number,
  });
  const padded = [0, 0, ...choices, ...choices, ...Array(numChoices).fill(0)].slice(0, numChoices);
  return Buffer.concat([Buffer.from([name, ...padded, size % 64, size >> 6]), body]);
}

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
const write = (name, bytes) => writeFile(new URL(name, folder), bytes);

let number = 0;
for (const format of Object.keys(formats)) {
  for (const [method, methodName] of methods.entries()) {
    for (const [mode, modeName] of modes.entries()) {
      if (mode > 0 && format !== "onnx") continue;
      const type = 1 + (number % (types.length - 1));
      const name = [format, methodName, ...(format === "onnx" ? [modeName] : [])].join("-");
      await write(name, grammarSeed({ format, type, method, mode, number: number++ }));
    }
  }
  for (const [type, typeName] of types.entries()) {
    const mode = type % 3;
    const seed = grammarSeed({
      format,
      type,
      method: 0,
      mode,
      number: number++,
      wishes: [0x30, 0],
    });
    await write(`${format}-${typeName}`, seed);
  }
}
// Channels go through operators of which each model has only some.
for (let i = 0; i < 16; ++i) {
  const what = { format: "onnx", type: 0, method: methods.indexOf("channels"), mode: 0 };
  await write(`onnx-channels-${i}`, grammarSeed({ ...what, number: number++ }));
}
// strip, taps, sparse, miscounted, a survey of each kind.
const wishes = { strip: [1, 0], taps: [0xe, 0], sparse: [0xc0, 0], miscounted: [0xc0, 0xc] };
for (const [name, wish] of Object.entries(wishes)) {
  for (const format of Object.keys(formats)) {
    const what = { format, type: 1, method: 0, mode: 0x30, number: number++, wishes: wish };
    await write(`${format}-${name}`, grammarSeed(what));
  }
}
for (const [allocation, name] of ["global", "lamp"].entries()) {
  for (const format of Object.keys(formats)) {
    const what = { format, type: 6, method: 1, mode: 0, number: number++ };
    await write(`${format}-${name}`, grammarSeed({ ...what, wishes: [0, 3, allocation] }));
  }
}

const files = {
  onnx_reader: {
    name: 0,
    size: 4096,
    seeds: "conv dequantize dynamic external gather if_branch lstm matmul nbits half_old moved",
  },
  safetensors_reader: { name: 1, size: 0, seeds: "bom dim-2-53 zero-size names four-bits" },
  gguf_reader: {
    name: 2,
    size: 0,
    seeds: "valid-alignment valid-float valid-k valid-q8 valid-v2",
  },
  tfjs_reader: {
    name: 3,
    size: 1040,
    seeds: "graph_channels graph_shards layers product restore two_groups",
  },
};
for (const [target, { name, size, seeds }] of Object.entries(files)) {
  const head = target === "tfjs_reader" ? 3 : 1;
  for (const seed of seeds.split(" ")) {
    const body = (await readFile(new URL(`${target}/${seed}`, corpus))).subarray(head);
    await write(`file-${target}-${seed}`, fileSeed({ name, size, body, number: number++ }));
  }
}
