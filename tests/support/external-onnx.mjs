// An ONNX model whose weights move into a file of their own.
import { forFields } from "./initializers.mjs";
import { bytes, number, string } from "./onnx.mjs";

const keep = (field, value) =>
  typeof value === "number" ? number(field, value) : bytes(field, value);

/** Copies a message; `change(field, value)` gives what stands for a field instead, or undefined to keep it. */
function copied(message, change) {
  const parts = [];
  forFields(message, (field, value) => parts.push(change(field, value) ?? keep(field, value)));
  return Buffer.concat(parts);
}

/** Gives { main, data } of a model whose initializers have raw data: `location` is the name by which main calls data. */
export function externalized(model, location) {
  const pieces = [];
  let offset = 0;
  const entry = (key, value) => bytes(13, Buffer.concat([string(1, key), string(2, `${value}`)]));
  const external = (raw) => {
    const places = [
      entry("location", location),
      entry("offset", offset),
      entry("length", raw.length),
    ];
    pieces.push(raw);
    offset += raw.length;
    return Buffer.concat([...places, number(14, 1)]);
  };
  const tensor = (it) => copied(it, (field, value) => (field === 9 ? external(value) : undefined));
  const graph = (it) =>
    copied(it, (field, value) => (field === 5 ? bytes(5, tensor(value)) : undefined));
  const main = copied(model, (field, value) => (field === 7 ? bytes(7, graph(value)) : undefined));
  return { main, data: Buffer.concat(pieces) };
}
