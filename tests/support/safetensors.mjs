// safetensors files by the rules of the specification and of the official writer, apart from the core.
import assert from "node:assert/strict";

// In the official writer's order.
const bits = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
};
const order = Object.keys(bits);

/** The bytes of a file with these tensors ({ name, dtype, shape, data }), sorted as the official writer does. */
export function makeSafetensors(tensors, metadata) {
  const sorted = tensors.toSorted(
    (a, b) =>
      order.indexOf(b.dtype) - order.indexOf(a.dtype) ||
      Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
  );
  const entries = metadata ? [["__metadata__", metadata]] : [];
  let end = 0;
  for (const { name, dtype, shape, data } of sorted) {
    const begin = end;
    end += data.byteLength;
    entries.push([name, { dtype, shape, data_offsets: [begin, end] }]);
  }
  let text = JSON.stringify(Object.fromEntries(entries));
  text += " ".repeat((8 - (Buffer.byteLength(text) % 8)) % 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
  const bytes = ({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return new Uint8Array(Buffer.concat([length, Buffer.from(text), ...sorted.map(bytes)]));
}

/** Takes a file apart, and fails where it is not what the official writer would write. */
export function readSafetensors(file) {
  const bytes = Buffer.from(file);
  const length = Number(bytes.readBigUInt64LE(0));
  assert.equal(length % 8, 0, "the data is aligned");
  const padded = bytes.toString("utf8", 8, 8 + length);
  const text = padded.trimEnd();
  assert.match(padded.slice(text.length), /^ {0,7}$/, "padded with spaces, no more than needed");
  const header = JSON.parse(text);
  // No duplicate keys, no white space, and nothing that JavaScript would write otherwise.
  assert.equal(JSON.stringify(header), text);
  const { __metadata__: metadata = {}, ...entries } = header;
  for (const value of Object.values(metadata)) assert.equal(typeof value, "string");
  const data = bytes.subarray(8 + length);
  const tensors = {};
  let end = 0;
  let last;
  for (const [name, { dtype, shape, data_offsets, ...rest }] of Object.entries(entries)) {
    assert.deepEqual(rest, {});
    const count = shape.reduce((a, b) => a * b, 1);
    const [from, to] = data_offsets;
    assert.equal(from, end, `${name} follows the one before it`);
    assert.equal((to - from) * 8, count * bits[dtype], `${name} has its shape's size`);
    if (bits[dtype] >= 8) assert.equal(from % (bits[dtype] / 8), 0, `${name} is aligned`);
    const isSorted =
      !last ||
      order.indexOf(last.dtype) > order.indexOf(dtype) ||
      (last.dtype === dtype && Buffer.compare(Buffer.from(last.name), Buffer.from(name)) < 0);
    assert.ok(isSorted, `${name} is in its place`);
    end = to;
    last = { name, dtype };
    tensors[name] = { dtype, shape, data: data.subarray(from, to) };
  }
  assert.equal(end, data.length, "no byte is left over");
  return { metadata, tensors, header: text };
}

const count = (shape) => shape.reduce((a, b) => a * b, 1);

function integersOf({ dtype, data }, type, size) {
  const bytes = Uint8Array.from(data);
  if (type === "int4" || type === "uint4") {
    return Float32Array.from({ length: size }, (_, i) => {
      const nibble = (bytes[i >> 1] >> ((i % 2) * 4)) & 15;
      return type === "int4" && nibble > 7 ? nibble - 16 : nibble;
    });
  }
  const arrays = { I8: Int8Array, U8: Uint8Array, I16: Int16Array, U16: Uint16Array };
  return Float32Array.from(new arrays[dtype](bytes.buffer));
}

/** The values of a quantized tensor, by the recipe in FORMAT.md. */
export function dequantized({ metadata, tensors }, name) {
  const scheme = JSON.parse(metadata[`modelshrink.${name}`]);
  const { type, shape, axis, block_size: blockSize, symmetric } = scheme;
  const size = count(shape);
  const codes = integersOf(tensors[name], type, size);
  const scales = new Float32Array(Uint8Array.from(tensors[`${name}.scale`].data).buffer);
  const middle = { uint4: 8, uint8: 128, uint16: 32768 }[type] ?? 0;
  const zeros = symmetric
    ? new Float32Array(scales.length).fill(middle)
    : integersOf(tensors[`${name}.zero_point`], type, scales.length);
  const row = shape.at(-1);
  const blocks = Math.ceil(row / blockSize);
  const inner = count(shape.slice(axis + 1));
  const groupOf = (i) => {
    if (axis !== undefined) return Math.floor(i / inner) % shape[axis];
    if (blockSize === undefined) return 0;
    return Math.floor(i / row) * blocks + Math.floor((i % row) / blockSize);
  };
  const values = Float32Array.from(codes, (code, i) =>
    Math.fround((code - zeros[groupOf(i)]) * scales[groupOf(i)]),
  );
  return { values, scaleOf: (i) => scales[groupOf(i)], scheme };
}
