// How much memory work on a large model takes in Node.js, in a process of its own.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { inspect } from "modelshrink";
import { makeDense, makeLarge, markedRows, markOf, shapesOf } from "./large-models.mjs";

const program = (name) => fileURLToPath(new URL(`./measured-${name}.mjs`, import.meta.url));
/** What a shrink may take, in bytes. */
export const maxHeap = 64 * 2 ** 20;
export const maxGrowth = 200e6;

async function measure(name, args) {
  const child = spawn(process.execPath, ["--expose-gc", program(name), ...args.map(String)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (data) => (text += data));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`the measured process ended with ${code}`);
  return JSON.parse(text);
}

/** Where a tensor's codes are: found by their pattern's first occurrence, row by row. */
async function checkMarks(path, begin, { rows, columns }, isGguf) {
  const handle = await open(path);
  const mark = markOf(columns);
  const rowBytes = isGguf ? (columns / 32) * 34 : columns;
  const row = Buffer.alloc(rowBytes);
  for (const index of markedRows({ rows })) {
    await handle.read(row, 0, rowBytes, begin + index * rowBytes);
    for (let i = 0; i < columns; i++) {
      const code = row.readInt8(isGguf ? Math.floor(i / 32) * 34 + 2 + (i % 32) : i);
      // int8 rows have the scale 1; a Q8_0 block's largest code is 127.
      const isRight = isGguf ? Math.sign(code) === Math.sign(mark[i]) : code === mark[i];
      if (!isRight) throw new Error(`row ${index} of ${path}: code ${i} is ${code}`);
    }
  }
  await handle.close();
}

/** Shrinks one model in a process of its own; what that took. */
export async function checkLarge({ format, recipe, folder, size }) {
  const place = await mkdtemp(join(folder, "large-"));
  try {
    const model = await makeLarge(format, place, size);
    const output = join(place, "out");
    await mkdir(output);
    const sink = join(output, `small.${format}`);
    const result = await measure("shrink", [model, recipe, sink]);
    const { tensors } = await inspect(sink);
    if (tensors.filter(({ quantized }) => quantized).length !== 5) {
      throw new Error(`${format}: not every weight was quantized`);
    }
    const [large] = shapesOf(size);
    const data = format === "onnx" ? `${sink}_data` : sink;
    await checkMarks(data, await beginOf(format, data), large, format === "gguf");
    return result;
  } finally {
    await rm(place, { recursive: true });
  }
}

/** Where the largest tensor's codes begin in the output, by the format's own rules. */
async function beginOf(format, path) {
  if (format === "onnx") return 0;
  const handle = await open(path);
  const head = Buffer.alloc(65536);
  await handle.read(head, 0, head.length, 0);
  await handle.close();
  if (format === "safetensors") {
    const length = Number(head.readBigUInt64LE(0));
    const header = JSON.parse(head.subarray(8, 8 + length).toString());
    return 8 + length + header["large.weight"].data_offsets[0];
  }
  // The tensor table ends with "large.weight", which llama.cpp's order puts after no layer: it is first.
  const at = head.indexOf("large.weight");
  const offset = Number(head.readBigUInt64LE(at + 12 + 4 + 16 + 4));
  const last = head.lastIndexOf("blk.3.weight");
  const end = last + 12 + 4 + 16 + 4 + 8;
  return Math.ceil(end / 32) * 32 + offset;
}

/** Prunes one model in a process of its own; what that took. */
export async function measurePruning({ recipe, folder, size }) {
  const place = await mkdtemp(join(folder, "large-"));
  try {
    const model = await makeLarge("safetensors", place, size);
    return await measure("shrink", [
      model,
      JSON.stringify(recipe),
      join(place, "pruned.safetensors"),
    ]);
  } finally {
    await rm(place, { recursive: true });
  }
}

/** Packs one model and unpacks it, each in a process of its own; what both took. Throws where other bytes come back. */
export async function measurePacking({ folder, size }) {
  const place = await mkdtemp(join(folder, "large-"));
  try {
    const model = await makeDense("safetensors", place, size);
    const [file, again] = [join(place, "large.mspk"), join(place, "again.safetensors")];
    const packing = await measure("pack", ["pack", model, file]);
    const unpacking = await measure("pack", ["unpack", file, again]);
    await promisify(execFile)("cmp", [model, again]);
    return { packing, unpacking };
  } finally {
    await rm(place, { recursive: true });
  }
}
