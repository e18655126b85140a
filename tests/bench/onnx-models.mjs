// One-operator ONNX models for the peers, written as protobuf (field numbers of onnx.proto3).
const text = new TextEncoder();

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return [...bytes, value];
}
const number = (field, value) => [...varint(field * 8), ...varint(value)];
const bytes = (field, content) => [...varint(field * 8 + 2), ...varint(content.length), ...content];
const string = (field, value) => bytes(field, text.encode(value));

export const elementTypes = { float32: 1, uint8: 2, int8: 3, int64: 7, float16: 10, bfloat16: 16 };

function valueInfo(name, type, count) {
  const shape = bytes(2, bytes(1, number(1, count)));
  return [...string(1, name), ...bytes(2, bytes(1, [...number(1, elementTypes[type]), ...shape]))];
}

function node(operator, inputs, outputs, attributes) {
  const named = Object.entries(attributes).map(([name, value]) =>
    bytes(5, [...string(1, name), ...number(3, value), ...number(20, 2)]),
  );
  return [
    ...inputs.flatMap((input) => string(1, input)),
    ...outputs.flatMap((output) => string(2, output)),
    ...string(4, operator),
    ...named.flat(),
  ];
}

function scalar(name, type, raw) {
  const content = [...number(2, elementTypes[type]), ...string(8, name), ...bytes(9, raw)];
  return bytes(5, content);
}

/**
 * A model whose input x has `count` elements of `inputType`.
 * @param {{ operator: string, inputType: string, count: number, scale?: number,
 *   zeroPoint?: { type: string, value: number }, attributes?: Record<string, number>,
 *   outputs?: number, repeats: number, outputType?: string }} options
 *   `repeats` copies of the operator, of which only the shapes are outputs; 0: one, whose first output y
 *   of `outputType` is the model's
 */
export function operatorModel(options) {
  const { operator, inputType, count, scale, zeroPoint, attributes = {}, repeats } = options;
  const { outputs = 1, outputType } = options;
  const initializers = [];
  const inputs = ["x"];
  if (scale !== undefined) {
    initializers.push(scalar("scale", "float32", new Uint8Array(Float32Array.of(scale).buffer)));
    initializers.push(scalar("zero", zeroPoint.type, [zeroPoint.value]));
    inputs.push("scale", "zero");
  }
  const results = (i) =>
    Array.from({ length: outputs }, (_, j) => (j === 0 ? `y${i}` : `y${i}_${j}`));
  const graph = [];
  for (let i = 0; i < Math.max(repeats, 1); ++i) {
    graph.push(bytes(1, node(operator, inputs, results(i), attributes)));
    if (repeats > 0) {
      graph.push(bytes(1, node("Shape", [`y${i}`], [`s${i}`], {})));
      graph.push(bytes(12, valueInfo(`s${i}`, "int64", 1)));
    }
  }
  if (repeats === 0) graph.push(bytes(12, valueInfo("y0", outputType, count)));
  const content = [
    ...graph.flat(),
    ...string(2, "bench"),
    ...initializers.flat(),
    ...bytes(11, valueInfo("x", inputType, count)),
  ];
  return Uint8Array.from([...number(1, 8), ...bytes(7, content), ...bytes(8, number(2, 13))]);
}
