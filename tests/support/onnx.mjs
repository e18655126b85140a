// Small ONNX models made by hand (field numbers of onnx.proto3), without sharing code with src.

const text = new TextEncoder();

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

const concat = (parts) => Buffer.concat(parts);
export const number = (field, value) => concat([varint(field * 8), varint(value)]);
export const bytes = (field, content) =>
  concat([varint(field * 8 + 2), varint(content.length), content]);
export const string = (field, value) => bytes(field, text.encode(value));

/** Numbers that look random and are the same in every run. */
export function wave(count, seed = 1) {
  return Float32Array.from({ length: count }, (_, i) => Math.sin((i + seed) * 12.9898) * 0.5);
}

const rawOf = (values) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

export function initializer({ name, shape, values }) {
  const dims = shape.map((size) => number(1, size));
  return concat([...dims, number(2, 1), string(8, name), bytes(9, rawOf(values))]);
}

/** A value's name, type and shape, of which undefined is a dimension of any size. */
export function valueInfo(name, shape, elementType = 1) {
  const anySize = new Uint8Array(0);
  const dims = concat(
    shape.map((size) => bytes(1, size === undefined ? anySize : number(1, size))),
  );
  return concat([
    string(1, name),
    bytes(2, bytes(1, concat([number(1, elementType), bytes(2, dims)]))),
  ]);
}

/**
 * A chain of MatMuls, one for each square weight `{ name, size, values? }`, each followed by an
 * Add with a bias of `size` elements named `<name>.bias`, which `bias(size)` gives. `input` is the shape of X and Y,
 * [1, size] by default.
 */
export function chainModel(weights, { opset = 13, input, bias: biasOf = wave } = {}) {
  const nodes = [];
  const initializers = [];
  let previous = "X";
  weights.forEach(({ name, size, values = wave(size * size, name.length) }, i) => {
    const product = `product${i}`;
    const output = i === weights.length - 1 ? "Y" : `sum${i}`;
    const inputs = (...names) => names.map((it) => string(1, it));
    nodes.push(
      concat([...inputs(previous, name), string(2, product), string(4, "MatMul")]),
      concat([...inputs(product, `${name}.bias`), string(2, output), string(4, "Add")]),
    );
    const bias = { name: `${name}.bias`, shape: [size], values: biasOf(size) };
    initializers.push({ name, shape: [size, size], values }, bias);
    previous = output;
  });
  const { size } = weights[0];
  const graph = concat([
    ...nodes.map((node) => bytes(1, node)),
    string(2, "chain"),
    ...initializers.map((it) => bytes(5, initializer(it))),
    bytes(11, valueInfo("X", input ?? [1, size])),
    bytes(12, valueInfo("Y", input ?? [1, size])),
  ]);
  const model = concat([number(1, 8), bytes(7, graph), bytes(8, number(2, opset))]);
  return new Uint8Array(model);
}

/** Y = X·w, with the 64 × 64 values of w in the file `location`: both files by their names. */
export function externalModel(location = "model.onnx.data") {
  const entry = (key, value) => bytes(13, concat([string(1, key), string(2, value)]));
  const tensor = concat([
    ...[number(1, 64), number(1, 64), number(2, 1), string(8, "w")],
    ...[entry("location", location), number(14, 1)],
  ]);
  const matMul = concat([string(1, "X"), string(1, "w"), string(2, "Y"), string(4, "MatMul")]);
  const graph = concat([
    ...[bytes(1, matMul), string(2, "external"), bytes(5, tensor)],
    ...[bytes(11, valueInfo("X", [1, 64])), bytes(12, valueInfo("Y", [1, 64]))],
  ]);
  const main = concat([number(1, 8), bytes(7, graph), bytes(8, number(2, 13))]);
  return { "model.onnx": main, [location]: new Uint8Array(wave(4096).buffer) };
}
