/** Models of any size, written sparsely: mostly zeros, which take no room on the disk. */
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { makeGguf, weights } from "./gguf.mjs";
import { bytes, number, string, valueInfo } from "./onnx.mjs";

/** One tensor has half of the bytes, four share the rest. */
export function shapesOf(size) {
  const columns = 4096;
  const rows = Math.floor(size / 4 / columns / 8);
  return [
    { name: "large.weight", rows: 4 * rows, columns },
    ...[0, 1, 2, 3].map((i) => ({ name: `blk.${i}.weight`, rows, columns })),
  ];
}

const bytesOf = ({ rows, columns }) => rows * columns * 4;

/** A row that is not zeros, at the start, near the end and in the middle of each tensor. */
export const markedRows = ({ rows }) => [0, rows >> 1, rows - 1];
export const markOf = (columns) =>
  Float32Array.from({ length: columns }, (_, i) => (i % 255) - 127);

async function writeSparse(path, header, dataBegin, shapes, size) {
  const handle = await open(path, "w");
  await handle.write(header, 0, header.length, 0);
  let begin = dataBegin;
  for (const shape of shapes) {
    const mark = new Uint8Array(markOf(shape.columns).buffer);
    for (const row of markedRows(shape)) {
      await handle.write(mark, 0, mark.length, begin + row * shape.columns * 4);
    }
    begin += bytesOf(shape);
  }
  await handle.truncate(size);
  await handle.close();
}

function safetensorsHeader(shapes) {
  let end = 0;
  const entries = shapes.map((shape) => {
    const begin = end;
    end += bytesOf(shape);
    const description = { dtype: "F32", shape: [shape.rows, shape.columns] };
    return [shape.name, { ...description, data_offsets: [begin, end] }];
  });
  const text = JSON.stringify(Object.fromEntries(entries));
  const padded = text.padEnd(Math.ceil(text.length / 8) * 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  return Buffer.concat([length, Buffer.from(padded)]);
}

function onnxMain(shapes) {
  const entry = (key, value) => bytes(13, Buffer.concat([string(1, key), string(2, value)]));
  let offset = 0;
  const initializers = shapes.map((shape) => {
    const begin = offset;
    offset += bytesOf(shape);
    return Buffer.concat([
      number(1, shape.rows),
      number(1, shape.columns),
      number(2, 1),
      string(8, shape.name),
      entry("location", "model.onnx_data"),
      entry("offset", String(begin)),
      number(14, 1),
    ]);
  });
  const gathers = shapes.map(({ name }, i) =>
    Buffer.concat([string(1, name), string(1, "X"), string(2, `y${i}`), string(4, "Gather")]),
  );
  const graph = Buffer.concat([
    ...gathers.map((it) => bytes(1, it)),
    string(2, "large"),
    ...initializers.map((it) => bytes(5, it)),
    bytes(11, valueInfo("X", [1], 7)),
    bytes(12, valueInfo("y0", [1, 4096])),
  ]);
  return Buffer.concat([number(1, 8), bytes(7, graph), bytes(8, number(2, 13))]);
}

/** Gives the path of the main file. */
export async function makeLarge(format, folder, size) {
  const shapes = shapesOf(size);
  const dataBytes = shapes.reduce((sum, shape) => sum + bytesOf(shape), 0);
  if (format === "safetensors") {
    const path = join(folder, "model.safetensors");
    const header = safetensorsHeader(shapes);
    await writeSparse(path, header, header.length, shapes, header.length + dataBytes);
    return path;
  }
  if (format === "gguf") {
    const path = join(folder, "model.gguf");
    // Only its table matters: the data are as long as the table says.
    const tensors = shapes.map(({ name, rows, columns }) => ({
      name,
      dims: [columns, rows],
      type: "F32",
      data: { length: rows * columns * 4 },
    }));
    const header = makeGguf({ keys: [], tensors, onlyHeader: true });
    await writeSparse(path, header, header.length, shapes, header.length + dataBytes);
    return path;
  }
  const path = join(folder, "model.onnx");
  const main = onnxMain(shapes);
  await writeSparse(path, main, 0, [], main.length);
  await writeSparse(join(folder, "model.onnx_data"), Buffer.alloc(0), 0, shapes, dataBytes);
  return path;
}

/** Puts bell-shaped weights where the sparse files have zeros. */
async function fill(path, begin, bytes) {
  const block = weights(1 << 20, "F32", 7);
  const handle = await open(path, "r+");
  for (let at = 0; at < bytes; at += block.length) {
    await handle.write(block, 0, Math.min(block.length, bytes - at), begin + at);
  }
  await handle.close();
}

/** The same with weights everywhere. */
export async function makeDense(format, folder, size) {
  const path = await makeLarge(format, folder, size);
  const dataBytes = shapesOf(size).reduce((sum, shape) => sum + bytesOf(shape), 0);
  const data = format === "onnx" ? `${path}_data` : path;
  await fill(data, (await stat(data)).size - dataBytes, dataBytes);
  return path;
}
