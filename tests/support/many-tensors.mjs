/** Models of very many small tensors: what they cost is their number, not their bytes. */

const nameOf = (i) => `model.layers.${i}.weight`;
const elementsPerTensor = 4;

function safetensorsFile(header, dataBytes) {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(dataBytes)]);
}

function safetensors(count) {
  const entries = Array.from({ length: count }, (_, i) => {
    const range = `${16 * i},${16 * i + 16}`;
    return `"${nameOf(i)}":{"dtype":"F32","shape":[1,${elementsPerTensor}],"data_offsets":[${range}]}`;
  });
  const header = `{${entries.join(",")}}`;
  return { "m.safetensors": safetensorsFile(header, 16 * count), headerBytes: header.length };
}

function gguf(count) {
  const number = (value, bytes) => {
    const buffer = Buffer.alloc(bytes);
    buffer.writeUIntLE(value, 0, Math.min(bytes, 6));
    return buffer;
  };
  const entries = Array.from({ length: count }, (_, i) => {
    const name = Buffer.from(nameOf(i));
    const fields = [number(2, 4), number(32, 8), number(2, 8), number(0, 4), number(256 * i, 8)];
    return Buffer.concat([number(name.length, 8), name, ...fields]);
  });
  const head = [Buffer.from("GGUF"), number(3, 4), number(count, 8), number(0, 8)];
  const header = Buffer.concat([...head, ...entries]);
  const padding = Buffer.alloc((32 - (header.length % 32)) % 32);
  const file = Buffer.concat([header, padding, Buffer.alloc(256 * count)]);
  return { "m.gguf": file, headerBytes: header.length };
}

function tfjs(count) {
  // A float16 kernel costs more JSON than a few elements save.
  const shape = [1, 64];
  const weights = Array.from({ length: count }, (_, i) => ({
    name: `model/layers.${i}/kernel`,
    ...{ shape, dtype: "float32" },
  }));
  const json = JSON.stringify({
    format: "layers-model",
    modelTopology: {},
    weightsManifest: [{ paths: ["w.bin"], weights }],
  });
  return {
    "model.json": Buffer.from(json),
    "w.bin": Buffer.alloc(256 * count),
    headerBytes: json.length,
  };
}

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value & 127) | 128);
  return Buffer.from([...bytes, value]);
}
const scalar = (field, value) => Buffer.concat([varint(field * 8), varint(value)]);
const bytes = (field, value) => {
  const content = Buffer.from(value);
  return Buffer.concat([varint(field * 8 + 2), varint(content.length), content]);
};
const model = (graph) =>
  Buffer.concat([scalar(1, 8), bytes(7, Buffer.concat(graph)), bytes(8, scalar(2, 17))]);
const node = (inputs, output, name, type) =>
  bytes(
    1,
    Buffer.concat([
      ...inputs.map((it) => bytes(1, it)),
      ...[bytes(2, output), bytes(3, name), bytes(4, type)],
    ]),
  );
const initializer = (name, rows, columns) =>
  bytes(
    5,
    Buffer.concat([
      ...[scalar(1, rows), scalar(1, columns), scalar(2, 1), bytes(8, name)],
      bytes(9, new Uint8Array(4 * rows * columns)),
    ]),
  );

/** A chain of matrix products. */
function onnx(count) {
  const output = (i) => (i < 0 ? "x" : `/layer${i}/MatMul_output`);
  const nodes = Array.from({ length: count }, (_, i) =>
    node([output(i - 1), nameOf(i)], output(i), `/layer${i}/MatMul`, "MatMul"),
  );
  const weights = Array.from({ length: count }, (_, i) => initializer(nameOf(i), 8, 32));
  const ends = [bytes(11, bytes(1, "x")), bytes(12, bytes(1, output(count - 1)))];
  const file = model([...nodes, ...weights, ...ends]);
  return { "m.onnx": file, headerBytes: file.length - 1024 * count };
}

const makers = { safetensors, gguf, tfjs, onnx };

/** The formats of which manyTensors makes models. */
export const formatsOfMany = Object.keys(makers);

/** A model of `count` tensors: { files: { name: bytes }, main, headerBytes }; the first file is the main one. */
export function manyTensors(format, count) {
  const { headerBytes, ...files } = makers[format](count);
  return { files, main: Object.keys(files)[0], headerBytes };
}

/** A safetensors file of one tensor and so many strings of metadata. */
export function manyMetadata(count) {
  const entries = Array.from({ length: count }, (_, i) => `"k${i}":"v"`);
  const tensor = `"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`;
  const header = `{"__metadata__":{${entries.join(",")}},${tensor}}`;
  return {
    files: { "m.safetensors": safetensorsFile(header, 4) },
    ...{ main: "m.safetensors", headerBytes: header.length },
  };
}

/** An ONNX graph of so many nodes with names as exporters give them, and one weight. */
export function manyNodes(count) {
  const output = (i) => (i < 0 ? "x" : `/model/layer${i}/Relu_output`);
  const nodes = Array.from({ length: count }, (_, i) =>
    node([output(i - 1)], output(i), `/layer${i}/Relu`, "Relu"),
  );
  const last = node([output(count - 1), "w"], "y", "last", "MatMul");
  const ends = [bytes(11, bytes(1, "x")), bytes(12, bytes(1, "y"))];
  return model([...nodes, last, initializer("w", 64, 64), ...ends]);
}
