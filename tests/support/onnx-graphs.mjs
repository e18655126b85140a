// ONNX models of any graph made by hand, and what onnxruntime computes with them.
import assert from "node:assert/strict";
import { bytes, initializer, number, string, valueInfo } from "./onnx.mjs";

// Unlike a wave's, its products do not cancel out.
export function noise(count, seed) {
  return Float32Array.from(
    { length: count },
    (_, i) => ((Math.sin((i + seed) * 12.9898) * 43758.5453) % 1) * 0.5,
  );
}

export const float32 = 1;
export const int64 = 7;

export const attribute = (name, type, ...fields) =>
  bytes(5, Buffer.concat([string(1, name), ...fields, number(20, type)]));
export const int = (name, value) => attribute(name, 2, number(3, value));
export const text = (name, value) => attribute(name, 3, string(4, value));
/** A node's domain, beside its attributes. */
export const microsoft = string(7, "com.microsoft");
export const ints = (name, values) =>
  attribute(name, 7, ...values.map((value) => number(8, value)));
export const graphAttribute = (name, graph) => attribute(name, 5, bytes(6, graph));
export const tensorAttribute = (name, tensor) => attribute(name, 4, bytes(5, tensor));

export function node(opType, inputs, outputs, ...attributes) {
  const names = [...inputs.map((it) => string(1, it)), ...outputs.map((it) => string(2, it))];
  return bytes(1, Buffer.concat([...names, string(4, opType), ...attributes]));
}

export function weight(name, shape) {
  const count = shape.reduce((a, b) => a * b, 1);
  return { name, shape, values: noise(count, count) };
}

/** A model of X and Y whose weights are initializers or Constant nodes; `more` are further fields of its graph. */
export function model({
  nodes,
  weights,
  more = [],
  x,
  y,
  xType = float32,
  asNodes = false,
  opset = 17,
}) {
  const constants = weights.map((it) =>
    asNodes
      ? node("Constant", [], [it.name], tensorAttribute("value", initializer(it)))
      : bytes(5, initializer(it)),
  );
  const graph = Buffer.concat([
    ...constants,
    ...nodes,
    ...more,
    string(2, "graph"),
    bytes(11, valueInfo("X", x, xType)),
    bytes(12, valueInfo("Y", y)),
  ]);
  // The IR version that came with each opset.
  const irVersion = { 9: 4, 13: 7, 17: 8, 21: 10 }[opset];
  const domain = Buffer.concat([string(1, "com.microsoft"), number(2, 1)]);
  const imports = [bytes(8, number(2, opset)), bytes(8, domain)];
  return new Uint8Array(Buffer.concat([number(1, irVersion), bytes(7, graph), ...imports]));
}

export async function run(ort, file, { x, xType }) {
  const session = await ort.InferenceSession.create(file, { logSeverityLevel: 3 });
  const count = x.reduce((a, b) => a * b, 1);
  const input =
    xType === int64
      ? new ort.Tensor(
          "int64",
          BigInt64Array.from({ length: count }, (_, i) => BigInt(i * 7)),
          x,
        )
      : new ort.Tensor("float32", noise(count, 5), x);
  const { Y } = await session.run({ X: input });
  await session.release();
  return Y.data;
}

export function sqnr(original, approximation) {
  assert.equal(approximation.length, original.length);
  let signal = 0;
  let noise = 0;
  original.forEach((value, i) => {
    signal += value ** 2;
    noise += (value - approximation[i]) ** 2;
  });
  return 10 * Math.log10(signal / noise);
}
