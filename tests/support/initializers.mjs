/** The float32 initializers of an ONNX file, read without the library: field numbers of onnx.proto3. */

/** Calls visit(field, bytes or number) for each field of a message. */
export function forFields(bytes, visit) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag % 8;
    if (wire === 0) {
      visit(Math.floor(tag / 8), varint());
    } else if (wire === 2) {
      const length = varint();
      visit(Math.floor(tag / 8), bytes.subarray(at, at + length));
      at += length;
    } else {
      at += wire === 1 ? 8 : 4;
    }
  }
}

function tensorOf(bytes) {
  const tensor = { name: "", type: 0, raw: undefined };
  forFields(bytes, (field, value) => {
    if (field === 8) tensor.name = Buffer.from(value).toString();
    if (field === 2) tensor.type = value;
    // raw_data, or packed float_data.
    if (field === 9 || (field === 4 && typeof value !== "number")) tensor.raw = value;
  });
  return tensor;
}

/** Name → Float32Array, of initializers and Constant nodes' values in the main graph. */
export function initializersOf(model) {
  const found = new Map();
  const add = (name, tensor) => {
    if (tensor.type === 1 && tensor.raw) {
      found.set(name, new Float32Array(Uint8Array.from(tensor.raw).buffer));
    }
  };
  const addConstant = (node) => {
    let output;
    forFields(node, (field, value) => {
      if (field === 2) output = Buffer.from(value).toString();
      if (field !== 5) return;
      forFields(value, (inner, attribute) => {
        if (inner === 5) add(output, tensorOf(attribute));
      });
    });
  };
  forFields(model, (field, graph) => {
    if (field !== 7) return;
    forFields(graph, (part, value) => {
      if (part === 5) {
        const tensor = tensorOf(value);
        add(tensor.name, tensor);
      } else if (part === 1) {
        addConstant(value);
      }
    });
  });
  return found;
}
