// Y = X · W with a 64 × 64 float32 W, written as ONNX (field numbers of onnx.proto3).

const text = new TextEncoder();

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return [...bytes, value];
}
const number = (field, value) => [...varint(field * 8), ...varint(value)];
const bytes = (field, content) => [...varint(field * 8 + 2), ...varint(content.length), ...content];
const string = (field, value) => bytes(field, text.encode(value));

const float32 = 1;
const size = 64;

function value(name, rows) {
  const dims = [rows, size].flatMap((dim) => bytes(1, number(1, dim)));
  const tensor = [...number(1, float32), ...bytes(2, dims)];
  return [...string(1, name), ...bytes(2, bytes(1, tensor))];
}

export function tinyWeights() {
  return Float32Array.from({ length: size * size }, (_, i) => Math.sin(i * 12.9898) * 0.5);
}

export function tinyModel() {
  const weights = [
    ...number(1, size),
    ...number(1, size),
    ...number(2, float32),
    ...string(8, "W"),
    ...bytes(9, new Uint8Array(tinyWeights().buffer)),
  ];
  const node = [...string(1, "X"), ...string(1, "W"), ...string(2, "Y"), ...string(4, "MatMul")];
  const graph = [
    ...bytes(1, node),
    ...string(2, "tiny"),
    ...bytes(5, weights),
    ...bytes(11, value("X", 1)),
    ...bytes(12, value("Y", 1)),
  ];
  const opset = number(2, 13);
  return Uint8Array.from([...number(1, 8), ...bytes(7, graph), ...bytes(8, opset)]);
}
